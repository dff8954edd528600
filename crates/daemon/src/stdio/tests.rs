use super::*;
use std::io::{pipe, Read, Seek, Write};
use std::os::unix::net::UnixStream;

use nix::pty::openpty;

fn flags(fd: &impl AsFd) -> OFlag {
    OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL).unwrap())
}

fn is_close_on_exec(fd: &impl AsFd) -> bool {
    fcntl(fd, FcntlArg::F_GETFD).unwrap() & libc::FD_CLOEXEC != 0
}

fn pair(downstream: Downstream) -> (OwnedFd, OwnedFd) {
    match downstream {
        Downstream::Pair { source, sink } => (source, sink),
        Downstream::Socket(socket) => panic!("a pair was wanted, not {socket:?}"),
    }
}

/// What becomes of a standard input and output that lead nowhere else.
fn own_pair(stdin: &impl AsFd, stdout: &impl AsFd) -> (OwnedFd, OwnedFd) {
    let (source, sink) = pair(downstream_of(stdin.as_fd(), stdout.as_fd()).unwrap());
    assert!(is_close_on_exec(&source) && is_close_on_exec(&sink));
    (source, sink)
}

#[test]
fn pipes_become_non_blocking_for_us_alone() {
    let (stdin, mut feeder) = pipe().unwrap();
    let (mut reader, stdout) = pipe().unwrap();
    let (source, sink) = own_pair(&stdin, &stdout);
    assert!(flags(&source).contains(OFlag::O_NONBLOCK));
    assert!(flags(&sink).contains(OFlag::O_NONBLOCK));
    assert!(!flags(&stdin).contains(OFlag::O_NONBLOCK));
    assert!(!flags(&stdout).contains(OFlag::O_NONBLOCK));

    feeder.write_all(b"in").unwrap();
    let mut taken = [0; 2];
    File::from(source).read_exact(&mut taken).unwrap();
    assert_eq!(&taken, b"in");

    File::from(sink).write_all(b"out").unwrap();
    drop(stdout);
    let mut read = String::new();
    reader.read_to_string(&mut read).unwrap();
    assert_eq!(read, "out", "closing the sink is the end of it");
}

#[test]
fn a_terminal_keeps_its_flags() {
    let terminal = openpty(None, None).unwrap();
    let (source, sink) = own_pair(&terminal.slave, &terminal.slave);
    assert!(flags(&source).contains(OFlag::O_NONBLOCK));
    assert!(flags(&sink).contains(OFlag::O_NONBLOCK));
    assert!(!flags(&terminal.slave).contains(OFlag::O_NONBLOCK));
    assert!(is_terminal(source.as_fd()));
}

#[test]
fn the_master_of_a_terminal_is_not_opened_anew() {
    let terminal = openpty(None, None).unwrap();
    let (source, mut sink) = {
        let (source, sink) = own_pair(&terminal.master, &terminal.master);
        (source, File::from(sink))
    };
    assert!(!flags(&source).contains(OFlag::O_NONBLOCK), "a duplicate shares the flags");
    sink.write_all(b"typed\n").unwrap();
    let mut line = [0; 6];
    File::from(terminal.slave).read_exact(&mut line).unwrap();
    assert_eq!(&line, b"typed\n", "it still is the master of this terminal");
}

#[test]
fn files_share_their_offset() {
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(b"first second").unwrap();
    input.seek(io::SeekFrom::Start(6)).unwrap();
    let output = tempfile::tempfile().unwrap();
    let (source, sink) = own_pair(&input, &output);
    let mut rest = String::new();
    File::from(source).read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "second");
    File::from(sink).write_all(b"written").unwrap();
    assert_eq!((&output).stream_position().unwrap(), 7);
}

#[test]
fn null_is_taken_as_it_is() {
    let null = File::options().read(true).write(true).open("/dev/null").unwrap();
    let (source, _sink) = own_pair(&null, &null);
    assert!(!flags(&null).contains(OFlag::O_NONBLOCK));
    assert_eq!(File::from(source).read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn the_same_socket_twice_is_one_downstream() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let copy = ours.try_clone().unwrap();
    let Downstream::Socket(socket) = downstream_of(ours.as_fd(), copy.as_fd()).unwrap() else {
        panic!("a socket was wanted");
    };
    assert!(is_close_on_exec(&socket));
    assert!(!flags(&ours).contains(OFlag::O_NONBLOCK));
    drop((ours, copy, socket));
    assert_eq!(theirs.read(&mut [0; 1]).unwrap(), 0, "no other copy is left");
}

#[test]
fn two_sockets_are_a_pair() {
    let (stdin, _feeder) = UnixStream::pair().unwrap();
    let (stdout, _reader) = UnixStream::pair().unwrap();
    let (source, sink) = own_pair(&stdin, &stdout);
    assert!(!flags(&source).contains(OFlag::O_NONBLOCK));
    assert!(!flags(&sink).contains(OFlag::O_NONBLOCK));
}

#[test]
fn a_stream_that_is_open_the_wrong_way_is_refused() {
    let (reader, writer) = pipe().unwrap();
    let error = downstream_of(writer.as_fd(), writer.as_fd()).unwrap_err();
    assert_eq!(error.to_string(), "standard input is not open for reading");
    let error = downstream_of(reader.as_fd(), reader.as_fd()).unwrap_err();
    assert_eq!(error.to_string(), "standard output is not open for writing");
}
