//! Downstreams that are handed over: pipes and sockets. Files are in `files.rs`.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::Duration;

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nsplice_relay::{Downstream, OpenClass, Outcome, Settings, Side};
use nsplice_testkit::ramp::{self, Ramp, RampSink};
use nsplice_testkit::talk::{
    echo, expect_eof, expect_ramp, expect_reset, half_close, read_to_eof, send_ramp,
};
use nsplice_testkit::{connect, listen, wait_until, Server};

use crate::bench::{accept, listening, ANY_PORT};
use crate::openers::{connecting, failing, forward, leashed, Then};
use crate::running::{Ended, Running};
use crate::scene::{at_once, in_both_modes, scene};

pub(crate) const BULK: u64 = 24 << 20;

/// Two descriptors as a downstream.
pub(crate) fn pair(source: impl Into<OwnedFd>, sink: impl Into<OwnedFd>) -> Downstream {
    Downstream::Pair { source: source.into(), sink: sink.into() }
}

/// The pipes of a program: what the test writes to and reads from, and the downstream.
fn pipes() -> (PipeWriter, PipeReader, Downstream) {
    let (source, ours_in) = io::pipe().expect("a pipe");
    let (ours_out, sink) = io::pipe().expect("a pipe");
    (ours_in, ours_out, pair(source, sink))
}

/// A descriptor as both ends of a downstream.
fn both_ways(end: impl Into<OwnedFd>) -> Downstream {
    let end = end.into();
    pair(end.try_clone().expect("a descriptor"), end)
}

#[test]
fn what_can_only_be_read_is_written_nothing() {
    in_both_modes(|settings| {
        let (source, mut ours) = io::pipe().expect("a pipe");
        let upstream = upstream();
        let target = upstream.local_addr().expect("an address");
        let relay = adopt(settings, both_ways(source), target);
        let server = accept(&upstream);
        // More than any buffer takes: the server is not held up by what nobody gets.
        send_ramp(&server, 0, BULK);
        half_close(&server);
        // Its end is none of this direction's either.
        ours.write_all(&ramp::bytes(1000)).expect("there is a reader");
        expect_ramp(&server, 0, 1000);
        drop(ours);
        expect_eof(&server);
        let ended = finish(relay);
        assert_eq!((ended.outcome, ended.up.written, ended.down.read), (Outcome::Clean, 1000, 0));
    });
}

#[test]
fn what_can_only_be_written_to_is_not_read() {
    in_both_modes(|settings| {
        let (mut ours, sink) = io::pipe().expect("a pipe");
        let upstream = upstream();
        let target = upstream.local_addr().expect("an address");
        let relay = adopt(settings, both_ways(sink), target);
        let server = accept(&upstream);
        for part in 0..3 {
            send_ramp(&server, part * 753, 753);
            let mut came = [0; 753];
            ours.read_exact(&mut came).expect("what was sent");
            assert!(came == *ramp::bytes(753), "it is not the ramp");
        }
        half_close(&server);
        // Nothing can come from there, so nothing is waited for.
        let ended = finish(relay);
        assert_eq!((ended.outcome, ended.up.read), (Outcome::Clean, 0));
        assert_eq!(ours.read(&mut [0]).expect("the end"), 0);
    });
}

/// A server's listener that does not block.
pub(crate) fn upstream() -> TcpListener {
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
