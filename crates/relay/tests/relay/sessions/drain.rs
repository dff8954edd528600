//! How sessions end: by a drain, a stop, their own deadline, and what a client says that makes no sense.

use std::time::Duration;

use nsplice_relay::{Limit, Limits, Outcome, Side};
use nsplice_testkit::mux::{BYE, FIN, OPENED, RESET};
use nsplice_testkit::ramp;
use nsplice_testkit::talk::{expect_eof, expect_ramp, expect_reset, send_ramp};

use super::endpoint::{Hub, Setup, NEVER};
use crate::bench::wait_not_listening;
use crate::scene::scene;

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("a reason is text")
}

#[test]
fn a_drain_says_good_bye_and_lets_streams_end() {
    scene(|| {
        let hub = Hub::new();
        let (client, idle) = (hub.client(), hub.client());
        let mut inbox = client.inbox();
        let server = hub.stream(&client, 1);
        inbox.expect(1, OPENED);
        hub.relay.handle.drain(None).expect("drain");
        inbox.expect(0, BYE);
        wait_not_listening(hub.address);
        // A session without streams has nothing to wait for.
        let mut others = idle.inbox();
        others.expect(0, BYE);
        assert_eq!(others.frame(), None);
        client.open(2, 0);
        let reason = text(inbox.expect(2, RESET));
        assert_eq!(reason, "the relay is draining and takes nothing new");
        client.send(1, &ramp::bytes(1000));
        expect_ramp(&server, 0, 1000);
        client.finish(1);
        expect_eof(&server);
        send_ramp(&server, 0, 1000);
        drop(server);
        assert_eq!(inbox.expect_whole(1), ramp::bytes(1000));
        assert_eq!(inbox.frame(), None);
        hub.relay.wait_returned();
        assert_eq!(hub.only_end().outcome, Outcome::Clean);
    });
}

#[test]
fn the_end_of_the_drain_time_ends_sessions_too() {
    scene(|| {
        let hub = Hub::new();
        let client = hub.client();
        let mut inbox = client.inbox();
        let server = hub.stream(&client, 1);
        inbox.expect(1, OPENED);
        hub.relay.handle.drain(Some(Duration::from_millis(300))).expect("drain");
        inbox.expect(0, BYE);
        assert!(text(inbox.expect(1, RESET)).starts_with("drain-timeout"));
        assert_eq!(inbox.frame(), None);
        expect_reset(&server);
        hub.relay.wait_returned();
        assert_eq!(hub.only_end().outcome, Outcome::Expired(Limit::Drain));
    });
}

#[test]
fn a_stop_ends_streams_and_sessions_at_once() {
    scene(|| {
        let hub = Hub::new();
        let client = hub.client();
        let mut inbox = client.inbox();
        let server = hub.stream(&client, 1);
        client.open(2, NEVER);
        inbox.expect(1, OPENED);
        // That a third one is open says that the second is being opened.
        let third = hub.stream(&client, 3);
        inbox.expect(3, OPENED);
        hub.relay.handle.stop().expect("stop");
        inbox.expect(0, BYE);
        for _ in 0..3 {
            let frame = inbox.frame().expect("a reset of each stream");
            assert_eq!((frame.flags, text(frame.bytes)), (RESET, "stopped: ".to_owned()));
        }
        assert_eq!(inbox.frame(), None);
        expect_reset(&server);
        expect_reset(&third);
        hub.relay.wait_returned();
        assert_eq!(hub.close().ended_as(Outcome::Stopped), 3);
    });
}

#[test]
fn the_time_limits_of_a_stream_are_told_to_its_client() {
    scene(|| {
        let brief = Duration::from_millis(400);
        let links = Limits { connect_timeout: brief, idle_timeout: Some(brief), linger: None };
        let hub = Hub::with(Setup { links, ..Setup::default() });
        let client = hub.client();
        let mut inbox = client.inbox();
        client.open(1, NEVER);
        assert!(text(inbox.expect(1, RESET)).starts_with("connect-timeout: the upstream was not"));
        let server = hub.stream(&client, 2);
        inbox.expect(2, OPENED);
        assert_eq!(text(inbox.expect(2, RESET)), "idle-timeout: ");
        expect_reset(&server);
        hub.relay.ended(2);
        drop(client);
        assert_eq!(hub.close().ended_as(Outcome::Expired(Limit::Idle)), 1);
    });
}

#[test]
fn a_session_may_end_itself_by_the_clock_and_say_so() {
    scene(|| {
        let quiet = Some(Duration::from_millis(400));
        let hub = Hub::with(Setup { quiet, ..Setup::default() });
        let client = hub.client();
        let mut inbox = client.inbox();
        let server = hub.stream(&client, 1);
        inbox.expect(1, OPENED);
        assert_eq!(text(inbox.expect(0, BYE)), "too quiet");
        assert_eq!(inbox.frame(), None);
        expect_reset(&server);
        let ended = hub.only_end();
        assert_eq!(ended.outcome, Outcome::Reset(Side::Downstream));
        assert_eq!(ended.detail.as_deref(), Some("the session has ended: too quiet"));
    });
}

#[test]
fn what_makes_no_sense_ends_its_session_and_no_other() {
    scene(|| {
        let hub = Hub::new();
        let (client, other) = (hub.client(), hub.client());
        let server = hub.stream(&client, 1);
        let spared = hub.stream(&other, 1);
        client.send_frame(7, 0xff, b"what?");
        let mut inbox = client.inbox();
        inbox.expect(1, OPENED);
        assert_eq!(inbox.frame(), None);
        expect_reset(&server);
        let ended = hub.relay.only_end();
        assert_eq!(ended.detail.as_deref(), Some("the session has ended: a frame makes no sense"));
        other.send(1, &ramp::bytes(100));
        expect_ramp(&spared, 0, 100);
        other.finish(1);
        drop(spared);
        let mut inbox = other.inbox();
        inbox.expect(1, OPENED);
        inbox.expect(1, FIN);
        hub.relay.ended(2);
        hub.close();
    });
}
