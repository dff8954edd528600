//! Many links on one loop: `fork` without forking.
//!
//! A listening address accepts for ever; a connecting one is opened again and again. The other address
//! is opened for each link, unless it comes first on the command line: then it is opened once, before
//! anybody listens, and all links share it. What ends either is a signal (`watchman.rs`).

use std::os::fd::OwnedFd;
use std::time::Duration;

use nsplice_relay::{Admission, Downstream, Forward, Hold, OpenClass, Opener, Places, Relay};

use crate::endpoint::{Post, Shared};
use crate::fault::Fault;
use crate::language::Opt;

use super::doorkeeper::Doorkeeper;
use super::downstream::split;
use super::driver::{self, Opened};
use super::job::Job;
use super::manners;
use super::reconnector::Reconnector;
use super::signals;
use super::watchman::{Ending, Watchman};

/// Time between two connections of an address that connects with `fork`.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(1);

impl Job {
    /// Serves all clients of a listening address.
    pub(super) fn serve(self, post: Post, mut second: Box<dyn Opener>) -> Result<u8, Fault> {
        let Post { mut opener, max_children, admission, limit } = post;
        let signals = Some((&self.signals, &self.context.journal));
        let mut shared = Vec::new();
        if self.shares_second() {
            let opened = match driver::open(second.as_mut(), signals) {
                Opened::Open(upstream) => split(upstream),
                Opened::Failed(error) if error.class == OpenClass::NoClient => return Ok(0),
                Opened::Failed(error) => return Err(self.unopened(&self.line.second, error)),
                Opened::Interrupted(signal) => return Ok(signals::status(signal)),
            };
            second = Box::new(Shared::of(second.backend(), opened.0).map_err(Fault::new)?);
            shared = opened.1;
        }
        let (socket, mut holds) = match driver::open(opener.as_mut(), signals) {
            Opened::Open(upstream) => split(upstream),
            Opened::Failed(error) => return Err(self.unopened(&self.line.first, error)),
            Opened::Interrupted(signal) => return Ok(signals::status(signal)),
        };
        let Downstream::Socket(socket) = socket else {
            return Err(Fault::new("a listener is one socket"));
        };
        self.assume_identity()?;
        let places = max_children.map_or_else(Places::unlimited, Places::new);
        let admission = Some(Box::new(Doorkeeper::new(admission)) as Box<dyn Admission>);
        let forward = Forward { admission, ..self.forward(second, places) };
        let (mut relay, _handle) = self.relay(true)?;
        relay.add_service(forward, [socket]).map_err(Fault::new)?;
        if let Some(mut limit) = limit {
            limit.start(signals::release);
            relay.add_source(Box::new(limit)).map_err(Fault::new)?;
        }
        // A program lives until the last link has ended, in whatever process; a name goes at once.
        if !manners::starts_programs(&self.line.second) {
            holds.append(&mut shared);
        }
        self.run_loop(relay, holds)
    }

    /// Opens a connecting address again and again.
    pub(super) fn reconnect(
        self,
        first: Box<dyn Opener>,
        second: Box<dyn Opener>,
    ) -> Result<u8, Fault> {
        let forward = self.forward(second, Places::unlimited());
        let (mut relay, _handle) = self.relay(true)?;
        let service = relay.add_service(forward, Vec::<OwnedFd>::new()).map_err(Fault::new)?;
        let interval = manners::read(&self.line.first).time(Opt::Interval);
        let source = Reconnector::start(
            service,
            first,
            interval.unwrap_or(RECONNECT_INTERVAL),
            self.context.journal.clone(),
        )
        .map_err(|error| Fault::new(format_args!("cannot start a thread: {error}")))?;
        relay.add_source(Box::new(source)).map_err(Fault::new)?;
        self.run_loop(relay, Vec::new())
    }

    fn run_loop(self, mut relay: Relay, mut leftovers: Vec<Box<dyn Hold>>) -> Result<u8, Fault> {
        self.add_nursery(&mut relay)?;
        let ending = Ending::default();
        leftovers.extend(self.lock.map(|lock| Box::new(lock) as Box<dyn Hold>));
        let watchman = Watchman::of_many(
            self.signals,
            self.context.journal.clone(),
            ending.clone(),
            leftovers,
            self.context.pool.clone(),
            manners::after_answer(&self.line.flags),
        );
        relay.add_source(Box::new(watchman)).map_err(Fault::new)?;
        relay.run().map_err(Fault::new)?;
        Ok(ending.signal().map_or_else(|| u8::from(self.context.journal.failed()), signals::status))
    }
}
