//! A destination whose plan cannot be made yet: its target is missing, or a tool, or a permission.
//!
//! It is looked for again when a link wants it: that link waits for the answer, off the loop. While
//! somebody looks, and for a moment after the last look, others are refused with what was found last.
//! So a missing target costs one thread of the pool at a time, and a few looks a second, however many
//! clients come. Once it is found, links are opened as the plan says.

use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use nsplice_relay::queues::FAR;
use nsplice_relay::{Allowance, Attempt, OpenClass, OpenError, Opener, Progress, Wake};
use nsplice_sys::{offload, Answer, Offloaded, Pool};

use crate::choice::Choice;
use crate::error::BackendError;
use crate::options::Options;
use crate::settled::Settled;
use crate::target::destination::Destination;

/// How long an answer is good for links that come after it.
const GOOD_FOR: Duration = Duration::from_millis(250);

/// A destination whose plan is yet to be made.
#[derive(Debug)]
pub struct Expected {
    destination: Destination,
    choice: Choice,
    options: Options,
    pool: Pool,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Missing {
        /// Why.
        problem: BackendError,
        /// When that was found.
        since: Instant,
        /// Held by the link that looks again.
        looking: Weak<()>,
    },
    Found(Arc<Settled>),
}

type Look = Offloaded<Result<Arc<Settled>, BackendError>>;

impl Expected {
    /// A destination of which `problem` has just been found.
    pub(crate) fn new(
        destination: &Destination,
        choice: Choice,
        options: &Options,
        problem: BackendError,
        pool: &Pool,
    ) -> Self {
        let state = State::Missing { problem, since: Instant::now(), looking: Weak::new() };
        Self {
            destination: destination.clone(),
            choice,
            options: options.clone(),
            pool: pool.clone(),
            state: Mutex::new(state),
        }
    }

    /// Looks for it. Blocks as [`crate::Plan::prepare`] does.
    ///
    /// # Errors
    /// What is in its way still.
    pub fn look(&self) -> Result<Arc<Settled>, BackendError> {
        if let State::Found(plan) = &*self.state() {
            return Ok(Arc::clone(plan));
        }
        let answer = Settled::prepare(&self.destination, self.choice, &self.options, &self.pool);
        let answer = answer.map(Arc::new);
        let mut state = self.state();
        match (&mut *state, &answer) {
            // Somebody else was quicker; one plan is enough.
            (State::Found(plan), _) => return Ok(Arc::clone(plan)),
            (state, Ok(plan)) => *state = State::Found(Arc::clone(plan)),
            (State::Missing { problem, since, .. }, Err(error)) => {
                (*problem, *since) = (error.clone(), Instant::now());
            }
        }
        answer
    }

    /// The backend as far as it is known.
    pub(crate) fn backend(&self) -> &'static str {
        match &*self.state() {
            State::Found(plan) => plan.backend(),
            State::Missing { .. } => self.choice.as_str(),
        }
    }

    /// What a link is to do.
    fn ask(self: &Arc<Self>) -> Asked {
        let mut state = self.state();
        let (problem, since, looking) = match &mut *state {
            State::Found(plan) => return Asked::Found(Arc::clone(plan)),
            State::Missing { problem, since, looking } => (problem, since, looking),
        };
        if looking.strong_count() > 0 || since.elapsed() < GOOD_FOR {
            return Asked::Refused(problem.clone().into());
        }
        let held = Arc::new(());
        *looking = Arc::downgrade(&held);
        let expected = Arc::clone(self);
        let look = offload(&self.pool, move || {
            let _held = &held;
            expected.look()
        });
        match look {
            Ok(look) => Asked::Looking(look),
            Err(error) => {
                let what = format!("cannot look up {}", self.destination.target);
                Asked::Refused(OpenError::from_io(what, &error))
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Asked {
    Found(Arc<Settled>),
    Looking(Look),
    Refused(OpenError),
}

/// Opens upstreams of a destination that may have been found meanwhile.
#[derive(Debug)]
pub(crate) struct Patient {
    expected: Arc<Expected>,
    /// The opener of the plan, once there is one.
    found: Option<Box<dyn Opener>>,
}

impl Patient {
    pub(crate) fn new(expected: Arc<Expected>) -> Self {
        Self { expected, found: None }
    }
}

impl Opener for Patient {
    fn backend(&self) -> &'static str {
        match &self.found {
            Some(opener) => opener.backend(),
            None => self.expected.backend(),
        }
    }

    fn open(&mut self, downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        if let Some(opener) = &mut self.found {
            return opener.open(downstream);
        }
        let stage = match self.expected.ask() {
            Asked::Found(plan) => {
                return self.found.insert(plan.opener()).open(downstream);
            }
            Asked::Looking(look) => Stage::Asking(look),
            Asked::Refused(error) => Stage::Refused(error),
        };
        Box::new(Waiting { stage, allowance: Allowance::default() })
    }

    fn queues(&self) -> usize {
        // Not less than whatever is found will size.
        self.found.as_ref().map_or_else(|| FAR.total(), |opener| opener.queues())
    }

    fn begin_burst(&mut self, listener: BorrowedFd<'_>, most: usize) {
        if let Some(opener) = &mut self.found {
            opener.begin_burst(listener, most);
        }
    }

    fn end_burst(&mut self) {
        if let Some(opener) = &mut self.found {
            opener.end_burst();
        }
    }
}

/// An upstream whose target is being looked for.
#[derive(Debug)]
struct Waiting {
    stage: Stage,
    /// For the opening, once there is a plan.
    allowance: Allowance,
}

#[derive(Debug)]
enum Stage {
    Refused(OpenError),
    /// The look has been given away, and is not waited for yet.
    Asking(Look),
    Looking(Look),
    Opening(Box<dyn Attempt>),
    Over,
}

impl Attempt for Waiting {
    fn advance(&mut self, wake: Wake) -> Progress {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Refused(error) => Progress::Failed(error),
            Stage::Asking(look) => {
                self.stage = Stage::Looking(look);
                Progress::Waiting
            }
            Stage::Looking(look) => match look.take() {
                Answer::Here(Ok(plan)) => {
                    let mut attempt = plan.opener().open(None);
                    attempt.allow(self.allowance);
                    let progress = attempt.advance(Wake::START);
                    self.stage = Stage::Opening(attempt);
                    progress
                }
                Answer::Here(Err(error)) => Progress::Failed(error.into()),
                Answer::Lost => {
                    let detail = "internal error: the lookup of a missing target panicked";
                    Progress::Failed(OpenError::new(OpenClass::Other, detail))
                }
                Answer::NotYet => {
                    self.stage = Stage::Looking(look);
                    Progress::Pending
                }
            },
            Stage::Opening(mut attempt) => {
                let progress = attempt.advance(wake);
                self.stage = Stage::Opening(attempt);
                progress
            }
            Stage::Over => Progress::Pending,
        }
    }

    fn allow(&mut self, allowance: Allowance) {
        self.allowance = allowance;
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        match &self.stage {
            Stage::Looking(look) => Some(look.source()),
            Stage::Opening(attempt) => attempt.source(),
            Stage::Refused(_) | Stage::Asking(_) | Stage::Over => None,
        }
    }
}
