//! Bursts so long and fast that the low-water mark of their source is raised: nothing is late for
//! ever, nothing is lost, and nobody else finds the mark.
//!
//! By default the mark is raised where the machine is fast enough. These loops raise it anyway, and each
//! test sees that they did.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::thread::{self, sleep};
use std::time::Duration;

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::GetUsize;
use nsplice_relay::{
    Attempt, Downstream, LongBurst, Outcome, Progress, Settings, Side, Upstream, Wake,
};
use nsplice_testkit::ramp::Ramp;
use nsplice_testkit::talk::{expect_eof, expect_ramp, half_close, ramp_sink, send_ramp};
use nsplice_testkit::{connect, listen, wait_until, Server};

use crate::bench::{listening, Bench, ANY_PORT};
use crate::handover::{adopt, finish};
use crate::openers::{by, connecting, forward};
use crate::running::Running;
use crate::scene::{at_once, in_both_modes, scene};

#[test]
fn the_tail_of_a_long_burst_arrives_although_no_end_follows() {
    // What is left of a heap is told by no event.
    const BURST: u64 = 32 << 20;
    in_both_modes(|settings| {
        let splices = settings.splice;
        let bench = Bench::new(eager(settings));
        let (client, server) = bench.link();
        for tail in [1, 100_000, 777_777] {
            let len = BURST + tail;
            at_once(|| send_ramp(&server, 0, len), || expect_ramp(&client, 0, len));
            // And messages are as quick as ever.
            for offset in 0..10 {
                send_ramp(&client, offset, 1);
                expect_ramp(&server, offset, 1);
                send_ramp(&server, offset, 1);
                expect_ramp(&client, offset, 1);
            }
        }
        drop((client, server));
        assert!(!splices || marks_raised(&bench.relay) > 0);
        bench.only_end();
    });
}

/// The same, for which any bulk is a long and fast burst, whatever the machine is like.
fn eager(settings: Settings) -> Settings {
    let ever = Duration::from_secs(3600);
    let long_burst = LongBurst { bytes: 1 << 20, heap_within: ever, pause: ever };
    Settings { long_burst, ..settings }
}

/// How often the mark was raised.
fn marks_raised(relay: &Running) -> u64 {
    relay.handle.counters().totals().marks_raised
}

/// The low-water mark of a receive queue, for which nix has no name.
#[derive(Debug, Clone, Copy)]
struct LowWater;

nix::getsockopt_impl!(LowWater, libc::SOL_SOCKET, libc::SO_RCVLOWAT, usize, GetUsize);

#[test]
fn the_low_water_mark_of_a_socket_that_others_hold_is_left_alone() {
    scene(|| {
        const BURST: u64 = 64 << 20;
        let server = Server::start(listen("127.0.0.1:0"), ramp_sink);
        // A socket of our own first, whose mark may be raised.
        let mut address = ANY_PORT;
        let relay = Running::start(eager(Settings::default()), |relay| {
            address = listening(relay, forward(connecting(server.address())));
        });
        let client = connect(address);
        send_ramp(&client, 0, BURST);
        half_close(&client);
        expect_eof(&client);
        relay.only_end();
        assert!(marks_raised(&relay) > 0);
        relay.close();

        let listener = listen("127.0.0.1:0");
        let client = connect(listener.local_addr().expect("an address"));
        let (ours, _) = listener.accept().expect("a client");
        // As a socket of systemd's is with NonBlocking=yes: only such a one is spliced.
        ours.set_nonblocking(true).expect("non-blocking");
        let shared = ours.try_clone().expect("a duplicate");
        let downstream = Downstream::Socket(ours.into());
        let relay = adopt(eager(Settings::default()), downstream, server.address());
        let sending = thread::spawn(move || {
            send_ramp(&client, 0, BURST);
            half_close(&client);
            client
        });
        while !sending.is_finished() {
            assert_eq!(getsockopt(&shared, LowWater), Ok(1));
            sleep(Duration::from_millis(1));
        }
        let client = sending.join().expect("sent");
        assert_eq!(finish(relay).outcome, Outcome::Clean);
        drop(client);
        assert_eq!(server.join(), [BURST; 2]);
    });
}

/// Answers at once with a socket that is connected already.
#[derive(Debug)]
struct Connected(Option<UnixStream>);

impl Attempt for Connected {
    fn source(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn advance(&mut self, _wake: Wake) -> Progress {
        match self.0.take() {
            Some(stream) => Progress::Open(Upstream::Stream(stream.into())),
            None => Progress::Waiting,
        }
    }
}

#[test]
fn a_unix_socket_reset_behind_a_long_burst_is_a_reset() {
    scene(|| {
        // With a low-water mark above one, recv(2) and splice(2) on a Unix socket take a reset away
        // that comes behind less than that (`unix_stream_read_generic`), and answer with an end.
        const BURST: u64 = 32 << 20;
        for _ in 0..20 {
            let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
            ours.set_nonblocking(true).expect("non-blocking");
            let mut ours = Some(ours);
            let opener = by(move || Connected(ours.take()));
            let mut address = ANY_PORT;
            let relay = Running::start(eager(Settings::default()), |relay| {
                address = listening(relay, forward(opener));
            });
            let client = connect(address);
            (&client).write_all(b"never read").expect("speak");
            wait_until("the byte has arrived", || {
                let mut fds = [PollFd::new(theirs.as_fd(), PollFlags::POLLIN)];
                poll(&mut fds, PollTimeout::ZERO).expect("poll") > 0
            });
            let sending = thread::spawn(move || {
                io::copy(&mut Ramp::new(BURST), &mut &theirs).expect("send");
            });
            let mut buffer = vec![0; 1 << 20];
            while (&client).read(&mut buffer).is_ok_and(|read| read > 0) {}
            sending.join().expect("sent");
            drop(client);
            assert_eq!(relay.only_end().outcome, Outcome::Reset(Side::Upstream));
            assert!(marks_raised(&relay) > 0);
            relay.close();
        }
    });
}
