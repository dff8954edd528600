//! `nsplice connect`, seen from outside.

use std::fs;
use std::io::{pipe, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::sys::signal::Signal;
use nsplice_testkit::talk::{echo, expect_reset};
use nsplice_testkit::{listen, Server};

use crate::binary::{end_of, nsplice, quiet};
use crate::{closed_port, send};

#[test]
fn connect_carries_pipes_and_leaves_their_flags_alone() {
    let server = Server::start(listen("127.0.0.1:0"), echo);
    let (stdin, mut feeder) = pipe().unwrap();
    let (mut reader, stdout) = pipe().unwrap();
    let mut child = nsplice(&format!("connect tcp/127.0.0.1 {}", server.port()))
        .stdin(OwnedFd::from(stdin.try_clone().unwrap()))
        .stdout(OwnedFd::from(stdout.try_clone().unwrap()))
        .spawn()
        .unwrap();
    feeder.write_all(b"through a pipe").unwrap();
    let mut answer = [0; 14];
    reader.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"through a pipe");
    for end in [OwnedFd::from(stdin), OwnedFd::from(stdout)] {
        let flags = OFlag::from_bits_retain(fcntl(&end, FcntlArg::F_GETFL).unwrap());
        assert!(!flags.contains(OFlag::O_NONBLOCK));
    }
    drop(feeder);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn connect_carries_a_socket_that_is_both() {
    let server = Server::start(listen("127.0.0.1:0"), echo);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut child = nsplice(&format!("connect tcp/127.0.0.1 {}", server.port()))
        .stdin(OwnedFd::from(theirs.try_clone().unwrap()))
        .stdout(OwnedFd::from(theirs))
        .spawn()
        .unwrap();
    (&ours).write_all(b"one socket").unwrap();
    ours.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    (&ours).read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "one socket");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn connect_carries_files_and_null_and_a_closed_standard_input() {
    let server = Server::start(listen("127.0.0.1:0"), echo);
    let line = format!("connect tcp/127.0.0.1 {}", server.port());
    let directory = tempfile::tempdir().unwrap();
    let (input, output) = (directory.path().join("in"), directory.path().join("out"));
    fs::write(&input, "from a file").unwrap();
    fs::write(&output, "before: ").unwrap();
    let status = nsplice(&line)
        .stdin(fs::File::open(&input).unwrap())
        .stdout(fs::File::options().append(true).open(&output).unwrap())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(fs::read_to_string(&output).unwrap(), "before: from a file");

    assert_eq!(end_of(&mut nsplice(&line)), quiet(0, ""), "standard input is /dev/null");

    let link = directory.path().join("nsplice");
    symlink(env!("CARGO_BIN_EXE_nsplice"), link).unwrap();
    let script = format!("exec ./nsplice {line} <&-");
    let end = end_of(Command::new("sh").args(["-c", &script]).current_dir(directory.path()));
    assert_eq!(end, quiet(0, ""));
}

#[test]
fn connect_says_by_its_exit_code_how_it_ended() {
    let (_closed, port) = closed_port();
    let message = format!(
        "error: cannot connect to 127.0.0.1:{port} for tcp/127.0.0.1: Connection refused\n"
    );
    assert_eq!(end_of(&mut nsplice(&format!("connect tcp/127.0.0.1 {port}"))), quiet(1, message));

    let end = end_of(nsplice("connect tcp/127.0.0.1 1").stdin(pipe().unwrap().1));
    assert_eq!(end, quiet(1, "error: standard input is not open for reading\n"));
}

#[test]
fn connect_ends_by_a_signal_as_shells_count_it() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let mut server = Server::start(listen("127.0.0.1:0"), |mut stream: TcpStream| {
            stream.write_all(b"here").unwrap();
            expect_reset(&stream);
        });
        let line = format!("connect tcp/127.0.0.1 {}", server.port());
        let mut child =
            nsplice(&line).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 4]).unwrap();
        send(signal, &child);
        server.next_end();
        // Standard input stays open until here: it is the signal that ended the program.
        assert_eq!(child.stdin.as_ref().map(|_| ()), Some(()));
        assert_eq!(child.wait().unwrap().code(), Some(code));
    }
}
