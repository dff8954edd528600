//! Commands to a loop that runs, and their answers.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nsplice_relay::{
    listen as relay_listen, Answer, Counters, Forward, GlimpseMeans, GlimpseStage, Limit,
    ListenOptions, Outcome, RelayError, ServiceId, ServiceState, Settings,
};
use nsplice_testkit::talk::{
    echo, expect_eof, expect_ramp, expect_reset, half_close, read_exactly, send_ramp,
};
use nsplice_testkit::{connect, listen, wait_until, Server};

use crate::bench::{accept, wait_not_listening, ANY_PORT};
use crate::handover::upstream;
use crate::openers::{connecting, forward};
use crate::running::Running;
use crate::scene::in_both_modes;

/// A loop that has nothing to do yet.
#[track_caller]
fn idle(settings: Settings) -> Running {
    Running::start(Settings { stays: true, ..settings }, |_| {})
}

/// Adds a service, and tells where it listens.
#[track_caller]
fn serve(relay: &Running, forward: Forward) -> (ServiceId, SocketAddr) {
    let listener = relay_listen(ANY_PORT, ListenOptions::default()).expect("listen");
    let address = listener.local_addr().expect("an address");
    let service = answer(relay.handle.serve(forward, [listener])).expect("it serves");
    (service, address)
}

#[track_caller]
fn answer<T>(asked: std::io::Result<Answer<T>>) -> T {
    asked.expect("ask the loop").wait().expect("an answer")
}

/// A server that says who it is, and echoes.
fn server(name: u8) -> Server<u64> {
    Server::start(listen("127.0.0.1:0"), move |stream| {
        (&stream).write_all(&[name]).expect("say the name");
        echo(stream)
    })
}

/// Opens a link, uses it, and ends it well. Tells who served it.
#[track_caller]
fn talk(address: SocketAddr) -> u8 {
    let client = connect(address);
    let name = read_exactly(&client, 1)[0];
    send_ramp(&client, 0, 1000);
    expect_ramp(&client, 0, 1000);
    half_close(&client);
    expect_eof(&client);
    name
}

#[track_caller]
fn ping(client: &TcpStream, count: u64) {
    send_ramp(client, count * 10, 10);
    expect_ramp(client, count * 10, 10);
}

#[test]
fn services_come_change_and_go_and_no_client_notices() {
    const REPLACEMENTS: usize = 40;
    in_both_modes(|settings| {
        let (first, second) = (server(b'a'), server(b'b'));
        let relay = idle(settings);
        let books = Arc::new(Counters::default());
        let to = |server: &Server<u64>| Forward {
            counters: Arc::clone(&books),
            ..forward(connecting(server.address()))
        };
        let (service, address) = serve(&relay, to(&first));
        let old = connect(address);
        assert_eq!(read_exactly(&old, 1), b"a");
        let enough = AtomicBool::new(false);
        let talks = thread::scope(|scope| {
            let clients: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let mut talks = 0;
                        while !enough.load(Ordering::Relaxed) {
                            talk(address);
                            talks += 1;
                        }
                        talks
                    })
                })
                .collect();
            for count in 0..REPLACEMENTS {
                let next = if count % 2 == 0 { &second } else { &first };
                answer(relay.handle.replace(service, to(next))).expect("it is replaced");
                // Who comes after the answer meets the new one.
                assert_eq!(talk(address), if count % 2 == 0 { b'b' } else { b'a' });
                ping(&old, count as u64);
            }
            enough.store(true, Ordering::Relaxed);
            clients.into_iter().map(|client| client.join().expect("no client fails")).sum::<usize>()
        });
        // It is retired, and the links that it has go on.
        assert_eq!(answer(relay.handle.retire(service, None)).expect("it is there"), 1);
        wait_not_listening(address);
        ping(&old, REPLACEMENTS as u64);
        let [report] = &answer(relay.handle.services())[..] else { panic!("one service is left") };
        assert_eq!((report.state, report.links), (ServiceState::Draining { until: None }, 1));
        assert!(report.addresses.is_empty());
        for error in [
            answer(relay.handle.retire(service, None)).map(drop).unwrap_err(),
            answer(relay.handle.replace(service, to(&first))).unwrap_err(),
        ] {
            assert!(matches!(error, RelayError::NoSuchService), "{error}");
        }
        half_close(&old);
        expect_eof(&old);
        let links = REPLACEMENTS + talks + 1;
        assert!(relay.ended(links).iter().all(|link| link.outcome == Outcome::Clean));
        wait_until("the service to be forgotten", || answer(relay.handle.services()).is_empty());
        let stopped = relay.stopped();
        let [report] = &stopped[..] else { panic!("{stopped:?}") };
        assert_eq!((report.id, report.state), (service, ServiceState::Stopped));
        assert_eq!(report.totals.ended_as(Outcome::Clean), links as u64);
        assert_eq!(report.totals, books.totals());
        // The loop has stayed, for the next one.
        let (_, address) = serve(&relay, to(&second));
        assert_eq!(talk(address), b'b');
        assert_eq!(answer(relay.handle.drain(None)), 0);
        relay.wait_returned();
        relay.close();
        first.join();
        second.join();
    });
}

#[test]
fn a_retired_service_gives_its_links_their_time_and_leaves_others_alone() {
    in_both_modes(|settings| {
        let upstream = upstream();
        let target = upstream.local_addr().expect("an address");
        let relay = idle(settings);
        let (retired, address) = serve(&relay, forward(connecting(target)));
        let (kept, other) = serve(&relay, forward(connecting(target)));
        assert_ne!(retired, kept);
        let (client, server) = (connect(address), accept(&upstream));
        let (bystander, its_server) = (connect(other), accept(&upstream));
        let time = Some(Duration::from_millis(300));
        assert_eq!(answer(relay.handle.retire(retired, time)).expect("it is there"), 1);
        wait_not_listening(address);
        expect_reset(&client);
        expect_reset(&server);
        let ended = relay.ended(1);
        assert_eq!(ended[0].outcome, Outcome::Expired(Limit::Drain));
        send_ramp(&bystander, 0, 10);
        expect_ramp(&its_server, 0, 10);
        assert_eq!(answer(relay.handle.stop()), 0);
        expect_reset(&bystander);
        drop((client, server, bystander, its_server));
        relay.wait_returned();
        relay.close();
    });
}

#[test]
fn one_link_is_ended_and_no_other() {
    in_both_modes(|settings| {
        let upstream = upstream();
        let target = upstream.local_addr().expect("an address");
        let relay = idle(settings);
        let (_, address) = serve(&relay, forward(connecting(target)));
        let links: Vec<_> = (0..3).map(|_| (connect(address), accept(&upstream))).collect();
        for (client, server) in &links {
            send_ramp(client, 0, 10);
            expect_ramp(server, 0, 10);
        }
        half_close(&links[2].0);
        expect_eof(&links[2].1);
        let found = answer(relay.handle.links());
        let of = |index: usize| {
            let client = links[index].0.local_addr().ok();
            found.iter().find(|link| link.client == client).expect("it is in the list")
        };
        assert_eq!((of(1).stage, of(2).stage), (GlimpseStage::Open, GlimpseStage::HalfClosed));
        assert_eq!((of(1).up.written, of(1).means), (10, [Some(GlimpseMeans::Copy); 2]));
        assert_eq!(of(2).means, [None, Some(GlimpseMeans::Copy)]);
        let id = of(1).id;
        assert!(answer(relay.handle.end(id)));
        expect_reset(&links[1].0);
        expect_reset(&links[1].1);
        let ended = relay.only_end();
        assert_eq!((ended.id, ended.outcome), (id, Outcome::Stopped));
        assert_eq!(ended.detail.as_deref(), Some("ended by command"));
        assert!(!answer(relay.handle.end(id)), "it has ended");
        send_ramp(&links[0].0, 10, 10);
        expect_ramp(&links[0].1, 10, 10);
        drop(links);
        relay.ended(3);
        relay.close();
    });
}

#[test]
fn a_loop_that_drains_takes_no_service_and_one_that_has_ended_answers_nothing() {
    in_both_modes(|settings| {
        let upstream = upstream();
        let target = upstream.local_addr().expect("an address");
        let relay = idle(settings);
        let (_, address) = serve(&relay, forward(connecting(target)));
        let (client, server) = (connect(address), accept(&upstream));
        send_ramp(&client, 0, 10);
        expect_ramp(&server, 0, 10);
        assert_eq!(answer(relay.handle.drain(None)), 1);
        let late = relay_listen(ANY_PORT, ListenOptions::default()).expect("listen");
        let address = late.local_addr().expect("an address");
        let refused = answer(relay.handle.serve(forward(connecting(target)), [late]));
        assert!(matches!(refused, Err(RelayError::Draining)), "{refused:?}");
        wait_not_listening(address);
        drop((client, server));
        relay.wait_returned();
        let handle = relay.handle.clone();
        relay.close();
        assert!(handle.links().expect("it can be asked").wait().is_none());
        assert!(handle.drain(None).expect("it can be told").wait().is_none());
    });
}
