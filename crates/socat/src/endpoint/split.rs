//! `A!!B`: an endpoint that is read from, and another that is written to.
//!
//! The first is opened, then the second. Of each only the half that is used is kept.

use std::os::fd::{BorrowedFd, OwnedFd};

use nsplice_relay::{Attempt, Hold, OpenClass, OpenError, Opener, Progress, Upstream, Wake};

/// Opens both.
#[derive(Debug)]
pub(crate) struct Split {
    pub(crate) read: Box<dyn Opener>,
    pub(crate) write: Box<dyn Opener>,
}

impl Opener for Split {
    fn backend(&self) -> &'static str {
        "split"
    }

    fn open(&mut self, downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        let read = self.read.open(downstream);
        let write = self.write.open(downstream);
        Box::new(Splitting { state: State::Reading(read), write: Some(write) })
    }
}

#[derive(Debug)]
struct Splitting {
    state: State,
    write: Option<Box<dyn Attempt>>,
}

#[derive(Debug)]
enum State {
    Reading(Box<dyn Attempt>),
    Writing(Half, Box<dyn Attempt>),
    Over,
}

/// What is kept of an upstream.
#[derive(Debug)]
struct Half {
    end: OwnedFd,
    holds: Vec<Box<dyn Hold>>,
}

/// Which half is kept.
#[derive(Debug, Clone, Copy)]
enum Kept {
    Source,
    Sink,
}

impl Half {
    fn of(upstream: Upstream, kept: Kept) -> Result<Self, OpenError> {
        match (upstream, kept) {
            (Upstream::Stream(end), _) => Ok(Self { end, holds: Vec::new() }),
            (Upstream::Pair { source, .. }, Kept::Source) => {
                Ok(Self { end: source, holds: Vec::new() })
            }
            (Upstream::Pair { sink, .. }, Kept::Sink) => Ok(Self { end: sink, holds: Vec::new() }),
            (Upstream::Held { upstream, hold }, kept) => {
                let mut half = Self::of(*upstream, kept)?;
                half.holds.push(hold);
                Ok(half)
            }
            (Upstream::Piped { .. }, _) => {
                let told = "this program cannot be one half of an address";
                Err(OpenError::new(OpenClass::Other, told))
            }
        }
    }
}

impl Splitting {
    fn read(&mut self, mut attempt: Box<dyn Attempt>, wake: Wake) -> Progress {
        let upstream = match attempt.advance(wake) {
            Progress::Open(upstream) => upstream,
            Progress::Failed(error) => return Progress::Failed(error),
            waiting => {
                self.state = State::Reading(attempt);
                return waiting;
            }
        };
        match (Half::of(upstream, Kept::Source), self.write.take()) {
            (Ok(half), Some(write)) => self.write(half, write, Wake::START),
            (Ok(_), None) => Progress::Pending,
            (Err(error), _) => Progress::Failed(error),
        }
    }

    fn write(&mut self, half: Half, mut attempt: Box<dyn Attempt>, wake: Wake) -> Progress {
        match attempt.advance(wake) {
            Progress::Open(upstream) => match Half::of(upstream, Kept::Sink) {
                Ok(sink) => Progress::Open(joined(half, sink)),
                Err(error) => Progress::Failed(error),
            },
            Progress::Failed(error) => Progress::Failed(error),
            waiting => {
                self.state = State::Writing(half, attempt);
                waiting
            }
        }
    }
}

fn joined(source: Half, sink: Half) -> Upstream {
    let pair = Upstream::Pair { source: source.end, sink: sink.end };
    let holds = source.holds.into_iter().chain(sink.holds);
    holds.fold(pair, |upstream, hold| Upstream::Held { upstream: Box::new(upstream), hold })
}

impl Attempt for Splitting {
    fn advance(&mut self, wake: Wake) -> Progress {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Reading(attempt) => self.read(attempt, wake),
            State::Writing(half, attempt) => self.write(half, attempt, wake),
            State::Over => Progress::Pending,
        }
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Reading(attempt) | State::Writing(_, attempt) => attempt.source(),
            State::Over => None,
        }
    }
}
