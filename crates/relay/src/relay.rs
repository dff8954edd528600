//! The loop.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::mpsc::channel;
use std::sync::Arc;

use mio::{Poll, Token, Waker};

use crate::control::{Command, Handle};
use crate::counters::Counters;
use crate::forward::Forward;
use crate::observer::Observer;
use crate::settings::Settings;

/// What keeps a loop from starting or going on.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// epoll, eventfd or a descriptor could not be had.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system answered.
        source: io::Error,
    },
}

/// A downstream that is handed over instead of accepted.
#[derive(Debug)]
pub enum Downstream {
    /// A stream socket, both ways.
    Socket(OwnedFd),
    /// Two descriptors: pipes, sockets, files or terminals. Closing the sink is its FIN.
    Pair {
        /// Where bytes come from.
        source: OwnedFd,
        /// Where bytes go to.
        sink: OwnedFd,
    },
}

/// One event loop with its listeners and links.
#[derive(Debug)]
pub struct Relay {
    _commands: std::sync::mpsc::Receiver<Command>,
}

impl Relay {
    /// A loop with nothing to do yet.
    pub fn new(
        settings: Settings,
        observer: Box<dyn Observer>,
    ) -> Result<(Self, Handle), RelayError> {
        let _ = (settings, observer);
        let fail = |source| RelayError::System { what: "create an epoll instance", source };
        let poll = Poll::new().map_err(fail)?;
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).map_err(fail)?);
        let (sender, _commands) = channel();
        let counters = Arc::new(Counters::default());
        Ok((Self { _commands }, Handle { sender, waker, counters }))
    }

    /// Adds a forward and the sockets it listens on (made by [`crate::listen()`]).
    pub fn add_forward(
        &mut self,
        forward: Forward,
        listeners: Vec<TcpListener>,
    ) -> Result<(), RelayError> {
        let _ = (forward, listeners);
        Ok(())
    }

    /// Adds one link whose downstream is at hand. The loop ends with it if it has no listeners.
    pub fn adopt(&mut self, downstream: Downstream, forward: Forward) -> Result<(), RelayError> {
        let _ = (downstream, forward);
        Ok(())
    }

    /// Runs until there is neither a listener nor a link left, or until stopped.
    pub fn run(&mut self) -> Result<(), RelayError> {
        Ok(())
    }
}
