//! SIGTERM to a listener, with links and without, and as process 1.

use std::fs;
use std::net::TcpStream;
use std::process::Command;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::talk::{echo, expect_eof};
use nsplice_testkit::wait::{poll_for, wait_for};
use nsplice_testkit::{wait_until, Namespace, Program, Server, PATIENCE};

use crate::node::{client, front, hang_up, ping, FRONT};
use crate::subject::Subject;

/// The listener goes at once, with its status; the links live until they are done, and then nobody
/// is left.
#[test]
fn links_outlive_their_listener() {
    const TEST: &str = "links_outlive_their_listener";
    let Some(node) = Namespace::for_test(TEST) else { return };
    let socat = Subject::called("socat");
    let server = Server::in_namespace(&node, "127.0.0.1:0", echo);
    let line = format!("TCP-LISTEN:{FRONT},fork,reuseaddr TCP4:127.0.0.1:{}", server.port());
    let mut program = node.inside(|| Program::spawn(&mut socat.command(&line)));
    let first = client(&node);
    let second = client(&node);
    for stream in [&first, &second] {
        ping(stream);
    }
    program.signal(Signal::SIGTERM);
    let status = poll_for(PATIENCE, || program.ended()).expect("it does not end");
    assert_eq!(status.code(), Some(143));
    let refused = node.inside(|| TcpStream::connect(front()));
    assert!(refused.is_err(), "somebody still listens");
    // Another one may take its place at once.
    let mut next = node.inside(|| Program::spawn(&mut socat.command(&line)));
    let third = client(&node);
    for stream in [&first, &second, &third] {
        ping(stream);
    }
    hang_up(&third);
    next.signal(Signal::SIGTERM);
    assert_eq!(poll_for(PATIENCE, || next.ended()).and_then(|status| status.code()), Some(143));
    ping(&first);
    hang_up(&first);
    ping(&second);
    hang_up(&second);
    wait_until("everyone to have left", || {
        let output = Command::new("ip").args(["netns", "pids", node.name()]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim() == node.pid().to_string()
    });
    drop((first, second, third));
    server.join();
}

/// Nobody is waited for and nothing is left where there are no links.
#[test]
fn an_idle_listener_just_ends() {
    const TEST: &str = "an_idle_listener_just_ends";
    let Some(node) = Namespace::for_test(TEST) else { return };
    let socat = Subject::called("socat");
    let line = format!("TCP-LISTEN:{FRONT},fork TCP4:127.0.0.1:1");
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut program = node.inside(|| Program::spawn(&mut socat.command(&line)));
        hang_up_alone(&node);
        program.signal(signal);
        let status = poll_for(PATIENCE, || program.ended()).expect("it does not end");
        assert_eq!(status.code(), Some(128 + signal as i32));
    }
}

/// Unlike socat, which ignores it until a child ends.
#[test]
fn max_children_do_not_keep_it_from_ending() {
    const TEST: &str = "max_children_do_not_keep_it_from_ending";
    let Some(node) = Namespace::for_test(TEST) else { return };
    let socat = Subject::called("socat");
    let server = Server::in_namespace(&node, "127.0.0.1:0", echo);
    let line = format!("TCP-LISTEN:{FRONT},fork,max-children=1 TCP4:127.0.0.1:{}", server.port());
    let mut program = node.inside(|| Program::spawn(&mut socat.command(&line)));
    let only = client(&node);
    ping(&only);
    program.signal(Signal::SIGTERM);
    let status = poll_for(PATIENCE, || program.ended()).expect("it does not end");
    assert_eq!(status.code(), Some(143));
    ping(&only);
    hang_up(&only);
    server.join();
}

/// As the first process of a container it has to take SIGTERM itself: there is no default for it.
#[test]
fn as_process_1() {
    const TEST: &str = "as_process_1";
    if require_tool(TEST, "unshare").is_none() {
        return;
    }
    let Some(node) = Namespace::for_test(TEST) else { return };
    let socat = Subject::called("socat");
    let server = Server::in_namespace(&node, "127.0.0.1:0", echo);
    let line = format!("TCP-LISTEN:{FRONT},fork TCP4:127.0.0.1:{}", server.port());
    let mut command = socat.wrapped("unshare --pid --fork", &line);
    let mut program = node.inside(|| Program::spawn(&mut command));
    let stream = client(&node);
    ping(&stream);
    hang_up(&stream);
    let child = wait_for("the first process", || child_of(program.pid()));
    kill(Pid::from_raw(child), Signal::SIGTERM).unwrap();
    let status = poll_for(PATIENCE, || program.ended()).expect("it does not end");
    assert_eq!(status.code(), Some(143));
    server.join();
}

/// A client that finds nobody behind the listener.
fn hang_up_alone(node: &Namespace) {
    let stream = client(node);
    expect_eof(&stream);
}

fn child_of(pid: u32) -> Option<i32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
}
