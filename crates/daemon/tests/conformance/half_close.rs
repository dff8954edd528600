//! Rows 1, 2, 5 and 6: a FIN ends one direction and nothing else, and is the last thing to arrive.
//!
//! Where socat's half second decides what arrives (see `differences`), a case has no `external`.

use std::io::Write;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nsplice_testkit::talk::{
    expect_eof, expect_reset, expect_reset_after_eof, half_close, read_exactly, read_to_eof,
};
use nsplice_testkit::{ramp, Gate};

use crate::peers::{name_of, ping};
use crate::{cases, Difference, Relay, Testbed};

cases! {
    fin_of_the_target_is_passed_on_at_once on setns no_splice external dial;
    reply_late_through_forward on setns no_splice dial;
    last_bytes_of_the_target_with_its_fin on setns no_splice external dial;
    last_bytes_of_both_with_their_fins on setns no_splice dial;
    last_bytes_of_the_target_with_fin_and_hang_up on setns no_splice dial;
    linger_ends_a_silent_half on setns no_splice dial;
}

const REQUEST: &[u8] = b"what time is it?";
const REPLY: &[u8] = b"it is late";

/// A client that waits for the end of the answer is not kept waiting.
fn fin_of_the_target_is_passed_on_at_once(testbed: &Testbed) {
    const SOON: Duration = Duration::from_millis(400);
    let server = testbed.serve(|mut stream| {
        stream.write_all(&read_exactly(&stream, 1)).unwrap();
        let end = Instant::now();
        half_close(&stream);
        (end, read_to_eof(&stream))
    });
    let relay = testbed.daemon(server.port()).start();
    let client = relay.connect();
    ping(&client);
    expect_eof(&client);
    let arrived = Instant::now();
    half_close(&client);
    relay.expect_end(name_of(&client), "clean");
    let late = arrived.duration_since(server.join()[0].0);
    assert_eq!(late > SOON, testbed.differs(Difference::FinIsLate), "it took {late:?}");
    relay.finish();
}

/// The same by the other command, which keeps no half-closed link shorter.
fn reply_late_through_forward(testbed: &Testbed) {
    let server = testbed.serve(|mut stream| {
        let request = read_to_eof(&stream);
        sleep(Duration::from_millis(600));
        stream.write_all(REPLY).unwrap();
        request
    });
    let relay = Relay::forward(testbed, server.port(), "");
    let mut client = relay.connect();
    client.write_all(REQUEST).unwrap();
    half_close(&client);
    assert_eq!(read_to_eof(&client), REPLY);
    assert_eq!(server.join(), [REQUEST]);
    let program = relay.finish();
    assert_eq!(program.stderr(), [""; 0]);
}

/// What the relay finds when it goes on is bytes and FIN in one wake-up.
fn last_bytes_of_the_target_with_its_fin(testbed: &Testbed) {
    stopped_relay(testbed, When::Never);
}

fn last_bytes_of_both_with_their_fins(testbed: &Testbed) {
    stopped_relay(testbed, When::Stopped);
}

/// With the client's FIN passed on before, there is a hang-up (EPOLLHUP) as well.
fn last_bytes_of_the_target_with_fin_and_hang_up(testbed: &Testbed) {
    stopped_relay(testbed, When::Before);
}

/// When the client sends its last bytes and its FIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Before the relay is stopped.
    Before,
    /// While it is.
    Stopped,
    /// Not before all is over.
    Never,
}

fn stopped_relay(testbed: &Testbed, client_ends: When) {
    const LEN: usize = 100_000;
    let [stopped, passed_on, sent] = [(); 3].map(|()| Arc::new(Gate::new()));
    let gates = (stopped.clone(), passed_on.clone(), sent.clone());
    let server = testbed.serve(move |mut stream| {
        let hello = read_exactly(&stream, 1);
        stream.write_all(&hello).unwrap();
        let before = (client_ends == When::Before).then(|| {
            let before = read_to_eof(&stream);
            gates.1.open();
            before
        });
        gates.0.wait();
        stream.write_all(&ramp::bytes(LEN)).unwrap();
        half_close(&stream);
        gates.2.open();
        before.unwrap_or_else(|| read_to_eof(&stream))
    });
    let relay = testbed.daemon(server.port()).start();
    let client = relay.connect();
    ping(&client);
    let last_bytes = || {
        (&client).write_all(&ramp::bytes(LEN)).unwrap();
        half_close(&client);
    };
    if client_ends == When::Before {
        last_bytes();
        passed_on.wait();
    }
    relay.signal(Signal::SIGSTOP);
    if client_ends == When::Stopped {
        last_bytes();
    }
    stopped.open();
    sent.wait();
    relay.signal(Signal::SIGCONT);
    assert_eq!(read_to_eof(&client), ramp::bytes(LEN));
    let up = if client_ends == When::Never { Vec::new() } else { ramp::bytes(LEN) };
    if client_ends == When::Never {
        half_close(&client);
    }
    let end = relay.expect_end(name_of(&client), "clean");
    assert_eq!((end.up, end.down), (up.len() as u64 + 1, LEN as u64 + 1));
    assert_eq!(server.join(), [up]);
    relay.finish();
}

fn linger_ends_a_silent_half(testbed: &Testbed) {
    let server = testbed.serve(|stream| {
        assert_eq!(read_to_eof(&stream), REQUEST);
        expect_reset_after_eof(&stream);
    });
    let relay = testbed.daemon(server.port()).option("linger = '500ms'").start();
    let mut client = relay.connect();
    client.write_all(REQUEST).unwrap();
    half_close(&client);
    expect_reset(&client);
    let end = relay.expect_end(name_of(&client), "linger-timeout");
    assert!((500..5000).contains(&end.duration_ms), "{end:?}");
    server.join();
    relay.finish();
}
