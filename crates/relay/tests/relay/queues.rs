//! Kernel memory for the queues of a loop's links: what they are granted while there is room, and when
//! there is none.

use std::net::TcpListener;
use std::os::fd::BorrowedFd;
use std::sync::mpsc::{channel, Receiver, Sender};

use nsplice_relay::queues::{is_near_granted, sizes, Queues, Sizes, LEAST, NEAR};
use nsplice_relay::{
    listen, Allowance, Attempt, ListenOptions, Opener, Outcome, Progress, Settings, Wake,
};
use nsplice_testkit::peer::connect;
use nsplice_testkit::skip::unavailable;
use nsplice_testkit::talk::{expect_ramp, send_ramp};
use nsplice_testkit::{wait_for, wait_until};

use crate::bench::{accept, ANY_PORT};
use crate::openers::{connecting, forward};
use crate::running::Running;
use crate::scene::scene;

/// What each attempt is allowed, told to the test.
#[derive(Debug)]
struct Telling(Box<dyn Opener>, Sender<Queues>);

impl Opener for Telling {
    fn backend(&self) -> &'static str {
        self.0.backend()
    }

    fn open(&mut self, downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        Box::new(Told(self.0.open(downstream), self.1.clone()))
    }

    fn queues(&self) -> usize {
        self.0.queues()
    }
}

#[derive(Debug)]
struct Told(Box<dyn Attempt>, Sender<Queues>);

impl Attempt for Told {
    fn advance(&mut self, wake: Wake) -> Progress {
        self.0.advance(wake)
    }

    fn allow(&mut self, allowance: Allowance) {
        self.1.send(allowance.queues).expect("the test listens");
        self.0.allow(allowance);
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        self.0.source()
    }
}

/// A loop with this much memory, a second hold on its listener, where it leads, and what its attempts
/// are allowed.
fn telling(memory: Option<usize>) -> (Running, TcpListener, TcpListener, Receiver<Queues>) {
    let upstream = nsplice_testkit::listen("127.0.0.1:0");
    upstream.set_nonblocking(true).expect("a listener can be non-blocking");
    let (sender, allowed) = channel();
    let opener = connecting(upstream.local_addr().expect("an address"));
    let forward = forward(Box::new(Telling(opener, sender)));
    let listener = listen(ANY_PORT, ListenOptions::default()).expect("listen");
    let held = listener.try_clone().expect("a second hold");
    let settings = Settings { socket_memory: memory, ..Settings::default() };
    let relay = Running::start(settings, |relay| {
        relay.add_service(forward, vec![listener]).expect("add the forward");
    });
    (relay, held, upstream, allowed)
}

/// The queues of the sockets that a listener hands on.
fn handed_on(listener: &TcpListener) -> Sizes {
    sizes(listener).expect("a socket has sizes")
}

#[test]
fn links_beyond_the_socket_memory_get_the_least_until_there_is_room_again() {
    const ROOM: usize = 3;
    scene(|| {
        if !is_near_granted() {
            let lacks = "CAP_NET_ADMIN, or a higher net.core.rmem_max and wmem_max";
            return unavailable("links_beyond_the_socket_memory", lacks);
        }
        let (relay, listener, upstream, allowed) = telling(Some(ROOM * 2 * NEAR.total()));
        let address = listener.local_addr().expect("an address");
        let link = || {
            let client = connect(address);
            let server = accept(&upstream);
            // Less than the least, and more.
            for bytes in [1, 2 * LEAST.receive as u64] {
                std::thread::scope(|scope| {
                    scope.spawn(|| send_ramp(&client, 0, bytes));
                    expect_ramp(&server, 0, bytes);
                    scope.spawn(|| send_ramp(&server, 0, bytes));
                    expect_ramp(&client, 0, bytes);
                });
            }
            (client, server)
        };
        assert_eq!(handed_on(&listener), NEAR);
        let mut links: Vec<_> = (0..ROOM + 2).map(|_| link()).collect();
        let mut granted: Vec<_> = allowed.try_iter().collect();
        assert_eq!(granted, [[Queues::Ample; ROOM].as_slice(), &[Queues::Least; 2]].concat());
        assert_eq!(handed_on(&listener), LEAST);
        // One of those that have the least gives nothing back.
        links.pop();
        relay.ended(1);
        links.push(link());
        assert_eq!((allowed.recv(), handed_on(&listener)), (Ok(Queues::Least), LEAST));
        links.remove(0);
        wait_until("ample queues", || handed_on(&listener) == NEAR);
        links.push(link());
        granted = wait_for("an attempt", || Some(allowed.try_iter().collect()));
        assert_eq!(granted, [Queues::Ample]);
        drop(links);
        let ended = relay.ended(ROOM + 4);
        assert!(ended.iter().all(|ended| ended.outcome == Outcome::Clean), "{ended:?}");
        relay.close();
    });
}

#[test]
fn sizes_are_left_to_the_kernel_where_nothing_is_bounded() {
    scene(|| {
        let fresh = listen(ANY_PORT, ListenOptions::default()).expect("listen");
        let (relay, listener, upstream, allowed) = telling(None);
        assert_eq!(handed_on(&listener), handed_on(&fresh));
        let client = connect(listener.local_addr().expect("an address"));
        drop((accept(&upstream), client, fresh));
        relay.only_end();
        assert_eq!(allowed.recv(), Ok(Queues::Tuned));
        relay.close();
    });
}
