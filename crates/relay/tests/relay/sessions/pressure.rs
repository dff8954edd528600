//! Back-pressure: what is bounded for each stream and for each session, in both directions.

use std::net::TcpStream;

use nsplice_relay::{Outcome, SessionLimits, Side};
use nsplice_testkit::mux::{MuxClient, FIN, OPENED, RESET};
use nsplice_testkit::peer::connect_with_receive_buffer;
use nsplice_testkit::ramp;
use nsplice_testkit::talk::{
    echo, expect_eof, expect_ramp, half_close, read_to_reset, send_ramp, send_until_stuck,
};

use super::endpoint::{Hub, Setup};
use crate::bench::NARROW;
use crate::scene::{at_once, scene};

/// More than all buffers on the way to a narrow server hold.
const A_LOT: usize = 8 << 20;

fn narrow(session: SessionLimits) -> Setup {
    Setup { session, narrow: Some(NARROW), ..Setup::default() }
}

/// Sends the ramp on a stream until `len` bytes are out.
fn send_on(client: &MuxClient, stream: u32, offset: usize, len: usize) {
    let mut block = vec![0; 32 * 1024];
    let mut at = offset;
    while at < offset + len {
        let size = block.len().min(offset + len - at);
        ramp::fill(at as u64, &mut block[..size]);
        client.send(stream, &block[..size]);
        at += size;
    }
}

#[test]
fn a_stream_that_is_sent_too_much_overflows_alone() {
    scene(|| {
        let hub = Hub::with(narrow(SessionLimits::default()));
        let client = hub.client();
        let mut inbox = client.inbox();
        let (stuck, other) = (hub.stream(&client, 1), hub.stream(&client, 2));
        assert_eq!((inbox.expect(1, OPENED), inbox.expect(2, OPENED)), (vec![], vec![]));
        let sends = || send_on(&client, 1, 0, A_LOT);
        at_once(sends, || {
            let reason = String::from_utf8(inbox.expect(1, RESET)).unwrap();
            assert!(reason.starts_with("downstream-failed: receive queue overflow"), "{reason}");
        });
        // The server got the beginning, then a reset: not an end that looks like the whole.
        let got = read_to_reset(&stuck);
        assert!(ramp::verify(0, &got).is_ok() && got.len() < A_LOT);
        let ended = hub.relay.only_end();
        assert_eq!(ended.outcome, Outcome::Failed(Side::Downstream));
        assert!(ended.detail.is_some_and(|detail| detail.contains("overflow")));
        client.send(2, &ramp::bytes(1000));
        expect_ramp(&other, 0, 1000);
        send_ramp(&other, 0, 1000);
        half_close(&other);
        client.finish(2);
        assert_eq!(inbox.expect_whole(2), ramp::bytes(1000));
        expect_eof(&other);
        drop((other, client));
        hub.relay.ended(2);
        hub.close();
    });
}

#[test]
fn a_server_that_reads_late_gets_all_that_its_queue_holds() {
    const HELD: usize = 900_000;
    scene(|| {
        let hub = Hub::with(narrow(SessionLimits::default()));
        let client = hub.client();
        let server = hub.stream(&client, 1);
        send_on(&client, 1, 0, HELD);
        client.finish(1);
        // That a second stream works says that the bytes of the first have been taken in.
        let other = hub.stream(&client, 2);
        client.send(2, &ramp::bytes(10));
        expect_ramp(&other, 0, 10);
        expect_ramp(&server, 0, HELD as u64);
        expect_eof(&server);
        drop(server);
        client.finish(2);
        drop(other);
        for ended in hub.relay.ended(2) {
            assert_eq!(ended.outcome, Outcome::Clean);
        }
        drop(client);
        hub.close();
    });
}

#[test]
fn without_credit_the_server_is_not_read() {
    const CREDIT: u32 = 10_000;
    scene(|| {
        let hub = Hub::with(narrow(SessionLimits::default()));
        let client = hub.client();
        let mut inbox = client.inbox();
        client.open_with_credit(1, 0, CREDIT);
        let server = hub.server();
        inbox.expect(1, OPENED);
        let sent = send_until_stuck(&server, 0);
        let mut got = 0;
        let mut take = |inbox: &mut nsplice_testkit::mux::Inbox<'_>, len: u64| {
            while got < len {
                let bytes = inbox.expect(1, 0);
                ramp::verify(got, &bytes).unwrap();
                got += bytes.len() as u64;
            }
            assert_eq!(got, len, "more than was granted");
        };
        take(&mut inbox, CREDIT.into());
        // Whoever else has something to say can.
        let other = hub.stream(&client, 2);
        inbox.expect(2, OPENED);
        send_ramp(&other, 0, 10);
        assert_eq!(inbox.expect(2, 0), ramp::bytes(10));
        hub.relay.assert_at_rest(std::time::Duration::from_millis(300));
        client.grant(1, 1);
        take(&mut inbox, u64::from(CREDIT) + 1);
        client.grant(1, u32::MAX);
        take(&mut inbox, sent);
        half_close(&server);
        inbox.expect(1, FIN);
        client.finish(1);
        client.finish(2);
        drop((server, other));
        for ended in hub.relay.ended(2) {
            assert_eq!(ended.outcome, Outcome::Clean);
        }
        drop(client);
        hub.close();
    });
}

#[test]
fn a_client_that_does_not_read_stops_its_servers_and_holds_little() {
    scene(|| {
        let session = SessionLimits { outbox: 64 * 1024, ..SessionLimits::default() };
        let hub = Hub::with(narrow(session));
        let client = MuxClient::over(connect_with_receive_buffer(hub.address, Some(NARROW)));
        let servers: Vec<TcpStream> = (1..=4).map(|id| hub.stream(&client, id)).collect();
        let sent: Vec<u64> = servers.iter().map(|server| send_until_stuck(server, 0)).collect();
        hub.relay.assert_at_rest(std::time::Duration::from_millis(300));
        // The other direction goes on.
        client.send(1, &ramp::bytes(1000));
        expect_ramp(&servers[0], 0, 1000);
        // And when it reads, everything comes.
        servers.iter().for_each(half_close);
        let (mut inbox, mut seen, mut open) = (client.inbox(), [0u64; 5], 4);
        while open > 0 {
            let frame = inbox.frame().expect("not the end of the connection");
            let offset = &mut seen[frame.stream as usize];
            ramp::verify(*offset, &frame.bytes).unwrap();
            *offset += frame.bytes.len() as u64;
            open -= usize::from(frame.flags & FIN != 0);
        }
        assert_eq!(&seen[1..], sent.as_slice());
        (1..=4).for_each(|id| client.finish(id));
        drop(servers);
        hub.relay.ended(4);
        drop(client);
        assert_eq!(hub.close().ended_as(Outcome::Clean), 4);
    });
}

#[test]
fn a_session_that_holds_too_much_is_read_no_more_until_it_holds_less() {
    const EACH: usize = 3 << 20;
    scene(|| {
        let session = SessionLimits {
            stream_queue: 64 << 20,
            session_queue: 256 * 1024,
            ..SessionLimits::default()
        };
        let hub = Hub::with(narrow(session));
        let client = hub.client();
        let servers = [1, 2].map(|id| hub.stream(&client, id));
        // Nobody reads: what the client can send is what the kernel's buffers hold, far less than what
        // the queue of the stream would take.
        let stuck = send_until_stuck_on(&client, 1);
        assert!(stuck < 40 << 20, "{stuck} bytes went out");
        hub.relay.assert_at_rest(std::time::Duration::from_millis(300));
        let rest = || {
            send_on(&client, 2, 0, EACH);
            client.finish(2);
        };
        at_once(rest, || {
            at_once(
                || expect_ramp(&servers[0], 0, stuck as u64),
                || {
                    expect_ramp(&servers[1], 0, EACH as u64);
                    expect_eof(&servers[1]);
                },
            );
        });
        client.finish(1);
        drop(servers);
        for ended in hub.relay.ended(2) {
            assert_eq!(ended.outcome, Outcome::Clean);
        }
        drop(client);
        hub.close();
    });
}

/// Sends whole frames of the ramp until nothing has been taken for half a second. The last one is
/// completed as soon as somebody reads, so it is left to a thread that has what it needs by then.
fn send_until_stuck_on(client: &MuxClient, stream: u32) -> usize {
    let block = 4096;
    let mut sent = 0;
    while nsplice_testkit::mux::has_room(&client.socket) {
        send_on(client, stream, sent, block);
        sent += block;
    }
    sent
}

#[test]
fn a_client_that_asks_and_never_reads_is_heard_no_more() {
    scene(|| {
        let session =
            SessionLimits { outbox: 16 * 1024, streams: usize::MAX, ..SessionLimits::default() };
        let hub = Hub::with(Setup { session, places: 0, ..Setup::default() });
        let client = MuxClient::over(connect_with_receive_buffer(hub.address, Some(NARROW)));
        // Each of these is answered by a frame that is longer than the question.
        let mut asked = 0u32;
        while nsplice_testkit::mux::has_room(&client.socket) {
            (0..1000).for_each(|stream| client.open(asked + stream, 0));
            asked += 1000;
            assert!(asked < 10_000_000, "the loop goes on reading");
        }
        hub.relay.assert_at_rest(std::time::Duration::from_millis(300));
        let mut inbox = client.inbox();
        (0..asked).for_each(|stream| drop(inbox.expect(stream, RESET)));
        drop(client);
        assert_eq!(hub.close().rejected, u64::from(asked));
    });
}

#[test]
fn a_reset_frees_what_is_queued_for_a_server_that_does_not_read() {
    scene(|| {
        let hub = Hub::with(narrow(SessionLimits::default()));
        let client = hub.client();
        let server = hub.stream(&client, 1);
        send_on(&client, 1, 0, 900_000);
        client.reset(1, "no patience");
        let ended = hub.relay.only_end();
        assert_eq!(ended.outcome, Outcome::Reset(Side::Downstream));
        assert_eq!(ended.detail.as_deref(), Some("no patience"));
        read_to_reset(&server);
        // It is of no other's concern.
        let other = hub.stream(&client, 2);
        at_once(
            || assert_eq!(echo(other), 1000),
            || {
                client.send(2, &ramp::bytes(1000));
                client.finish(2);
                let mut inbox = client.inbox();
                inbox.expect(1, OPENED);
                assert!(inbox.expect(1, RESET).starts_with(b"reset-by-downstream: no patience"));
                inbox.expect(2, OPENED);
                assert_eq!(inbox.expect_whole(2), ramp::bytes(1000));
            },
        );
        hub.relay.ended(2);
        drop(client);
        hub.close();
    });
}
