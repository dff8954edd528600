//! Targets that were missing at start, looked for until they are there.
//!
//! Most forwards listen meanwhile: their links look for the target by themselves, and this is for whoever
//! reads the log, who wants to know that it has come, or that something else is in its way by now. A forward
//! that waits for its target listens only when that is there, and it is here that it is looked for. One
//! thread looks, side by side and at growing intervals; it ends when nothing is missing any more.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::PollTimeout;
use nsplice_backend::{BackendError, Expected, Settled};
use nsplice_relay::{Handle, Labels, RelayError};
use nsplice_sys::{wait_readable, Answer, Pool};
use slog::{error, info, warn, Logger};

use crate::bind::{reserve, Asker, Bound, ListenError, Reserved};
use crate::failure::Failure;
use crate::lookout::{Looked, INTERVALS};
use crate::service::Service;

/// A forward whose target cannot be reached yet.
#[derive(Debug)]
pub(crate) struct Missing {
    labels: Arc<Labels>,
    /// `FILE:LINE` of it.
    place: String,
    expected: Arc<Expected>,
    /// The reason that was told last.
    obstacle: Obstacle,
    /// Its service, if that is to begin when the target is there.
    held: Option<Held>,
    due: Due,
}

/// What is in the way of a forward.
#[derive(Debug)]
enum Obstacle {
    /// Its target is missing, or not for us.
    Target(BackendError),
    /// Its target is there, and an address cannot be listened on.
    Address(String),
}

impl Obstacle {
    /// Whether it is as good as `other`: what was searched for a target changes all the time.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Target(one), Self::Target(other)) => one.kind() == other.kind(),
            (Self::Address(one), Self::Address(other)) => one == other,
            (Self::Target(_), Self::Address(_)) | (Self::Address(_), Self::Target(_)) => false,
        }
    }
}

/// A service that is held until its target is there.
#[derive(Debug)]
pub(crate) struct Held {
    service: Service,
    addresses: Vec<SocketAddr>,
    /// Empty after a try that has failed.
    reserved: Vec<Reserved>,
}

impl Held {
    /// Holds `service`, which is to listen on what is `reserved`.
    pub(crate) fn new(service: Service, reserved: Vec<Reserved>) -> Self {
        let addresses = reserved.iter().map(|each| each.local).collect();
        Self { service, addresses, reserved }
    }

    /// Listens for `loops` loops.
    fn listen(&mut self, loops: usize) -> Result<Vec<Bound>, ListenError> {
        if self.reserved.is_empty() {
            let reserve = |address| reserve(address, loops, Asker::Configuration);
            let reserved: Result<_, _> = self.addresses.iter().copied().map(reserve).collect();
            self.reserved = reserved?;
        }
        std::mem::take(&mut self.reserved).into_iter().map(Reserved::listen).collect()
    }

    /// Serves what has come on `loops`. Whether it does: they may drain.
    fn begin(
        &mut self,
        settled: Arc<Settled>,
        loops: &[Handle],
        log: &Logger,
    ) -> Result<bool, Failure> {
        self.service.bound = self.listen(loops.len())?;
        self.service.plan = Arc::new(settled.into());
        let listening = self.service.listening();
        let mut begun = Vec::with_capacity(loops.len());
        for handle in loops {
            let (forward, listeners) = self.service.share()?;
            let answer = handle.serve(forward, listeners);
            match answer.map_err(Failure::system("wake a loop"))?.wait() {
                Some(Ok(id)) => begun.push((handle, id)),
                Some(Err(RelayError::Draining)) | None => return Ok(false),
                Some(Err(error)) => {
                    // All of them, or none: the next try finds the address free.
                    for (handle, id) in begun {
                        handle.retire(id, None).map_err(Failure::system("wake a loop"))?;
                    }
                    return Err(error.into());
                }
            }
        }
        listening.iter().for_each(|each| each.tell(log));
        Ok(true)
    }
}

/// The intervals where links look for themselves; some looks start programs.
const OF_LINKS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(15)];

/// When a target is looked for again.
#[derive(Debug)]
struct Due {
    at: Instant,
    interval: Duration,
    longest: Duration,
}

impl Due {
    /// After the first look, with these intervals at first and at last.
    fn after([interval, longest]: [Duration; 2]) -> Self {
        Self { at: Instant::now() + interval, interval, longest }
    }

    /// After one more look.
    fn again(&mut self) {
        self.interval = self.longest.min(self.interval * 2);
        self.at = Instant::now() + self.interval;
    }
}

impl Missing {
    /// One that listens, and whose links are refused.
    pub(crate) fn refused(
        expected: Arc<Expected>,
        problem: BackendError,
        place: String,
        labels: &Arc<Labels>,
    ) -> Self {
        let (labels, obstacle) = (Arc::clone(labels), Obstacle::Target(problem));
        let due = Due::after(OF_LINKS);
        Self { labels, place, expected, obstacle, held: None, due }
    }

    /// One that is to listen when its target is there.
    pub(crate) fn held(
        expected: Arc<Expected>,
        problem: BackendError,
        place: String,
        held: Held,
    ) -> Self {
        let (labels, obstacle) = (Arc::clone(&held.service.labels), Obstacle::Target(problem));
        let due = Due::after(INTERVALS);
        Self { labels, place, expected, obstacle, held: Some(held), due }
    }

    /// Whether it is to listen when its target is there.
    pub(crate) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Tells what is in its way.
    pub(crate) fn tell(&self, log: &Logger) {
        let Self { labels, place, .. } = self;
        let (forward, target) = (&*labels.service, &*labels.target);
        match (&self.obstacle, &self.held) {
            (Obstacle::Target(problem), None) => {
                warn!(log, "target unavailable: refusing its links and retrying";
                    "forward" => forward, "at" => place, "error" => %problem);
            }
            (Obstacle::Target(problem), Some(_)) => {
                warn!(log, "target unavailable: not listening until it is there";
                    "forward" => forward, "at" => place, "target" => target, "error" => %problem);
            }
            (Obstacle::Address(problem), _) => {
                error!(log, "cannot listen: retrying";
                    "forward" => forward, "at" => place, "error" => problem);
            }
        }
    }

    /// Takes in what a look has brought, and tells what is new. Whether it is missing still.
    fn learn(&mut self, look: Looked, loops: &[Handle], log: &Logger) -> bool {
        let obstacle = match look {
            Ok(settled) => {
                let backend = settled.backend();
                let begun = self.held.as_mut().map(|held| held.begin(settled, loops, log));
                match begun {
                    Some(Err(error)) => Obstacle::Address(error.to_string()),
                    Some(Ok(false)) => return false,
                    Some(Ok(true)) | None => {
                        info!(log, "target available: serving its links";
                            "forward" => &*self.labels.service, "backend" => backend);
                        return false;
                    }
                }
            }
            Err(problem) => Obstacle::Target(problem),
        };
        let is_news = !obstacle.is_like(&self.obstacle);
        self.obstacle = obstacle;
        if is_news {
            self.tell(log);
        }
        true
    }
}

/// The looking, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Looking(#[expect(dead_code, reason = "its end is what counts")] Sender<()>);

impl Looking {
    /// Begins to look for what is `missing`. What is held is served on `loops` when it has come.
    pub(crate) fn start(
        missing: Vec<Missing>,
        loops: Vec<Handle>,
        log: &Logger,
    ) -> io::Result<Self> {
        let (wanted, over) = channel();
        if !missing.is_empty() {
            let log = log.clone();
            let look = move || look_for(missing, &loops, &over, &log);
            thread::Builder::new().name("missing".to_owned()).spawn(look)?;
        }
        Ok(Self(wanted))
    }
}

fn look_for(mut missing: Vec<Missing>, loops: &[Handle], over: &Receiver<()>, log: &Logger) {
    let pool = Pool::on_demand();
    while let Some(at) = missing.iter().map(|each| each.due.at).min() {
        let patience = at.saturating_duration_since(Instant::now());
        if over.recv_timeout(patience) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        let now = Instant::now();
        let (due, others): (Vec<_>, Vec<_>) =
            missing.into_iter().partition(|each| each.due.at <= now);
        missing = others;
        // All are begun before the first is waited for.
        let looks: Vec<_> = due.iter().map(|each| each.expected.begin_look(&pool)).collect();
        for (mut each, look) in due.into_iter().zip(looks) {
            let looked = look.ok().and_then(|look| {
                wait_readable(look.source(), PollTimeout::NONE);
                match look.take() {
                    Answer::Here(looked) => Some(looked),
                    Answer::Lost | Answer::NotYet => None,
                }
            });
            if looked.is_none_or(|looked| each.learn(looked, loops, log)) {
                each.due.again();
                missing.push(each);
            }
        }
    }
}
