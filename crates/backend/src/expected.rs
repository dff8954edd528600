//! A destination whose plan may not be made yet: its target is missing, or a tool, or a permission.
//!
//! It is looked for again when a link wants it: that link waits for the answer, off the loop. While
//! somebody looks, and for a moment after the last look, others are refused with what was found last.
//! So a missing target costs one thread of the pool at a time, and a few looks a second, however many
//! clients come. Once it is found, links are opened as the plan says.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use nsplice_relay::OpenError;
use nsplice_sys::{offload, Asker, Offloaded, Pool, Question};

use crate::choice::Choice;
use crate::error::BackendError;
use crate::options::Options;
use crate::settled::Settled;
use crate::target::destination::Destination;
use crate::target::named::Named;
use crate::target::Target;

/// How long an answer is good for links that come after it.
const GOOD_FOR: Duration = Duration::from_millis(250);

/// A destination whose plan is yet to be made.
#[derive(Debug)]
pub struct Expected {
    destination: Destination,
    choice: Choice,
    options: Options,
    /// On whose behalf it is looked for: whoever looks for the same pod or container waits for the one who
    /// does already, and that is not to take all threads.
    asker: Asker,
    /// The pod or container, so that what is known of it is kept from one look to the next.
    _named: Option<Arc<Named>>,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    /// Nobody has looked.
    New,
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
pub type Look = Offloaded<Result<Arc<Settled>, BackendError>>;

impl Expected {
    /// A destination that nobody has looked for yet.
    ///
    /// What openings have to wait for is asked by the threads of `pool`.
    pub fn new(
        destination: &Destination,
        choice: Choice,
        options: &Options,
        pool: &Pool,
    ) -> Arc<Self> {
        let named = match &destination.target {
            // What is wrong with it is told by the first look.
            Target::Named(wanted) => Named::new(wanted, options, &pool.asker()).ok(),
            Target::Pid(_) | Target::Netns(_) | Target::Tcp(_) => None,
        };
        if let Some(named) = &named {
            named.follow();
        }
        let asker = named.as_ref().map_or_else(|| pool.asker(), |named| named.asker().clone());
        Arc::new(Self {
            destination: destination.clone(),
            choice,
            options: options.clone(),
            asker,
            _named: named,
            state: Mutex::new(State::New),
        })
    }

    /// Looks for it. Blocks as [`crate::Plan::prepare`] does.
    ///
    /// # Errors
    /// What is in its way still.
    pub fn look(&self) -> Result<Arc<Settled>, BackendError> {
        if let State::Found(plan) = &*self.state() {
            return Ok(Arc::clone(plan));
        }
        let answer =
            Settled::prepare(&self.destination, self.choice, &self.options, self.asker.pool());
        let answer = answer.map(Arc::new);
        let mut state = self.state();
        match (&mut *state, &answer) {
            // Somebody else was quicker; one plan is enough.
            (State::Found(plan), _) => return Ok(Arc::clone(plan)),
            (state, Ok(plan)) => *state = State::Found(Arc::clone(plan)),
            (State::Missing { problem, since, .. }, Err(error)) => {
                (*problem, *since) = (error.clone(), Instant::now());
            }
            (state @ State::New, Err(error)) => {
                let (problem, since) = (error.clone(), Instant::now());
                *state = State::Missing { problem, since, looking: Weak::new() };
            }
        }
        answer
    }

    /// Looks for it here and now, if nobody has to be asked for that; `None` for a pod or container,
    /// about which runtimes are asked.
    pub fn look_at_once(&self) -> Option<Result<Arc<Settled>, BackendError>> {
        (!matches!(self.destination.target, Target::Named(_))).then(|| self.look())
    }

    /// Has a thread of `pool` look for it.
    ///
    /// # Errors
    /// When there are no descriptors for the answer or not a single thread can be had.
    pub fn begin_look(self: &Arc<Self>, pool: &Pool) -> io::Result<Look> {
        let expected = Arc::clone(self);
        offload(pool, move || expected.look())
    }

    /// The backend as far as it is known.
    pub(crate) fn backend(&self) -> &'static str {
        match &*self.state() {
            State::Found(plan) => plan.backend(),
            State::New | State::Missing { .. } => self.choice.as_str(),
        }
    }

    /// Tells a link what it is to do.
    pub(crate) fn ask(self: &Arc<Self>) -> Asked {
        let held = Arc::new(());
        match &mut *self.state() {
            State::Found(plan) => return Asked::Found(Arc::clone(plan)),
            State::New => {}
            State::Missing { problem, since, looking } => {
                if looking.strong_count() > 0 || since.elapsed() < GOOD_FOR {
                    return Asked::Refused(problem.clone().into());
                }
                *looking = Arc::downgrade(&held);
            }
        }
        let expected = Arc::clone(self);
        let look = Question::new(&self.asker, move || {
            let _held = &held;
            expected.look()
        });
        match look.ask() {
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
