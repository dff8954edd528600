//! Rows 8 to 12: bytes come through whole and in order, however they are sent and read, and nothing
//! is done when nothing can be done.

use std::sync::Arc;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nsplice_testkit::census::{cpu_time, resident_memory};
use nsplice_testkit::talk::{
    expect_eof, expect_ramp, half_close, ramp_sink, read_to_eof, send_ramp, send_until_stuck,
};
use nsplice_testkit::{ramp, Gate};

use crate::peers::{echo_to_any_end, name_of, ping, read_to_any_end};
use crate::{cases, Difference, Relay, Testbed};

cases! {
    slow_reader_down on setns no_splice external dial;
    slow_reader_up on setns no_splice external dial;
    nobody_reads_until_the_idle_timeout on setns no_splice external dial;
    idle_timeout_spares_who_moves on setns external;
    dribble_behind_a_heap on setns no_splice external dial;
    ramp_through_stops_and_continues on setns no_splice external;
}

const MIB: u64 = 1 << 20;

/// How long a relay that has nothing to do is watched.
const WATCHED: Duration = Duration::from_secs(1);

/// Asserts that the relay does nothing and holds little while nothing can be moved.
#[track_caller]
fn expect_rest(relay: &Relay<'_>, memory_before: u64) {
    let before = cpu_time(relay.pid());
    sleep(WATCHED);
    let used = cpu_time(relay.pid()) - before;
    assert!(used <= WATCHED / 20, "{used:?} of processor time in {WATCHED:?}");
    let grown = resident_memory(relay.pid()).saturating_sub(memory_before);
    assert!(grown < 8 * MIB, "{grown} bytes more than before the link");
}

fn slow_reader_down(testbed: &Testbed) {
    let stuck = Arc::new(Gate::new());
    let server = testbed.serve({
        let stuck = stuck.clone();
        move |stream| {
            let sent = send_until_stuck(&stream, 0);
            stuck.open();
            send_ramp(&stream, sent, 4 * MIB);
            sent + 4 * MIB
        }
    });
    let relay = testbed.daemon(server.port()).start();
    let memory = resident_memory(relay.pid());
    let client = relay.connect_narrow();
    stuck.wait();
    expect_rest(&relay, memory);
    let got = ramp_sink(client.try_clone().unwrap());
    assert_eq!(server.join(), [got]);
    half_close(&client);
    let end = relay.expect_end(name_of(&client), "clean");
    assert_eq!(end.down, got);
    relay.finish();
}

fn slow_reader_up(testbed: &Testbed) {
    let stuck = Arc::new(Gate::new());
    let server = testbed.serve({
        let stuck = stuck.clone();
        move |stream| {
            stuck.wait();
            ramp_sink(stream)
        }
    });
    let relay = testbed.daemon(server.port()).start();
    let memory = resident_memory(relay.pid());
    let client = relay.connect();
    let sent = send_until_stuck(&client, 0);
    expect_rest(&relay, memory);
    stuck.open();
    send_ramp(&client, sent, 4 * MIB);
    half_close(&client);
    expect_eof(&client);
    assert_eq!(server.join(), [sent + 4 * MIB]);
    let end = relay.expect_end(name_of(&client), "clean");
    assert_eq!(end.up, sent + 4 * MIB);
    relay.finish();
}

fn nobody_reads_until_the_idle_timeout(testbed: &Testbed) {
    let over = Arc::new(Gate::new());
    let server = testbed.serve({
        let over = over.clone();
        move |stream| {
            let sent = send_until_stuck(&stream, 0);
            over.wait();
            (sent, read_to_any_end(&stream).1)
        }
    });
    let relay = testbed.daemon(server.port()).option("idle_timeout = '8s'").start();
    let memory = resident_memory(relay.pid());
    let client = relay.connect();
    let sent = send_until_stuck(&client, 0);
    expect_rest(&relay, memory);
    let end = relay.expect_end(name_of(&client), "idle-timeout");
    over.open();
    let (bytes, was_reset) = read_to_any_end(&client);
    ramp::verify(0, &bytes).unwrap();
    assert!(was_reset, "the client got a FIN after {} bytes", bytes.len());
    let (sent_down, server_was_reset) = server.join()[0];
    assert!(server_was_reset || testbed.differs(Difference::ResetMayBecomeFin));
    assert!(end.up < sent && end.down < sent_down, "{end:?}");
    relay.finish();
}

fn idle_timeout_spares_who_moves(testbed: &Testbed) {
    let server = testbed.serve(echo_to_any_end);
    let relay = testbed.daemon(server.port()).option("idle_timeout = '3s'").start();
    let client = relay.connect();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        ping(&client);
        sleep(Duration::from_millis(100));
    }
    let end = relay.expect_end(name_of(&client), "idle-timeout");
    assert!(end.duration_ms > 5000, "{end:?}");
    server.join();
    relay.finish();
}

/// Single bytes behind all that the relay and the kernel hold.
fn dribble_behind_a_heap(testbed: &Testbed) {
    const DRIBBLE: u64 = 3000;
    let stuck = Arc::new(Gate::new());
    let server = testbed.serve({
        let stuck = stuck.clone();
        move |stream| {
            stream.set_nodelay(true).unwrap();
            let sent = send_until_stuck(&stream, 0);
            stuck.open();
            for offset in sent..sent + DRIBBLE {
                send_ramp(&stream, offset, 1);
            }
            sent + DRIBBLE
        }
    });
    let relay = testbed.daemon(server.port()).start();
    let client = relay.connect_narrow();
    stuck.wait();
    let got = ramp_sink(client.try_clone().unwrap());
    assert_eq!(server.join(), [got]);
    half_close(&client);
    relay.expect_end(name_of(&client), "clean");
    relay.finish();
}

/// The relay is stopped and continued while bytes are on their way. Both interrupt system calls,
/// splice(2) in the middle of what it moves; often, because it has to be hit there.
fn ramp_through_stops_and_continues(testbed: &Testbed) {
    both_ways(testbed, 64 * MIB, |relay| {
        for _ in 0..100 {
            relay.signal(Signal::SIGSTOP);
            sleep(Duration::from_millis(1));
            relay.signal(Signal::SIGCONT);
            sleep(Duration::from_millis(1));
        }
    });
}

/// Sends `len` bytes of the ramp each way at once, while `meanwhile` happens.
fn both_ways(testbed: &Testbed, len: u64, meanwhile: impl FnOnce(&Relay<'_>)) {
    let server = testbed.serve(move |stream| {
        scope(|scope| {
            scope.spawn(|| send_ramp(&stream, 0, len));
            expect_ramp(&stream, 0, len);
        });
        half_close(&stream);
        read_to_eof(&stream)
    });
    let relay = testbed.daemon(server.port()).start();
    let client = relay.connect();
    scope(|scope| {
        scope.spawn(|| send_ramp(&client, 0, len));
        scope.spawn(|| expect_ramp(&client, 0, len));
        meanwhile(&relay);
    });
    half_close(&client);
    expect_eof(&client);
    let end = relay.expect_end(name_of(&client), "clean");
    assert_eq!((end.up, end.down), (len, len));
    assert_eq!(server.join(), [b""]);
    relay.finish();
}
