//! Bytes whole and in order: bulk, dribbles, urgent data, and who speaks first.

use std::io::Write;
use std::net::TcpStream;

use nsplice_relay::{Outcome, Settings};
use nsplice_testkit::talk::{
    expect_eof, expect_ramp, half_close, read_exactly, send_out_of_band, send_ramp,
    send_until_stuck,
};
use nsplice_testkit::wait_until;

use crate::bench::{listening, Bench};
use crate::openers::{connecting, forward, leashed, Then};
use crate::running::Running;
use crate::scene::{at_once, in_both_modes, scene};

/// What a bulk transfer moves in each direction.
const BULK: u64 = if cfg!(debug_assertions) { 48 << 20 } else { 256 << 20 };

/// Far more than makes a lane splice.
const SOME: u64 = 4 << 20;

/// Sends the ramp from one stream to the other, and the FIN after it.
fn carry(from: &TcpStream, to: &TcpStream, len: u64) {
    at_once(
        || {
            send_ramp(from, 0, len);
            half_close(from);
        },
        || {
            expect_ramp(to, 0, len);
            expect_eof(to);
        },
    );
}

#[test]
fn a_big_ramp_in_both_directions_at_once_is_exact() {
    in_both_modes(|settings| {
        let bench = Bench::new(settings);
        let (client, server) = bench.link();
        at_once(|| carry(&client, &server, BULK), || carry(&server, &client, BULK));
        let ended = bench.only_end();
        assert_eq!(ended.outcome, Outcome::Clean);
        assert_eq!((ended.up.written, ended.down.written), (BULK, BULK));
    });
}

#[test]
fn many_ramps_at_once_are_exact() {
    const LINKS: usize = 24;
    in_both_modes(|settings| {
        let bench = Bench::new(settings);
        std::thread::scope(|scope| {
            for _ in 0..LINKS {
                let (client, server) = bench.link();
                scope.spawn(move || {
                    at_once(|| carry(&client, &server, SOME), || carry(&server, &client, SOME));
                });
            }
        });
        assert_eq!(bench.close_after(LINKS).ended_as(Outcome::Clean), LINKS as u64);
    });
}

#[test]
fn messages_and_bulk_take_turns() {
    in_both_modes(|settings| {
        let bench = Bench::new(settings);
        let (client, server) = bench.link();
        let mut offset = 0;
        // Promoted by the large ones, demoted by the small ones, again and again.
        for len in [1, SOME, 7, 7, 7, SOME, 1, 40_000, 40_000, 40_000, SOME, 3] {
            at_once(|| send_ramp(&client, offset, len), || expect_ramp(&server, offset, len));
            send_ramp(&server, offset, 1);
            expect_ramp(&client, offset, 1);
            offset += len;
        }
        drop((client, server));
        let ended = bench.only_end();
        assert_eq!((ended.outcome, ended.up.written), (Outcome::Clean, offset));
    });
}

#[test]
fn a_dribble_of_single_bytes_keeps_its_order() {
    const BYTES: u64 = 3000;
    in_both_modes(|settings| {
        let bench = Bench::new(settings);
        let (client, server) = bench.link();
        client.set_nodelay(true).expect("set TCP_NODELAY");
        let dribble = || (0..BYTES).for_each(|offset| send_ramp(&client, offset, 1));
        at_once(dribble, || expect_ramp(&server, 0, BYTES));
        drop((client, server));
        assert_eq!(bench.only_end().outcome, Outcome::Clean);
    });
}

#[test]
fn single_bytes_behind_a_full_lane_are_not_forgotten() {
    const BYTES: u64 = 500;
    in_both_modes(|settings| {
        let bench = Bench::narrow(settings, Default::default());
        let (client, server) = bench.link();
        let stuck = send_until_stuck(&client, 0);
        let dribble = || {
            (stuck..stuck + BYTES).for_each(|offset| send_ramp(&client, offset, 1));
            half_close(&client);
        };
        // What is written now is little; what is pending is more than the last read.
        at_once(dribble, || {
            expect_ramp(&server, 0, 10);
            expect_ramp(&server, 10, stuck + BYTES - 10);
            expect_eof(&server);
        });
        drop((client, server));
        let ended = bench.only_end();
        assert_eq!((ended.outcome, ended.up.written), (Outcome::Clean, stuck + BYTES));
    });
}

#[test]
fn the_server_may_speak_first() {
    in_both_modes(|settings| {
        let bench = Bench::new(settings);
        let (client, server) = bench.link();
        (&server).write_all(b"220 ready\r\n").expect("greet");
        assert_eq!(read_exactly(&client, 11), b"220 ready\r\n");
        (&client).write_all(b"QUIT").expect("answer");
        assert_eq!(read_exactly(&server, 4), b"QUIT");
        drop((client, server));
        assert_eq!(bench.only_end().outcome, Outcome::Clean);
    });
}

#[test]
fn a_client_that_says_nothing_costs_the_server_one_end() {
    in_both_modes(|settings| {
        let bench = Bench::new(settings);
        let (client, server) = bench.link();
        drop(client);
        expect_eof(&server);
        drop(server);
        let ended = bench.only_end();
        assert_eq!((ended.outcome, ended.up.read, ended.down.read), (Outcome::Clean, 0, 0));
    });
}

#[test]
fn urgent_data_stalls_nothing() {
    in_both_modes(|settings| {
        let bench = Bench::new(settings);
        let (client, server) = bench.link();
        let mut offset = 0;
        // At rest, before bulk, and in the middle of it, so that splice(2) meets the mark, too.
        for len in [1, 100, SOME, SOME, 1] {
            let speak = || {
                send_ramp(&client, offset, len);
                send_out_of_band(&client, 0xff);
                send_ramp(&client, offset + len, len);
            };
            // Out-of-band bytes are dropped, as by every reader that does not ask for them.
            at_once(speak, || expect_ramp(&server, offset, 2 * len));
            offset += 2 * len;
        }
        drop((client, server));
        let ended = bench.only_end();
        assert_eq!((ended.outcome, ended.up.written), (Outcome::Clean, offset));
    });
}

#[test]
fn urgent_data_before_a_fin_is_not_the_end() {
    in_both_modes(|settings| {
        let listener = nsplice_testkit::listen("127.0.0.1:0");
        let target = listener.local_addr().expect("a listener has an address");
        let (opener, leash) = leashed(Then::Connects(target));
        let mut address = target;
        let relay = Running::start(settings, |relay| address = listening(relay, forward(opener)));
        let client = nsplice_testkit::connect(address);
        // All of it is queued before the first byte is taken. 3 MiB would not fit, 300 kB are
        // enough for the lane to splice when it comes to the mark.
        const BEFORE: u64 = 300_000;
        send_ramp(&client, 0, BEFORE);
        send_out_of_band(&client, 0xff);
        send_ramp(&client, BEFORE, 1000);
        drop(client);
        wait_until("the link", || relay.accepted() == 1);
        leash.release();
        let (server, _) = listener.accept().expect("accept");
        let server = nsplice_testkit::peer::patient(server);
        expect_ramp(&server, 0, BEFORE + 1000);
        expect_eof(&server);
        drop(server);
        assert_eq!(relay.only_end().outcome, Outcome::Clean);
        relay.close();
    });
}

#[test]
fn without_pipes_everything_is_copied() {
    scene(|| {
        let bench = Bench::new(Settings { max_pipes: 0, ..Settings::default() });
        let (client, server) = bench.link();
        at_once(|| carry(&client, &server, SOME), || carry(&server, &client, SOME));
        assert_eq!(bench.only_end().outcome, Outcome::Clean);
    });
}

#[test]
fn a_relay_behind_a_relay_changes_nothing() {
    in_both_modes(|settings| {
        let inner = Bench::new(settings.clone());
        let mut address = inner.address;
        let outer = Running::start(settings, |relay| {
            address = listening(relay, forward(connecting(inner.address)));
        });
        let client = nsplice_testkit::connect(address);
        let server = inner.server();
        at_once(|| carry(&client, &server, SOME), || carry(&server, &client, SOME));
        assert_eq!(outer.only_end().outcome, Outcome::Clean);
        assert_eq!(inner.only_end().outcome, Outcome::Clean);
        outer.close();
    });
}

#[test]
fn a_loop_without_work_is_at_rest() {
    in_both_modes(|settings| {
        let bench = Bench::new(settings);
        let links: Vec<_> = (0..20).map(|_| bench.link()).collect();
        for (client, server) in &links {
            at_once(|| carry(client, server, SOME / 4), || send_ramp(server, 0, 1));
        }
        // Half-closed, idle, and everything is delivered.
        wait_until("the links", || bench.relay.accepted() == links.len());
        bench.relay.assert_at_rest(std::time::Duration::from_millis(500));
        drop(links);
        bench.close_after(20);
    });
}
