//! RST as RST, each way; a link that could not be opened ends in RST, too.

use std::net::TcpStream;

use nsplice_relay::{OpenClass, Outcome, Settings, Side};
use nsplice_testkit::knock;
use nsplice_testkit::talk::{
    expect_eof, expect_ramp, expect_reset, expect_reset_after_eof, half_close, read_to_reset,
    reset, send_ramp, send_until_stuck,
};
use nsplice_testkit::{connect, ramp, wait_until};

use crate::bench::{listening, Bench, ANY_PORT};
use crate::openers::{connecting, failing, forward, leashed, Then};
use crate::running::Running;
use crate::scene::{at_once, in_both_modes, scene};

const SIDES: [Side; 2] = [Side::Downstream, Side::Upstream];

/// A link whose first stream is that of `side`, the second that of the other one.
fn link_from(bench: &Bench, side: Side) -> (TcpStream, TcpStream) {
    let (client, server) = bench.link();
    match side {
        Side::Downstream => (client, server),
        Side::Upstream => (server, client),
    }
}

/// Reads up to the reset, and checks that what came before it is the beginning of the ramp.
#[track_caller]
fn expect_cut_ramp(stream: &TcpStream) -> u64 {
    let bytes = read_to_reset(stream);
    ramp::verify(0, &bytes).expect("the beginning of the ramp");
    bytes.len() as u64
}

#[test]
fn rst_as_rst_while_idle() {
    in_both_modes(|settings| {
        for side in SIDES {
            let bench = Bench::new(settings.clone());
            let (one, other) = link_from(&bench, side);
            send_ramp(&one, 0, 1);
            expect_ramp(&other, 0, 1);
            reset(one);
            expect_reset(&other);
            assert_eq!(bench.only_end().outcome, Outcome::Reset(side));
        }
    });
}

#[test]
fn rst_as_rst_by_the_sender_in_the_middle_of_a_transfer() {
    in_both_modes(|settings| {
        for side in SIDES {
            let bench = Bench::new(settings.clone());
            let (one, other) = link_from(&bench, side);
            at_once(
                || {
                    send_ramp(&one, 0, 6 << 20);
                    reset(one);
                },
                || assert!(expect_cut_ramp(&other) > 0),
            );
            assert_eq!(bench.only_end().outcome, Outcome::Reset(side));
        }
    });
}

#[test]
fn rst_as_rst_by_the_receiver_in_the_middle_of_a_transfer() {
    in_both_modes(|settings| {
        for side in SIDES {
            let bench = Bench::new(settings.clone());
            let (one, other) = link_from(&bench, side);
            at_once(
                || {
                    expect_ramp(&one, 0, 1 << 20);
                    reset(one);
                },
                || {
                    send_until_reset(&other);
                },
            );
            assert_eq!(bench.only_end().outcome, Outcome::Reset(side));
        }
    });
}

/// Sends until the stream is reset, and asserts that it was.
fn send_until_reset(stream: &TcpStream) {
    use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
    use nix::sys::socket::{send, MsgFlags};
    use std::os::fd::{AsFd, AsRawFd};

    let block = ramp::bytes(251 * 100);
    let patience = PollTimeout::try_from(nsplice_testkit::PATIENCE).expect("a time for poll");
    loop {
        let mut fds = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
        assert_eq!(poll(&mut fds, patience), Ok(1), "neither room nor a reset");
        let ready = fds[0].revents().unwrap_or(PollFlags::POLLERR);
        if ready.intersects(PollFlags::POLLERR | PollFlags::POLLHUP) {
            return expect_reset(stream);
        }
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match send(stream.as_raw_fd(), &block, flags) {
            Ok(_) | Err(nix::errno::Errno::EAGAIN) => {}
            // It came between poll and send: an error is told once, and this was the time.
            Err(nix::errno::Errno::ECONNRESET) => return,
            Err(error) => panic!("no reset, but {error}"),
        }
    }
}

#[test]
fn a_reset_while_draining_discards_and_counts_what_is_pending() {
    in_both_modes(|settings| {
        for side in SIDES {
            let bench = Bench::narrow(settings.clone(), Default::default());
            let (one, other) = link_from(&bench, side);
            let sent = send_until_stuck(&one, 0);
            half_close(&one);
            reset(one);
            let ended = bench.relay.only_end();
            assert_eq!(ended.outcome, Outcome::Reset(side));
            let lane = if side == Side::Downstream { ended.up } else { ended.down };
            assert!(lane.read > lane.written, "nothing was pending: {ended:?}");
            assert!(lane.read <= sent && expect_cut_ramp(&other) <= lane.written);
            bench.close();
        }
    });
}

#[test]
fn a_reader_that_resets_leaves_pending_bytes_counted() {
    in_both_modes(|settings| {
        for side in SIDES {
            let bench = Bench::narrow(settings.clone(), Default::default());
            let (one, other) = link_from(&bench, side.other());
            send_until_stuck(&one, 0);
            half_close(&one);
            reset(other);
            let ended = bench.relay.only_end();
            assert_eq!(ended.outcome, Outcome::Reset(side));
            let lane = if side == Side::Upstream { ended.up } else { ended.down };
            assert!(lane.read > lane.written, "nothing was pending: {ended:?}");
            expect_reset(&one);
            bench.close();
        }
    });
}

#[test]
fn a_fin_that_was_passed_on_is_not_taken_back_by_a_reset() {
    in_both_modes(|settings| {
        for side in SIDES {
            let bench = Bench::new(settings.clone());
            let (one, other) = link_from(&bench, side);
            // The other side has had everything, its FIN included, and reads it only later.
            send_ramp(&one, 0, 100_000);
            half_close(&one);
            let mut last = [0];
            wait_until("the FIN to pass", || {
                matches!(other.peek(&mut last), Ok(1)) && bytes_queued(&other) == 100_000
            });
            wait_until("the loop to be at rest", || {
                let before = bench.relay.cpu_time();
                std::thread::sleep(std::time::Duration::from_millis(20));
                bench.relay.cpu_time() == before
            });
            reset(one);
            assert_eq!(bench.relay.only_end().outcome, Outcome::Reset(side));
            expect_ramp(&other, 0, 100_000);
            expect_eof(&other);
            bench.close();
        }
    });
}

/// Bytes that can be read from `stream` right now.
fn bytes_queued(stream: &TcpStream) -> usize {
    let mut buffer = vec![0; 200_000];
    stream.peek(&mut buffer).expect("peek")
}

#[test]
fn a_reset_after_the_peers_fin_reaches_the_other_side() {
    in_both_modes(|settings| {
        for side in SIDES {
            let bench = Bench::new(settings.clone());
            let (one, other) = link_from(&bench, side);
            half_close(&other);
            expect_eof(&one);
            reset(one);
            expect_reset(&other);
            assert_eq!(bench.only_end().outcome, Outcome::Reset(side));
        }
    });
}

#[test]
fn a_refused_upstream_is_a_reset_and_not_a_fin() {
    in_both_modes(|settings| {
        let closed = nsplice_testkit::listen("127.0.0.1:0").local_addr().expect("an address");
        let mut address = closed;
        let relay = Running::start(settings, |relay| {
            address = listening(relay, forward(connecting(closed)));
        });
        expect_reset(&knock(address));
        let ended = relay.only_end();
        assert_eq!(ended.outcome, Outcome::OpenFailed(OpenClass::Refused));
        let detail = ended.detail.unwrap_or_default();
        assert!(detail.contains(&closed.to_string()) && detail.contains("refused"), "{detail}");
        assert_eq!(ended.open_time, None);
        relay.close();
    });
}

#[test]
fn every_class_of_failure_is_told_and_counted() {
    scene(|| {
        let mut addresses = Vec::new();
        let relay = Running::start(Settings::default(), |relay| {
            for class in OpenClass::ALL {
                addresses.push(listening(relay, forward(failing(class))));
            }
        });
        for (index, class) in OpenClass::ALL.into_iter().enumerate() {
            expect_reset(&knock(addresses[index]));
            let ended = &relay.ended(index + 1)[index];
            assert_eq!(ended.outcome, Outcome::OpenFailed(class));
            assert_eq!(ended.detail, Some(format!("as scripted: {class}")));
        }
        let totals = relay.close();
        for class in OpenClass::ALL {
            assert_eq!(totals.ended_as(Outcome::OpenFailed(class)), 1, "{class}");
        }
    });
}

#[test]
fn a_late_failure_to_open_resets_a_client_that_has_sent_already() {
    in_both_modes(|settings| {
        let (opener, leash) = leashed(Then::Fails(OpenClass::TargetGone));
        let mut address = ANY_PORT;
        let relay = Running::start(settings, |relay| address = listening(relay, forward(opener)));
        let client = connect(address);
        send_ramp(&client, 0, 1000);
        half_close(&client);
        leash.release();
        expect_reset(&client);
        assert_eq!(relay.only_end().outcome, Outcome::OpenFailed(OpenClass::TargetGone));
        relay.close();
    });
}

#[test]
fn a_client_gone_while_opening_cancels_the_opening() {
    in_both_modes(|settings| {
        let (opener, leash) = leashed(Then::Fails(OpenClass::Other));
        let mut address = ANY_PORT;
        let relay = Running::start(settings, |relay| address = listening(relay, forward(opener)));
        let client = connect(address);
        wait_until("the link", || relay.accepted() == 1);
        reset(client);
        assert_eq!(relay.only_end().outcome, Outcome::Cancelled);
        leash.wait_dropped();
        relay.close();
    });
}

#[test]
fn a_pipe_with_the_bytes_of_a_reset_link_is_not_used_again() {
    const ROUNDS: usize = 3;
    scene(|| {
        // One pipe, so that the next bulk lane would get the one that is full of old bytes.
        let settings = Settings { max_pipes: 1, ..Settings::default() };
        let bench = Bench::narrow(settings, Default::default());
        for round in 0..ROUNDS {
            let (client, server) = bench.link();
            send_until_stuck(&client, 17);
            reset(client);
            bench.relay.ended(2 * round + 1);
            drop(server);
            let (client, server) = bench.link();
            at_once(|| send_ramp(&client, 0, 3 << 20), || expect_ramp(&server, 0, 3 << 20));
            drop((client, server));
            assert_eq!(bench.relay.ended(2 * round + 2)[2 * round + 1].outcome, Outcome::Clean);
        }
        let totals = bench.close();
        assert_eq!(totals.ended_as(Outcome::Reset(Side::Downstream)), ROUNDS as u64);
    });
}

#[test]
fn one_reset_link_never_harms_another() {
    in_both_modes(|settings| {
        let bench = Bench::new(settings);
        let (client, server) = bench.link();
        std::thread::scope(|scope| {
            let good = scope.spawn(|| {
                at_once(|| send_ramp(&client, 0, 16 << 20), || expect_ramp(&server, 0, 16 << 20));
            });
            let mut rounds = 0;
            while !good.is_finished() || rounds < 3 {
                let (bad, its_server) = bench.link();
                send_ramp(&bad, 5, 70_000);
                reset(bad);
                drop(its_server);
                rounds += 1;
            }
        });
        drop((client, server));
        wait_until("the end of all", || {
            let totals = bench.relay.handle.counters().totals();
            totals.opened == totals.ended_total()
        });
        assert_eq!(bench.close().ended_as(Outcome::Clean), 1);
    });
}

#[test]
fn a_peer_that_goes_on_after_its_links_end_is_told_by_reset() {
    in_both_modes(|settings| {
        let bench = Bench::new(settings);
        let (client, server) = bench.link();
        half_close(&server);
        expect_eof(&client);
        bench.relay.handle.stop().expect("tell the loop to stop");
        expect_reset_after_eof(&client);
        expect_reset(&server);
        assert_eq!(bench.only_end().outcome, Outcome::Stopped);
    });
}
