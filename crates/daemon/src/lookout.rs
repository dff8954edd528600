//! Looking for targets before anything is served, and waiting for them.
//!
//! They are looked for side by side, by threads that end with the lookout, and signals are heard all the
//! time: a look may take as long as a container runtime takes to answer, and whoever asks for the end
//! does not wait for that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nsplice_backend::{BackendError, ErrorKind, Expected, Settled};
use nsplice_sys::{Answer, Pool};

use crate::failure::Failure;
use crate::main_loop::{MainLoop, Source};
use crate::signals::Signals;

/// The time between one look for a target that is waited for and the next, at first and at last.
pub(crate) const INTERVALS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// What a look has brought.
pub(crate) type Looked = Result<Arc<Settled>, BackendError>;

/// Somebody who looks for targets and hears signals meanwhile. A signal that asks for the end is the
/// answer `None` to everything.
#[derive(Debug)]
pub(crate) struct Lookout<'a> {
    main: MainLoop,
    signals: &'a Signals,
    pool: Pool,
}

impl<'a> Lookout<'a> {
    /// One that hears `signals`.
    pub(crate) fn new(signals: &'a Signals) -> Result<Self, Failure> {
        let main = MainLoop::new().map_err(Failure::system("create an epoll instance"))?;
        main.watch(signals, Source::Signals).map_err(Failure::system("wait for signals"))?;
        Ok(Self { main, signals, pool: Pool::on_demand() })
    }

    /// Looks for all of `expected`, and returns what has come out in their order.
    pub(crate) fn look(
        &mut self,
        expected: &[Arc<Expected>],
    ) -> Result<Option<Vec<Looked>>, Failure> {
        let mut looks = Vec::with_capacity(expected.len());
        for each in expected {
            let look = each.begin_look(&self.pool).map_err(Failure::system("look for a target"))?;
            self.main
                .watch(look.source(), Source::Target)
                .map_err(Failure::system("wait for a look"))?;
            looks.push(look);
        }
        let mut all = Vec::with_capacity(looks.len());
        for look in looks {
            all.push(loop {
                match look.take() {
                    Answer::Here(looked) => break looked,
                    Answer::Lost => return Err(Failure::Defect),
                    Answer::NotYet => {}
                }
                if self.hears_the_end(None)? {
                    return Ok(None);
                }
            });
        }
        Ok(Some(all))
    }

    /// Waits until all of `expected` are there, of which `problem` has just been found, and returns them in
    /// their order. Another kind of problem is told by `tell`.
    pub(crate) fn wait_for(
        &mut self,
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
                if self.hears_the_end(Some(left))? {
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

    /// Waits until something happens, or at most for `patience`, and tells whether a signal has asked for
    /// the end.
    fn hears_the_end(&mut self, patience: Option<Duration>) -> Result<bool, Failure> {
        self.main.wait(patience).map_err(Failure::system("wait for signals"))?;
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
