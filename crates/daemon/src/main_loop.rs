//! The loop of the main thread, a small one of its own, so that nothing of this is done by a loop
//! that moves bytes.
//!
//! It waits for signals, for the end of the target and for the ends of loops, edge-triggered: whoever
//! is told of a source takes from it until there is nothing more.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

/// Something that the main thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Signals have arrived.
    Signals,
    /// The process that all links lead to has ended.
    Target,
    /// The loop of this number has ended.
    Loop(usize),
}

/// Sources before the loops.
const OTHERS: usize = 2;

impl Source {
    fn token(self) -> Token {
        Token(match self {
            Self::Signals => 0,
            Self::Target => 1,
            Self::Loop(number) => OTHERS + number,
        })
    }

    fn of(token: Token) -> Self {
        match token.0 {
            0 => Self::Signals,
            1 => Self::Target,
            number => Self::Loop(number - OTHERS),
        }
    }
}

/// The loop of the main thread.
#[derive(Debug)]
pub(crate) struct MainLoop {
    poll: Poll,
    events: Events,
}

impl MainLoop {
    /// Makes a loop that waits for nothing yet.
    ///
    /// # Errors
    /// When there is no descriptor for epoll(7).
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { poll: Poll::new()?, events: Events::with_capacity(64) })
    }

    /// Begins to wait for `descriptor`. It stops when the descriptor is closed.
    ///
    /// # Errors
    /// When epoll(7) refuses it.
    pub(crate) fn watch(&self, descriptor: impl AsFd, source: Source) -> io::Result<()> {
        let descriptor = descriptor.as_fd().as_raw_fd();
        self.poll.registry().register(
            &mut SourceFd(&descriptor),
            source.token(),
            Interest::READABLE,
        )
    }

    /// Waits until something has happened, at most for `patience`, and tells what.
    ///
    /// # Errors
    /// When epoll(7) fails.
    pub(crate) fn wait(&mut self, patience: Option<Duration>) -> io::Result<Vec<Source>> {
        match self.poll.poll(&mut self.events, patience) {
            Ok(()) => Ok(self.events.iter().map(|event| Source::of(event.token())).collect()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_is_told_by_its_name() {
        let mut main = MainLoop::new().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let (other, _kept) = io::pipe().unwrap();
        for source in [Source::Signals, Source::Target, Source::Loop(0), Source::Loop(7)] {
            assert_eq!(Source::of(source.token()), source);
        }
        main.watch(&reader, Source::Loop(7)).unwrap();
        main.watch(&other, Source::Loop(3)).unwrap();
        assert_eq!(main.wait(Some(Duration::ZERO)).unwrap(), []);
        drop(writer);
        assert_eq!(main.wait(None).unwrap(), [Source::Loop(7)]);
    }
}
