//! A standard error that nobody reads: links, clients and signals do not wait for it.

use std::fs::File;
use std::io::{pipe, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;

use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::sys::signal::Signal::SIGTERM;
use nix::unistd::write;
use nsplice_testkit::talk::{echo, expect_ramp, send_ramp};
use nsplice_testkit::wait::poll_for;
use nsplice_testkit::{Namespace, Server, PATIENCE};

use crate::node::{client, hang_up, ping, FRONT};
use crate::subject::Subject;

/// Fills what `end` writes to, and leaves it as it was.
fn fill(end: &OwnedFd) -> usize {
    fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut filled = 0;
    // The last bytes of a pipe take single ones.
    for piece in [4096, 1] {
        let answer = loop {
            match write(end, &[b'#'].repeat(piece)) {
                Ok(written) => filled += written,
                Err(errno) => break errno,
            }
        };
        assert_eq!(answer, Errno::EAGAIN);
    }
    fcntl(end, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    filled
}

/// Starts `command` with `end` as standard error, and keeps nothing of it.
fn spawn(node: &Namespace, mut command: Command, end: OwnedFd) -> std::process::Child {
    command.stderr(end);
    node.spawn(&mut command).unwrap()
}

/// Messages of clients, messages of a signal, dumps; a pipe and a socket.
#[test]
fn a_full_standard_error_freezes_nothing() {
    const TEST: &str = "a_full_standard_error_freezes_nothing";
    let Some(node) = Namespace::for_test(TEST) else { return };
    let socat = Subject::called("socat");
    let server = Server::in_namespace(&node, "127.0.0.1:0", echo);
    for (flags, is_socket) in [("-dddd", false), ("-dddd", true), ("-v", false), ("-x -dd", true)] {
        let (reader, end): (OwnedFd, OwnedFd) = if is_socket {
            let (near, far) = UnixStream::pair().unwrap();
            (near.into(), far.into())
        } else {
            let (reader, writer) = pipe().unwrap();
            (reader.into(), writer.into())
        };
        let filled = fill(&end);
        let line =
            format!("{flags} TCP-LISTEN:{FRONT},fork,reuseaddr TCP4:127.0.0.1:{}", server.port());
        let mut child = spawn(&node, socat.command(&line), end);
        let first = client(&node);
        ping(&first);
        let second = client(&node);
        ping(&second);
        ping(&first);
        hang_up(&second);
        kill(&child);
        let ended = poll_for(PATIENCE, || child.try_wait().unwrap());
        assert_eq!(ended.and_then(|status| status.code()), Some(143), "{flags}");
        ping(&first);
        hang_up(&first);
        // Who looks late finds whole lines, or nothing. Only -v shows what has no end of line.
        let mut told = Vec::new();
        File::from(reader).read_to_end(&mut told).unwrap();
        let told = String::from_utf8(told.split_off(filled)).unwrap();
        assert!(told.is_empty() || told.ends_with('\n') || flags == "-v", "{told}");
    }
    server.join();
}

/// What is dropped is told to the reader who comes back.
#[test]
fn what_is_dropped_is_told() {
    const TEST: &str = "what_is_dropped_is_told";
    let Some(node) = Namespace::for_test(TEST) else { return };
    let socat = Subject::called("socat");
    let server = Server::in_namespace(&node, "127.0.0.1:0", echo);
    let (mut reader, end) = pipe().unwrap();
    let line = format!("-x TCP-LISTEN:{FRONT},fork,reuseaddr TCP4:127.0.0.1:{}", server.port());
    let mut child = spawn(&node, socat.command(&line), end.into());
    let stream = client(&node);
    thread::scope(|scope| {
        scope.spawn(|| send_ramp(&stream, 0, 1 << 20));
        expect_ramp(&stream, 0, 1 << 20);
    });
    // It comes back, and says so by what it reads; then there is room for the news.
    let told = thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut told = String::new();
            let mut block = [0; 4096];
            while !told.contains(" messages are lost, because nobody read them in time\n") {
                match reader.read(&mut block).unwrap() {
                    0 => break,
                    read => told.push_str(std::str::from_utf8(&block[..read]).unwrap()),
                }
            }
            told
        });
        while !reading.is_finished() {
            ping(&stream);
            thread::yield_now();
        }
        reading.join().unwrap()
    });
    assert!(told.contains(" W ") && told.contains(" messages are lost"), "{} bytes", told.len());
    hang_up(&stream);
    kill(&child);
    // Lest its last messages wait for a reader again.
    std::io::copy(&mut reader, &mut std::io::sink()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    server.join();
}

/// Slow is not gone: whoever reads gets everything, to the last line.
#[test]
fn a_slow_reader_gets_everything() {
    let socat = Subject::called("socat");
    let mut command = socat.command("-u -x -b 1000 - STDOUT");
    let (mut reader, end) = pipe().unwrap();
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).stderr(end);
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut stdin = child.stdin.take().unwrap();
    let blocks = 1000;
    let typing = thread::spawn(move || stdin.write_all(&vec![b'.'; blocks * 1000]).unwrap());
    let mut told = Vec::new();
    let mut block = [0; 4096];
    loop {
        match reader.read(&mut block).unwrap() {
            0 => break,
            read => told.extend_from_slice(&block[..read]),
        }
        thread::sleep(std::time::Duration::from_millis(1));
    }
    typing.join().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let digits = told.windows(3).filter(|digits| digits == b" 2e").count();
    assert_eq!(digits, blocks * 1000);
}

fn kill(child: &std::process::Child) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, SIGTERM).unwrap();
}
