//! Whatever two peers do in whatever order: each link ends once, and nobody is told what is not true.
//!
//! A script is played on a link between two peers with small receive queues: they send, read, end
//! what they send or reset, time passes, the loop drains. After each step the loop comes to rest. In
//! the end the peers end what they have not, read what is left, and more time passes than any limit
//! of the link gives it. Then:
//!
//! * the link has ended, in one outcome, and the books balance (`Running::close`);
//! * what a peer has read is the beginning of what the other one has sent;
//! * a peer that reads an end has read all of it, and the other one had ended it;
//! * after a clean end nobody has been reset, and all was delivered;
//! * an outcome blames somebody who did it: no reset without one, no limit that time has not reached.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use nsplice_relay::{Clock, Limit, Limits, Outcome, Settings, Side};
use nsplice_testkit::ramp;
use nsplice_testkit::talk::reset;
use nsplice_testkit::wait_until;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::bench::Bench;
use crate::running::{Ended, Running};
use crate::scene::in_both_modes;

mod child;

const IDLE: Duration = Duration::from_secs(1000);
const LINGER: Duration = Duration::from_secs(400);
const DRAIN: Duration = Duration::from_secs(100);

/// Two of these end a link that has nothing to do.
const SILENCE: Duration = Duration::from_secs(510);

/// A step of a script.
#[derive(Debug, Clone, Copy)]
enum Move {
    Send(Side, usize),
    Read(Side),
    End(Side),
    Reset(Side),
    Silence,
    Drain,
}

fn step() -> impl Strategy<Value = Move> {
    let side = prop_oneof![Just(Side::Downstream), Just(Side::Upstream)];
    prop_oneof![
        6 => (side.clone(), 1..400_000usize).prop_map(|(side, bytes)| Move::Send(side, bytes)),
        4 => side.clone().prop_map(Move::Read),
        3 => side.clone().prop_map(Move::End),
        1 => side.prop_map(Move::Reset),
        1 => Just(Move::Silence),
        1 => Just(Move::Drain),
    ]
}

/// What a peer has heard at last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// Nothing that would end its stream.
    Nothing,
    End,
    Reset,
}

/// One end of the link in the script's hands.
#[derive(Debug)]
struct Peer {
    /// None once it has reset.
    stream: Option<TcpStream>,
    sent: u64,
    has_ended: bool,
    read: u64,
    heard: Heard,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        stream.set_nonblocking(true).expect("a socket can be non-blocking");
        Self { stream: Some(stream), sent: 0, has_ended: false, read: 0, heard: Heard::Nothing }
    }

    fn has_reset(&self) -> bool {
        self.stream.is_none()
    }

    /// Sends as much of the ramp as is taken now.
    fn send(&mut self, bytes: usize) {
        let Some(mut stream) = self.stream.as_ref().filter(|_| !self.has_ended) else { return };
        let mut block = vec![0; bytes];
        ramp::fill(self.sent, &mut block);
        match stream.write(&block) {
            Ok(taken) => self.sent += taken as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // Nothing tells it of the reset twice.
            Err(_) => self.heard = Heard::Reset,
        }
    }

    /// Reads what there is.
    fn read(&mut self) {
        let Some(mut stream) = self.stream.as_ref() else { return };
        let mut block = vec![0; 64 * 1024];
        while self.heard == Heard::Nothing {
            match stream.read(&mut block) {
                Ok(0) => self.heard = Heard::End,
                Ok(read) => {
                    ramp::verify(self.read, &block[..read]).expect("the ramp goes on");
                    self.read += read as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.heard = Heard::Reset,
            }
        }
    }

    fn end(&mut self) {
        let Some(stream) = self.stream.as_ref().filter(|_| !self.has_ended) else { return };
        // After a reset, which may come at any moment, there is nothing to end.
        match stream.shutdown(Shutdown::Write) {
            Err(error) if error.kind() != ErrorKind::NotConnected => panic!("send a FIN: {error}"),
            _ => {}
        }
        self.has_ended = true;
    }

    fn reset(&mut self) {
        self.stream.take().into_iter().for_each(reset);
    }
}

/// Waits until the loop has done all that it can.
fn settle(relay: &Running) {
    let state = || {
        let links = relay.links();
        let link = links.first().map(|link| (link.stage, link.up, link.down));
        (links.len(), link)
    };
    let mut before = state();
    // Twice, because what is told while a turn is on is found in the next one.
    let mut calm = 0;
    while calm < 2 {
        let now = state();
        calm = if now == before { calm + 1 } else { 0 };
        before = now;
    }
}

/// Plays a script; answers both peers and the end of the link.
fn play(settings: Settings, script: &[Move]) -> ([Peer; 2], Ended) {
    let limits = Limits { idle_timeout: Some(IDLE), linger: Some(LINGER), ..Limits::default() };
    let bench = Bench::narrow(settings, limits);
    let (client, server) = bench.link();
    wait_until("the link to be open", || {
        bench.relay.links().iter().all(|link| link.open_time.is_some())
    });
    let mut peers = [client, server].map(Peer::new);
    for step in script {
        match *step {
            Move::Send(side, bytes) => peers[side as usize].send(bytes),
            Move::Read(side) => peers[side as usize].read(),
            Move::End(side) => peers[side as usize].end(),
            Move::Reset(side) => peers[side as usize].reset(),
            Move::Silence => bench.relay.advance(SILENCE),
            // A loop without links and listeners is over, and answers nothing.
            Move::Drain => {
                bench.relay.handle.drain(Some(DRAIN)).expect("tell the loop");
            }
        }
        settle(&bench.relay);
    }
    peers.iter_mut().for_each(Peer::end);
    // Each round makes room for more.
    let has_ended = || bench.relay.links().is_empty();
    wait_until("all to be read, or nothing to move any more", || {
        let before = peers.each_ref().map(|peer| (peer.read, peer.heard));
        peers.iter_mut().for_each(Peer::read);
        settle(&bench.relay);
        let after = peers.each_ref().map(|peer| (peer.read, peer.heard));
        has_ended() || before == after && peers.iter().any(Peer::has_reset)
    });
    bench.relay.advance(IDLE + LINGER + DRAIN);
    let ended = bench.relay.only_end();
    wait_until("the peers to hear of it", || {
        peers.iter_mut().for_each(Peer::read);
        peers.iter().all(|peer| peer.has_reset() || peer.heard != Heard::Nothing)
    });
    bench.close();
    (peers, ended)
}

fn judge(script: &[Move], peers: &[Peer; 2], ended: &Ended) -> Result<(), TestCaseError> {
    let [client, server] = peers;
    for (peer, other) in [(client, server), (server, client)] {
        prop_assert!(peer.read <= other.sent, "read what was not sent");
        if peer.heard == Heard::End {
            prop_assert!(other.has_ended, "an end that nobody meant");
            prop_assert_eq!(peer.read, other.sent, "an end before the last byte");
        }
    }
    let silences = script.iter().filter(|step| matches!(step, Move::Silence)).count();
    let drains = script.iter().any(|step| matches!(step, Move::Drain));
    let has_reset = |side: Side| peers[side as usize].has_reset();
    match ended.outcome {
        Outcome::Clean => {
            prop_assert_eq!((ended.up.written, ended.down.written), (client.sent, server.sent));
            for peer in peers.iter().filter(|peer| !peer.has_reset()) {
                prop_assert_eq!(peer.heard, Heard::End, "a reset after a clean end");
            }
        }
        Outcome::Reset(side) => prop_assert!(has_reset(side), "{side:?} has not reset"),
        Outcome::Expired(Limit::Drain) => prop_assert!(drains),
        Outcome::Expired(Limit::Idle | Limit::Linger) => prop_assert!(silences > 0),
        other => prop_assert!(false, "{other} of a link between two sockets"),
    }
    let calm =
        silences == 0 && !drains && !has_reset(Side::Downstream) && !has_reset(Side::Upstream);
    prop_assert!(!calm || ended.outcome == Outcome::Clean, "{} for no reason", ended.outcome);
    Ok(())
}

/// Plays `cases` scripts with splice(2) and as many without, each by a clock of its own.
fn play_scripts<S: Strategy<Value: std::fmt::Debug>>(
    cases: u32,
    step: fn() -> S,
    play: impl Fn(Settings, &[S::Value]) -> Result<(), TestCaseError> + Sync,
) {
    in_both_modes(|settings| {
        // A script that ends nothing waits for long before it is known to fail.
        let config =
            Config { cases, max_shrink_iters: 40, failure_persistence: None, ..Config::default() };
        let scripts = proptest::collection::vec(step(), 0..14);
        let result = TestRunner::new(config).run(&scripts, |script| {
            play(Settings { clock: Clock::movable(), ..settings.clone() }, &script)
        });
        result.unwrap_or_else(|error| panic!("{error}"));
    });
}

#[test]
fn every_order_of_ends_is_told_as_it_was() {
    play_scripts(400, step, |settings, script| {
        let (peers, ended) = play(settings, script);
        judge(script, &peers, &ended)
    });
}
