//! How a child is ended with its link, and collected.

use std::io;
use std::time::Duration;

use nsplice_relay::{Answer, Handle, Outcome, Settings, Side};
use nsplice_testkit::talk::{
    expect_eof, expect_reset, half_close, read_exactly, read_to_eof, reset,
};
use nsplice_testkit::{wait_until, Census};

use super::ChildBench;
use crate::scene::{in_both_modes, scene};

#[test]
fn a_reset_client_ends_the_child() {
    in_both_modes(|settings| {
        let bench = ChildBench::new(settings, "echo up; exec sleep 1000");
        let client = bench.client();
        assert_eq!(read_exactly(&client, 3), b"up\n");
        reset(client);
        // The census tells that it was collected.
        assert_eq!(bench.end_with(&["terminate"]).outcome, Outcome::Reset(Side::Downstream));
    });
}

#[test]
fn a_child_that_ignores_the_request_to_end_is_killed() {
    in_both_modes(|settings| {
        let bench = ChildBench::new(settings, "trap '' TERM; echo up; sleep 1000");
        let client = bench.client();
        assert_eq!(read_exactly(&client, 3), b"up\n");
        reset(client);
        let ended = bench.end_with(&["terminate", "kill"]);
        assert_eq!(ended.outcome, Outcome::Reset(Side::Downstream));
    });
}

#[test]
fn stop_waits_until_the_children_are_collected() {
    in_both_modes(|settings| {
        let bench = ChildBench::new(settings, "trap '' TERM; echo up; sleep 1000");
        let clients = [bench.client(), bench.client()];
        for client in &clients {
            assert_eq!(read_exactly(client, 3), b"up\n");
        }
        bench.relay.handle.stop().expect("tell the loop to stop");
        clients.iter().for_each(expect_reset);
        bench.relay.wait_returned();
        let deeds = bench.deeds.all();
        let count = |deed| deeds.iter().filter(|each| **each == deed).count();
        assert_eq!((count("terminate"), count("kill"), count("drop")), (2, 2, 2));
        assert_eq!(bench.relay.close().ended_as(Outcome::Stopped), 2);
    });
}

#[test]
fn a_stop_and_the_end_of_a_drain_cut_the_farewell_of_a_child_short() {
    let stop: fn(&Handle) -> io::Result<Answer<usize>> = Handle::stop;
    let drain: fn(&Handle) -> io::Result<Answer<usize>> =
        |handle| handle.drain(Some(Duration::ZERO));
    scene(|| {
        for hurry in [stop, drain] {
            // Left alone it would end within its farewell, by itself and badly.
            let text = "exec >&-; cat >/dev/null; sleep 6; exit 3";
            let bench = ChildBench::new(Settings::default(), text);
            let client = bench.client();
            expect_eof(&client);
            let sockets = Census::own().descriptors("socket");
            half_close(&client);
            // The link is clean, and only the child is waited for.
            wait_until("the end of the client's side", || {
                Census::own().descriptors("socket") == sockets - 1
            });
            hurry(&bench.relay.handle).expect("tell the loop");
            bench.relay.wait_returned();
            assert_eq!(bench.end_with(&["terminate"]).outcome, Outcome::Clean);
        }
    });
}

#[test]
fn a_grandchild_that_holds_the_output_does_not_hold_the_link() {
    in_both_modes(|settings| {
        let bench = ChildBench::new(settings, "sleep 1000 & echo hi; exit 0");
        let client = bench.client();
        assert_eq!(read_to_eof(&client), b"hi\n");
        assert_eq!(bench.end_with(&["kill"]).outcome, Outcome::Clean);
    });
}
