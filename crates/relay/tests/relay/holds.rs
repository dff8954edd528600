//! What is held for an upstream: it lives as long as the link, however much of it there is.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::mpsc::{channel, Sender, TryRecvError};
use std::time::Duration;

use nsplice_relay::{Attempt, Hold, Progress, Upstream, Wake};
use nsplice_testkit::talk::{expect_eof, expect_ramp, send_ramp};
use nsplice_testkit::{connect, listen};

use crate::bench::{accept, listening, ANY_PORT};
use crate::openers::{by, forward};
use crate::running::Running;
use crate::scene::in_both_modes;

/// Tells its number when it is dropped.
#[derive(Debug)]
struct Told(u8, Sender<u8>);

impl Hold for Told {}

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.1.send(self.0);
    }
}

/// Connects at once, and wants two things held for it.
#[derive(Debug)]
struct Holding(SocketAddr, Sender<u8>);

impl Attempt for Holding {
    fn advance(&mut self, _: Wake) -> Progress {
        let stream = connect(self.0);
        stream.set_nonblocking(true).expect("a socket can be non-blocking");
        let inner = Upstream::Stream(stream.into());
        Progress::Open([1, 2].into_iter().fold(inner, |upstream, number| Upstream::Held {
            upstream: Box::new(upstream),
            hold: Box::new(Told(number, self.1.clone())),
        }))
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

#[test]
fn all_that_is_held_lives_as_long_as_the_link() {
    in_both_modes(|settings| {
        let upstream = listen("127.0.0.1:0");
        upstream.set_nonblocking(true).expect("a listener can be non-blocking");
        let target = upstream.local_addr().expect("a listener has an address");
        let (sender, dropped) = channel();
        let opener = by(move || Holding(target, sender.clone()));
        let mut address = ANY_PORT;
        let relay = Running::start(settings, |relay| address = listening(relay, forward(opener)));
        let (client, server) = (connect(address), accept(&upstream));
        send_ramp(&server, 0, 1000);
        expect_ramp(&client, 0, 1000);
        assert_eq!(dropped.try_recv(), Err(TryRecvError::Empty));
        drop(server);
        expect_eof(&client);
        drop(client);
        let mut numbers = [(); 2]
            .map(|()| dropped.recv_timeout(Duration::from_secs(10)).expect("the link has ended"));
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2]);
        relay.close();
    });
}
