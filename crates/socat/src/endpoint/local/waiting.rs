//! Opening what makes its opener wait: a named pipe without its other end.
//!
//! open(2) of a named pipe for one direction blocks until the other end is opened (fifo(7)), and
//! O_NONBLOCK does not help: a reader would take the absence of writers for the end of the stream,
//! and a writer is refused. So a thread waits, and a pipe of its own tells when it is done. An
//! attempt that is dropped leaves the thread to its wait; what it opens later is closed at once. What
//! has to be cleaned up after the endpoint is therefore never the thread's, but the attempt's.

use std::io::{pipe, PipeReader};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::{sync_channel, Receiver};
use std::thread;

use nsplice_relay::{Attempt, Hold, OpenError, Progress, Upstream, Wake};

use super::entry::failure;
use super::error::failed;
use super::side::{answered, held};

type Answer = Result<Upstream, OpenError>;

/// An attempt that waits for a thread.
#[derive(Debug)]
pub(super) struct Waiting {
    answer: Receiver<Answer>,
    /// Ends when the thread has answered.
    bell: PipeReader,
    is_told: bool,
    /// What cleans up after the endpoint.
    hold: Option<Box<dyn Hold>>,
}

impl Waiting {
    /// Runs `open` on a thread. `hold` is dropped with the attempt, or lives as long as the link of
    /// what was opened.
    pub(super) fn start(
        hold: Option<Box<dyn Hold>>,
        open: impl FnOnce() -> Answer + Send + 'static,
    ) -> Box<dyn Attempt> {
        let (bell, rope) = match pipe() {
            Ok(ends) => ends,
            Err(error) => return answered(Err(failed("pipe()", &error))),
        };
        let (giver, answer) = sync_channel(1);
        let work = move || {
            // Nobody takes the answer of an attempt that was dropped.
            let _ = giver.send(open());
            drop(rope);
        };
        match thread::Builder::new().name("open".to_owned()).spawn(work) {
            Ok(_) => Box::new(Self { answer, bell, is_told: false, hold }),
            Err(error) => answered(Err(failed("pthread_create()", &error))),
        }
    }
}

impl Attempt for Waiting {
    fn advance(&mut self, _wake: Wake) -> Progress {
        match self.answer.try_recv() {
            Ok(Ok(upstream)) => Progress::Open(held(upstream, self.hold.take())),
            Ok(Err(error)) => Progress::Failed(error),
            Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                Progress::Failed(failure("the thread that was to open it has ended"))
            }
            Err(std::sync::mpsc::TryRecvError::Empty) if self.is_told => Progress::Pending,
            Err(std::sync::mpsc::TryRecvError::Empty) => {
                self.is_told = true;
                Progress::Waiting
            }
        }
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        Some(self.bell.as_fd())
    }
}
