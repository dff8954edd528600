//! How streams end: each way by FIN, each way by a reset with its reason, and before they began.

use nsplice_relay::{OpenClass, Outcome, Side};
use nsplice_testkit::mux::{FIN, OPENED, RESET};
use nsplice_testkit::ramp;
use nsplice_testkit::talk::{expect_eof, expect_ramp, expect_reset, half_close, reset, send_ramp};

use super::endpoint::{Hub, Setup, REFUSES};
use crate::scene::scene;

#[test]
fn a_client_may_end_what_it_sends_and_still_be_answered() {
    scene(|| {
        let hub = Hub::new();
        let client = hub.client();
        let mut inbox = client.inbox();
        let server = hub.stream(&client, 1);
        inbox.expect(1, OPENED);
        client.send(1, &ramp::bytes(5000));
        client.finish(1);
        expect_ramp(&server, 0, 5000);
        expect_eof(&server);
        send_ramp(&server, 0, 3000);
        drop(server);
        assert_eq!(inbox.expect_whole(1), ramp::bytes(3000));
        let ended = hub.only_end();
        assert_eq!((ended.outcome, ended.up.written), (Outcome::Clean, 5000));
        assert_eq!((ended.down.written, ended.detail), (3000, None));
    });
}

#[test]
fn a_server_may_end_what_it_sends_and_still_be_answered() {
    scene(|| {
        let hub = Hub::new();
        let client = hub.client();
        let mut inbox = client.inbox();
        let server = hub.stream(&client, 1);
        inbox.expect(1, OPENED);
        send_ramp(&server, 0, 3000);
        half_close(&server);
        assert_eq!(inbox.expect_whole(1), ramp::bytes(3000));
        client.send(1, &ramp::bytes(5000));
        expect_ramp(&server, 0, 5000);
        client.finish(1);
        expect_eof(&server);
        let ended = hub.only_end();
        assert_eq!((ended.outcome, ended.up.written), (Outcome::Clean, 5000));
        drop(server);
    });
}

#[test]
fn a_reset_of_the_client_reaches_the_server_with_its_reason_in_the_record() {
    scene(|| {
        let hub = Hub::new();
        let client = hub.client();
        let mut inbox = client.inbox();
        let (server, other) = (hub.stream(&client, 1), hub.stream(&client, 2));
        client.send(1, &ramp::bytes(10));
        expect_ramp(&server, 0, 10);
        client.reset(1, "the user pressed a key");
        expect_reset(&server);
        let ended = hub.relay.only_end();
        assert_eq!(ended.outcome, Outcome::Reset(Side::Downstream));
        assert_eq!(ended.detail.as_deref(), Some("the user pressed a key"));
        // The other stream has not noticed.
        client.send(2, &ramp::bytes(10));
        expect_ramp(&other, 0, 10);
        client.finish(2);
        expect_eof(&other);
        drop(other);
        loop {
            let frame = inbox.frame().expect("not the end of the connection");
            if (frame.stream, frame.flags) == (2, FIN) {
                break;
            }
        }
        drop(client);
        assert_eq!(hub.close().ended_as(Outcome::Clean), 1);
    });
}

#[test]
fn a_reset_of_the_server_reaches_the_client_with_its_reason() {
    scene(|| {
        let hub = Hub::new();
        let client = hub.client();
        let mut inbox = client.inbox();
        let server = hub.stream(&client, 1);
        inbox.expect(1, OPENED);
        client.send(1, &ramp::bytes(10));
        expect_ramp(&server, 0, 10);
        reset(server);
        let reason = String::from_utf8(inbox.expect(1, RESET)).unwrap();
        assert_eq!(reason, "reset-by-upstream: Connection reset by peer");
        assert_eq!(hub.only_end().outcome, Outcome::Reset(Side::Upstream));
    });
}

#[test]
fn a_reset_of_the_server_after_its_end_is_told_as_well() {
    scene(|| {
        let hub = Hub::new();
        let client = hub.client();
        let mut inbox = client.inbox();
        let server = hub.stream(&client, 1);
        inbox.expect(1, OPENED);
        half_close(&server);
        inbox.expect(1, FIN);
        reset(server);
        let ended = hub.relay.only_end();
        assert_eq!(ended.outcome, Outcome::Reset(Side::Upstream));
        // It has everything, the end included; what it sends on the stream now is nobody's.
        client.send(1, &ramp::bytes(10));
        let next = hub.stream(&client, 2);
        inbox.expect(2, OPENED);
        drop(next);
        inbox.expect(2, FIN);
        client.finish(2);
        hub.relay.ended(2);
        hub.close();
    });
}

#[test]
fn a_refused_upstream_is_told_on_its_stream_and_nowhere_else() {
    scene(|| {
        let hub = Hub::new();
        let client = hub.client();
        let mut inbox = client.inbox();
        let server = hub.stream(&client, 1);
        inbox.expect(1, OPENED);
        for stream in 2..10 {
            client.open(stream, REFUSES);
            client.send(stream, &ramp::bytes(1000));
            client.finish(stream);
            let reason = String::from_utf8(inbox.expect(stream, RESET)).unwrap();
            assert_eq!(reason, "refused: as scripted: refused");
        }
        client.send(1, &ramp::bytes(10));
        expect_ramp(&server, 0, 10);
        client.finish(1);
        drop(server);
        inbox.expect(1, FIN);
        hub.relay.ended(9);
        drop(client);
        let totals = hub.close();
        assert_eq!(totals.ended_as(Outcome::OpenFailed(OpenClass::Refused)), 8);
        assert_eq!(totals.ended_as(Outcome::Clean), 1);
    });
}

#[test]
fn a_stream_without_a_place_is_told_so() {
    scene(|| {
        let hub = Hub::with(Setup { places: 1, ..Setup::default() });
        let client = hub.client();
        let mut inbox = client.inbox();
        let server = hub.stream(&client, 1);
        inbox.expect(1, OPENED);
        client.open(2, 0);
        let reason = String::from_utf8(inbox.expect(2, RESET)).unwrap();
        assert!(reason.contains("no place left"), "{reason}");
        client.finish(1);
        drop(server);
        inbox.expect(1, FIN);
        let next = hub.stream(&client, 3);
        inbox.expect(3, OPENED);
        drop(next);
        inbox.expect(3, FIN);
        client.finish(3);
        hub.relay.ended(2);
        drop(client);
        assert_eq!(hub.close().rejected, 1);
    });
}

#[test]
fn a_name_that_is_taken_is_not_opened_again() {
    scene(|| {
        let hub = Hub::new();
        let client = hub.client();
        let mut inbox = client.inbox();
        let server = hub.stream(&client, 1);
        inbox.expect(1, OPENED);
        client.open(1, 0);
        let reason = String::from_utf8(inbox.expect(1, RESET)).unwrap();
        assert_eq!(reason, "there is a stream of that name");
        client.finish(1);
        drop(server);
        inbox.expect(1, FIN);
        assert_eq!(hub.relay.ended(1).len(), 1);
        // Once it is over the name is free.
        let server = hub.stream(&client, 1);
        inbox.expect(1, OPENED);
        drop(server);
        inbox.expect(1, FIN);
        client.finish(1);
        hub.relay.ended(2);
        hub.close();
    });
}
