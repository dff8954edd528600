//! Real kubectls of every version that the machine has, forwarding to this machine's own ports.

// A test may fail where it stands.
#![allow(clippy::unwrap_used)]

#[path = "../stage/mod.rs"]
mod stage;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use nsplice_testkit::kubectl::{kubectl, kubectls};
use nsplice_testkit::peer::patient;
use nsplice_testkit::{connect, listen, ramp, Program, Server};
use socket2::SockRef;

use stage::Stage;

/// Runs `case` with each kubectl, which forwards to `ports` and listens at the addresses that `case` gets.
fn with_each(test: &str, ports: &[u16], mut case: impl FnMut(&Stage, &mut Program, &[SocketAddr])) {
    for path in kubectls(test) {
        println!("{}", path.display());
        let (stage, home) = (Stage::new(), tempfile::tempdir().unwrap());
        let pairs: Vec<String> = ports.iter().map(|port| format!(":{port}")).collect();
        let mut words = vec!["port-forward", "pod/web", "--address", "127.0.0.1"];
        words.extend(pairs.iter().map(String::as_str));
        let mut program = kubectl(&path, stage.address, home.path(), &words);
        let addresses = program.forwarded(ports.len());
        case(&stage, &mut program, &addresses);
        drop(program);
        stage.close();
    }
}

/// Sends `request`, ends, and reads to the end.
fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut socket = connect(address);
    socket.write_all(request).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    answer
}

fn echo(mut stream: TcpStream) {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    stream.write_all(&bytes).unwrap();
}

/// Waits until a request's empty line has come, and answers with a page.
fn page(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let body = ramp::bytes(1 << 20);
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).unwrap();
    stream.write_all(&body).unwrap();
}

#[test]
fn a_page_is_fetched() {
    let server = Server::start(listen("127.0.0.1:0"), page);
    with_each("a_page_is_fetched", &[server.port()], |_, program, addresses| {
        let mut socket = connect(addresses[0]);
        socket.write_all(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        // The server ends first: its end arrives, with all bytes before it.
        socket.read_to_end(&mut answer).unwrap();
        assert!(answer.ends_with(&ramp::bytes(1 << 20)), "{} bytes", answer.len());
        assert!(program.ended().is_none());
    });
}

#[test]
fn twenty_connections_at_once_are_kept_apart() {
    let server = Server::start(listen("127.0.0.1:0"), echo);
    with_each("twenty_connections_at_once", &[server.port()], |stage, program, addresses| {
        let clients = (0..20u8).map(|number| {
            let address = addresses[0];
            thread::spawn(move || {
                let sent: Vec<u8> = ramp::bytes(100_000)
                    .into_iter()
                    .map(|byte| byte.wrapping_add(number))
                    .collect();
                exchange(address, &sent) == sent
            })
        });
        let clients: Vec<_> = clients.collect();
        assert!(clients.into_iter().all(|client| client.join().unwrap()));
        assert_eq!(stage.links_ended(20).len(), 20);
        assert!(program.ended().is_none());
    });
}

/// With the runtimes of today it is lost.
#[test]
fn an_answer_two_seconds_after_the_clients_end_arrives() {
    let server = Server::start(listen("127.0.0.1:0"), |mut stream: TcpStream| {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        thread::sleep(Duration::from_secs(2));
        stream.write_all(b"late").unwrap();
    });
    with_each("an_answer_two_seconds_after", &[server.port()], |_, _, addresses| {
        assert_eq!(exchange(addresses[0], b"question"), b"late");
    });
}

/// With the runtimes of today either ends the session, and kubectl with it.
#[test]
fn what_is_refused_or_reset_ends_alone() {
    let refused = listen("127.0.0.1:0").local_addr().unwrap().port();
    // As PostgreSQL does, which leaves bytes unread.
    let resetting = Server::start(listen("127.0.0.1:0"), |stream: TcpStream| {
        stream.peek(&mut [0]).unwrap();
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    });
    let server = Server::start(listen("127.0.0.1:0"), echo);
    let ports = [refused, resetting.port(), server.port()];
    with_each("what_is_refused_or_reset", &ports, |stage, program, addresses| {
        let sessions = stage.sessions();
        for round in 0..3 {
            for address in &addresses[..2] {
                let mut socket = connect(*address);
                // It may be closed by then.
                let _ = socket.write_all(b"hello");
                assert_eq!(socket.read(&mut [0]).unwrap_or(0), 0, "round {round}");
            }
            assert_eq!(exchange(addresses[2], b"good"), b"good", "round {round}");
        }
        assert_eq!(stage.sessions(), sessions, "none has ended");
        assert!(program.ended().is_none());
    });
}

/// A client that leaves in the midst of a download disturbs nobody. kubectl passes on that it has ended, and
/// no reset, and throws away what still comes.
#[test]
fn a_download_that_is_broken_off_ends_alone() {
    let endless = Server::start(listen("127.0.0.1:0"), |mut stream: TcpStream| {
        let block = [7; 64 << 10];
        let mut client = stream.try_clone().unwrap();
        let leaves = thread::spawn(move || client.read(&mut [0]).unwrap_or(0));
        while !leaves.is_finished() && stream.write_all(&block).is_ok() {}
    });
    let server = Server::start(listen("127.0.0.1:0"), echo);
    let ports = [endless.port(), server.port()];
    for path in kubectls("a_download_that_is_broken_off") {
        // Before 1.32 it was client-go that ended the session (kubernetes/kubernetes#128681).
        let name = path.to_string_lossy().into_owned();
        if ["1.27", "1.28", "1.29", "1.30", "1.31"].iter().any(|old| name.ends_with(old)) {
            continue;
        }
        println!("{}", path.display());
        let (stage, home) = (Stage::new(), tempfile::tempdir().unwrap());
        let pairs = ports.map(|port| format!(":{port}"));
        let words = ["port-forward", "pod/web", "--address", "127.0.0.1", &pairs[0], &pairs[1]];
        let mut program = kubectl(&path, stage.address, home.path(), &words);
        let addresses = program.forwarded(2);
        let mut download = patient(connect(addresses[0]));
        download.read_exact(&mut vec![0; 1 << 20]).unwrap();
        drop(download);
        assert_eq!(exchange(addresses[1], b"good"), b"good");
        stage.links_ended(2);
        assert!(program.ended().is_none());
        drop(program);
        stage.close();
    }
}

/// The pod goes: the next connection is told, and kubectl ends with that; when it is back, so is kubectl.
#[test]
fn a_pod_that_is_gone_ends_kubectl_and_one_that_is_back_is_forwarded_to() {
    let server = Server::start(listen("127.0.0.1:0"), echo);
    let port = server.port();
    with_each("a_pod_that_is_gone", &[port], |stage, program, addresses| {
        assert_eq!(exchange(addresses[0], b"there"), b"there");
        stage.node.is_gone.store(true, Ordering::SeqCst);
        let _ = connect(addresses[0]).read(&mut [0]);
        program.expect_stderr("pod/default/web is not running");
        program.expect_stderr("lost connection to pod");
        assert!(!program.wait().success());
        stage.node.is_gone.store(false, Ordering::SeqCst);
    });
}

#[test]
fn pods_are_listed_and_what_is_missing_is_told() {
    for path in kubectls("pods_are_listed") {
        let (stage, home) = (Stage::new(), tempfile::tempdir().unwrap());
        let run = |words: &[&str]| {
            let mut program = kubectl(&path, stage.address, home.path(), words);
            let success = program.wait().success();
            (success, program.stdout().join("\n"), program.stderr().join("\n"))
        };
        let (success, out, err) = run(&["get", "pods"]);
        assert!(success, "{out}{err}");
        let rows: Vec<Vec<&str>> =
            out.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
        assert_eq!(rows[1], ["web", "1/1", "Running", "0", "<unknown>"]);
        assert_eq!(rows[2], ["done", "0/1", "Completed", "0", "<unknown>"]);
        let (success, out, err) = run(&["get", "pod", "web", "-o", "jsonpath={.status.phase}"]);
        assert_eq!((success, out.as_str()), (true, "Running"), "{err}");
        for (words, told) in [
            (&["get", "pod", "wbe"][..], "pods \"wbe\" not found"),
            (&["port-forward", "pod/wbe", ":80"], "pods \"wbe\" not found"),
            (&["port-forward", "pod/done", ":80"], "Succeeded"),
            (&["get", "services"], "the server doesn't have a resource type"),
        ] {
            let (success, out, err) = run(words);
            assert!(!success && err.contains(told), "{words:?}: {out}{err}");
        }
        stage.close();
    }
}
