//! A client that goes in the middle of everything.

use std::io::Read;
use std::net::TcpStream;

use nsplice_relay::{Outcome, SessionLimits, Side};
use nsplice_testkit::mux::{MuxClient, FIN, OPENED};
use nsplice_testkit::ramp;
use nsplice_testkit::talk::{expect_eof, half_close, reset, send_until_stuck};

use super::endpoint::{Hub, Setup, NEVER};
use crate::bench::NARROW;
use crate::scene::scene;

/// Streams in every state that there is, of a client that has been seen to have them. With their
/// servers, in the order of the streams.
fn streams_in_every_state(hub: &Hub, client: &MuxClient) -> Vec<TcpStream> {
    let mut inbox = client.inbox();
    let servers: Vec<_> = (1..=4).map(|id| hub.stream(client, id)).collect();
    // 1 is idle. 2 has ended at the client's side, 3 at the server's.
    client.send(2, b"last words");
    client.finish(2);
    half_close(&servers[2]);
    // 4 has bytes queued that nobody reads, 5 is being opened, 6 has no credit.
    client.send(4, &ramp::bytes(600_000));
    client.open(5, NEVER);
    client.open_with_credit(6, 0, 100);
    let six = hub.server();
    send_until_stuck(&six, 0);
    let mut missing =
        vec![(1, OPENED), (2, OPENED), (3, OPENED), (3, FIN), (4, OPENED), (6, OPENED), (6, 0)];
    while !missing.is_empty() {
        let frame = inbox.frame().expect("not the end of the connection");
        missing.retain(|seen| *seen != (frame.stream, frame.flags));
    }
    servers.into_iter().chain([six]).collect()
}

fn goes(leave: impl Fn(MuxClient)) {
    const LINKS: usize = 6;
    scene(|| {
        let session = SessionLimits { outbox: 64 * 1024, ..SessionLimits::default() };
        let hub = Hub::with(Setup { session, narrow: Some(NARROW), ..Setup::default() });
        let (client, other) = (hub.client(), hub.client());
        let spared = hub.stream(&other, 1);
        let servers = streams_in_every_state(&hub, &client);
        // And one that is in the middle of a flood in the direction of the client.
        let flood = hub.stream(&client, 7);
        send_until_stuck(&flood, 0);
        leave(client);
        let ended = hub.relay.ended(LINKS + 1);
        for link in &ended {
            let expected = match link.open_time {
                Some(_) => Outcome::Reset(Side::Downstream),
                None => Outcome::Cancelled,
            };
            assert_eq!(link.outcome, expected, "{link:?}");
            let told = link.detail.as_deref().unwrap_or_default();
            assert!(told.starts_with("the session has ended"), "{link:?}");
        }
        assert_eq!(ended.iter().filter(|link| link.outcome == Outcome::Cancelled).count(), 1);
        for mut server in servers.into_iter().chain([flood]) {
            // Whatever it had got before: it is a reset that it gets then.
            let mut rest = Vec::new();
            let error = server.read_to_end(&mut rest).map(|_| ()).or_else(|error| {
                let is_reset = error.kind() == std::io::ErrorKind::ConnectionReset;
                is_reset.then_some(()).ok_or(error)
            });
            error.expect("the end or a reset");
        }
        // The other session has not noticed.
        other.send(1, b"still here");
        other.finish(1);
        assert_eq!(nsplice_testkit::talk::read_exactly(&spared, 10), b"still here");
        expect_eof(&spared);
        drop(spared);
        hub.relay.ended(LINKS + 2);
        drop(other);
        let totals = hub.close();
        assert_eq!(totals.ended_as(Outcome::Clean), 1);
        assert_eq!((totals.sessions_opened, totals.sessions_ended), (2, 2));
    });
}

#[test]
fn a_client_that_ends_its_connection_ends_all_its_streams() {
    goes(drop);
}

#[test]
fn a_client_that_resets_its_connection_ends_all_its_streams() {
    goes(|client| reset(client.socket));
}

#[test]
fn a_client_that_ends_what_it_sends_ends_all_its_streams() {
    goes(|client| {
        client.half_close();
        let mut inbox = client.inbox();
        while inbox.frame().is_some() {}
    });
}

#[test]
fn clients_that_come_and_go_leave_nothing() {
    const ROUNDS: u32 = 100;
    scene(|| {
        let hub = Hub::new();
        for round in 0..ROUNDS {
            let client = hub.client();
            client.open(1, 0);
            if round % 2 == 0 {
                // Gone while the upstream may be open or not.
                drop(client);
            } else {
                reset(client.socket);
            }
        }
        hub.relay.ended(1);
        let totals = hub.close();
        assert_eq!(totals.opened, totals.ended_total());
    });
}
