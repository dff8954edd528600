//! FIN as FIN, each way: a half-closed link lives until the other half has ended, too.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Barrier;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;
use nsplice_relay::{Outcome, Traffic};
use nsplice_testkit::connect;
use nsplice_testkit::talk::{
    expect_eof, expect_ramp, half_close, read_exactly, read_to_eof, send_ramp,
};

use crate::bench::{accept, listening, Bench};
use crate::openers::{forward, leashed, Then};
use crate::process::{wait_taken_in, RelayProcess};
use crate::running::Running;
use crate::scene::{at_once, in_both_modes, scene};

/// Longer than any relay's built-in patience with a half-closed link that is known to us, from
/// socat's half second to one second.
const LATE: Duration = Duration::from_secs(2);

const REPLY: u64 = 3 << 20;

/// `asker` asks, ends its stream and gets a late reply from `answerer`.
fn ask_and_answer(asker: &TcpStream, answerer: TcpStream, late: Duration) {
    let answer = move || {
        assert_eq!(read_to_eof(&answerer), b"question");
        sleep(late);
        send_ramp(&answerer, 0, REPLY);
    };
    at_once(answer, || {
        let mut asker: &TcpStream = asker;
        asker.write_all(b"question").expect("ask");
        half_close(asker);
        expect_ramp(asker, 0, REPLY);
        expect_eof(asker);
    });
}

#[test]
fn fin_as_fin_when_the_reply_is_two_seconds_late() {
    in_both_modes(|settings| {
        let bench = Bench::new(settings);
        let (client, server) = bench.link();
        ask_and_answer(&client, server, LATE);
        drop(client);
        let ended = bench.only_end();
        assert_eq!(ended.outcome, Outcome::Clean);
        assert_eq!((ended.up.written, ended.down.written), (8, REPLY));
        assert!(ended.duration >= LATE, "{ended:?}");
    });
}

#[test]
fn fin_as_fin_when_the_server_ends_first_and_the_client_is_two_seconds_late() {
    in_both_modes(|settings| {
        let bench = Bench::new(settings);
        let (client, server) = bench.link();
        ask_and_answer(&server, client, LATE);
        drop(server);
        let ended = bench.only_end();
        assert_eq!(ended.outcome, Outcome::Clean);
        assert_eq!((ended.up.written, ended.down.written), (REPLY, 8));
    });
}

#[test]
fn a_short_wait_between_the_ends_is_fine_too() {
    in_both_modes(|settings| {
        let bench = Bench::new(settings);
        for late in [0, 1, 20, 200] {
            let (client, server) = bench.link();
            ask_and_answer(&client, server, Duration::from_millis(late));
            let (client, server) = bench.link();
            ask_and_answer(&server, client, Duration::from_millis(late));
        }
        assert_eq!(bench.close_after(8).ended_as(Outcome::Clean), 8);
    });
}

#[test]
fn fin_from_both_at_once_is_clean() {
    const ROUNDS: usize = 50;
    in_both_modes(|settings| {
        let bench = Bench::new(settings);
        for _ in 0..ROUNDS {
            let (client, server) = bench.link();
            let start = Barrier::new(2);
            let end = |mut stream: &TcpStream| {
                start.wait();
                stream.write_all(b"bye").expect("say bye");
                half_close(stream);
                assert_eq!(read_to_eof(stream), b"bye");
            };
            at_once(|| end(&client), || end(&server));
        }
        let totals = bench.close_after(ROUNDS);
        assert_eq!(totals.ended_as(Outcome::Clean), ROUNDS as u64);
        let bytes = 3 * ROUNDS as u64;
        assert_eq!(totals.up, Traffic { read: bytes, written: bytes });
    });
}

#[test]
fn bytes_and_fin_that_came_before_the_upstream_was_open_are_delivered() {
    in_both_modes(|settings| {
        let listener = nsplice_testkit::listen("127.0.0.1:0");
        listener.set_nonblocking(true).expect("a listener can be non-blocking");
        let target = listener.local_addr().expect("a listener has an address");
        let (opener, leash) = leashed(Then::Connects(target));
        let mut address = target;
        let relay = Running::start(settings, |relay| address = listening(relay, forward(opener)));
        let client = connect(address);
        send_ramp(&client, 0, 50_000);
        // Closed, not just ended: the last bytes, the FIN and the hang-up are one event.
        drop(client);
        nsplice_testkit::wait_until("the link", || relay.accepted() == 1);
        leash.release();
        let server = accept(&listener);
        expect_ramp(&server, 0, 50_000);
        expect_eof(&server);
        drop(server);
        assert_eq!(relay.only_end().outcome, Outcome::Clean);
        relay.close();
    });
}

#[test]
fn last_bytes_and_fin_in_one_wakeup_are_not_cut() {
    // The first window is 64 KiB; more than that the kernel does not take in for a process that
    // does not read.
    const LENGTHS: [u64; 4] = [1, 1000, 40_000, 60_000];
    scene(|| {
        for splice in [true, false] {
            let listener = nsplice_testkit::listen("127.0.0.1:0");
            listener.set_nonblocking(true).expect("a listener can be non-blocking");
            let process = RelayProcess::to(&listener).splice(splice).start();
            for len in LENGTHS {
                for upwards in [true, false] {
                    let client = connect(process.address);
                    let server = accept(&listener);
                    let (from, to) = if upwards { (&client, &server) } else { (&server, &client) };
                    // The receiver has ended its half, so that the FIN is also the hang-up.
                    half_close(to);
                    expect_eof(from);
                    process.signal(Signal::SIGSTOP);
                    send_ramp(from, 0, len);
                    half_close(from);
                    wait_taken_in(from);
                    process.signal(Signal::SIGCONT);
                    expect_ramp(to, 0, len);
                    expect_eof(to);
                }
            }
            process.wait_ended("clean", 2 * LENGTHS.len());
            process.close();
        }
    });
}

#[test]
fn a_half_closed_link_still_carries_a_conversation_one_way() {
    in_both_modes(|settings| {
        let bench = Bench::new(settings);
        let (client, server) = bench.link();
        half_close(&client);
        expect_eof(&server);
        for _ in 0..100 {
            (&server).write_all(b"tick").expect("tick");
            assert_eq!(read_exactly(&client, 4), b"tick");
        }
        bench.relay.assert_at_rest(Duration::from_millis(300));
        drop((client, server));
        assert_eq!(bench.only_end().outcome, Outcome::Clean);
    });
}

#[test]
fn what_is_pending_when_the_fin_comes_is_delivered_before_it() {
    in_both_modes(|settings| {
        let bench = Bench::narrow(settings, Default::default());
        for upwards in [true, false] {
            let (client, server) = bench.link();
            let (from, to) = if upwards { (&client, &server) } else { (&server, &client) };
            let sent = nsplice_testkit::talk::send_until_stuck(from, 0);
            half_close(from);
            expect_ramp(to, 0, sent);
            expect_eof(to);
        }
        assert_eq!(bench.close_after(2).ended_as(Outcome::Clean), 2);
    });
}
