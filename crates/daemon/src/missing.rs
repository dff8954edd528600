//! Targets that were missing at start, looked for until they are there.
//!
//! Links look for their target by themselves; this is for whoever reads the log, who wants to know that
//! it has come, or that something else is in its way by now. One thread looks, at growing intervals; it
//! ends when nothing is missing any more.

use std::io;
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nsplice_backend::Expected;
use slog::{info, warn, Logger};

/// After which time the first look is due, and how far apart they come to be.
const INTERVALS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(15)];

/// A forward whose target cannot be reached yet.
#[derive(Debug)]
pub(crate) struct Missing {
    /// The forward.
    pub(crate) name: Arc<str>,
    /// `FILE:LINE` of it.
    pub(crate) place: String,
    /// The target that is looked for.
    pub(crate) expected: Arc<Expected>,
    /// The reason why it cannot be reached.
    pub(crate) problem: String,
}

impl Missing {
    /// Tells what is in its way.
    pub(crate) fn tell(&self, log: &Logger) {
        warn!(log, "target unavailable: refusing its links and retrying";
            "forward" => &*self.name, "at" => &self.place, "error" => &self.problem);
    }

    /// Looks again, and tells what is new. Whether it is missing still.
    fn look(&mut self, log: &Logger) -> bool {
        match self.expected.look() {
            Ok(plan) => {
                info!(log, "target available: serving its links";
                    "forward" => &*self.name, "backend" => plan.backend());
                false
            }
            Err(error) => {
                let problem = error.to_string();
                if problem != self.problem {
                    self.problem = problem;
                    self.tell(log);
                }
                true
            }
        }
    }
}

/// The looking, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Looking(#[expect(dead_code, reason = "its end is what counts")] Sender<()>);

impl Looking {
    /// Begins to look for what is `missing`.
    pub(crate) fn start(missing: Vec<Missing>, log: &Logger) -> io::Result<Self> {
        let (wanted, over) = channel();
        if !missing.is_empty() {
            let log = log.clone();
            let look = move || look_for(missing, &over, &log);
            thread::Builder::new().name("missing".to_owned()).spawn(look)?;
        }
        Ok(Self(wanted))
    }
}

fn look_for(mut missing: Vec<Missing>, over: &Receiver<()>, log: &Logger) {
    let [mut interval, longest] = INTERVALS;
    while !missing.is_empty() && over.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
        missing.retain_mut(|each| each.look(log));
        interval = longest.min(interval * 2);
    }
}
