//! The same with a child behind the upstream: what it says, how it ends, and when it is told to.

use std::sync::mpsc::{channel, Receiver};
use std::time::Duration;

use nsplice_relay::{Forward, Limit, Limits, OpenClass, Outcome, Settings, Side};
use nsplice_testkit::peer::connect_with_receive_buffer;
use nsplice_testkit::wait_until;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::bench::{listening, ANY_PORT, NARROW};
use crate::openers::forward;
use crate::puppet::{puppets, Puppet};
use crate::running::{Ended, Running};

use super::{play_scripts, settle, Heard, Peer, DRAIN, IDLE, LINGER, SILENCE};

/// What a child has between the end of its output and its own, and a little more.
const GRACE: Duration = Duration::from_millis(1100);

/// What it has from the end of its link until it is told to end.
const FAREWELL: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy)]
enum Deed {
    Send(usize),
    Read,
    End,
    Reset,
    Say(usize),
    Hear,
    /// The child says no more, and lives.
    Hush,
    /// It reads no more.
    Deafen,
    Exit {
        well: bool,
    },
    Grace,
    Silence,
    Drain,
}

fn step() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => (1..200_000usize).prop_map(Deed::Send),
        3 => Just(Deed::Read),
        2 => Just(Deed::End),
        1 => Just(Deed::Reset),
        4 => (1..200_000usize).prop_map(Deed::Say),
        3 => Just(Deed::Hear),
        2 => Just(Deed::Hush),
        1 => Just(Deed::Deafen),
        2 => any::<bool>().prop_map(|well| Deed::Exit { well }),
        2 => Just(Deed::Grace),
        1 => Just(Deed::Silence),
        1 => Just(Deed::Drain),
    ]
}

struct Scene {
    relay: Running,
    client: Peer,
    puppet: Puppet,
    /// How the script has let it end.
    verdict: Option<bool>,
    /// It had said that it says no more before it ended.
    hushed: bool,
    deaf: bool,
}

impl Scene {
    fn new(settings: Settings) -> Self {
        let (sender, made): (_, Receiver<Puppet>) = channel();
        let limits = Limits { idle_timeout: Some(IDLE), linger: Some(LINGER), ..Limits::default() };
        let mut address = ANY_PORT;
        let relay = Running::start(settings, |relay| {
            address = listening(relay, Forward { limits, ..forward(puppets(sender)) });
        });
        let client = Peer::new(connect_with_receive_buffer(address, Some(NARROW)));
        let puppet = made.recv().expect("a puppet is made");
        wait_until("the link to be open", || {
            relay.links().iter().all(|link| link.open_time.is_some())
        });
        Self { relay, client, puppet, verdict: None, hushed: false, deaf: false }
    }

    fn exit(&mut self, well: bool) {
        if !self.puppet.has_ended() {
            self.hushed = !self.puppet.speaks();
            self.verdict = Some(well);
            self.puppet.exit(well);
        }
    }

    fn step(&mut self, step: Deed) {
        match step {
            Deed::Send(bytes) => self.client.send(bytes),
            Deed::Read => self.client.read(),
            Deed::End => self.client.end(),
            Deed::Reset => self.client.reset(),
            Deed::Say(bytes) => self.puppet.say(bytes),
            Deed::Hear => self.puppet.hear(),
            Deed::Hush => self.puppet.close_output(),
            Deed::Deafen => {
                self.puppet.close_input();
                self.deaf = true;
            }
            Deed::Exit { well } => self.exit(well),
            Deed::Grace => self.relay.advance(GRACE),
            Deed::Silence => self.relay.advance(SILENCE),
            Deed::Drain => {
                self.relay.handle.drain(Some(DRAIN)).expect("tell the loop");
            }
        }
        settle(&self.relay);
    }

    /// Ends what has not ended, and lets more time pass than anything may take.
    fn finish(mut self) -> (Self, Ended) {
        self.client.end();
        for _ in 0..2 {
            let mut before = None;
            wait_until("nothing to move any more", || {
                self.client.read();
                self.puppet.hear();
                settle(&self.relay);
                let now = (self.client.read, self.client.heard, self.puppet.read);
                before.replace(now) == Some(now)
            });
            // All that it was sent has been read.
            self.exit(true);
            settle(&self.relay);
        }
        self.relay.advance(IDLE + LINGER + DRAIN);
        for _ in 0..3 {
            self.relay.advance(FAREWELL);
            self.puppet.has_ended();
        }
        let ended = self.relay.only_end();
        wait_until("the client to hear of it", || {
            self.client.read();
            self.client.has_reset() || self.client.heard != Heard::Nothing
        });
        (self, ended)
    }
}

fn judge(script: &[Deed], scene: &Scene, ended: &Ended) -> Result<(), TestCaseError> {
    let Scene { client, puppet, verdict, hushed, deaf, .. } = scene;
    prop_assert!(client.read <= puppet.said && puppet.read <= client.sent);
    if client.heard == Heard::End {
        prop_assert_eq!(client.read, puppet.said, "an end before the last byte");
        prop_assert!(!puppet.speaks(), "an end that nobody meant");
        prop_assert!(*verdict != Some(false) || *hushed, "an end for a failure");
    }
    let happens = |what: fn(&Deed) -> bool| script.iter().any(what);
    let silences = happens(|step| matches!(step, Deed::Silence));
    let drains = happens(|step| matches!(step, Deed::Drain));
    match ended.outcome {
        Outcome::Clean => {
            prop_assert_eq!(ended.down.written, puppet.said, "clean with a hole");
            // What is in a pipe that we have closed nobody can tell.
            let all_read = ended.up.written == puppet.read || client.has_ended;
            prop_assert!(all_read, "clean with bytes that nobody has read");
            let well = *verdict == Some(true) || puppet.was_told_to_end();
            prop_assert!(well, "clean after a failure");
            // Whoever sends to a connection that is closed is reset, as by any server.
            let sent_later = client.sent > ended.up.read;
            if !client.has_reset() && !sent_later {
                prop_assert_eq!(client.heard, Heard::End, "a reset after a clean end");
            }
        }
        Outcome::Reset(Side::Downstream) => prop_assert!(client.has_reset()),
        Outcome::Reset(Side::Upstream) => {
            prop_assert!(puppet.read < client.sent || *deaf, "it has read everything");
        }
        Outcome::ChildFailed => prop_assert_eq!(*verdict, Some(false)),
        Outcome::OpenFailed(OpenClass::ChildFailed) => {
            prop_assert_eq!((*verdict, ended.down.read), (Some(false), 0));
        }
        Outcome::Expired(Limit::Drain) => prop_assert!(drains),
        Outcome::Expired(Limit::Idle | Limit::Linger) => prop_assert!(silences),
        other => prop_assert!(false, "{other} of a link to a child"),
    }
    Ok(())
}

#[test]
fn every_order_of_a_childs_ends_is_told_as_it_was() {
    play_scripts(300, step, |settings, script| {
        let mut scene = Scene::new(settings);
        script.iter().for_each(|step| scene.step(*step));
        let (scene, ended) = scene.finish();
        let judged = judge(script, &scene, &ended);
        scene.relay.close();
        judged
    });
}
