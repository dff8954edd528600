//! Telling a running loop what to do, and asking it, from another thread.

use std::fmt;
use std::io;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::Arc;
use std::time::Duration;

use mio::Waker;

use crate::glimpse::Glimpse;
use crate::relay::counters::Counters;

/// A command to a loop.
#[derive(Debug)]
pub(crate) enum Command {
    /// Close the listeners now; end what is left by RST after this time.
    Drain(Option<Duration>),
    /// End everything now.
    Stop,
    /// Tell which links are alive.
    Links(Sender<Vec<Glimpse>>),
}

/// A hold on a running loop; clones reach the same loop.
#[derive(Clone)]
pub struct Handle {
    pub(crate) sender: Sender<Command>,
    pub(crate) waker: Arc<Waker>,
    pub(crate) counters: Arc<Counters>,
}

impl Handle {
    /// Closes the listeners at once and gives the links `time` to end by themselves (`None`: as
    /// long as they like). The loop returns when the last one has ended; what is left when the
    /// time is over is ended by RST.
    pub fn drain(&self, time: Option<Duration>) -> io::Result<()> {
        self.send(Command::Drain(time))
    }

    /// Ends all links by RST and makes the loop return.
    pub fn stop(&self) -> io::Result<()> {
        self.send(Command::Stop)
    }

    /// Asks for the links that are alive. The answer comes when the loop has its next turn; from a
    /// loop that has ended none comes, and the receiver says so.
    pub fn links(&self) -> io::Result<Receiver<Vec<Glimpse>>> {
        let (sender, answer) = channel();
        self.send(Command::Links(sender))?;
        Ok(answer)
    }

    /// The loop's counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn send(&self, command: Command) -> io::Result<()> {
        // A loop that is gone has nothing left to drain or stop.
        if self.sender.send(command).is_ok() {
            self.waker.wake()?;
        }
        Ok(())
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}
