//! A destination whose plan cannot be made yet: its target is missing, or a tool, or a permission.
//!
//! It is looked for again when a link wants it: that link waits for the answer, off the loop. While
//! somebody looks, and for a moment after the last look, others are refused with what was found last.
//! So a missing target costs one thread of the pool at a time, and a few looks a second, however many
//! clients come. Once it is found, links are opened as the plan says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use nsplice_relay::OpenError;
use nsplice_sys::{offload, Offloaded, Pool};

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

/// A look that a thread of the pool takes.
pub(crate) type Look = Offloaded<Result<Arc<Settled>, BackendError>>;

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

    /// Tells a link what it is to do.
    pub(crate) fn ask(self: &Arc<Self>) -> Asked {
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

/// An order to a link that wants the destination.
pub(crate) enum Asked {
    /// To open what was found.
    Found(Arc<Settled>),
    /// To wait for this look.
    Looking(Look),
    /// To be refused.
    Refused(OpenError),
}
