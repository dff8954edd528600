//! Clients that mean no good: each is bounded, told what it did, and nobody else's trouble.

use std::io::{Read, Write};
use std::time::Duration;

use nsplice_relay::{Clock, Outcome, SessionLimits, Side};
use nsplice_spdy::{GoAwayStatus, ResetStatus};
use nsplice_testkit::{connect, listen, Server};

use crate::client::{Client, UPGRADE};
use crate::stage::Stage;

/// Two bytes of a stream, which end it: a DATA frame.
fn data(stream: u32) -> Vec<u8> {
    [&stream.to_be_bytes()[..], &[1, 0, 0, 2], b"hi"].concat()
}

#[test]
fn garbage_after_the_upgrade_ends_the_session_and_no_other() {
    let (stage, server) = (Stage::new(), Server::start(listen("127.0.0.1:0"), drop));
    let mut good = Client::upgraded(stage.address);
    let mut bad = Client::upgraded(stage.address);
    // Read as SPDY, a request is bytes of a stream that nobody has opened; then comes another version.
    bad.socket.write_all(b"GET\0\0\0\0\x04 / H\x80\x02\0\x01\0\0\0\0").unwrap();
    bad.wait_over();
    let (outcome, why) = stage.sessions_ended(1).remove(0);
    assert_eq!(outcome, Outcome::Failed(Side::Downstream));
    assert!(why.is_some_and(|why| why.contains("broken the protocol")));
    let connection = good.forward(server.port());
    good.finish(connection.0);
    good.wait_ended(connection);
    stage.close();
}

/// A stream's number is used twice: whoever does that may have confused others as well.
#[test]
fn a_number_that_was_used_ends_the_session() {
    let stage = Stage::new();
    let mut client = Client::upgraded(stage.address);
    let mut again = nsplice_spdy::Connection::client(nsplice_spdy::Limits::default());
    client.open(&[("streamtype", "error"), ("port", "80"), ("requestid", "0")]);
    // The header block of another connection cannot be inflated, or its number is used.
    again.open(&[("streamtype", "data"), ("port", "80"), ("requestid", "0")], false).unwrap();
    client.socket.write_all(again.output()).unwrap();
    client.wait_over();
    assert_eq!(client.went_away, Some(GoAwayStatus::PROTOCOL_ERROR));
    assert_eq!(stage.sessions_ended(1)[0].0, Outcome::Failed(Side::Downstream));
    stage.close();
}

#[test]
fn data_for_streams_that_are_not_open_is_refused_or_thrown_away() {
    let (stage, server) = (Stage::new(), Server::start(listen("127.0.0.1:0"), drop));
    let mut client = Client::upgraded(stage.address);
    client.socket.write_all(&data(77)).unwrap();
    let mut frame = [0; 16];
    client.socket.read_exact(&mut frame).unwrap();
    // RST_STREAM of 77, as an invalid one.
    assert_eq!(frame, [0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, 77, 0, 0, 0, 2]);
    let connection = client.forward(server.port());
    client.finish(connection.0);
    client.wait_ended(connection);
    client.socket.write_all(&data(connection.0 .0)).unwrap();
    let again = client.forward(server.port());
    client.finish(again.0);
    client.wait_ended(again);
    stage.close();
}

#[test]
fn streams_that_make_no_sense_are_reset_alone() {
    let (stage, server) = (Stage::new(), Server::start(listen("127.0.0.1:0"), drop));
    let mut client = Client::upgraded(stage.address);
    let long = "1".repeat(65);
    for headers in [
        &[("streamtype", "data"), ("port", "0"), ("requestid", "0")][..],
        &[("streamtype", "data"), ("port", "65536"), ("requestid", "0")],
        &[("streamtype", "data"), ("port", "x"), ("requestid", "0")],
        &[("streamtype", "data"), ("requestid", "0")],
        &[("streamtype", "stdin"), ("port", "80"), ("requestid", "0")],
        &[("port", "80"), ("requestid", "0")],
        &[("streamtype", "error"), ("port", "80"), ("requestid", &long)],
        &[],
    ] {
        let stream = client.open(headers);
        let came = client.wait(stream, "to be reset", |came| came.reset.is_some());
        assert_eq!(came.reset, Some(ResetStatus::PROTOCOL_ERROR), "{headers:?}");
    }
    // A second error stream of a request, a partner for another port, bytes before the partner.
    let error = client.open(&[("streamtype", "error"), ("port", "80"), ("requestid", "7")]);
    let twice = client.open(&[("streamtype", "error"), ("port", "80"), ("requestid", "7")]);
    let other = client.open(&[("streamtype", "data"), ("port", "81"), ("requestid", "7")]);
    let early = client.open(&[("streamtype", "data"), ("port", "80"), ("requestid", "8")]);
    client.send(early, b"early");
    for stream in [twice, other, early] {
        let came = client.wait(stream, "to be reset", |came| came.reset.is_some());
        assert_eq!(came.reset, Some(ResetStatus::PROTOCOL_ERROR));
    }
    assert!(client.came(error).reset.is_none());
    let connection = client.forward(server.port());
    client.finish(connection.0);
    client.wait_ended(connection);
    stage.close();
}

#[test]
fn streams_without_a_partner_are_bounded_in_number_and_time() {
    let stage = Stage::with(SessionLimits::default(), Clock::movable());
    let mut client = Client::upgraded(stage.address);
    let mut open = |kind, number: usize| {
        client.open(&[("streamtype", kind), ("port", "80"), ("requestid", &number.to_string())])
    };
    let first = open("error", 0);
    let second = open("data", 1);
    let last = (2..1025).map(|number| open("error", number)).last().unwrap();
    let came = client.wait(last, "to be reset", |came| came.reset.is_some());
    assert_eq!(came.reset, Some(ResetStatus::REFUSED_STREAM));
    stage.advance(Duration::from_secs(31));
    client.wait(first, "to end", |came| came.has_ended && came.reset.is_none());
    client.wait(second, "to be reset", |came| came.reset == Some(ResetStatus::CANCEL));
    let again = client.open(&[("streamtype", "error"), ("port", "80"), ("requestid", "2000")]);
    client.wait(again, "to be accepted", |came| came.is_accepted);
    stage.close();
}

#[test]
fn one_connection_more_than_there_may_be_ends_alone() {
    let limits = SessionLimits { streams: 2, ..SessionLimits::default() };
    let stage = Stage::with(limits, Clock::default());
    let server = Server::start(listen("127.0.0.1:0"), |mut stream| stream.read(&mut [0]).is_ok());
    let mut client = Client::upgraded(stage.address);
    let connections: Vec<_> = (0..2).map(|_| client.forward(server.port())).collect();
    server.wait_accepted(2);
    let more = client.forward(server.port());
    assert_eq!(client.wait_ended(more), (Vec::new(), Vec::new()));
    for (data, _) in &connections {
        client.finish(*data);
    }
    connections.into_iter().for_each(|connection| drop(client.wait_ended(connection)));
    let again = client.forward(server.port());
    client.finish(again.0);
    client.wait_ended(again);
    stage.close();
}

/// Answers to it would grow without end if it were read on.
#[test]
fn who_asks_and_does_not_read_is_read_no_more() {
    let (stage, server) = (Stage::new(), Server::start(listen("127.0.0.1:0"), drop));
    let flooder = Client::upgraded(stage.address);
    flooder.socket.set_nonblocking(true).unwrap();
    let mut spdy = nsplice_spdy::Connection::client(nsplice_spdy::Limits::default());
    for _ in 0..4096 {
        spdy.ping();
    }
    let (pings, mut sent) = (spdy.output().clone(), 0);
    let mut refusals = 0;
    // It takes some of them into its queues, and then none for as long as anybody looks.
    while refusals < 50 {
        match (&flooder.socket).write(&pings) {
            Ok(count) => (sent, refusals) = (sent + count, 0),
            Err(_) => {
                refusals += 1;
                let mut client = Client::upgraded(stage.address);
                let connection = client.forward(server.port());
                client.finish(connection.0);
                client.wait_ended(connection);
            }
        }
        assert!(sent < 256 << 20, "{sent} bytes of pings were taken");
    }
    stage.close();
}

#[test]
fn more_than_a_head_before_the_answer_is_refused() {
    let stage = Stage::new();
    stage.node.is_silent.store(true, std::sync::atomic::Ordering::SeqCst);
    let mut socket = connect(stage.address);
    socket.write_all(UPGRADE.as_bytes()).unwrap();
    let mut heap = socket.try_clone().unwrap();
    // The answer comes before all of it is taken.
    let _ = heap.write_all(&vec![0; 1 << 20]);
    stage.sessions_ended(1);
    let endless = connect(stage.address);
    let _ = (&endless).write_all(&vec![b'a'; 1 << 20]);
    let (outcome, why) = stage.sessions_ended(2).remove(1);
    assert_eq!(outcome, Outcome::Failed(Side::Downstream));
    assert!(why.is_some_and(|why| why.contains("longer than 16384 bytes")));
    stage.close();
}
