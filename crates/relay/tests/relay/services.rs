//! Services come and go while the loop runs.

use std::collections::HashSet;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use nsplice_relay::{
    Counters, Downstream, EventSource, Forward, Need, Outcome, Reason, ServiceId, Settings,
    SourceTurn, Totals, Wake,
};
use nsplice_testkit::talk::{expect_eof, expect_ramp, half_close, send_ramp};
use nsplice_testkit::{connect, wait_until};

use crate::bench::{accept, listening, wait_not_listening, ANY_PORT};
use crate::handover::upstream;
use crate::openers::{by, connecting, failing_attempt, forward};
use crate::running::Running;
use crate::scene::{in_both_modes, scene};

#[test]
fn a_service_that_was_adopted_ends_with_its_link() {
    scene(|| {
        let upstream = upstream();
        let target = upstream.local_addr().expect("an address");
        let held = Arc::new(());
        let of_opener = Arc::clone(&held);
        let opener = by(move || {
            let _ = &of_opener;
            failing_attempt(nsplice_relay::OpenClass::Refused)
        });
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let mut address = ANY_PORT;
        let relay = Running::start(Settings::default(), |relay| {
            address = listening(relay, forward(connecting(target)));
            relay.adopt(Downstream::Socket(theirs.into()), forward(opener)).expect("adopt");
        });
        relay.ended(1);
        wait_until("the opener to be dropped", || Arc::strong_count(&held) == 1);
        // The loop goes on for the sake of the other one.
        let (client, server) = (connect(address), accept(&upstream));
        send_ramp(&client, 0, 10);
        expect_ramp(&server, 0, 10);
        drop((client, server, ours));
        relay.ended(2);
        relay.close();
    });
}

#[test]
fn every_link_of_every_loop_has_an_identity_of_its_own() {
    scene(|| {
        let upstream = upstream();
        let target = upstream.local_addr().expect("an address");
        let (mut alive, mut ended) = (HashSet::new(), HashSet::new());
        let loops: Vec<_> = (0..2)
            .map(|_| {
                let mut address = ANY_PORT;
                let relay = Running::start(Settings::default(), |relay| {
                    address = listening(relay, forward(connecting(target)));
                });
                let links: Vec<_> =
                    (0..10).map(|_| (connect(address), accept(&upstream))).collect();
                (relay, links)
            })
            .collect();
        for (relay, links) in loops {
            let found = relay.links();
            assert!(found.iter().all(|link| &*link.labels.service == "test"));
            alive.extend(found.iter().map(|link| link.id));
            drop(links);
            ended.extend(relay.ended(10).iter().map(|link| link.id));
            relay.close();
        }
        assert_eq!((alive.len(), &alive), (20, &ended));
    });
}

#[test]
fn bytes_count_while_they_flow_and_loops_share_the_books_of_a_service() {
    in_both_modes(|settings| {
        let upstream = upstream();
        let target = upstream.local_addr().expect("an address");
        let books = Arc::new(Counters::default());
        let loops: Vec<_> = (0..2)
            .map(|_| {
                let counters = Arc::clone(&books);
                let mut address = ANY_PORT;
                let relay = Running::start(settings.clone(), |relay| {
                    let forward = Forward { counters, ..forward(connecting(target)) };
                    address = listening(relay, forward);
                });
                (relay, connect(address), accept(&upstream))
            })
            .collect();
        for (number, (relay, client, server)) in (1..).zip(&loops) {
            send_ramp(client, 0, 1 << 20);
            expect_ramp(server, 0, 1 << 20);
            send_ramp(server, 0, 100);
            expect_ramp(client, 0, 100);
            let own = || relay.handle.counters().totals();
            wait_until("the bytes of a link that is alive to count", || {
                (own().up.written, own().down.written) == (1 << 20, 100)
            });
            let all = books.totals();
            assert_eq!((all.up.written, all.down.written), (number << 20, number * 100));
            assert_eq!((all.opened, all.ended_total()), (2, 0));
        }
        let closed = loops.into_iter().map(|(relay, client, server)| {
            drop((client, server));
            relay.ended(1);
            relay.close()
        });
        let closed: Vec<_> = closed.collect();
        let all = books.totals();
        assert_eq!(all.ended_as(Outcome::Clean), 2);
        let sum = |count: fn(&Totals) -> u64| closed.iter().map(count).sum::<u64>();
        assert_eq!(
            (all.opened, all.ended_total()),
            (sum(|it| it.opened), sum(Totals::ended_total))
        );
        assert_eq!((all.up.read, all.up.written), (sum(|it| it.up.read), sum(|it| it.up.written)));
        assert_eq!(all.down.written, sum(|it| it.down.written));
    });
}

/// Hands sockets over as they are asked for.
#[derive(Debug)]
struct HandingOver {
    service: ServiceId,
    bell: PipeReader,
    downstreams: Vec<OwnedFd>,
}

impl EventSource for HandingOver {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.bell.as_fd())
    }

    fn wake(&mut self, _: Wake, turn: &mut SourceTurn<'_>) -> Need {
        match self.downstreams.pop() {
            Some(socket) if self.bell.read(&mut [0]).is_ok() => {
                turn.admit(self.service, Downstream::Socket(socket));
                Need::Again
            }
            _ => Need::Wait,
        }
    }

    /// Stays, and goes on handing over.
    fn drain(&mut self, _: &mut SourceTurn<'_>) -> Need {
        Need::Wait
    }
}

#[test]
fn after_a_drain_nothing_is_admitted_by_any_door() {
    in_both_modes(|settings| {
        let upstream = upstream();
        let target = upstream.local_addr().expect("an address");
        let (mut late, theirs) = UnixStream::pair().expect("a pair of sockets");
        let (bell, rope) = io::pipe().expect("a pipe");
        let mut address = ANY_PORT;
        let relay = Running::start(settings, |relay| {
            let nothing = Vec::<OwnedFd>::new();
            let service = relay.add_service(forward(connecting(target)), nothing);
            let service = service.expect("add a service");
            address = listening(relay, forward(connecting(target)));
            let downstreams = vec![theirs.into()];
            let source = HandingOver { service, bell, downstreams };
            relay.add_source(Box::new(source)).expect("add a source");
        });
        let (client, server) = (connect(address), accept(&upstream));
        relay.handle.drain(None).expect("tell the loop");
        wait_not_listening(address);
        nix::unistd::write(&rope, b"!").expect("ring");
        assert!(matches!(late.read(&mut [0]), Ok(0) | Err(_)), "it was served");
        // The link that is there is not touched.
        send_ramp(&client, 0, 10);
        expect_ramp(&server, 0, 10);
        half_close(&client);
        expect_eof(&server);
        drop(server);
        expect_eof(&client);
        relay.wait_returned();
        assert_eq!((relay.accepted(), relay.only_end().outcome), (1, Outcome::Clean));
        let totals = relay.close();
        assert_eq!((totals.rejected, totals.refused_for(Reason::Draining)), (1, 1));
    });
}
