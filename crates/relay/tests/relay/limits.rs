//! Time limits, places, drain and stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;
use nsplice_relay::{
    listen, Forward, Keepalive, Limit, Limits, ListenOptions, Outcome, Places, Settings, Side,
};
use nsplice_testkit::talk::{
    expect_eof, expect_ramp, expect_reset, expect_reset_after_eof, half_close, read_exactly,
    send_ramp,
};
use nsplice_testkit::{connect, knock, wait_until};
use socket2::SockRef;

use crate::bench::{accept, listening, wait_not_listening, Bench, ANY_PORT};
use crate::openers::{connecting, forward, leashed, Leash, Then};
use crate::process::RelayProcess;
use crate::running::Running;
use crate::scene::{in_both_modes, in_both_modes_at_leisure, scene};

const SOON: Duration = Duration::from_millis(300);

/// A loop whose only upstream stays on its leash.
fn held_back(settings: Settings, limits: Limits) -> (Running, SocketAddr, Leash) {
    let (opener, leash) = leashed(Then::Connects(ANY_PORT));
    let mut address = ANY_PORT;
    let relay = Running::start(settings, |relay| {
        address = listening(relay, Forward { limits, ..forward(opener) });
    });
    (relay, address, leash)
}

#[test]
fn an_upstream_that_never_opens_is_given_up_in_time() {
    in_both_modes(|settings| {
        let limits = Limits { connect_timeout: SOON, ..Limits::default() };
        let (relay, address, leash) = held_back(settings, limits);
        let client = connect(address);
        relay.assert_at_rest(Duration::from_millis(100));
        expect_reset(&client);
        let ended = relay.only_end();
        assert_eq!(ended.outcome, Outcome::Expired(Limit::Connect));
        assert!(ended.duration >= SOON, "{ended:?}");
        assert_eq!(ended.open_time, None);
        assert!(ended.detail.is_some_and(|detail| detail.contains("300ms")));
        leash.wait_dropped();
        relay.close();
    });
}

#[test]
fn an_idle_link_is_ended_by_reset() {
    in_both_modes_at_leisure(|settings| {
        let limits = Limits { idle_timeout: Some(SOON), ..Limits::default() };
        let bench = Bench::with_limits(settings, limits);
        let (client, server) = bench.link();
        send_ramp(&client, 0, 10);
        expect_ramp(&server, 0, 10);
        bench.relay.advance(SOON);
        expect_reset(&client);
        expect_reset(&server);
        let ended = bench.only_end();
        assert_eq!(ended.outcome, Outcome::Expired(Limit::Idle));
        assert!(ended.duration >= SOON, "{ended:?}");
    });
}

#[test]
fn an_event_of_the_same_turn_wins_over_the_timeout() {
    scene(|| {
        let listener = nsplice_testkit::listen("127.0.0.1:0");
        listener.set_nonblocking(true).expect("a listener can be non-blocking");
        let process = RelayProcess::to(&listener).idle(2000).start();
        let (client, server) = (connect(process.address), accept(&listener));
        send_ramp(&client, 0, 1);
        expect_ramp(&server, 0, 1);
        process.signal(Signal::SIGSTOP);
        send_ramp(&client, 1, 1);
        // The idle time is over long before the loop sees the byte that came within it.
        sleep(Duration::from_millis(2500));
        process.signal(Signal::SIGCONT);
        expect_ramp(&server, 1, 1);
        // And only silence from then on ends the link.
        expect_reset(&client);
        expect_reset(&server);
        process.wait_ended("idle-timeout", 1);
        process.close();
    });
}

#[test]
fn a_half_closed_link_is_given_its_linger_time_and_no_more() {
    in_both_modes_at_leisure(|settings| {
        for side in [Side::Downstream, Side::Upstream] {
            let limits = Limits { linger: Some(SOON), ..Limits::default() };
            let bench = Bench::with_limits(settings.clone(), limits);
            let (client, server) = bench.link();
            let (one, other) =
                if side == Side::Downstream { (client, server) } else { (server, client) };
            // Open on both sides it may be silent for as long as it likes.
            bench.relay.advance(2 * SOON);
            send_ramp(&other, 0, 1);
            expect_ramp(&one, 0, 1);
            half_close(&one);
            expect_eof(&other);
            bench.relay.advance(SOON);
            expect_reset(&one);
            expect_reset_after_eof(&other);
            assert_eq!(bench.only_end().outcome, Outcome::Expired(Limit::Linger));
        }
    });
}

#[test]
fn there_are_exactly_as_many_places_as_the_forward_has() {
    const PLACES: usize = 10;
    const CLIENTS: usize = 50;
    in_both_modes(|settings| {
        let bench = Bench::with_places(settings, 10);
        let clients: Vec<_> = (0..CLIENTS).map(|_| knock(bench.address)).collect();
        let servers: Vec<_> = (0..PLACES).map(|_| bench.server()).collect();
        // First come, first served; the others are told so by a reset, not by an end.
        for refused in &clients[PLACES..] {
            expect_reset(refused);
        }
        for (client, server) in clients.iter().zip(&servers) {
            send_ramp(client, 0, 100);
            expect_ramp(server, 0, 100);
        }
        assert_eq!(bench.relay.troubles("reason: Full"), CLIENTS - PLACES);
        // A place that has become free is given away again, and only that one.
        drop((clients, servers));
        bench.relay.ended(PLACES);
        let again: Vec<_> = (0..=PLACES).map(|_| knock(bench.address)).collect();
        let servers: Vec<_> = (0..PLACES).map(|_| bench.server()).collect();
        expect_reset(&again[PLACES]);
        drop((again, servers));
        let totals = bench.close_after(2 * PLACES);
        assert_eq!(totals.rejected, (CLIENTS - PLACES + 1) as u64);
        assert_eq!(totals.opened, 2 * PLACES as u64);
    });
}

#[test]
fn loops_that_serve_one_forward_share_its_places() {
    scene(|| {
        let upstream = nsplice_testkit::listen("127.0.0.1:0");
        upstream.set_nonblocking(true).expect("a listener can be non-blocking");
        let target = upstream.local_addr().expect("an address");
        let places = Arc::new(Places::new(1));
        let start = || {
            let mut address = ANY_PORT;
            let relay = Running::start(Settings::default(), |relay| {
                let places = Arc::clone(&places);
                address = listening(relay, Forward { places, ..forward(connecting(target)) });
            });
            (relay, address)
        };
        let [one, other] = [start(), start()];
        let client = connect(one.1);
        let server = accept(&upstream);
        expect_reset(&knock(other.1));
        drop((client, server));
        one.0.ended(1);
        let client = connect(other.1);
        drop((accept(&upstream), client));
        other.0.ended(1);
        assert_eq!((one.0.close().rejected, other.0.close().rejected), (0, 1));
    });
}

#[test]
fn drain_closes_the_listeners_and_gives_links_their_time() {
    in_both_modes(|settings| {
        let bench = Bench::new(settings);
        let (client, server) = bench.link();
        bench.relay.handle.drain(None).expect("tell the loop to drain");
        wait_not_listening(bench.address);
        // The link goes on as if nothing had happened.
        send_ramp(&client, 0, 1 << 20);
        expect_ramp(&server, 0, 1 << 20);
        half_close(&client);
        expect_eof(&server);
        send_ramp(&server, 0, 1000);
        drop(server);
        expect_ramp(&client, 0, 1000);
        expect_eof(&client);
        bench.relay.wait_returned();
        assert_eq!(bench.only_end().outcome, Outcome::Clean);
    });
}

#[test]
fn drain_ends_what_is_left_by_reset_when_the_time_is_over() {
    in_both_modes(|settings| {
        let bench = Bench::new(settings);
        let links: Vec<_> = (0..3).map(|_| bench.link()).collect();
        bench.relay.handle.drain(Some(SOON)).expect("tell the loop to drain");
        for (client, server) in &links {
            expect_reset(client);
            expect_reset(server);
        }
        bench.relay.wait_returned();
        for ended in bench.relay.ended(3) {
            assert_eq!(ended.outcome, Outcome::Expired(Limit::Drain));
            assert!(ended.duration >= SOON, "{ended:?}");
        }
        bench.close();
    });
}

#[test]
fn drain_without_links_returns_at_once() {
    in_both_modes(|settings| {
        let bench = Bench::new(settings);
        bench.relay.handle.drain(None).expect("tell the loop to drain");
        bench.relay.wait_returned();
        assert_eq!(bench.close().opened, 0);
    });
}

#[test]
fn drain_serves_those_who_are_still_opening() {
    in_both_modes(|settings| {
        let upstream = nsplice_testkit::listen("127.0.0.1:0");
        upstream.set_nonblocking(true).expect("a listener can be non-blocking");
        let target = upstream.local_addr().expect("an address");
        let (opener, leash) = leashed(Then::Connects(target));
        let mut address = ANY_PORT;
        let relay = Running::start(settings, |relay| address = listening(relay, forward(opener)));
        let client = connect(address);
        wait_until("the link", || relay.accepted() == 1);
        relay.handle.drain(None).expect("tell the loop to drain");
        wait_not_listening(address);
        leash.release();
        let server = accept(&upstream);
        send_ramp(&server, 0, 10);
        assert_eq!(read_exactly(&client, 10).len(), 10);
        drop((client, server));
        relay.wait_returned();
        assert_eq!(relay.only_end().outcome, Outcome::Clean);
        relay.close();
    });
}

#[test]
fn drain_takes_in_the_clients_that_have_connected_before() {
    const CLIENTS: usize = 200;
    scene(|| {
        let upstream = nsplice_testkit::listen("127.0.0.1:0");
        upstream.set_nonblocking(true).expect("a listener can be non-blocking");
        let target = upstream.local_addr().expect("an address");
        let mut clients = Vec::new();
        let relay = Running::start(Settings::default(), |relay| {
            let address = listening(relay, forward(connecting(target)));
            clients.extend((0..CLIENTS).map(|_| connect(address)));
        });
        relay.handle.drain(None).expect("tell the loop to drain");
        for _ in 0..CLIENTS {
            send_ramp(&accept(&upstream), 0, 10);
        }
        for client in &clients {
            expect_ramp(client, 0, 10);
            expect_eof(client);
        }
        drop(clients);
        relay.wait_returned();
        assert_eq!(relay.close().ended_as(Outcome::Clean), CLIENTS as u64);
    });
}

#[test]
fn stop_ends_everything_at_once_also_during_a_drain() {
    in_both_modes(|settings| {
        let bench = Bench::new(settings.clone());
        let (client, server) = bench.link();
        send_ramp(&client, 0, 1);
        expect_ramp(&server, 0, 1);
        bench.relay.handle.drain(None).expect("tell the loop to drain");
        wait_not_listening(bench.address);
        bench.relay.handle.stop().expect("tell the loop to stop");
        expect_reset(&client);
        expect_reset(&server);
        bench.relay.wait_returned();
        assert_eq!(bench.only_end().outcome, Outcome::Stopped);

        let (relay, address, leash) = held_back(settings, Limits::default());
        let client = connect(address);
        wait_until("the link", || relay.accepted() == 1);
        relay.handle.stop().expect("tell the loop to stop");
        expect_reset(&client);
        leash.wait_dropped();
        assert_eq!(relay.only_end().outcome, Outcome::Stopped);
        relay.close();
    });
}

#[test]
fn accepted_sockets_inherit_nodelay_and_keepalive() {
    scene(|| {
        // Only whoever accepts can ask for the options, so the test accepts what the loop would.
        let options = ListenOptions::default();
        let listener = listen(ANY_PORT, options).expect("listen");
        let client = connect(listener.local_addr().expect("an address"));
        let accepted = accept(&listener);
        assert_eq!(accepted.nodelay().ok(), Some(true));
        let socket = SockRef::from(&accepted);
        let Keepalive { idle, interval, probes } = options.keepalive;
        assert_eq!(socket.keepalive().ok(), Some(true));
        assert_eq!(socket.tcp_keepalive_time().ok(), Some(idle));
        assert_eq!(socket.tcp_keepalive_interval().ok(), Some(interval));
        assert_eq!(socket.tcp_keepalive_retries().ok(), Some(probes));
        // It would end a reader that only pauses.
        assert_eq!(socket.tcp_user_timeout().ok().flatten(), None);
        drop(client);
    });
}
