//! Rows 20, 25, 39 and 49: what happens at the limits of descriptors, links, processes and readers.

use std::fs;
use std::io::{pipe, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::sys::signal::Signal;
use nsplice_testkit::census::cpu_time;
use nsplice_testkit::peer::listen_with_receive_buffer;
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::talk::{echo, expect_ramp, read_exactly, send_ramp, send_until_stuck};
use nsplice_testkit::{wait_for, wait_until, Gate, Server};
use socket2::SockRef;

use crate::peers::{echo_to_any_end, free_port, hang_up, name_of, ping};
use crate::relay::Leash;
use crate::{cases, Relay, Testbed};

cases! {
    out_of_descriptors on setns no_splice external dial;
    out_of_descriptors_at_a_drain on setns dial;
    out_of_descriptors_between_two_of_a_link on setns external;
    idle_pipes_give_way on setns dial;
    limits_that_are_low on dial;
    max_links on setns external;
    a_client_that_stops_reading on setns no_splice dial;
    a_server_that_stops_reading on setns no_splice dial;
    out_of_processes on external;
    a_log_that_nobody_reads on setns external;
}

fn out_of_descriptors(testbed: &Testbed) {
    pause_and_resume(testbed, 6);
}

/// A client has been accepted when there is none left for its upstream: that is what the reserve
/// is for.
fn out_of_descriptors_between_two_of_a_link(testbed: &Testbed) {
    pause_and_resume(testbed, 5);
}

/// Leaves `spare` descriptors to the relay and expects it to serve all clients in the end.
fn pause_and_resume(testbed: &Testbed, spare: usize) {
    const CLIENTS: usize = 12;
    let server = testbed.serve(echo);
    let relay = testbed.daemon(server.port()).start();
    limit_descriptors(&relay, spare);
    let clients: Vec<_> = (0..CLIENTS).map(|_| relay.connect()).collect();
    for mut client in &clients {
        client.write_all(b"?").unwrap();
    }
    relay.program().expect_stderr("accepting paused");
    let before = cpu_time(relay.pid());
    sleep(Duration::from_millis(500));
    let used = cpu_time(relay.pid()) - before;
    assert!(used <= Duration::from_millis(100), "{used:?} of processor time while it paused");
    assert!(server.accepted() < CLIENTS);

    for client in &clients {
        assert_eq!(read_exactly(client, 1), b"?");
        hang_up(client);
        relay.expect_end(name_of(client), "clean");
    }
    relay.program().expect_stderr("accepting resumed");
    assert_eq!(server.join(), [1; CLIENTS]);
    relay.finish();
}

/// Clients in the queue when a drain begins are served as far as descriptors go, whatever is made
/// ready for all of them at once.
fn out_of_descriptors_at_a_drain(testbed: &Testbed) {
    const CLIENTS: usize = 12;
    let server = testbed.serve(echo);
    let mut relay = testbed.daemon(server.port()).start();
    // A link needs two.
    limit_descriptors(&relay, 8);
    relay.signal(Signal::SIGSTOP);
    wait_until("the loop to stand still", || relay.is_stopped());
    let clients: Vec<_> = (0..CLIENTS).map(|_| relay.connect()).collect();
    wait_until("all clients in the queue", || relay.waiting() == Some(CLIENTS));
    clients.iter().for_each(|mut client| client.write_all(b"?").unwrap());
    relay.signal(Signal::SIGTERM);
    relay.signal(Signal::SIGCONT);
    let is_served = |mut client: &TcpStream| matches!(client.read(&mut [0]), Ok(1));
    let served: Vec<_> = clients.iter().filter(|client| is_served(client)).collect();
    assert!((4..CLIENTS).contains(&served.len()), "{} clients were served", served.len());
    served.into_iter().for_each(hang_up);
    relay.expect_exit();
    server.join();
}

/// A link that has been bulk leaves pipes behind for the next one. They are not what the next client
/// waits for.
fn idle_pipes_give_way(testbed: &Testbed) {
    let server = testbed.serve(echo);
    let relay = testbed.daemon(server.port()).start();
    // For the client: its upstream takes of the reserve, and then there is one for each pipe.
    limit_descriptors(&relay, 1);
    for _ in 0..3 {
        let client = relay.connect();
        bulk(&client);
        hang_up(&client);
        relay.expect_end(name_of(&client), "clean");
    }
    server.join();
    relay.finish();
}

/// Enough bytes there and back to be spliced.
fn bulk(client: &TcpStream) {
    const BYTES: u64 = 1 << 20;
    std::thread::scope(|scope| {
        scope.spawn(|| send_ramp(client, 0, BYTES));
        expect_ramp(client, 0, BYTES);
    });
}

/// However low the limit of descriptors: what starts serves one client after the other, and what
/// would not says so.
fn limits_that_are_low(testbed: &Testbed) {
    let server = testbed.serve(echo_to_any_end);
    let (mut serve, mut refuse) = (0, 0);
    for files in 12..40 {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port(testbed.node())));
        let limit = format!("--nofile={files}:{files}");
        let daemon = testbed.daemon(server.port()).listen(&address.to_string());
        let (mut command, _directory) = daemon.under(&["prlimit", &limit]).command();
        let mut program = testbed.start(&mut command);
        let connected = || testbed.node().inside(|| TcpStream::connect(address)).ok();
        // One that is about to end may have taken the client into its queue.
        let is_served = |mut client: &TcpStream| {
            client.write_all(b"?").is_ok() && matches!(client.read(&mut [0]), Ok(1))
        };
        let served = wait_for("a client to be served, or an end", || {
            let client = connected().map(nsplice_testkit::peer::patient);
            let served = client.filter(|client| is_served(client));
            served.map(Some).or_else(|| program.ended().map(|_| None))
        });
        if let Some(client) = served {
            serve += 1;
            bulk(&client);
            hang_up(&client);
            for _ in 0..2 {
                let next = connected().map(nsplice_testkit::peer::patient).unwrap();
                ping(&next);
                bulk(&next);
                hang_up(&next);
            }
            program.signal(Signal::SIGTERM);
            assert!(program.wait().success(), "with {files}: {program}");
        } else {
            refuse += 1;
            assert!(!program.wait().success(), "with {files}: {program}");
            let told = program.stderr().concat();
            assert!(told.contains("Too many open files"), "with {files}: {program}");
        }
    }
    assert!(serve > 0 && refuse > 0, "{serve} serve, {refuse} refuse");
    server.join();
}

/// Leaves `spare` descriptors to a relay. The limit is one of their numbers, which may have gaps.
fn limit_descriptors(relay: &Relay<'_>, spare: usize) {
    let pid = relay.pid().to_string();
    let is_free = |number: &usize| fs::read_link(format!("/proc/{pid}/fd/{number}")).is_err();
    let last = (0..).filter(is_free).nth(spare - 1).unwrap();
    let limit = format!("--nofile={0}:{0}", last + 1);
    let status = Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap();
    assert!(status.success());
}

fn max_links(testbed: &Testbed) {
    const PLACES: usize = 10;
    let server = testbed.serve(echo);
    let relay = testbed.daemon(server.port()).option("max_links = 10").start();
    let mut clients: Vec<_> = (0..PLACES).map(|_| relay.connect()).collect();
    clients.iter().for_each(ping);
    for _ in PLACES..50 {
        relay.connect_refused();
    }
    relay.program().expect_stderr("max_links reached: client refused");
    assert_eq!(server.accepted(), PLACES);
    clients.iter().for_each(ping);
    let first = clients.remove(0);
    hang_up(&first);
    relay.expect_end(name_of(&first), "clean");
    let next = relay.connect();
    ping(&next);
    relay.connect_refused();
    clients.iter().chain([&next]).for_each(hang_up);
    assert_eq!(relay.expect_ends(PLACES + 1).len(), PLACES + 1);
    server.join();
    relay.finish();
}

/// Links that stop, after they have carried so much quickly that the kernel has tuned their queues.
const STOPPING: usize = 4;
const QUICKLY: u64 = 128 << 20;

/// What one way of a link may hold when nobody takes anything at its end: a queue and a pipe in the
/// relay, a queue behind it, and as much again for what the kernel does not count the same way; and what
/// its peers have of their own.
const HELD: u64 = 2 * (4 + 1 + 4) * MIB + 2 * MIB;

const MIB: u64 = 1 << 20;

/// Lets the container give its sockets far longer queues than we do, from the beginning.
fn allow_long_queues(testbed: &Testbed) {
    if let Err(error) = testbed.container().set_queue_sizes([4096, 64 << 20, 128 << 20]) {
        eprintln!("unavailable: the container keeps the sizes of its queues: {error}");
    }
}

/// However long queues the container allows, and whatever the link has carried before.
fn a_client_that_stops_reading(testbed: &Testbed) {
    allow_long_queues(testbed);
    let server = testbed.serve(|stream| {
        SockRef::from(&stream).set_send_buffer_size(64 * 1024).unwrap();
        send_ramp(&stream, 0, QUICKLY);
        send_until_stuck(&stream, QUICKLY)
    });
    let relay = testbed.daemon(server.port()).start();
    let clients: Vec<_> = (0..STOPPING).map(|_| relay.connect_narrow()).collect();
    std::thread::scope(|scope| {
        for client in &clients {
            scope.spawn(|| expect_ramp(client, 0, QUICKLY));
        }
    });
    let stuck = server.join();
    assert!(stuck.iter().all(|bytes| *bytes <= HELD), "bytes that nobody reads: {stuck:?}");
    drop(clients);
    relay.expect_ends(STOPPING);
    relay.finish();
}

/// The same the other way.
fn a_server_that_stops_reading(testbed: &Testbed) {
    allow_long_queues(testbed);
    let over = Arc::new(Gate::new());
    let listen = || listen_with_receive_buffer("127.0.0.1:0", Some(16 * 1024));
    let server = Server::start(testbed.container().inside(listen), {
        let over = over.clone();
        move |stream| {
            expect_ramp(&stream, 0, QUICKLY);
            over.wait();
        }
    });
    let relay = testbed.daemon(server.port()).start();
    let clients: Vec<_> = (0..STOPPING).map(|_| relay.connect()).collect();
    let stuck: Vec<u64> = std::thread::scope(|scope| {
        let sending = clients.iter().map(|client| {
            scope.spawn(move || {
                SockRef::from(client).set_send_buffer_size(64 * 1024).unwrap();
                send_ramp(client, 0, QUICKLY);
                send_until_stuck(client, QUICKLY)
            })
        });
        let sending: Vec<_> = sending.collect();
        sending.into_iter().map(|sent| sent.join().unwrap()).collect()
    });
    assert!(stuck.iter().all(|bytes| *bytes <= HELD), "bytes that nobody reads: {stuck:?}");
    over.open();
    drop(clients);
    server.join();
    relay.expect_ends(STOPPING);
    relay.finish();
}

fn out_of_processes(testbed: &Testbed) {
    if require_tool("out_of_processes", "strace").is_none() {
        return;
    }
    let server = testbed.serve(echo);
    // Threads are made by clone3, programs by the others. Every fork but the third fails.
    let inject = "inject=clone,fork,vfork:error=EAGAIN:when=1..2";
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject];
    let relay = testbed.daemon(server.port()).under(&strace).start();
    relay.connect_refused();
    let end = relay.expect_only_end("exhausted");
    assert!(end.detail.starts_with("cannot start "), "{end:?}");
    let client = relay.connect();
    ping(&client);
    hang_up(&client);
    relay.expect_end(name_of(&client), "clean");
    assert_eq!(server.join(), [1]);
    relay.finish();
}

/// Standard error is a full pipe: lines are lost, links are not.
fn a_log_that_nobody_reads(testbed: &Testbed) {
    const LINKS: usize = 200;
    let server = testbed.serve(echo_to_any_end);
    let port = free_port(testbed.node());
    let daemon = testbed.daemon(server.port()).listen(&format!("127.0.0.1:{port}"));
    let (mut command, _directory) = daemon.global("log = 'debug'").command();
    let (_reader, writer) = pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while (&writer).write(&[b'.'; 4096]).is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    let mut child = testbed.node().spawn(command.stderr(writer)).unwrap();
    let _leash = Leash(child.id());
    let address = ([127, 0, 0, 1], port).into();
    let listens = || testbed.node().inside(|| TcpStream::connect(address).is_ok());
    wait_until("the daemon to listen", listens);
    for _ in 0..LINKS {
        let client = testbed.connect(address);
        ping(&client);
        hang_up(&client);
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
