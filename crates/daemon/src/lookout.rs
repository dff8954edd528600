//! Looking for targets before anything is served, and waiting for them.
//!
//! Those that somebody has to be asked about are looked for side by side, by threads that end with the
//! lookout, and signals are heard all the time: a look may take as long as a container runtime takes to
//! answer, and whoever asks for the end does not wait for that.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::Signal;
use nsplice_backend::{BackendError, ErrorKind, Expected, Look, Settled};
use nsplice_sys::{Answer, Pool};

use crate::failure::Failure;
use crate::signals::Signals;

/// The time between one look for a target that is waited for and the next, at first and at last.
pub(crate) const INTERVALS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// What a look has brought.
pub(crate) type Looked = Result<Arc<Settled>, BackendError>;

/// A look that has begun.
#[derive(Debug)]
enum Begun {
    Over(Looked),
    Asked(Look),
}

/// Somebody who looks for targets and hears signals meanwhile. A signal that asks for the end is the
/// answer `None` to everything.
#[derive(Debug)]
pub(crate) struct Lookout<'a> {
    signals: &'a Signals,
    pool: Pool,
}

impl<'a> Lookout<'a> {
    /// One that hears `signals`.
    pub(crate) fn new(signals: &'a Signals) -> Self {
        Self { signals, pool: Pool::on_demand() }
    }

    /// Looks for all of `expected`, and returns what has come out in their order.
    pub(crate) fn look(&self, expected: &[Arc<Expected>]) -> Result<Option<Vec<Looked>>, Failure> {
        // All are begun before the first is waited for.
        let begin = |each: &Arc<Expected>| match each.look_at_once() {
            Some(looked) => Ok(Begun::Over(looked)),
            None => each.begin_look(&self.pool).map(Begun::Asked),
        };
        let looks: io::Result<Vec<_>> = expected.iter().map(begin).collect();
        let looks = looks.map_err(Failure::system("look for a target"))?;
        let mut all = Vec::with_capacity(looks.len());
        for look in looks {
            let looked = match look {
                Begun::Over(looked) => Some(looked),
                Begun::Asked(look) => self.answer(&look)?,
            };
            let Some(looked) = looked else { return Ok(None) };
            all.push(looked);
        }
        Ok(Some(all))
    }

    /// Waits for the answer of `look`.
    fn answer(&self, look: &Look) -> Result<Option<Looked>, Failure> {
        loop {
            match look.take() {
                Answer::Here(looked) => return Ok(Some(looked)),
                Answer::Lost => return Err(Failure::Defect),
                Answer::NotYet => {}
            }
            if self.hears_the_end(Some(look.source()), PollTimeout::NONE)? {
                return Ok(None);
            }
        }
    }

    /// Waits until all of `expected` are there, of which `problem` has just been found, and returns them in
    /// their order. Another kind of problem is told by `tell`.
    pub(crate) fn wait_for(
        &self,
        expected: &[Arc<Expected>],
        mut problem: BackendError,
        tell: impl Fn(&BackendError),
    ) -> Result<Option<Vec<Arc<Settled>>>, Failure> {
        let [mut interval, longest] = INTERVALS;
        loop {
            if !may_come(&problem) {
                return Err(problem.into());
            }
            let due = Instant::now() + interval;
            interval = longest.min(interval * 2);
            while let Some(left) = due.checked_duration_since(Instant::now()) {
                // Rounded up, so that the last wait is no busy one.
                let left = left + Duration::from_millis(1);
                if self.hears_the_end(None, left.try_into().unwrap_or(PollTimeout::MAX))? {
                    return Ok(None);
                }
            }
            let Some(looks) = self.look(expected)? else { return Ok(None) };
            match looks.into_iter().collect::<Result<Vec<_>, _>>() {
                Ok(all) => return Ok(Some(all)),
                Err(now) => {
                    // What was searched changes all the time.
                    let is_news = now.kind() != problem.kind();
                    problem = now;
                    if is_news && may_come(&problem) {
                        tell(&problem);
                    }
                }
            }
        }
    }

    /// Waits for a signal, for `other` to be readable, or for `patience` to be over, and tells whether a
    /// signal has asked for the end.
    fn hears_the_end(
        &self,
        other: Option<BorrowedFd<'_>>,
        patience: PollTimeout,
    ) -> Result<bool, Failure> {
        let sources = [Some(self.signals.as_fd()), other];
        let mut watched: Vec<_> =
            sources.iter().flatten().map(|each| PollFd::new(*each, PollFlags::POLLIN)).collect();
        match poll(&mut watched, patience) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Failure::system("wait for signals")(errno.into())),
        }
        while let Some(signal) = self.signals.next().map_err(Failure::system("read a signal"))? {
            if matches!(signal, Signal::SIGINT | Signal::SIGTERM | Signal::SIGQUIT) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether waiting may help: privileges and programs do not come by themselves.
pub(crate) fn may_come(problem: &BackendError) -> bool {
    matches!(problem.kind(), ErrorKind::NoSuchTarget | ErrorKind::Failed)
}
