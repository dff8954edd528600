//! Slow readers: memory is bounded, the processor is left alone, and nobody else notices.

use std::net::TcpStream;
use std::time::Duration;

use nsplice_relay::{Limit, Limits, Outcome};
use nsplice_testkit::peer::connect_with_receive_buffer;
use nsplice_testkit::ramp;
use nsplice_testkit::talk::{
    expect_eof, expect_ramp, expect_reset, half_close, read_exactly, read_to_reset, send_ramp,
    send_until_stuck,
};

use crate::bench::{accept, Bench, NARROW};
use crate::process::RelayProcess;
use crate::scene::{at_once, in_both_modes, in_both_modes_at_leisure, scene};

#[test]
fn slow_readers_cost_bounded_memory_and_no_cpu() {
    const LINKS: usize = 10;
    /// One copy buffer for each lane is the most that may be put aside.
    const MOST: u64 = LINKS as u64 * 64 * 1024 + (2 << 20);
    scene(|| {
        for splice in [true, false] {
            let listener = nsplice_testkit::listen("127.0.0.1:0");
            listener.set_nonblocking(true).expect("a listener can be non-blocking");
            let process = RelayProcess::to(&listener).splice(splice).start();
            let links: Vec<_> = (0..LINKS)
                .map(|_| {
                    (connect_with_receive_buffer(process.address, Some(NARROW)), accept(&listener))
                })
                .collect();
            let before = process.memory();
            let stuck = std::thread::scope(|scope| {
                let stuck: Vec<_> = links
                    .iter()
                    .map(|(_, server)| scope.spawn(|| send_until_stuck(server, 0)))
                    .collect();
                stuck.into_iter().map(|each| each.join().expect("sent")).collect::<Vec<_>>()
            });
            process.assert_at_rest(Duration::from_millis(1000));
            let grown = process.memory().saturating_sub(before);
            assert!(grown <= MOST, "{LINKS} stalled links cost {grown} bytes of memory");
            // Everyone goes on reading, and has missed nothing.
            std::thread::scope(|scope| {
                for ((client, server), sent) in links.iter().zip(stuck) {
                    half_close(server);
                    scope.spawn(move || {
                        expect_ramp(client, 0, sent);
                        expect_eof(client);
                    });
                }
            });
            drop(links);
            process.wait_ended("clean", LINKS);
            process.close();
        }
    });
}

#[test]
fn both_sides_stop_reading_and_the_idle_timeout_fires() {
    in_both_modes_at_leisure(|settings| {
        let idle_timeout = Some(Duration::from_secs(600));
        let limits = Limits { idle_timeout, ..Limits::default() };
        let bench = Bench::narrow(settings, limits);
        let (client, server) = bench.link();
        let stuck = |stream: &TcpStream| assert!(send_until_stuck(stream, 0) > 0);
        at_once(|| stuck(&client), || stuck(&server));
        bench.relay.assert_at_rest(Duration::from_millis(400));
        bench.relay.advance(Duration::from_secs(600));
        let ended = bench.relay.only_end();
        assert_eq!(ended.outcome, Outcome::Expired(Limit::Idle));
        assert!(ended.up.read > ended.up.written && ended.down.read > ended.down.written);
        for stream in [client, server] {
            ramp::verify(0, &read_to_reset(&stream)).expect("the beginning of the ramp");
        }
        bench.close();
    });
}

#[test]
fn both_lanes_stuck_and_one_reader_resumes() {
    in_both_modes(|settings| {
        let bench = Bench::narrow(settings, Limits::default());
        let (client, server) = bench.link();
        let sent = [&client, &server].map(|stream| send_until_stuck(stream, 0));
        bench.relay.assert_at_rest(Duration::from_millis(300));
        expect_ramp(&server, 0, sent[0]);
        bench.relay.assert_at_rest(Duration::from_millis(300));
        expect_ramp(&client, 0, sent[1]);
        drop((client, server));
        let ended = bench.only_end();
        assert_eq!(ended.outcome, Outcome::Clean);
        assert_eq!([ended.up.written, ended.down.written], sent);
    });
}

#[test]
fn a_stalled_lane_does_not_hold_up_the_other_one() {
    in_both_modes(|settings| {
        let bench = Bench::narrow(settings, Limits::default());
        let (client, server) = bench.link();
        let stuck = send_until_stuck(&client, 0);
        at_once(|| send_ramp(&server, 0, 8 << 20), || expect_ramp(&client, 0, 8 << 20));
        half_close(&server);
        expect_eof(&client);
        half_close(&client);
        expect_ramp(&server, 0, stuck);
        expect_eof(&server);
        drop((client, server));
        assert_eq!(bench.only_end().outcome, Outcome::Clean);
    });
}

#[test]
fn a_reader_that_sips_gets_every_byte() {
    in_both_modes(|settings| {
        let bench = Bench::narrow(settings, Limits::default());
        let (client, server) = bench.link();
        let mut offset = 0;
        let stuck = send_until_stuck(&client, 0);
        half_close(&client);
        // Sizes that never line up with pages, segments or pipe slots.
        for sip in (1..).step_by(37).take_while(|sip| *sip < 4000) {
            let sip = sip.min(stuck - offset);
            expect_ramp(&server, offset, sip);
            offset += sip;
        }
        expect_ramp(&server, offset, stuck - offset);
        expect_eof(&server);
        drop((client, server));
        assert_eq!(bench.only_end().outcome, Outcome::Clean);
    });
}

#[test]
fn one_stalled_link_never_harms_another() {
    in_both_modes(|settings| {
        let bench = Bench::narrow(settings, Limits::default());
        let stalled: Vec<_> = (0..5).map(|_| bench.link()).collect();
        std::thread::scope(|scope| {
            for (client, _) in &stalled {
                scope.spawn(|| send_until_stuck(client, 0));
            }
        });
        let (client, server) = bench.link();
        at_once(|| send_ramp(&client, 0, 8 << 20), || expect_ramp(&server, 0, 8 << 20));
        drop((client, server));
        assert_eq!(bench.relay.only_end().outcome, Outcome::Clean);
        drop(stalled);
        bench.close_after(6);
    });
}

#[test]
fn a_bulk_link_does_not_starve_a_talker() {
    in_both_modes(|settings| {
        let bench = Bench::new(settings);
        let (bulk, its_server) = bench.link();
        let (talker, its_peer) = bench.link();
        std::thread::scope(|scope| {
            let moving = scope.spawn(|| {
                at_once(|| send_ramp(&bulk, 0, 64 << 20), || expect_ramp(&its_server, 0, 64 << 20));
            });
            let mut turns = 0;
            while !moving.is_finished() {
                send_ramp(&talker, 0, 1);
                read_exactly(&its_peer, 1);
                turns += 1;
            }
            assert!(turns > 20, "only {turns} words came through beside the bulk");
        });
        drop((bulk, its_server, talker, its_peer));
        bench.close_after(2);
    });
}

#[test]
fn a_stalled_reader_that_goes_away_frees_its_link() {
    in_both_modes(|settings| {
        let bench = Bench::narrow(settings, Limits::default());
        let (client, server) = bench.link();
        send_until_stuck(&server, 0);
        // Closed with unread bytes in its queue: the kernel answers with RST by itself.
        drop(client);
        expect_reset(&server);
        let ended = bench.only_end();
        assert_eq!(ended.outcome, Outcome::Reset(nsplice_relay::Side::Downstream));
    });
}
