//! Rows 26 and 27: signals end what they should, when they should, and nothing else.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use nsplice_testkit::talk::{echo, expect_reset, half_close, read_to_eof};
use nsplice_testkit::wait_until;

use crate::peers::{echo_to_any_end, hang_up, name_of, ping, Full};
use crate::relay::Leash;
use crate::{cases, nsplice, Testbed};

cases! {
    term_while_idle on setns external;
    term_while_busy on setns no_splice external dial;
    term_while_opening on setns external dial;
    a_second_term_ends_all_at_once on setns no_splice external dial;
    a_second_term_waits_for_no_farewell on external;
    int_and_quit_drain_as_well on setns;
    drain_takes_in_who_has_connected on setns external;
    hup_changes_nothing on setns external;
    a_closed_standard_output_ends_nothing on setns external;
    a_burst_of_children on external;
}

fn term_while_idle(testbed: &Testbed) {
    let mut relay = testbed.daemon(9).global("drain_timeout = '1h'").start();
    relay.signal(Signal::SIGTERM);
    relay.expect_exit();
    assert!(!relay.listens());
}

fn term_while_busy(testbed: &Testbed) {
    let server = testbed.serve(echo);
    let mut relay = testbed.daemon(server.port()).global("drain_timeout = '1h'").start();
    let client = relay.connect();
    ping(&client);
    relay.signal(Signal::SIGTERM);
    wait_until("the listener to be closed", || !relay.listens());
    ping(&client);
    assert_eq!(relay.program_mut().ended(), None);
    hang_up(&client);
    relay.expect_end(name_of(&client), "clean");
    relay.expect_exit();
    assert_eq!(server.join(), [2]);
}

/// A link whose upstream never opens gets the drain time and no more.
fn term_while_opening(testbed: &Testbed) {
    let full = Full::new(testbed.container());
    let mut relay = testbed.daemon(full.port()).global("drain_timeout = '800ms'").start();
    let client = relay.connect();
    wait_until("the client to be accepted", || relay.is_serving());
    let start = Instant::now();
    relay.signal(Signal::SIGTERM);
    expect_reset(&client);
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(700), "{waited:?}");
    relay.expect_end(name_of(&client), "drain-timeout");
    relay.expect_exit();
}

fn a_second_term_ends_all_at_once(testbed: &Testbed) {
    let server = testbed.serve(echo_to_any_end);
    let mut relay = testbed.daemon(server.port()).global("drain_timeout = 'none'").start();
    let clients = [relay.connect(), relay.connect()];
    clients.iter().for_each(ping);
    relay.signal(Signal::SIGTERM);
    wait_until("the listener to be closed", || !relay.listens());
    clients.iter().for_each(ping);
    relay.signal(Signal::SIGTERM);
    for client in &clients {
        expect_reset(client);
        relay.expect_end(name_of(client), "stopped");
    }
    relay.expect_exit();
    assert_eq!(server.join().len(), clients.len());
}

/// A child may go on for a while after a clean end, but not when all is to end at once.
fn a_second_term_waits_for_no_farewell(testbed: &Testbed) {
    // Left alone it would end within that while, by itself and badly.
    let text = "echo up; exec >&-; cat >/dev/null; sleep 6; exit 3";
    let command = format!("command = \"sh -c '{text}'\"");
    let mut relay = testbed.daemon(9).global("drain_timeout = '1h'").option(&command).start();
    let client = relay.connect();
    assert_eq!(read_to_eof(&client), b"up\n");
    half_close(&client);
    wait_until("nobody but the child to be left", || !relay.is_serving());
    relay.signal(Signal::SIGTERM);
    relay.program().expect_stderr("draining");
    relay.signal(Signal::SIGTERM);
    relay.expect_end(name_of(&client), "clean");
    relay.expect_exit();
}

fn int_and_quit_drain_as_well(testbed: &Testbed) {
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        let server = testbed.serve(echo);
        let mut relay = testbed.daemon(server.port()).start();
        let client = relay.connect();
        ping(&client);
        relay.signal(signal);
        wait_until("the listener to be closed", || !relay.listens());
        ping(&client);
        hang_up(&client);
        relay.expect_exit();
        assert_eq!(server.join(), [2]);
    }
}

/// Clients whose handshake is complete when the listener is closed are served.
fn drain_takes_in_who_has_connected(testbed: &Testbed) {
    const CLIENTS: usize = 40;
    let server = testbed.serve(echo);
    let mut relay = testbed.daemon(server.port()).start();
    relay.signal(Signal::SIGSTOP);
    let clients: Vec<_> = (0..CLIENTS).map(|_| relay.connect()).collect();
    relay.signal(Signal::SIGTERM);
    relay.signal(Signal::SIGCONT);
    for client in &clients {
        ping(client);
        hang_up(client);
    }
    relay.expect_exit();
    assert_eq!(server.join(), [1; CLIENTS]);
}

fn hup_changes_nothing(testbed: &Testbed) {
    let server = testbed.serve(echo);
    let mut relay = testbed.daemon(server.port()).start();
    let client = relay.connect();
    ping(&client);
    relay.signal(Signal::SIGHUP);
    relay.program().expect_stderr("ignoring signal");
    ping(&client);
    assert!(relay.listens());
    // And in the middle of a drain.
    relay.signal(Signal::SIGTERM);
    relay.program().expect_stderr("draining");
    relay.signal(Signal::SIGHUP);
    relay.program().expect_stderr_lines("ignoring signal", 2);
    ping(&client);
    half_close(&client);
    relay.expect_end(name_of(&client), "clean");
    relay.expect_exit();
}

/// SIGPIPE: the lines of `forward` go to a pipe whose reader is gone.
fn a_closed_standard_output_ends_nothing(testbed: &Testbed) {
    let server = testbed.serve(echo);
    let line = format!("forward {} :{}", testbed.target_words(), server.port());
    let mut command = nsplice(&format!("{line} --address 127.0.0.1"));
    let mut child = testbed.node().spawn(command.stdout(Stdio::piped())).unwrap();
    let _leash = Leash(child.id());
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let address = first.split(' ').nth(2).unwrap().parse().unwrap();
    for _ in 0..5 {
        let client = testbed.connect(address);
        ping(&client);
        hang_up(&client);
    }
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(server.join(), [1; 5]);
}

/// Many children end at the same moment, and none is left a zombie.
fn a_burst_of_children(testbed: &Testbed) {
    const CLIENTS: usize = 20;
    let server = testbed.serve(echo);
    let relay = testbed.daemon(server.port()).start();
    let clients: Vec<_> = (0..CLIENTS).map(|_| relay.connect()).collect();
    clients.iter().for_each(ping);
    // The relay finds all of them ended at once.
    relay.signal(Signal::SIGSTOP);
    let children = crate::testbed::children_of(relay.pid());
    assert_eq!(children.len(), CLIENTS);
    for child in &children {
        kill(Pid::from_raw(i32::try_from(*child).unwrap()), Signal::SIGKILL).unwrap();
    }
    wait_until("all to have ended", || {
        !children.iter().any(|child| crate::testbed::is_alive(*child))
    });
    relay.signal(Signal::SIGCONT);
    for client in &clients {
        expect_reset(client);
        relay.expect_end(name_of(client), "child-failed-midway");
    }
    server.join();
    relay.finish();
}
