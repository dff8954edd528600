//! `nsplice connect`: standard input and output of every kind.

use std::fs::{self, File};
use std::io::{pipe, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::pty::openpty;
use nsplice_testkit::talk::{echo, half_close, read_exactly, read_to_eof, reset};
use nsplice_testkit::wait::poll_for;
use nsplice_testkit::{ramp, PATIENCE};

use crate::peers::{echo_to_any_end, Full};
use crate::{cases, end_of, nsplice, Difference, Testbed};

cases! {
    pipes on setns no_splice external dial;
    pipes_and_a_reply_two_seconds_late on setns no_splice external dial;
    files on setns no_splice external dial;
    a_socket_pair_as_both on setns no_splice external dial;
    null_as_input on setns no_splice external dial;
    null_as_both on setns external dial;
    a_terminal on setns no_splice external dial;
    closed_standard_input on setns external dial;
    a_reader_that_goes_away on setns no_splice external dial;
    nonblocking_is_not_left_behind on setns no_splice external dial;
    exit_codes on setns external dial;
}

/// `nsplice connect` to `port` of the container.
fn connect(testbed: &Testbed, port: u16) -> Command {
    nsplice(&format!("connect {} {port}", testbed.target_words()))
}

fn start(testbed: &Testbed, command: &mut Command) -> Child {
    testbed.node().spawn(command).unwrap()
}

/// The exit code, waited for.
#[track_caller]
fn code_of(child: &mut Child) -> Option<i32> {
    let ended = poll_for(PATIENCE, || child.try_wait().unwrap());
    if ended.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    ended.expect("nsplice connect did not end").code()
}

const LEN: usize = 3 << 20;

fn pipes(testbed: &Testbed) {
    let server = testbed.serve(echo);
    let mut command = connect(testbed, server.port());
    let mut child = start(testbed, command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut bytes = vec![0; LEN];
    std::thread::scope(|scope| {
        scope.spawn(|| input.write_all(&ramp::bytes(LEN)).unwrap());
        output.read_exact(&mut bytes).unwrap();
    });
    ramp::verify(0, &bytes).unwrap();
    drop(input);
    assert_eq!(output.read(&mut [0]).unwrap(), 0);
    assert_eq!(code_of(&mut child), Some(0));
    assert_eq!(server.join(), [LEN as u64]);
}

/// EOF on standard input is a FIN; the reply is printed however late it comes.
fn pipes_and_a_reply_two_seconds_late(testbed: &Testbed) {
    let arrives = !testbed.differs(Difference::HalfCloseIsCut);
    let server = testbed.serve(move |mut stream| {
        let request = read_to_eof(&stream);
        sleep(Duration::from_secs(2));
        let sent = stream.write_all(b"late");
        assert!(sent.is_ok() || !arrives);
        request
    });
    let mut command = connect(testbed, server.port());
    let mut child = start(testbed, command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    child.stdin.take().unwrap().write_all(b"request").unwrap();
    let mut reply = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut reply).unwrap();
    assert_eq!(reply, if arrives { &b"late"[..] } else { b"" });
    assert_eq!(code_of(&mut child), Some(0));
    assert_eq!(server.join(), [b"request"]);
}

fn files(testbed: &Testbed) {
    let directory = tempfile::tempdir().unwrap();
    let (input, output) = (directory.path().join("in"), directory.path().join("out"));
    fs::write(&input, ramp::bytes(LEN)).unwrap();
    fs::write(&output, "before").unwrap();
    // All of the input is read before the reply, which then is at once: socat has half a second.
    let server = testbed.serve(|mut stream| {
        let request = read_exactly(&stream, LEN);
        stream.write_all(&request).unwrap();
        half_close(&stream);
        read_to_eof(&stream)
    });
    let mut command = connect(testbed, server.port());
    command.stdin(File::open(&input).unwrap());
    command.stdout(File::options().append(true).open(&output).unwrap());
    assert_eq!(code_of(&mut start(testbed, &mut command)), Some(0));
    let written = fs::read(&output).unwrap();
    assert_eq!(&written[..6], b"before");
    assert_eq!(written.len(), 6 + LEN);
    ramp::verify(0, &written[6..]).unwrap();
    assert_eq!(server.join(), [b""]);
}

fn a_socket_pair_as_both(testbed: &Testbed) {
    let server = testbed.serve(echo);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut command = connect(testbed, server.port());
    command.stdin(OwnedFd::from(theirs.try_clone().unwrap())).stdout(OwnedFd::from(theirs));
    let mut child = start(testbed, &mut command);
    // It holds copies of the other end, which would never be closed.
    drop(command);
    (&ours).write_all(b"one socket").unwrap();
    let mut bytes = [0; 10];
    (&ours).read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"one socket");
    ours.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!((&ours).read(&mut bytes).unwrap(), 0);
    assert_eq!(code_of(&mut child), Some(0));
    assert_eq!(server.join(), [10]);
}

fn null_as_input(testbed: &Testbed) {
    let server = testbed.serve(|mut stream| {
        stream.write_all(b"hello").unwrap();
        half_close(&stream);
        read_to_eof(&stream)
    });
    let mut command = connect(testbed, server.port());
    let end = testbed.node().inside(|| end_of(&mut command));
    assert_eq!((end.code, end.stdout.as_str(), end.stderr.as_str()), (0, "hello", ""));
    assert_eq!(server.join(), [b""]);
}

fn null_as_both(testbed: &Testbed) {
    let server = testbed.serve(|mut stream| {
        stream.write_all(&ramp::bytes(LEN)).unwrap();
        half_close(&stream);
        read_to_eof(&stream)
    });
    let mut command = connect(testbed, server.port());
    let mut child = start(testbed, command.stdout(Stdio::null()));
    assert_eq!(code_of(&mut child), Some(0));
    assert_eq!(server.join(), [b""]);
}

/// A line in, a line out, and the end that Ctrl-D asks for.
fn a_terminal(testbed: &Testbed) {
    let server = testbed.serve(|mut stream| {
        let line = read_exactly(&stream, 6);
        stream.write_all(b"told\n").unwrap();
        let rest = read_to_eof(&stream);
        [line, rest].concat()
    });
    let terminal = openpty(None, None).unwrap();
    let mut command = connect(testbed, server.port());
    command.stdin(terminal.slave.try_clone().unwrap()).stdout(terminal.slave.try_clone().unwrap());
    let mut child = start(testbed, &mut command);
    drop(command);
    let mut master = File::from(terminal.master);
    master.write_all(b"hello\n").unwrap();
    let mut shown = Vec::new();
    // The terminal shows what was typed as well.
    while !shown.ends_with(b"told\r\n") {
        let mut byte = [0];
        master.read_exact(&mut byte).unwrap();
        shown.extend(byte);
    }
    assert_eq!(shown, b"hello\r\ntold\r\n");
    let flags = OFlag::from_bits_retain(fcntl(&terminal.slave, FcntlArg::F_GETFL).unwrap());
    assert!(!flags.contains(OFlag::O_NONBLOCK), "the terminal is not ours alone");
    const CTRL_D: u8 = 4;
    master.write_all(&[CTRL_D]).unwrap();
    assert_eq!(code_of(&mut child), Some(0));
    assert_eq!(server.join(), [b"hello\n"]);
}

fn closed_standard_input(testbed: &Testbed) {
    let server = testbed.serve(|mut stream| {
        stream.write_all(b"hello").unwrap();
        half_close(&stream);
        read_to_eof(&stream)
    });
    let plain = connect(testbed, server.port());
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" <&-", "sh"]).arg(plain.get_program()).args(plain.get_args());
    let end = testbed.node().inside(|| end_of(&mut shell));
    assert_eq!((end.code, end.stdout.as_str(), end.stderr.as_str()), (0, "hello", ""));
    assert_eq!(server.join(), [b""]);
}

/// As in `nsplice connect ... | head -c 4`: the rest is wanted by nobody.
fn a_reader_that_goes_away(testbed: &Testbed) {
    let server = testbed.serve(|stream| {
        let mut offset = 0;
        let mut block = vec![0; 64 * 1024];
        loop {
            ramp::fill(offset, &mut block);
            if (&stream).write_all(&block).is_err() {
                return;
            }
            offset += block.len() as u64;
        }
    });
    let mut command = connect(testbed, server.port());
    let mut child =
        start(testbed, command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut output = child.stdout.take().unwrap();
    output.read_exact(&mut [0; 4]).unwrap();
    drop(output);
    assert_eq!(code_of(&mut child), Some(1));
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert_eq!(server.join().len(), 1);
}

/// The pipes are shared with whoever started the program, and are to stay as they were.
fn nonblocking_is_not_left_behind(testbed: &Testbed) {
    let server = testbed.serve(echo);
    let (stdin, mut feeder) = pipe().unwrap();
    let (mut reader, stdout) = pipe().unwrap();
    let mut command = connect(testbed, server.port());
    command.stdin(stdin.try_clone().unwrap()).stdout(stdout.try_clone().unwrap());
    let mut child = start(testbed, &mut command);
    drop(command);
    feeder.write_all(b"word").unwrap();
    reader.read_exact(&mut [0; 4]).unwrap();
    let blocks = |end: &dyn AsFd| {
        let flags = fcntl(end.as_fd(), FcntlArg::F_GETFL).unwrap();
        !OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK)
    };
    assert!(blocks(&stdin) && blocks(&stdout), "while it runs");
    drop(feeder);
    assert_eq!(code_of(&mut child), Some(0));
    assert!(blocks(&stdin) && blocks(&stdout), "when it has ended");
    assert_eq!(server.join(), [4]);
}

fn exit_codes(testbed: &Testbed) {
    let run = |port: u16| {
        let mut command = connect(testbed, port);
        testbed.node().inside(|| end_of(&mut command))
    };
    let refused = run(9);
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    assert!(refused.stderr.starts_with("error: ") && refused.stderr.lines().count() == 1);
    assert!(refused.stderr.contains("Connection refused"), "{refused:?}");

    let server = testbed.serve(|mut stream| {
        stream.write_all(b"some").unwrap();
        read_exactly(&stream, 1);
        reset(stream);
    });
    let mut command = connect(testbed, server.port());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = start(testbed, &mut command);
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 4]).unwrap();
    child.stdin.as_mut().unwrap().write_all(b"!").unwrap();
    let code = if testbed.differs(Difference::ResetIsNotTold) { 0 } else { 1 };
    assert_eq!(code_of(&mut child), Some(code), "it was reset");
    server.join();

    let server = testbed.serve(echo_to_any_end);
    let mut command = connect(testbed, server.port());
    let mut child = start(testbed, command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    child.stdin.as_mut().unwrap().write_all(b"some").unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 4]).unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(code_of(&mut child), Some(128 + 15));
    server.join();

    if !testbed.differs(Difference::OpensEarly) {
        let full = Full::new(testbed.container());
        let mut command = connect(testbed, full.port());
        command.args(["--connect-timeout", "300ms"]);
        let end = testbed.node().inside(|| end_of(&mut command));
        assert_eq!(end.code, 1, "{end:?}");
        assert!(end.stderr.contains("not open within"), "{end:?}");
    }
}
