//! What is told of sessions: while they live, at their end, and of their endpoint; and one that is
//! ended by a command.

use std::time::Duration;

use nsplice_relay::{listen as relay_listen, ListenOptions, Outcome, ServiceState, SessionState};
use nsplice_testkit::mux::{MuxClient, BYE, FIN, OPENED, RESET};
use nsplice_testkit::ramp;
use nsplice_testkit::talk::{expect_ramp, expect_reset, send_ramp};
use nsplice_testkit::wait_until;

use super::endpoint::{endpoint, Hub, Setup};
use crate::bench::{wait_not_listening, ANY_PORT};
use crate::scene::scene;

#[test]
fn sessions_are_listed_with_what_they_have_carried() {
    scene(|| {
        let clock = nsplice_relay::Clock::movable();
        let hub = Hub::with(Setup { clock: clock.clone(), ..Setup::default() });
        let client = hub.client();
        let mut inbox = client.inbox();
        let (one, two) = (hub.stream(&client, 1), hub.stream(&client, 2));
        inbox.expect(1, OPENED);
        inbox.expect(2, OPENED);
        hub.relay.advance(Duration::from_secs(60));
        client.send(1, &ramp::bytes(3000));
        expect_ramp(&one, 0, 3000);
        send_ramp(&two, 0, 500);
        assert_eq!(inbox.expect(2, 0), ramp::bytes(500));
        hub.relay.advance(Duration::from_secs(30));
        let sessions = hub.relay.sessions();
        let [session] = sessions.as_slice() else { panic!("one session: {sessions:?}") };
        assert_eq!((session.state, session.streams, session.opened), (SessionState::Serving, 2, 2));
        assert_eq!((session.up, session.down, session.unread, session.unsent), (3000, 500, 0, 0));
        assert_eq!(session.client, client.socket.local_addr().ok());
        assert_eq!(&*session.endpoint.service, "mux");
        let (age, silence) = (session.age.as_secs(), session.silence.as_secs());
        assert!(age >= 90 && (30..90).contains(&silence), "{session:?}");
        // Its streams are links, which say whose they are.
        let links = hub.relay.links();
        assert_eq!(links.len(), 2);
        assert!(links.iter().all(|link| link.session == Some(session.id)), "{links:?}");
        drop((client, one, two));
        let ended = hub.relay.ended_sessions(1).remove(0);
        assert_eq!((ended.id, ended.streams), (session.id, 2));
        assert_eq!((ended.up, ended.down, ended.outcome), (3000, 500, Outcome::Clean));
        hub.close();
    });
}

#[test]
fn a_session_is_ended_by_command_and_no_other() {
    scene(|| {
        let hub = Hub::new();
        let (client, other) = (hub.client(), hub.client());
        let server = hub.stream(&client, 1);
        let id = hub.relay.sessions().iter().find(|each| each.streams == 1).expect("it").id;
        let spared = hub.stream(&other, 1);
        let (mut inbox, mut others) = (client.inbox(), other.inbox());
        inbox.expect(1, OPENED);
        others.expect(1, OPENED);
        let end = || hub.relay.handle.end_session(id).expect("tell the loop").wait();
        assert_eq!(end(), Some(true));
        expect_reset(&server);
        let ended = hub.relay.ended_sessions(1).remove(0);
        assert_eq!((ended.id, ended.outcome), (id, Outcome::Stopped));
        assert_eq!(ended.detail.as_deref(), Some("ended by command"));
        assert_eq!(end(), Some(false), "it is there still");
        other.send(1, &ramp::bytes(100));
        expect_ramp(&spared, 0, 100);
        drop((other, spared));
        hub.relay.ended_sessions(2);
        hub.close();
    });
}

#[test]
fn an_endpoint_is_served_reported_and_retired_while_the_loop_runs() {
    scene(|| {
        let hub = Hub::new();
        let listener = relay_listen(ANY_PORT, ListenOptions::default()).expect("listen");
        let address = listener.local_addr().expect("a listener has an address");
        let service = endpoint(hub.target(), Setup::default());
        let id = hub.relay.handle.serve(service, vec![listener]).expect("tell the loop");
        let id = id.wait().expect("an answer").expect("add the endpoint");
        let report = || {
            let reports = hub.relay.handle.services().expect("ask the loop").wait();
            reports.expect("an answer").into_iter().find(|report| report.id == id)
        };
        let client = MuxClient::connect(address);
        let mut inbox = client.inbox();
        let server = hub.stream(&client, 1);
        inbox.expect(1, OPENED);
        let told = report().expect("it serves");
        assert_eq!((told.state, told.sessions, told.links), (ServiceState::Serving, 1, 1));
        assert_eq!((told.addresses, told.totals.sessions_opened), (vec![address], 1));
        // Served otherwise from now on; the session has what it was accepted on.
        let no_more = Setup { sessions: 0, ..Setup::default() };
        let replaced = hub.relay.handle.replace(id, endpoint(hub.target(), no_more));
        replaced.expect("tell the loop").wait().expect("an answer").expect("replace it");
        expect_reset(&nsplice_testkit::knock(address));
        let second = hub.stream(&client, 2);
        inbox.expect(2, OPENED);
        let retired = hub.relay.handle.retire(id, None).expect("tell the loop").wait();
        assert_eq!(retired.expect("an answer").expect("retire it"), 2);
        inbox.expect(0, BYE);
        wait_not_listening(address);
        let told = report().expect("it drains");
        assert_eq!((told.state, told.sessions), (ServiceState::Draining { until: None }, 1));
        client.open(3, 0);
        inbox.expect(3, RESET);
        send_ramp(&server, 0, 10);
        assert_eq!(inbox.expect(1, 0), ramp::bytes(10));
        for stream in [1, 2] {
            client.finish(stream);
        }
        drop((server, second));
        for _ in 0..2 {
            assert_eq!(inbox.frame().map(|frame| frame.flags), Some(FIN));
        }
        assert_eq!(inbox.frame(), None);
        wait_until("the endpoint to be forgotten", || report().is_none());
        let stopped = hub.relay.stopped();
        assert_eq!((stopped.len(), stopped[0].state), (1, ServiceState::Stopped));
        assert_eq!((stopped[0].sessions, stopped[0].links), (0, 0));
        // The loop's other endpoint is not touched.
        let client = hub.client();
        let server = hub.stream(&client, 1);
        client.inbox().expect(1, OPENED);
        drop((client, server));
        hub.relay.ended_sessions(2);
        hub.close();
    });
}
