//! Many streams in a session, and many sessions: what each costs.

use std::collections::HashSet;
use std::fs;
use std::thread;

use nsplice_relay::Outcome;
use nsplice_testkit::mux::{FIN, OPENED};
use nsplice_testkit::talk::{echo, expect_eof, expect_ramp, send_ramp};
use nsplice_testkit::{ramp, wait_until};

use super::endpoint::{Hub, Setup};
use crate::scene::scene;

/// What the process holds of a kind, by the name that /proc gives it.
fn held(kind: &str) -> usize {
    let entries = fs::read_dir("/proc/self/fd").expect("our descriptors").flatten();
    let names = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    names.filter(|name| name.to_string_lossy().starts_with(kind)).count()
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").expect("our threads").count()
}

#[test]
fn a_thousand_streams_cost_a_descriptor_each_and_nothing_else() {
    const STREAMS: u32 = 1000;
    scene(|| {
        let hub = Hub::with(Setup::default());
        let client = hub.client();
        let mut inbox = client.inbox();
        let warm_up = hub.stream(&client, STREAMS + 1);
        inbox.expect(STREAMS + 1, OPENED);
        let before = (held("socket:"), held(""), threads());
        let servers: Vec<_> = (1..=STREAMS).map(|id| hub.stream(&client, id)).collect();
        for (id, server) in (1..).zip(&servers) {
            client.send(id, &ramp::bytes(100));
            expect_ramp(server, 0, 100);
            send_ramp(server, 0, 100);
        }
        let (mut opened, mut answered) = (0, 0);
        while answered < STREAMS * 100 {
            let frame = inbox.frame().expect("not the end of the connection");
            match frame.flags {
                OPENED => opened += 1,
                _ => answered += u32::try_from(frame.bytes.len()).unwrap(),
            }
        }
        assert_eq!(opened, STREAMS);
        let each = STREAMS as usize;
        // One of the loop's, and one of the server's.
        let after = (held("socket:"), held(""), threads());
        assert_eq!(after, (before.0 + 2 * each, before.1 + 2 * each, before.2));
        hub.relay.assert_at_rest(std::time::Duration::from_millis(300));
        let mut open: HashSet<u32> = (1..=STREAMS).collect();
        open.iter().for_each(|id| client.finish(*id));
        for server in servers {
            expect_eof(&server);
        }
        while !open.is_empty() {
            let frame = inbox.frame().expect("not the end of the connection");
            assert_eq!(frame.flags, FIN);
            assert!(open.remove(&frame.stream));
        }
        hub.relay.ended(each);
        wait_until("all descriptors to be closed", || held("socket:") == before.0);
        drop((warm_up, client));
        let totals = hub.close();
        assert_eq!(totals.ended_as(Outcome::Clean), u64::from(STREAMS));
    });
}

#[test]
fn two_hundred_sessions_at_once_are_whole() {
    const SESSIONS: usize = 200;
    const STREAMS: u32 = 5;
    const EACH: usize = 50_000;
    scene(|| {
        let hub = Hub::new();
        let clients: Vec<_> = (0..SESSIONS).map(|_| hub.client()).collect();
        thread::scope(|scope| {
            for client in &clients {
                for id in 1..=STREAMS {
                    let server = hub.stream(client, id);
                    scope.spawn(move || echo(server));
                }
            }
            let payload = ramp::bytes(EACH);
            for id in 1..=STREAMS {
                for client in &clients {
                    client.send(id, &payload);
                    client.finish(id);
                }
            }
            for client in &clients {
                let (mut inbox, mut seen, mut open) = (client.inbox(), [0u64; 6], STREAMS);
                while open > 0 {
                    let frame = inbox.frame().expect("not the end of the connection");
                    let offset = &mut seen[frame.stream as usize];
                    ramp::verify(*offset, &frame.bytes).unwrap();
                    *offset += frame.bytes.len() as u64;
                    open -= u32::from(frame.flags & FIN != 0);
                }
                assert_eq!(seen[1..], [EACH as u64; STREAMS as usize]);
            }
        });
        let links = SESSIONS * STREAMS as usize;
        hub.relay.ended(links);
        drop(clients);
        let totals = hub.close();
        assert_eq!(totals.ended_as(Outcome::Clean), links as u64);
        assert_eq!(totals.sessions_opened, SESSIONS as u64);
    });
}
