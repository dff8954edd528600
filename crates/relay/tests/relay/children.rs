//! Links whose upstream is a child: how its end, its words and its stubbornness show.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use nsplice_relay::{Forward, GlimpseStage, Limit, Limits, OpenClass, Outcome, Settings, Side};
use nsplice_testkit::talk::{
    expect_eof, expect_ramp, expect_reset, expect_reset_after_eof, half_close, read_exactly,
    read_to_eof, read_to_reset, reset, send_ramp, send_until_stuck,
};
use nsplice_testkit::{connect, knock, wait_until};

use crate::bench::{listening, ANY_PORT};
use crate::openers::forward;
use crate::running::{Ended, Running};
use crate::scene::{at_once, in_both_modes, in_both_modes_at_leisure};
use crate::shell::{script, Deeds};

mod diagnostics;
mod ending;

/// The time that a child is given to end by itself after its link.
const FAREWELL: Duration = Duration::from_secs(10);

/// A loop in front of a script.
struct ChildBench {
    relay: Running,
    address: SocketAddr,
    deeds: Deeds,
}

impl ChildBench {
    fn new(settings: Settings, text: &'static str) -> Self {
        let (opener, deeds) = script(text);
        let mut address = ANY_PORT;
        let relay = Running::start(settings, |relay| address = listening(relay, forward(opener)));
        Self { relay, address, deeds }
    }

    fn client(&self) -> TcpStream {
        connect(self.address)
    }

    /// Waits until the link is over, whose child may live on.
    #[track_caller]
    fn wait_for_close(&self) {
        wait_until("the link to be over", || {
            self.relay.links().iter().all(|link| link.stage == GlimpseStage::Closing)
        });
    }

    #[track_caller]
    fn only_end(self) -> Ended {
        let ended = self.relay.only_end();
        self.relay.close();
        wait_until("the child to be collected", || self.deeds.all().last() == Some(&"drop"));
        ended
    }

    /// The same, and checks what had to be done to the child.
    #[track_caller]
    fn end_with(self, deeds: &[&str]) -> Ended {
        let done = self.deeds.clone();
        let ended = self.only_end();
        assert_eq!(done.all(), [deeds, &["drop"]].concat());
        ended
    }
}

#[test]
fn a_ramp_through_a_child_is_exact_and_its_end_is_a_fin() {
    const BYTES: u64 = 24 << 20;
    in_both_modes(|settings| {
        let bench = ChildBench::new(settings, "exec cat");
        let client = bench.client();
        let send = || {
            send_ramp(&client, 0, BYTES);
            half_close(&client);
        };
        at_once(send, || {
            expect_ramp(&client, 0, BYTES);
            expect_eof(&client);
        });
        let ended = bench.end_with(&[]);
        assert_eq!(ended.outcome, Outcome::Clean);
        assert_eq!((ended.up.written, ended.down.written), (BYTES, BYTES));
    });
}

#[test]
fn a_late_reply_of_a_child_is_waited_for() {
    in_both_modes(|settings| {
        let bench = ChildBench::new(settings, "cat >/dev/null; sleep 2; echo late");
        let client = bench.client();
        half_close(&client);
        assert_eq!(read_to_eof(&client), b"late\n");
        assert_eq!(bench.end_with(&[]).outcome, Outcome::Clean);
    });
}

#[test]
fn a_child_that_exits_well_ends_the_link_with_a_fin() {
    in_both_modes(|settings| {
        let bench = ChildBench::new(settings, "echo bye");
        let client = bench.client();
        assert_eq!(read_to_eof(&client), b"bye\n");
        assert_eq!(bench.end_with(&[]).outcome, Outcome::Clean);
    });
}

#[test]
fn a_child_that_fails_before_any_byte_was_never_open() {
    in_both_modes(|settings| {
        let bench = ChildBench::new(settings, "echo no such port >&2; exit 1");
        expect_reset(&knock(bench.address));
        let ended = bench.end_with(&[]);
        assert_eq!(ended.outcome, Outcome::OpenFailed(OpenClass::ChildFailed));
        assert_eq!(ended.detail.as_deref(), Some("exit status 1: no such port"));
    });
}

#[test]
fn a_child_that_fails_midway_resets_after_its_bytes() {
    in_both_modes(|settings| {
        for (text, detail) in [
            ("read line; echo some; echo broke >&2; exit 3", "exit status 3: broke"),
            ("read line; echo some; kill -KILL $$", "signal 9: "),
        ] {
            let bench = ChildBench::new(settings.clone(), text);
            let client = bench.client();
            (&client).write_all(b"go\n").expect("speak");
            assert_eq!(read_to_reset(&client), b"some\n");
            let ended = bench.end_with(&[]);
            assert_eq!(ended.outcome, Outcome::ChildFailed);
            assert_eq!(ended.detail.as_deref(), Some(detail));
        }
    });
}

#[test]
fn a_child_that_closes_its_output_and_lives_on_is_half_closed() {
    in_both_modes(|settings| {
        for (last_word, outcome) in [("late", Outcome::Clean), ("wrong", Outcome::ChildFailed)] {
            let text = "echo early; exec >&-; read line; [ \"$line\" = late ]";
            let bench = ChildBench::new(settings.clone(), text);
            let client = bench.client();
            assert_eq!(read_to_eof(&client), b"early\n");
            (&client).write_all(last_word.as_bytes()).expect("speak after the end");
            (&client).write_all(b"\n").expect("speak after the end");
            half_close(&client);
            let ended = bench.end_with(&[]);
            assert_eq!(ended.outcome, outcome);
            if let Some(detail) = ended.detail {
                assert!(detail.ends_with(", after the connection had ended well"), "{detail}");
            }
        }
    });
}

/// Its grace is long over by then, and nothing depends on it any more.
#[test]
fn a_child_that_lives_on_after_its_output_is_left_when_the_link_has_lingered() {
    in_both_modes_at_leisure(|settings| {
        let linger = Duration::from_secs(60);
        let limits = Limits { linger: Some(linger), ..Limits::default() };
        let (opener, deeds) = script("exec >&-; sleep 1000");
        let mut address = ANY_PORT;
        let relay = Running::start(settings, |relay| {
            address = listening(relay, Forward { limits, ..forward(opener) });
        });
        let client = connect(address);
        expect_eof(&client);
        relay.advance(linger);
        assert_eq!(relay.only_end().outcome, Outcome::Expired(Limit::Linger));
        assert_eq!(deeds.all(), ["terminate", "drop"]);
        relay.close();
    });
}

#[test]
fn a_child_that_ends_after_its_output_ends_the_link() {
    in_both_modes(|settings| {
        for speaks in [false, true] {
            let bench =
                ChildBench::new(settings.clone(), "echo early; exec >&-; sleep 1.5; exit 0");
            let client = bench.client();
            assert_eq!(read_to_eof(&client), b"early\n");
            if speaks {
                send_ramp(&client, 0, 1000);
            }
            // The client would go on for ever; the child does not.
            let ended = bench.end_with(&[]);
            if speaks {
                assert_eq!(ended.outcome, Outcome::Reset(Side::Upstream));
                let detail = "the program left 1000 bytes unread";
                assert_eq!(ended.detail.as_deref(), Some(detail));
                expect_reset_after_eof(&client);
            } else {
                assert_eq!(ended.outcome, Outcome::Clean);
            }
        }
    });
}

#[test]
fn a_child_that_stops_reading_may_still_speak() {
    in_both_modes(|settings| {
        let bench = ChildBench::new(settings, "read line; exec <&-; echo deaf; sleep 1; echo late");
        let client = bench.client();
        (&client).write_all(b"go\n").expect("speak");
        assert_eq!(read_exactly(&client, 5), b"deaf\n");
        assert_eq!(read_to_eof(&client), b"late\n");
        assert_eq!(bench.end_with(&[]).outcome, Outcome::Clean);
    });
}

#[test]
fn a_child_deaf_both_ways_has_no_use_for_its_link() {
    in_both_modes_at_leisure(|settings| {
        let bench = ChildBench::new(settings, "read line; exec <&- >&-; sleep 1000");
        let client = bench.client();
        (&client).write_all(b"go\n").expect("speak");
        expect_eof(&client);
        // Nobody will ever read this, and the client is told so.
        (&client).write_all(b"hello?").expect("speak to nobody");
        expect_reset_after_eof(&client);
        bench.wait_for_close();
        // It may be quicker than the link's end. Only after a reset the child has been told by now,
        // and time that passes before it has heard that would kill it.
        let outcome = if bench.deeds.all().is_empty() {
            bench.relay.advance(FAREWELL);
            Outcome::Clean
        } else {
            Outcome::Reset(Side::Upstream)
        };
        assert_eq!(bench.end_with(&["terminate"]).outcome, outcome);
    });
}

#[test]
fn a_child_deaf_both_ways_is_left_by_a_silent_client_too() {
    in_both_modes_at_leisure(|settings| {
        let texts = [
            "read line; exec <&-; sleep 1; exec >&-; sleep 1000",
            "read line; exec >&-; sleep 2; exec <&-; sleep 1000",
        ];
        let stages = texts.map(|text| ChildBench::new(settings.clone(), text));
        let clients = stages.each_ref().map(ChildBench::client);
        for mut client in &clients {
            client.write_all(b"go\n").expect("speak");
        }
        clients.iter().for_each(expect_eof);
        stages.iter().for_each(ChildBench::wait_for_close);
        // They have one clock, so it is moved once.
        stages[0].relay.advance(FAREWELL);
        for bench in stages {
            assert_eq!(bench.end_with(&["terminate"]).outcome, Outcome::Clean);
        }
    });
}

#[test]
fn a_child_that_does_not_read_stalls_only_its_client() {
    in_both_modes(|settings| {
        let bench = ChildBench::new(settings, "sleep 1000");
        let client = bench.client();
        assert!(send_until_stuck(&client, 0) > 0);
        bench.relay.assert_at_rest(Duration::from_millis(400));
        reset(client);
        assert_eq!(bench.end_with(&["terminate"]).outcome, Outcome::Reset(Side::Downstream));
    });
}

#[test]
fn a_slow_client_of_a_child_that_has_exited_gets_everything() {
    const BYTES: usize = 8_000_000;
    in_both_modes(|settings| {
        let bench = ChildBench::new(settings, "head -c 8000000 /dev/zero");
        let client = nsplice_testkit::peer::connect_with_receive_buffer(bench.address, Some(4096));
        let mut seen = 0;
        // Longer than the grace that a child's end is given.
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(600));
            seen += read_exactly(&client, 100_000).len();
        }
        seen += read_to_eof(&client).len();
        assert_eq!(seen, BYTES);
        assert_eq!(bench.end_with(&[]).outcome, Outcome::Clean);
    });
}

#[test]
fn an_idle_child_is_ended_with_its_link() {
    in_both_modes(|settings| {
        let (opener, deeds) = script("exec cat");
        let idle_timeout = Some(Duration::from_millis(300));
        let limits = Limits { idle_timeout, ..Limits::default() };
        let mut address = ANY_PORT;
        let relay = Running::start(settings, |relay| {
            let forward = Forward { limits, ..forward(opener) };
            address = listening(relay, forward);
        });
        let client = connect(address);
        expect_reset(&client);
        let ended = ChildBench { relay, address, deeds }.only_end();
        assert_eq!(ended.outcome, Outcome::Expired(Limit::Idle));
    });
}
