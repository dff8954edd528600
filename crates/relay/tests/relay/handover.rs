//! Downstreams that are handed over: pipes, sockets, files, devices and terminals.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread::{self, sleep};
use std::time::Duration;

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::sched::{unshare, CloneFlags};
use nsplice_relay::{Downstream, OpenClass, Outcome, Settings, Side};
use nsplice_testkit::ramp::{self, Ramp, RampSink};
use nsplice_testkit::skip::{require_root_or_userns, require_tool, skipped};
use nsplice_testkit::talk::{
    echo, expect_eof, expect_ramp, expect_reset, half_close, ramp_sink, read_to_eof, send_ramp,
    sink,
};
use nsplice_testkit::{connect, listen, wait_until, Server};

use crate::bench::{accept, listening, ANY_PORT};
use crate::openers::{connecting, failing, forward, leashed, Then};
use crate::running::{Ended, Running};
use crate::scene::{at_once, in_both_modes, scene};

const BULK: u64 = 24 << 20;

/// Two descriptors as a downstream.
fn pair(source: impl Into<OwnedFd>, sink: impl Into<OwnedFd>) -> Downstream {
    Downstream::Pair { source: source.into(), sink: sink.into() }
}

/// The pipes of a program: what the test writes to and reads from, and the downstream.
fn pipes() -> (PipeWriter, PipeReader, Downstream) {
    let (source, ours_in) = io::pipe().expect("a pipe");
    let (ours_out, sink) = io::pipe().expect("a pipe");
    (ours_in, ours_out, pair(source, sink))
}

/// A server's listener that does not block.
fn upstream() -> TcpListener {
    let listener = listen("127.0.0.1:0");
    listener.set_nonblocking(true).expect("a listener can be non-blocking");
    listener
}

/// A loop with nothing but a downstream that is handed over.
#[track_caller]
pub(crate) fn adopt(
    settings: Settings,
    downstream: Downstream,
    target: std::net::SocketAddr,
) -> Running {
    Running::start(settings, |relay| {
        relay.adopt(downstream, forward(connecting(target))).expect("adopt");
    })
}

/// Waits until the loop has returned by itself, and checks its books.
#[track_caller]
pub(crate) fn finish(relay: Running) -> Ended {
    let ended = relay.only_end();
    relay.wait_returned();
    relay.close();
    ended
}

#[test]
fn pipes_carry_a_ramp_both_ways_and_the_loop_returns() {
    in_both_modes(|settings| {
        let server = Server::start(listen("127.0.0.1:0"), echo);
        let (mut stdin, mut stdout, downstream) = pipes();
        let relay = adopt(settings, downstream, server.address());
        let feed = move || {
            io::copy(&mut Ramp::new(BULK), &mut stdin).expect("feed");
        };
        at_once(feed, || {
            let mut sink = RampSink::new();
            io::copy(&mut stdout, &mut sink).expect("the ramp");
            assert_eq!(sink.count(), BULK);
        });
        let ended = finish(relay);
        assert_eq!((ended.outcome, ended.up.written), (Outcome::Clean, BULK));
        assert_eq!(server.join(), [BULK]);
    });
}

#[test]
fn end_of_stdin_is_a_fin_and_the_late_reply_is_read_to_its_end() {
    in_both_modes(|settings| {
        let server = Server::start(listen("127.0.0.1:0"), |stream| {
            assert_eq!(read_to_eof(&stream), b"question");
            sleep(Duration::from_secs(2));
            send_ramp(&stream, 0, 300_000);
        });
        let (mut stdin, mut stdout, downstream) = pipes();
        let relay = adopt(settings, downstream, server.address());
        stdin.write_all(b"question").expect("ask");
        drop(stdin);
        let mut reply = Vec::new();
        stdout.read_to_end(&mut reply).expect("the reply");
        assert_eq!(reply, ramp::bytes(300_000));
        assert_eq!(finish(relay).outcome, Outcome::Clean);
        server.join();
    });
}

#[test]
fn the_end_of_the_upstream_is_the_end_of_stdout_and_stdin_goes_on() {
    in_both_modes(|settings| {
        let listener = upstream();
        let (mut stdin, mut stdout, downstream) = pipes();
        let relay = adopt(settings, downstream, listener.local_addr().expect("an address"));
        let server = accept(&listener);
        half_close(&server);
        assert_eq!(stdout.read(&mut [0]).expect("the end"), 0);
        stdin.write_all(&ramp::bytes(1000)).expect("speak after the end");
        drop(stdin);
        expect_ramp(&server, 0, 1000);
        expect_eof(&server);
        assert_eq!(finish(relay).outcome, Outcome::Clean);
    });
}

#[test]
fn sockets_are_taken_as_one_descriptor_or_two() {
    in_both_modes(|settings| {
        for two in [false, true] {
            let server = Server::start(listen("127.0.0.1:0"), echo);
            let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
            let downstream = if two {
                pair(theirs.try_clone().expect("clone"), theirs)
            } else {
                Downstream::Socket(theirs.into())
            };
            let relay = adopt(settings.clone(), downstream, server.address());
            let feed = || {
                io::copy(&mut Ramp::new(BULK), &mut &ours).expect("feed");
                ours.shutdown(std::net::Shutdown::Write).expect("end");
            };
            at_once(feed, || {
                let mut sink = RampSink::new();
                io::copy(&mut &ours, &mut sink).expect("the ramp");
                assert_eq!(sink.count(), BULK);
            });
            assert_eq!(finish(relay).outcome, Outcome::Clean);
            server.join();
        }
    });
}

#[test]
fn the_last_fin_is_sent_on_a_socket_that_others_hold_too() {
    in_both_modes(|settings| {
        for two in [false, true] {
            let (listener, door) = (upstream(), upstream());
            let client = connect(door.local_addr().expect("an address"));
            let theirs = accept(&door);
            // What whoever started us would have, after a fork for one: closing ours ends nothing.
            let held = theirs.try_clone().expect("clone");
            let downstream = if two {
                pair(theirs.try_clone().expect("clone"), theirs)
            } else {
                Downstream::Socket(theirs.into())
            };
            let target = listener.local_addr().expect("an address");
            let relay = adopt(settings.clone(), downstream, target);
            let server = accept(&listener);
            half_close(&client);
            expect_eof(&server);
            send_ramp(&server, 0, 1000);
            drop(server);
            expect_ramp(&client, 0, 1000);
            expect_eof(&client);
            drop(held);
            assert_eq!(finish(relay).outcome, Outcome::Clean);
        }
    });
}

/// A file without a name.
fn temporary_file() -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, OFlag::O_TMPFILE.bits());
    options.open(std::env::temp_dir()).expect("a temporary file")
}

/// A second description of the same file, from its beginning.
fn reopened(file: &File, options: &OpenOptions) -> File {
    let number = std::os::fd::AsRawFd::as_raw_fd(file);
    options.open(format!("/proc/self/fd/{number}")).expect("open the file again")
}

#[test]
fn a_file_is_sent_whole_and_the_reply_is_stored_whole() {
    in_both_modes(|settings| {
        // splice(2) into a file that is open for appending is refused by the kernel.
        for append in [false, true] {
            let server = Server::start(listen("127.0.0.1:0"), |stream| {
                let received = {
                    let reader = stream.try_clone().expect("clone");
                    ramp_sink(reader)
                };
                send_ramp(&stream, 0, received);
                received
            });
            let (mut question, answer) = (temporary_file(), temporary_file());
            io::copy(&mut Ramp::new(BULK), &mut question).expect("write the question");
            let source = reopened(&question, OpenOptions::new().read(true));
            let writing = OpenOptions::new().append(append).write(true).clone();
            let downstream = pair(source, reopened(&answer, &writing));
            assert_eq!(
                finish(adopt(settings.clone(), downstream, server.address())).outcome,
                Outcome::Clean
            );
            assert_eq!(server.join(), [BULK]);
            let mut stored = reopened(&answer, OpenOptions::new().read(true));
            let mut sink = RampSink::new();
            io::copy(&mut stored, &mut sink).expect("the ramp");
            assert_eq!(sink.count(), BULK);
        }
    });
}

#[test]
fn dev_null_is_an_end_and_takes_everything() {
    in_both_modes(|settings| {
        let server = Server::start(listen("127.0.0.1:0"), |stream| {
            expect_eof(&stream);
            send_ramp(&stream, 0, BULK);
        });
        let null = || OpenOptions::new().read(true).write(true).open("/dev/null").expect("open");
        let relay = adopt(settings, pair(null(), null()), server.address());
        let ended = finish(relay);
        assert_eq!(ended.outcome, Outcome::Clean);
        assert_eq!((ended.up.written, ended.down.written), (0, BULK));
        server.join();
    });
}

#[test]
fn a_terminal_is_read_and_written() {
    in_both_modes(|settings| {
        let server = Server::start(listen("127.0.0.1:0"), sink);
        let pty = nix::pty::openpty(None, None).expect("a terminal");
        let theirs = pty.slave.try_clone().expect("clone");
        let relay = adopt(settings, pair(pty.slave, theirs), server.address());
        let mut ours = File::from(pty.master);
        // A line, and the end that Ctrl-D is at the beginning of one.
        ours.write_all(b"hello\n\x04").expect("type");
        assert_eq!(finish(relay).outcome, Outcome::Clean);
        assert_eq!(server.join(), [b"hello\n".to_vec()]);
    });
}

#[test]
fn a_full_disk_fails_the_link_and_is_told_as_such() {
    in_both_modes(|settings| {
        let listener = upstream();
        let (source, _stdin) = io::pipe().expect("a pipe");
        let full = OpenOptions::new().write(true).open("/dev/full").expect("open /dev/full");
        let target = listener.local_addr().expect("an address");
        let relay = adopt(settings, pair(source, full), target);
        let server = accept(&listener);
        send_ramp(&server, 0, 1000);
        expect_reset(&server);
        let ended = finish(relay);
        assert_eq!(ended.outcome, Outcome::Failed(Side::Downstream));
        assert_eq!((ended.down.read, ended.down.written), (1000, 0));
        assert!(ended.detail.is_some_and(|detail| detail.contains("space")));
    });
}

/// A file on a disk of `size` bytes that is nobody else's; `None`, and a line, where there is none
/// to be had. The disk goes with the file.
fn file_on_a_disk_of(test: &str, size: u64) -> Option<File> {
    if !require_root_or_userns(test) {
        return None;
    }
    require_tool(test, "mount")?;
    let mount = |args: &[&str]| {
        let run = Command::new("mount").args(args).output().expect("run mount");
        let said = || String::from_utf8_lossy(&run.stderr).into_owned();
        run.status.success().then_some(()).ok_or_else(said)
    };
    let directory = std::env::temp_dir().display().to_string();
    let options = format!("size={size}");
    // Mounts belong to a thread that has left those of the process, and end with it.
    let mounted = || {
        unshare(CloneFlags::CLONE_NEWNS).map_err(|error| error.to_string())?;
        mount(&["--make-rprivate", "/"])?;
        mount(&["-t", "tmpfs", "-o", &options, "tmpfs", &directory])?;
        Ok::<_, String>(temporary_file())
    };
    match thread::scope(|scope| scope.spawn(mounted).join().expect("the file")) {
        Ok(file) => Some(file),
        Err(error) => {
            let help = "root on the machine, or --privileged in a container, would help";
            skipped(test, format_args!("cannot mount a disk: {}; {help}", error.trim()));
            None
        }
    }
}

#[test]
fn a_disk_that_fills_up_in_the_middle_of_bulk_fails_the_link() {
    const TEST: &str = "a_disk_that_fills_up_in_the_middle_of_bulk_fails_the_link";
    const SIZE: u64 = 8 << 20;
    in_both_modes(|settings| {
        let Some(file) = file_on_a_disk_of(TEST, SIZE) else { return };
        let listener = upstream();
        let (source, _stdin) = io::pipe().expect("a pipe");
        let sink = reopened(&file, OpenOptions::new().write(true));
        let target = listener.local_addr().expect("an address");
        let relay = adopt(settings, pair(source, sink), target);
        let server = accept(&listener);
        // By now this is bulk: a splice takes what fits, and only the next one says why not more.
        let told = io::copy(&mut Ramp::new(BULK), &mut &server).expect_err("a reset").kind();
        let resets = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        assert!(resets.contains(&told), "expected a reset, the server was told {told:?}");
        let ended = finish(relay);
        assert_eq!(ended.outcome, Outcome::Failed(Side::Downstream));
        assert!(ended.detail.is_some_and(|detail| detail.contains("space")));
        assert_eq!(ended.down.written, SIZE);
        let mut sink = RampSink::new();
        io::copy(&mut reopened(&file, OpenOptions::new().read(true)), &mut sink).expect("the ramp");
        assert_eq!(sink.count(), SIZE);
    });
}

#[test]
fn a_gone_reader_of_stdout_ends_the_link_at_once() {
    in_both_modes(|settings| {
        let listener = upstream();
        let (_stdin, mut stdout, downstream) = pipes();
        let relay = adopt(settings, downstream, listener.local_addr().expect("an address"));
        let server = accept(&listener);
        send_ramp(&server, 0, 1);
        stdout.read_exact(&mut [0]).expect("the upstream is open");
        // Not a byte is on its way: the hang-up alone must do.
        drop(stdout);
        expect_reset(&server);
        assert_eq!(finish(relay).outcome, Outcome::Reset(Side::Downstream));
    });
}

#[test]
fn a_reset_upstream_ends_the_link_also_while_nobody_reads_stdout() {
    in_both_modes(|settings| {
        let listener = upstream();
        let (_stdin, mut stdout, downstream) = pipes();
        let relay = adopt(settings, downstream, listener.local_addr().expect("an address"));
        let server = accept(&listener);
        nsplice_testkit::talk::send_until_stuck(&server, 0);
        nsplice_testkit::talk::reset(server);
        assert_eq!(finish(relay).outcome, Outcome::Reset(Side::Upstream));
        // What was in the pipe is there, and then the end: a pipe knows no reset.
        let mut rest = Vec::new();
        stdout.read_to_end(&mut rest).expect("read to the end");
        ramp::verify(0, &rest).expect("the beginning of the ramp");
    });
}

#[test]
fn a_gone_reader_of_stdout_in_the_middle_of_bulk_ends_the_link() {
    in_both_modes(|settings| {
        let listener = upstream();
        let (_stdin, mut stdout, downstream) = pipes();
        let relay = adopt(settings, downstream, listener.local_addr().expect("an address"));
        let server = accept(&listener);
        assert!(nsplice_testkit::talk::send_until_stuck(&server, 0) > 100_000);
        let mut some = vec![0; 70_000];
        stdout.read_exact(&mut some).expect("the beginning");
        assert_eq!(ramp::verify(0, &some), Ok(()));
        drop(stdout);
        expect_reset(&server);
        assert_eq!(finish(relay).outcome, Outcome::Reset(Side::Downstream));
    });
}

#[test]
fn an_upstream_that_cannot_be_opened_ends_the_loop_and_stdout() {
    in_both_modes(|settings| {
        let (_stdin, mut stdout, downstream) = pipes();
        let relay = Running::start(settings, |relay| {
            relay.adopt(downstream, forward(failing(OpenClass::Denied))).expect("adopt");
        });
        assert_eq!(stdout.read(&mut [0]).expect("the end"), 0);
        assert_eq!(finish(relay).outcome, Outcome::OpenFailed(OpenClass::Denied));
    });
}

#[test]
fn stdin_that_ended_before_the_upstream_was_open_is_still_sent() {
    in_both_modes(|settings| {
        let listener = upstream();
        let target = listener.local_addr().expect("an address");
        let (opener, leash) = leashed(Then::Connects(target));
        let (mut stdin, stdout, downstream) = pipes();
        stdin.write_all(&ramp::bytes(30_000)).expect("speak early");
        drop(stdin);
        let relay = Running::start(settings, |relay| {
            relay.adopt(downstream, forward(opener)).expect("adopt");
        });
        relay.assert_at_rest(Duration::from_millis(200));
        leash.release();
        let server = accept(&listener);
        expect_ramp(&server, 0, 30_000);
        expect_eof(&server);
        drop(server);
        assert_eq!(finish(relay).outcome, Outcome::Clean);
        drop(stdout);
    });
}

#[test]
fn blocking_descriptors_never_block_the_loop() {
    in_both_modes(|settings| {
        let listener = upstream();
        let target = listener.local_addr().expect("an address");
        let (stdin, stdout, downstream) = pipes();
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        for blocking in [fcntl(&stdin, FcntlArg::F_GETFL), fcntl(&theirs, FcntlArg::F_GETFL)] {
            let flags = OFlag::from_bits_truncate(blocking.expect("flags"));
            assert!(!flags.contains(OFlag::O_NONBLOCK));
        }
        let mut address = ANY_PORT;
        let relay = Running::start(settings, |relay| {
            relay.adopt(downstream, forward(connecting(target))).expect("adopt the pipes");
            let socket = Downstream::Socket(theirs.into());
            relay.adopt(socket, forward(connecting(target))).expect("adopt the socket");
            address = listening(relay, forward(connecting(target)));
        });
        // Nobody reads what comes out of the handed-over ones, and nobody feeds them.
        let stalled = [accept(&listener), accept(&listener)];
        for server in &stalled {
            nsplice_testkit::talk::send_until_stuck(server, 0);
        }
        relay.assert_at_rest(Duration::from_millis(200));
        let (client, server) = (connect(address), accept(&listener));
        at_once(|| send_ramp(&client, 0, 1 << 20), || expect_ramp(&server, 0, 1 << 20));
        drop((client, server));
        assert_eq!(relay.only_end().outcome, Outcome::Clean);
        drop((stdin, stdout, ours, stalled));
        relay.ended(3);
        relay.close();
    });
}

#[test]
fn the_flags_of_handed_over_descriptors_are_left_alone() {
    scene(|| {
        let server = Server::start(listen("127.0.0.1:0"), echo);
        let (source, mut stdin) = io::pipe().expect("a pipe");
        let (mut stdout, sink) = io::pipe().expect("a pipe");
        // Descriptions are shared with whoever started us: O_NONBLOCK would reach them, too.
        let shared = [
            OwnedFd::from(source.try_clone().expect("clone")),
            OwnedFd::from(sink.try_clone().expect("clone")),
        ];
        let relay = adopt(Settings::default(), pair(source, sink), server.address());
        stdin.write_all(b"word").expect("speak");
        stdout.read_exact(&mut [0; 4]).expect("the echo");
        for fd in &shared {
            let flags = OFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GETFL).expect("flags"));
            assert!(!flags.contains(OFlag::O_NONBLOCK), "O_NONBLOCK was set");
        }
        drop(stdin);
        wait_until("the end", || relay.ended(1).len() == 1);
        relay.close();
        drop((shared, stdout));
        server.join();
    });
}
