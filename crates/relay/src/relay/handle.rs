//! Telling a running loop what to do, and asking it, from another thread.
//!
//! Each command has an answer, which comes when the loop has its next turn: it never waits for a link.

use std::fmt;
use std::io;
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::sync::Arc;
use std::time::Duration;

use mio::Waker;

use crate::glimpse::{Glimpse, SessionGlimpse};
use crate::labels::{LinkId, SessionId};
use crate::net::listen::Listener;
use crate::relay::counters::Counters;
use crate::relay::error::RelayError;
use crate::relay::service::{NewService, ServiceId, ServiceReport};
use crate::source::{EventSource, SourceId};

/// A command to a loop, and where its answer goes.
#[derive(Debug)]
pub(crate) enum Command {
    /// Serve clients that come to these listeners.
    Serve(Box<NewService>, Vec<Listener>, Sender<Result<ServiceId, RelayError>>),
    /// Serve the next clients of this service otherwise.
    Replace(ServiceId, Box<NewService>, Sender<Result<(), RelayError>>),
    /// Close the listeners of this service; end what is left by RST after this time.
    Retire(ServiceId, Option<Duration>, Sender<Result<usize, RelayError>>),
    /// Tell which services there are.
    Services(Sender<Vec<ServiceReport>>),
    /// Tell which links are alive.
    Links(Sender<Vec<Glimpse>>),
    /// Tell which sessions are alive.
    Sessions(Sender<Vec<SessionGlimpse>>),
    /// End this link.
    End(LinkId, Sender<bool>),
    /// End this session.
    EndSession(SessionId, Sender<bool>),
    /// Add this source of events.
    AddSource(Box<dyn EventSource>, Sender<Result<SourceId, RelayError>>),
    /// Remove this source.
    RemoveSource(SourceId, Sender<bool>),
    /// Close all listeners now; end what is left by RST after this time.
    Drain(Option<Duration>, Sender<usize>),
    /// End everything now.
    Stop(Sender<usize>),
}

/// The answer to a command, which is on its way.
#[derive(Debug)]
pub struct Answer<T>(Receiver<T>);

impl<T> Answer<T> {
    /// Waits for it. There is none (`None`) from a loop that has ended.
    pub fn wait(self) -> Option<T> {
        self.0.recv().ok()
    }

    /// Waits for it for at most `time`.
    ///
    /// # Errors
    /// When the loop has ended, or has not had a turn within that time.
    pub fn wait_for(&self, time: Duration) -> Result<T, RecvTimeoutError> {
        self.0.recv_timeout(time)
    }
}

/// A hold on a running loop; clones reach the same loop.
///
/// Every command fails only when the loop cannot be woken (eventfd(2)).
#[derive(Clone)]
pub struct Handle {
    pub(crate) sender: Sender<Command>,
    pub(crate) waker: Arc<Waker>,
    pub(crate) counters: Arc<Counters>,
}

impl Handle {
    /// Adds a service, as [`crate::Relay::add_service`] does. The answer is its id on that loop.
    ///
    /// # Errors
    /// When the loop cannot be woken.
    pub fn serve(
        &self,
        service: impl Into<NewService>,
        listeners: impl IntoIterator<Item = impl Into<Listener>>,
    ) -> io::Result<Answer<Result<ServiceId, RelayError>>> {
        let listeners = listeners.into_iter().map(Into::into).collect();
        self.ask(|sender| Command::Serve(Box::new(service.into()), listeners, sender))
    }

    /// Serves the clients of a service as `with` says from now on. Its listeners stay open, so none is
    /// refused meanwhile, and its links and sessions go on as they were accepted.
    ///
    /// # Errors
    /// When the loop cannot be woken.
    pub fn replace(
        &self,
        service: ServiceId,
        with: impl Into<NewService>,
    ) -> io::Result<Answer<Result<(), RelayError>>> {
        self.ask(|sender| Command::Replace(service, Box::new(with.into()), sender))
    }

    /// Closes the listeners of a service at once and gives its links `time` to end by themselves
    /// (`None`: as long as they like); what is left then is ended by RST. Sessions say good-bye, open no
    /// streams any more, and end with their last one. Clients that are in the queue are taken in still.
    /// The answer is how many links are left.
    ///
    /// # Errors
    /// When the loop cannot be woken.
    pub fn retire(
        &self,
        service: ServiceId,
        time: Option<Duration>,
    ) -> io::Result<Answer<Result<usize, RelayError>>> {
        self.ask(|sender| Command::Retire(service, time, sender))
    }

    /// Asks for the services: those that serve and those that drain.
    ///
    /// # Errors
    /// When the loop cannot be woken.
    pub fn services(&self) -> io::Result<Answer<Vec<ServiceReport>>> {
        self.ask(Command::Services)
    }

    /// Asks for the links that are alive.
    ///
    /// # Errors
    /// When the loop cannot be woken.
    pub fn links(&self) -> io::Result<Answer<Vec<Glimpse>>> {
        self.ask(Command::Links)
    }

    /// Asks for the sessions that are alive.
    ///
    /// # Errors
    /// When the loop cannot be woken.
    pub fn sessions(&self) -> io::Result<Answer<Vec<SessionGlimpse>>> {
        self.ask(Command::Sessions)
    }

    /// Ends a session: its streams are reset, what it has still to say is sent if the client takes it at
    /// once, and its connection is closed. The answer is whether this loop has it.
    ///
    /// # Errors
    /// When the loop cannot be woken.
    pub fn end_session(&self, session: SessionId) -> io::Result<Answer<bool>> {
        self.ask(|sender| Command::EndSession(session, sender))
    }

    /// Ends a link by RST. The answer is whether this loop has it.
    ///
    /// # Errors
    /// When the loop cannot be woken.
    pub fn end(&self, link: LinkId) -> io::Result<Answer<bool>> {
        self.ask(|sender| Command::End(link, sender))
    }

    /// Adds a source of events, as [`crate::Relay::add_source`] does. The answer is its id on that loop.
    ///
    /// # Errors
    /// When the loop cannot be woken.
    pub fn add_source(
        &self,
        source: Box<dyn EventSource>,
    ) -> io::Result<Answer<Result<SourceId, RelayError>>> {
        self.ask(|sender| Command::AddSource(source, sender))
    }

    /// Removes a source of events. The answer is whether the loop had it still.
    ///
    /// # Errors
    /// When the loop cannot be woken.
    pub fn remove_source(&self, source: SourceId) -> io::Result<Answer<bool>> {
        self.ask(|sender| Command::RemoveSource(source, sender))
    }

    /// Retires all services, and takes no other from now on. The loop returns when the last link has
    /// ended. The answer is how many are left.
    ///
    /// # Errors
    /// When the loop cannot be woken.
    pub fn drain(&self, time: Option<Duration>) -> io::Result<Answer<usize>> {
        self.ask(|sender| Command::Drain(time, sender))
    }

    /// Ends all links by RST and makes the loop return. The answer is how many are left: those whose
    /// child is still to be collected.
    ///
    /// # Errors
    /// When the loop cannot be woken.
    pub fn stop(&self) -> io::Result<Answer<usize>> {
        self.ask(Command::Stop)
    }

    /// The loop's counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn ask<T>(&self, command: impl FnOnce(Sender<T>) -> Command) -> io::Result<Answer<T>> {
        let (sender, answer) = channel();
        // A loop that is gone lets the command go, and with it the one who would have answered.
        if self.sender.send(command(sender)).is_ok() {
            self.waker.wake()?;
        }
        Ok(Answer(answer))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}
