//! Who may have a link: asked when a client comes, and when its target is known.

use std::io::ErrorKind;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use nsplice_relay::{
    Admission, Attempt, Counters, Entrant, Entry, Forward, Found, LinkRef, OpenClass, Outcome,
    Places, Progress, Reason, Wake,
};
use nsplice_testkit::talk::{expect_ramp, expect_reset, send_ramp};
use nsplice_testkit::{connect, knock};

use crate::bench::{accept, listening, ANY_PORT};
use crate::handover::upstream;
use crate::openers::{by, connecting, connecting_attempt, forward};
use crate::running::Running;
use crate::scene::in_both_modes;

/// Admits every second client.
#[derive(Debug, Default)]
pub(crate) struct EverySecond(usize);

impl Admission for EverySecond {
    fn enters(&mut self, client: &Entrant<'_>) -> Entry {
        assert!(client.source.is_some() && client.local.is_some() && client.client.is_some());
        assert!(["test", "mux"].contains(&&*client.labels.service));
        self.0 += 1;
        if self.0 % 2 == 1 {
            Entry::Admit
        } else {
            Entry::Refuse(Reason::Client)
        }
    }
}

#[test]
fn who_is_refused_is_reset_and_counted_and_takes_no_place() {
    const CLIENTS: usize = 40;
    in_both_modes(|settings| {
        let upstream = upstream();
        let target = upstream.local_addr().expect("an address");
        let books = Arc::new(Counters::default());
        let counters = Arc::clone(&books);
        let mut address = ANY_PORT;
        let relay = Running::start(settings, |relay| {
            let admission = Some(Box::new(EverySecond::default()) as Box<dyn Admission>);
            let places = Arc::new(Places::new(20));
            let forward = Forward { admission, places, counters, ..forward(connecting(target)) };
            address = listening(relay, forward);
        });
        let mut links = Vec::new();
        for number in 0..CLIENTS {
            if number % 2 == 0 {
                links.push((connect(address), accept(&upstream)));
            } else {
                expect_reset(&knock(address));
            }
        }
        // All places are taken by those who were admitted: of the last two nobody was asked.
        expect_reset(&knock(address));
        for (client, server) in &links {
            send_ramp(client, 0, 10);
            expect_ramp(server, 0, 10);
        }
        assert_eq!(relay.troubles("reason: Client"), CLIENTS / 2 - 1);
        assert_eq!(relay.troubles("reason: Full"), 2);
        drop(links);
        relay.ended(CLIENTS / 2);
        let totals = relay.close();
        for totals in [totals, books.totals()] {
            assert_eq!((totals.opened, totals.rejected), (20, 21));
            assert_eq!(totals.refused_for(Reason::Client), 19);
            assert_eq!(totals.refused_for(Reason::Full), 2);
        }
    });
}

/// Finds out what the target is, and then goes on.
#[derive(Debug)]
pub(crate) struct LookedUp<A> {
    pub(crate) found: Option<Arc<Found>>,
    pub(crate) then: A,
}

impl<A: Attempt> Attempt for LookedUp<A> {
    fn advance(&mut self, wake: Wake) -> Progress {
        match self.found.take() {
            Some(found) => Progress::Found(found),
            None => self.then.advance(wake),
        }
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        self.then.source()
    }
}

/// Keeps clients out of one container.
#[derive(Debug)]
pub(crate) struct KeepsOut(pub(crate) &'static str);

impl Admission for KeepsOut {
    fn reaches(&mut self, link: LinkRef<'_>) -> Entry {
        let found = link.labels.found.as_ref().expect("it is asked when that is known");
        if found.container.as_deref() == Some(self.0) {
            Entry::Refuse(Reason::Target)
        } else {
            Entry::Admit
        }
    }
}

#[test]
fn a_target_that_is_looked_up_is_asked_about_before_anything_is_opened_in_it() {
    in_both_modes(|settings| {
        let upstream = upstream();
        let target = upstream.local_addr().expect("an address");
        let mut containers = ["public", "secret"].into_iter();
        let opener = by(move || {
            let container = containers.next().map(Arc::from);
            let found = Arc::new(Found { container, ..Found::default() });
            LookedUp { found: Some(found), then: connecting_attempt(target) }
        });
        let mut address = ANY_PORT;
        let relay = Running::start(settings, |relay| {
            let admission = Some(Box::new(KeepsOut("secret")) as Box<dyn Admission>);
            address = listening(relay, Forward { admission, ..forward(opener) });
        });
        let (client, server) = (connect(address), accept(&upstream));
        send_ramp(&client, 0, 10);
        expect_ramp(&server, 0, 10);
        let found = relay.links().remove(0).labels.found.clone().expect("what was found");
        assert_eq!(found.container.as_deref(), Some("public"));
        expect_reset(&knock(address));
        let ended = relay.only_end();
        assert_eq!(ended.outcome, Outcome::OpenFailed(OpenClass::Forbidden));
        let detail = ended.detail.expect("why");
        assert!(detail.contains("target-forbidden"), "{detail}");
        let error = upstream.accept().expect_err("nothing was opened");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        drop((client, server));
        relay.ended(2);
        let totals = relay.close();
        assert_eq!((totals.rejected, totals.refused_for(Reason::Target)), (0, 1));
    });
}
