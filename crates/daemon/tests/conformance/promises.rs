//! Promises of the design that are about more than one link.

use std::net::TcpStream;

use nsplice_testkit::talk::{echo, reset};
use nsplice_testkit::{wait_until, Census};

use crate::peers::{echo_to_any_end, hang_up, name_of, ping};
use crate::{cases, Testbed};

cases! {
    idle_links_cost_two_sockets on setns no_splice dial;
    the_books_balance on setns no_splice external dial;
}

fn idle_links_cost_two_sockets(testbed: &Testbed) {
    const LINKS: usize = 100;
    let server = testbed.serve(echo);
    let relay = testbed.daemon(server.port()).start();
    let clients: Vec<TcpStream> = (0..LINKS).map(|_| relay.connect()).collect();
    clients.iter().for_each(ping);
    let before = relay.baseline();
    let now = Census::of(relay.pid());
    assert_eq!(now.descriptors("socket"), before.descriptors("socket") + 2 * LINKS);
    for kind in ["pipe", "net", "/dev/null", "anon_inode:[eventpoll]", "anon_inode:[eventfd]"] {
        assert_eq!(now.descriptors(kind), before.descriptors(kind), "{kind}");
    }
    assert_eq!(now.children(), 0);
    clients.iter().for_each(hang_up);
    assert_eq!(server.join(), [1; LINKS]);
    relay.finish();
}

/// What clients and servers have counted is what the log says, and every link ends once.
fn the_books_balance(testbed: &Testbed) {
    const CLIENTS: usize = 15;
    let server = testbed.serve(echo_to_any_end);
    let relay = testbed.daemon(server.port()).option("idle_timeout = '3s'").start();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| relay.connect()).collect();
    for (index, client) in clients.iter().enumerate() {
        (0..=index).for_each(|_| ping(client));
    }
    let names: Vec<_> = clients.iter().map(name_of).collect();
    // A third each ends well, is reset, and is left to the idle timeout.
    let idle = clients.split_off(CLIENTS / 3 * 2);
    let resetting = clients.split_off(CLIENTS / 3);
    clients.iter().for_each(hang_up);
    resetting.into_iter().for_each(reset);
    wait_until("all links to end", || relay.ends().len() >= CLIENTS);
    drop(idle);
    relay.expect_restored();

    let mut ends = relay.ends();
    assert_eq!(ends.len(), CLIENTS, "each link ends once");
    ends.sort_by_key(|end| names.iter().position(|name| *name == end.client));
    let third = CLIENTS / 3;
    let outcomes = ["clean", "reset-by-downstream", "idle-timeout"];
    for (index, end) in ends.iter().enumerate() {
        assert_eq!(end.client, names[index]);
        assert_eq!(end.outcome, outcomes[index / third], "{end:?}");
        let moved = index as u64 + 1;
        assert_eq!((end.up, end.down), (moved, moved), "{end:?}");
        assert!(end.open_us.is_some_and(|time| time <= 1000 * (end.duration_ms + 1)));
    }
    assert_eq!(server.join().len(), CLIENTS);
    relay.finish();
}
