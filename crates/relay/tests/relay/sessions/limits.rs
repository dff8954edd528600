//! Who may have a session, how many sessions and streams there may be, and what becomes of the others.

use std::sync::Arc;

use nsplice_relay::{
    listen as relay_listen, Admission, Counters, EndpointService, ListenOptions, OpenClass,
    Outcome, Reason, SessionLimits,
};
use nsplice_testkit::mux::{MuxClient, FIN, OPENED, RESET};
use nsplice_testkit::ramp;
use nsplice_testkit::talk::{expect_ramp, expect_reset, send_ramp};
use nsplice_testkit::{knock, wait_until};

use super::endpoint::{endpoint, Hub, Setup, LOOKED_UP};
use crate::admission::{EverySecond, KeepsOut};
use crate::scene::scene;

/// Adds an endpoint whose clients `admission` decides on to the loop, and returns its address.
#[track_caller]
fn guarded(
    hub: &Hub,
    admission: impl Admission + 'static,
    counters: &Arc<Counters>,
) -> std::net::SocketAddr {
    let listener = relay_listen(crate::bench::ANY_PORT, ListenOptions::default()).expect("listen");
    let address = listener.local_addr().expect("a listener has an address");
    let service = EndpointService {
        admission: Some(Box::new(admission)),
        counters: Arc::clone(counters),
        ..endpoint(hub.target(), Setup::default())
    };
    let served = hub.relay.handle.serve(service, vec![listener]).expect("tell the loop");
    served.wait().expect("an answer").expect("add the endpoint");
    address
}

#[test]
fn a_client_is_asked_about_once_for_all_its_streams_and_refused_by_reset() {
    scene(|| {
        let (hub, books) = (Hub::new(), Arc::new(Counters::default()));
        let address = guarded(&hub, EverySecond::default(), &books);
        for _ in 0..3 {
            let client = MuxClient::connect(address);
            let mut inbox = client.inbox();
            // Whoever was asked about each of these would refuse every second one.
            for stream in 1..=4 {
                let server = hub.stream(&client, stream);
                inbox.expect(stream, OPENED);
                client.finish(stream);
                drop(server);
                inbox.expect(stream, FIN);
            }
            expect_reset(&knock(address));
        }
        hub.relay.ended(12);
        assert_eq!(hub.relay.troubles("reason: Client"), 3);
        hub.relay.ended_sessions(3);
        for totals in [hub.close(), books.totals()] {
            assert_eq!((totals.rejected, totals.refused_for(Reason::Client)), (3, 3));
            assert_eq!((totals.sessions_opened, totals.sessions_ended), (3, 3));
            assert_eq!(totals.ended_as(Outcome::Clean), 12);
        }
    });
}

#[test]
fn a_stream_to_what_may_not_be_reached_is_reset_and_its_session_goes_on() {
    scene(|| {
        let (hub, books) = (Hub::new(), Arc::new(Counters::default()));
        let address = guarded(&hub, KeepsOut("web"), &books);
        let client = MuxClient::connect(address);
        let mut inbox = client.inbox();
        client.open(1, LOOKED_UP);
        let reason = String::from_utf8(inbox.expect(1, RESET)).expect("a reason is text");
        assert!(reason.contains("target-forbidden"), "{reason}");
        let server = hub.stream(&client, 2);
        inbox.expect(2, OPENED);
        send_ramp(&server, 0, 10);
        assert_eq!(inbox.expect(2, 0), ramp::bytes(10));
        drop(client);
        let ended = hub.relay.ended(2);
        assert_eq!(ended[0].outcome, Outcome::OpenFailed(OpenClass::Forbidden));
        assert_eq!(books.totals().refused_for(Reason::Target), 1);
        hub.close();
    });
}

#[test]
fn one_session_more_than_there_may_be_is_refused_until_one_ends() {
    scene(|| {
        let hub = Hub::with(Setup { sessions: 2, ..Setup::default() });
        let (first, second) = (hub.client(), hub.client());
        for client in [&first, &second] {
            let server = hub.stream(client, 1);
            send_ramp(&server, 0, 10);
            let mut inbox = client.inbox();
            inbox.expect(1, OPENED);
            assert_eq!(inbox.expect(1, 0), ramp::bytes(10));
            client.finish(1);
        }
        for _ in 0..3 {
            expect_reset(&knock(hub.address));
        }
        assert_eq!(hub.relay.troubles("reason: Sessions"), 3);
        drop(first);
        hub.relay.ended_sessions(1);
        let third = hub.client();
        let server = hub.stream(&third, 1);
        third.inbox().expect(1, OPENED);
        drop((second, third, server));
        hub.relay.ended_sessions(3);
        let totals = hub.close();
        assert_eq!((totals.rejected, totals.refused_for(Reason::Sessions)), (3, 3));
    });
}

#[test]
fn one_stream_more_than_a_session_may_have_is_refused_with_its_reason() {
    scene(|| {
        let session = SessionLimits { streams: 2, ..SessionLimits::default() };
        let hub = Hub::with(Setup { session, ..Setup::default() });
        let (client, other) = (hub.client(), hub.client());
        let mut inbox = client.inbox();
        let (one, two) = (hub.stream(&client, 1), hub.stream(&client, 2));
        inbox.expect(1, OPENED);
        inbox.expect(2, OPENED);
        for stream in 3..10 {
            client.open(stream, 0);
            let reason = String::from_utf8(inbox.expect(stream, RESET)).expect("text");
            assert_eq!(reason, "the session has as many streams as it may have");
        }
        assert_eq!(hub.relay.troubles("reason: Streams"), 7);
        // Neither its other streams nor another session know of it.
        client.send(2, &ramp::bytes(10));
        expect_ramp(&two, 0, 10);
        let theirs = hub.stream(&other, 1);
        other.inbox().expect(1, OPENED);
        client.finish(1);
        drop(one);
        inbox.expect(1, FIN);
        wait_until("the stream to be over", || hub.relay.links().len() == 2);
        let three = hub.stream(&client, 3);
        inbox.expect(3, OPENED);
        drop((client, other, two, three, theirs));
        hub.relay.ended_sessions(2);
        let totals = hub.close();
        assert_eq!((totals.rejected, totals.refused_for(Reason::Streams)), (7, 7));
        assert_eq!(totals.opened, 4);
    });
}
