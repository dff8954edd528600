//! Clients that come at once: their opener is told before, and after.

use std::net::TcpStream;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};

use nsplice_relay::{listen, Attempt, Forward, ListenOptions, Opener, Places, Settings};
use nsplice_testkit::talk::reset;
use nsplice_testkit::{connect, listen as serve, wait_until, waiting_at};

use crate::bench::ANY_PORT;
use crate::openers::{connecting, forward};
use crate::running::Running;
use crate::scene::scene;

/// What an opener was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Begin { most: usize },
    Open,
    End,
}

/// Keeps what it is told, and opens as another one does.
#[derive(Debug)]
struct Telling {
    opener: Box<dyn Opener>,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Telling {
    fn note(&self, told: Told) {
        self.told.lock().expect("the list").push(told);
    }
}

impl Opener for Telling {
    fn backend(&self) -> &'static str {
        self.opener.backend()
    }

    fn open(&mut self, downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        self.note(Told::Open);
        self.opener.open(downstream)
    }

    fn begin_burst(&mut self, _: BorrowedFd<'_>, most: usize) {
        self.note(Told::Begin { most });
    }

    fn end_burst(&mut self) {
        self.note(Told::End);
    }
}

/// What the opener of a forward with `places` is told of clients that have come before the loop has
/// started, so many to each of its listeners, and then of one that comes alone.
fn told(places: Places, counts: &[usize]) -> Vec<Told> {
    let server = serve("127.0.0.1:0");
    let mut clients: Vec<TcpStream> = Vec::new();
    let listeners = counts.iter().map(|&count| {
        let listener = listen(ANY_PORT, ListenOptions::default()).expect("listen");
        let address = listener.local_addr().expect("an address");
        clients.extend((0..count).map(|_| connect(address)));
        wait_until("all clients in the queue", || waiting_at(address) == Some(count));
        listener
    });
    let listeners: Vec<_> = listeners.collect();
    let address = listeners[0].local_addr().expect("an address");
    let told = Arc::new(Mutex::new(Vec::new()));
    let opener = connecting(server.local_addr().expect("an address"));
    let opener = Box::new(Telling { opener, told: Arc::clone(&told) });
    let relay = Running::start(Settings::default(), |relay| {
        let forward = Forward { places: Arc::new(places), ..forward(opener) };
        relay.add_service(forward, listeners).expect("add the forward");
    });
    let list = || told.lock().expect("the list").clone();
    wait_until("the burst to be over", || list().contains(&Told::End));
    clients.into_iter().for_each(reset);
    relay.ended(list().iter().filter(|told| **told == Told::Open).count());
    let before = list().len();
    let alone = connect(address);
    wait_until("the one that comes alone", || list().len() > before);
    reset(alone);
    relay.close();
    list()
}

#[test]
fn a_burst_begins_before_its_first_link_and_ends_after_its_last() {
    scene(|| {
        let burst = [Told::Begin { most: 16 }, Told::Open, Told::Open, Told::Open, Told::End];
        assert_eq!(told(Places::unlimited(), &[3]), [&burst[..], &[Told::Open]].concat());
    });
}

/// Nothing is made ready for clients that are going to be refused.
#[test]
fn a_burst_is_no_larger_than_the_places_that_are_free() {
    scene(|| {
        let burst = [Told::Begin { most: 2 }, Told::Open, Told::Open, Told::End];
        assert_eq!(told(Places::new(2), &[5]), [&burst[..], &[Told::Open]].concat());
    });
}

/// A burst is the forward's: the end of one listener's clients is not the end of another's.
#[test]
fn listeners_of_a_forward_share_a_burst() {
    scene(|| {
        let burst = [&[Told::Begin { most: 16 }][..], &[Told::Open; 5], &[Told::End]].concat();
        assert_eq!(told(Places::unlimited(), &[2, 3]), [&burst[..], &[Told::Open]].concat());
    });
}
