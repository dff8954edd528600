//! What a protocol does by the clock and by its client's answers: pings, deadlines that pings do not
//! renew, bytes that wait for a pong; and what a stream never does by the clock.

use std::time::Duration;

use nsplice_relay::{Clock, Limit, Limits, Outcome};
use nsplice_testkit::mux::{BYE, OPENED, PING, RESET};
use nsplice_testkit::ramp;
use nsplice_testkit::talk::{expect_eof, expect_ramp, expect_reset, half_close, send_ramp};

use super::endpoint::{Hub, Setup};
use crate::scene::scene;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn pings_come_at_their_pace_and_their_answers_renew_nothing() {
    scene(|| {
        let clock = Clock::movable();
        let (pings, quiet) = (Some(MINUTE), Some(MINUTE * 5 + MINUTE / 2));
        let hub = Hub::with(Setup { clock: clock.clone(), pings, quiet, ..Setup::default() });
        let client = hub.client();
        let mut inbox = client.inbox();
        let server = hub.stream(&client, 1);
        inbox.expect(1, OPENED);
        for _ in 0..5 {
            hub.relay.advance(MINUTE);
            inbox.expect(0, PING);
            client.pong(0);
        }
        assert_eq!(hub.relay.sessions().len(), 1);
        hub.relay.advance(MINUTE / 2);
        assert_eq!(inbox.expect(0, BYE), b"too quiet");
        assert_eq!(inbox.frame(), None);
        expect_reset(&server);
        hub.relay.ended_sessions(1);
        hub.close();
    });
}

#[test]
fn a_stream_whose_pings_are_not_answered_waits_and_the_others_do_not() {
    const PACE: u64 = 100_000;
    scene(|| {
        let hub = Hub::with(Setup { pace: Some(PACE), ..Setup::default() });
        let client = hub.client();
        let mut inbox = client.inbox();
        let (one, two) = (hub.stream(&client, 1), hub.stream(&client, 2));
        inbox.expect(1, OPENED);
        inbox.expect(2, OPENED);
        let mut expect_paced = |stream, offset: u64| {
            let mut seen = offset;
            loop {
                let frame = inbox.frame().expect("not the end of the connection");
                assert_eq!(frame.stream, stream);
                if frame.flags == PING {
                    return assert_eq!(seen, offset + PACE, "sent without an answer");
                }
                ramp::verify(seen, &frame.bytes).unwrap();
                seen += frame.bytes.len() as u64;
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| send_ramp(&one, 0, 3 * PACE));
            expect_paced(1, 0);
            scope.spawn(|| send_ramp(&two, 0, 2 * PACE));
            expect_paced(2, 0);
            client.pong(2);
            expect_paced(2, PACE);
            client.pong(1);
            expect_paced(1, PACE);
            client.pong(1);
            expect_paced(1, 2 * PACE);
        });
        drop((client, one, two));
        hub.relay.ended(2);
        hub.close();
    });
}

#[test]
fn a_half_closed_stream_waits_for_a_late_answer_without_any_timer() {
    scene(|| {
        let clock = Clock::movable();
        let hub = Hub::with(Setup { clock: clock.clone(), ..Setup::default() });
        let client = hub.client();
        let mut inbox = client.inbox();
        let (asked, asking) = (hub.stream(&client, 1), hub.stream(&client, 2));
        inbox.expect(1, OPENED);
        inbox.expect(2, OPENED);
        client.finish(1);
        expect_eof(&asked);
        half_close(&asking);
        assert_eq!(inbox.expect_whole(2), []);
        hub.relay.advance(MINUTE * 60 * 24);
        send_ramp(&asked, 0, 1000);
        drop(asked);
        assert_eq!(inbox.expect_whole(1), ramp::bytes(1000));
        client.send(2, &ramp::bytes(1000));
        client.finish(2);
        expect_ramp(&asking, 0, 1000);
        expect_eof(&asking);
        let ended = hub.relay.ended(2);
        assert!(ended.iter().all(|link| link.outcome == Outcome::Clean), "{ended:?}");
        drop((client, asking));
        hub.close();
    });
}

#[test]
fn what_moves_renews_the_linger_time_of_a_stream() {
    scene(|| {
        let clock = Clock::movable();
        let links = Limits { linger: Some(MINUTE), ..Limits::default() };
        let hub = Hub::with(Setup { clock: clock.clone(), links, ..Setup::default() });
        let client = hub.client();
        let mut inbox = client.inbox();
        let server = hub.stream(&client, 1);
        inbox.expect(1, OPENED);
        client.finish(1);
        expect_eof(&server);
        for _ in 0..5 {
            hub.relay.advance(MINUTE * 2 / 3);
            send_ramp(&server, 0, 10);
            assert_eq!(inbox.expect(1, 0), ramp::bytes(10));
        }
        hub.relay.advance(MINUTE * 2 / 3);
        assert_eq!(hub.relay.links().len(), 1, "it has ended early");
        hub.relay.advance(MINUTE * 2 / 3);
        let reason = String::from_utf8(inbox.expect(1, RESET)).expect("a reason is text");
        assert!(reason.starts_with("linger-timeout"), "{reason}");
        assert_eq!(hub.relay.only_end().outcome, Outcome::Expired(Limit::Linger));
        drop(client);
        hub.close();
    });
}
