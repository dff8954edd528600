//! The opener of a destination that was missing or not looked for, and may have been found meanwhile.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use nsplice_relay::queues::FAR;
use nsplice_relay::{Allowance, Attempt, OpenClass, OpenError, Opener, Progress, Wake};
use nsplice_sys::Answer;

use crate::expected::{Asked, Expected, Look};
use crate::later::Later;

/// What is to be found.
#[derive(Debug)]
pub(crate) enum Awaited {
    /// It was missing.
    Expected(Arc<Expected>),
    /// It was not looked for.
    Later(Arc<Later>),
}

/// Opens upstreams of a destination that may have been found meanwhile.
#[derive(Debug)]
pub(crate) struct Patient {
    awaited: Awaited,
    /// The opener of the plan, once there is one.
    found: Option<Box<dyn Opener>>,
}

impl Patient {
    pub(crate) fn new(awaited: Awaited) -> Self {
        Self { awaited, found: None }
    }
}

impl Opener for Patient {
    fn backend(&self) -> &'static str {
        match &self.found {
            Some(opener) => opener.backend(),
            None => match &self.awaited {
                Awaited::Expected(expected) => expected.backend(),
                Awaited::Later(later) => later.backend(),
            },
        }
    }

    fn open(&mut self, downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        if let Some(opener) = &mut self.found {
            return opener.open(downstream);
        }
        let asked = match &self.awaited {
            Awaited::Expected(expected) => expected.ask(),
            Awaited::Later(later) => later.ask(),
        };
        let state = match asked {
            Asked::Found(plan) => {
                return self.found.insert(plan.opener()).open(downstream);
            }
            Asked::Looking(look) => State::Asking(look),
            Asked::Refused(error) => State::Refused(error),
        };
        Box::new(Waiting { state, allowance: Allowance::default() })
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
    state: State,
    /// For the opening, once there is a plan.
    allowance: Allowance,
}

#[derive(Debug)]
enum State {
    Refused(OpenError),
    /// The look has been given away, and is not waited for yet.
    Asking(Look),
    Looking(Look),
    Opening(Box<dyn Attempt>),
    Over,
}

impl Attempt for Waiting {
    fn advance(&mut self, wake: Wake) -> Progress {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Refused(error) => Progress::Failed(error),
            State::Asking(look) => {
                self.state = State::Looking(look);
                Progress::Waiting
            }
            State::Looking(look) => match look.take() {
                Answer::Here(Ok(plan)) => {
                    let mut attempt = plan.opener().open(None);
                    attempt.allow(self.allowance);
                    let progress = attempt.advance(Wake::START);
                    self.state = State::Opening(attempt);
                    progress
                }
                Answer::Here(Err(error)) => Progress::Failed(error.into()),
                Answer::Lost => {
                    let detail = "internal error: the lookup of a missing target panicked";
                    Progress::Failed(OpenError::new(OpenClass::Other, detail))
                }
                Answer::NotYet => {
                    self.state = State::Looking(look);
                    Progress::Pending
                }
            },
            State::Opening(mut attempt) => {
                let progress = attempt.advance(wake);
                self.state = State::Opening(attempt);
                progress
            }
            State::Over => Progress::Pending,
        }
    }

    fn allow(&mut self, allowance: Allowance) {
        self.allowance = allowance;
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Looking(look) => Some(look.source()),
            State::Opening(attempt) => attempt.source(),
            State::Refused(_) | State::Asking(_) | State::Over => None,
        }
    }
}
