//! Ends after which nobody waits for anything: the process ends too, however long an answer would be
//! waited for (here a thousand seconds). And silences before an end, which take nothing from what is
//! given to the other side after it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread::{self, sleep};
use std::time::Duration;

use nix::sys::signal::Signal;
use nsplice_testkit::talk::{half_close, read_exactly, read_to_eof, reset};
use nsplice_testkit::wait::poll_for;
use nsplice_testkit::{listen, Namespace, Program, Server, PATIENCE};

use crate::compare::theirs;
use crate::node::{client, FRONT};
use crate::subject::Subject;

/// Ours, where an answer is waited for far longer than any test does, with its input held open.
fn patient(socat: &Subject, line: &str) -> Command {
    let mut command = socat.command(line);
    command.env("NSPLICE_SOCAT_LINGER", "1000").stdin(Stdio::piped());
    command
}

#[track_caller]
fn assert_ends_with(status: i32, program: &mut Program, line: &str) {
    let ended = poll_for(PATIENCE, || program.ended());
    assert_eq!(ended.and_then(|ended| ended.code()), Some(status), "{line}");
}

/// cri-dockerd tells its client of an end when the process has ended, and not before.
#[test]
fn a_server_that_ends_first_ends_it_while_input_is_open() {
    let half: fn(TcpStream) -> Option<TcpStream> = |stream| {
        half_close(&stream);
        Some(stream)
    };
    let whole: fn(TcpStream) -> Option<TcpStream> = |_| None;
    let socat = Subject::called("socat");
    for end in [half, whole] {
        let server = Server::start(listen("127.0.0.1:0"), move |mut stream| {
            stream.write_all(b"page\n").unwrap();
            end(stream).map(|stream| read_to_eof(&stream))
        });
        let port = server.port();
        let lines = [
            format!("- TCP4:127.0.0.1:{port}"),
            format!("-,ignoreeof TCP4:127.0.0.1:{port}"),
            format!("TCP4:127.0.0.1:{port} -"),
            format!("STDIN!!STDOUT TCP4:127.0.0.1:{port}"),
        ];
        let start = |line: &String| Program::spawn(&mut patient(&socat, line));
        let mut programs = lines.each_ref().map(start);
        for (program, line) in programs.iter_mut().zip(&lines) {
            program.expect_stdout("page");
            assert_ends_with(0, program, line);
        }
        server.join();
    }
}

/// Whoever reads standard output is told at once, although the process goes on: others may hold the
/// terminal or the file behind it, but a pipe has its end when all have closed it.
#[test]
fn the_end_reaches_who_reads_standard_output_at_once() {
    let socat = Subject::called("socat");
    let server = Server::start(listen("127.0.0.1:0"), |mut stream| {
        stream.write_all(b"page\n").unwrap();
        half_close(&stream);
        read_to_eof(&stream)
    });
    let port = server.port();
    let lines = [
        format!("-t 1000 - TCP4:127.0.0.1:{port}"),
        format!("-t 1000 TCP4:127.0.0.1:{port} -"),
        format!("-t 1000 STDIN!!STDOUT TCP4:127.0.0.1:{port}"),
    ];
    for line in lines {
        let mut command = patient(&socat, &line);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"one, ").unwrap();
        let (sender, said) = channel();
        let mut output = child.stdout.take().unwrap();
        let reader = thread::spawn(move || {
            let mut text = String::new();
            output.read_to_string(&mut text).unwrap();
            sender.send(text).unwrap();
        });
        assert_eq!(said.recv_timeout(PATIENCE).as_deref(), Ok("page\n"), "{line}");
        reader.join().unwrap();
        assert_eq!(child.try_wait().unwrap(), None, "{line}");
        // And the other way it goes on.
        input.write_all(b"two").unwrap();
        drop(input);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{line}");
    }
    assert_eq!(server.join(), [b"one, two"; 3]);
}

#[test]
fn a_program_that_ends_first_ends_it_while_input_is_open() {
    let socat = Subject::called("socat");
    for line in ["- EXEC:true", "- EXEC:true,pipes", "EXEC:true -"] {
        assert_ends_with(0, &mut Program::spawn(&mut patient(&socat, line)), line);
    }
}

/// What a reset connection was given and has not acknowledged stays in its queue for ever.
#[test]
fn one_way_to_a_peer_that_has_reset_ends_at_once() {
    const TEST: &str = "one_way_to_a_peer_that_has_reset_ends_at_once";
    let server = Server::start(listen("127.0.0.1:0"), drop);
    let ours = Subject::called("socat");
    let theirs = theirs(TEST);
    let port = server.port();
    for line in [format!("-u - TCP4:127.0.0.1:{port}"), format!("-U TCP4:127.0.0.1:{port} -")] {
        let accepted = server.accepted();
        let mut commands = vec![patient(&ours, &line)];
        commands.extend(theirs.iter().map(|theirs| {
            let mut command = Command::new(theirs);
            command.args(line.split(' ')).stdin(Stdio::piped());
            command
        }));
        let count = commands.len();
        let mut programs: Vec<_> = commands.iter_mut().map(Program::spawn).collect();
        server.wait_accepted(accepted + count);
        for program in &mut programs {
            // Its end is there by now, or comes: one write is taken either way, and answered by RST.
            let mut input = program.take_stdin().unwrap();
            input.write_all(b"x").unwrap();
            drop(input);
            assert_ends_with(0, program, &line);
        }
    }
}

/// Silent for longer than `-t` before the end of the input, after which sort has its say.
#[test]
fn an_answer_after_a_long_silence() {
    let socat = Subject::called("socat");
    for flags in ["-t 2", "-t 2 -T 1000"] {
        let mut command = socat.command(&format!("{flags} - EXEC:sort"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"b\na\n").unwrap();
        sleep(Duration::from_secs(3));
        drop(input);
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((said.as_str(), child.wait().unwrap().code()), ("a\nb\n", Some(0)), "{flags}");
    }
}

/// Where nothing says how long an answer is waited for, it is no longer than the whole link is.
#[test]
fn an_inactivity_time_bounds_a_half_closed_link() {
    let socat = Subject::called("socat");
    let server = Server::start(listen("127.0.0.1:0"), |stream| {
        // Until ours has gone.
        let _ = (read_to_eof(&stream), (&stream).read(&mut [0]));
        sleep(Duration::ZERO);
    });
    let line = format!("-T 1 - TCP4:127.0.0.1:{}", server.port());
    let mut program = Program::spawn(patient(&socat, &line).stdin(Stdio::null()));
    assert_ends_with(0, &mut program, &line);
}

/// The link, its program and its place are let go when its client has reset, before or after its end.
#[test]
fn a_client_that_resets_leaves_its_place_to_the_next() {
    const TEST: &str = "a_client_that_resets_leaves_its_place_to_the_next";
    let Some(node) = Namespace::for_test(TEST) else { return };
    let socat = Subject::called("socat");
    for program in ["EXEC:'sh -c \"echo up; exec sleep 1000\"'", "TCP4:127.0.0.1:7001"] {
        let server = Server::in_namespace(&node, "127.0.0.1:7001", |mut stream| {
            stream.write_all(b"up\n").unwrap();
            while stream.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
            // Nothing but its own end, or ours, ends this one.
            let _ = stream.read(&mut [0]);
        });
        let mut command = patient(&socat, "");
        command.arg(format!("TCP-LISTEN:{FRONT},reuseaddr,fork,max-children=1")).arg(program);
        let mut listener = node.inside(|| Program::spawn(&mut command));
        for half_closes in [false, true, false, true] {
            let stream = client(&node);
            assert_eq!(read_exactly(&stream, 3), b"up\n", "a place for the next");
            if half_closes {
                half_close(&stream);
            }
            reset(stream);
        }
        listener.signal(Signal::SIGTERM);
        assert_ends_with(143, &mut listener, program);
        drop(server);
    }
}
