//! The sources of events of a loop, by key, and what the loop keeps of each.
//!
//! A source that something was reported of is *queued* for a call. One that was called, or that a link
//! has had to do with, is *touched*: it is looked at once more at the end of the turn.

use std::collections::VecDeque;
use std::time::Instant;

use crate::net::interest::Watched;
use crate::net::readiness::Wake;
use crate::session::queue::Spares;
use crate::session::seat::Seat;
use crate::table::{Key, Table};

use super::EventSource;

/// A source by its kind.
#[derive(Debug)]
pub(crate) enum Kind {
    /// The loop's owner has brought it.
    Owned(Box<dyn EventSource>),
    /// A session, which belongs to a service.
    Session(Box<Seat>),
}

/// A source as its loop keeps it.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) kind: Kind,
    /// What its descriptor is registered for.
    pub(crate) watched: Watched,
    /// The deadline that stands in the loop's set.
    pub(crate) deadline: Option<Instant>,
    /// What was reported since its last call.
    wake: Wake,
    queued: bool,
    touched: bool,
}

impl Registration {
    pub(crate) fn new(kind: Kind) -> Self {
        let watched = match &kind {
            Kind::Owned(source) => source.watched(),
            Kind::Session(seat) => seat.watched(),
        };
        let wake = Wake::START;
        Self { kind, watched, deadline: None, wake, queued: false, touched: false }
    }

    /// The source, whatever its kind is.
    pub(crate) fn source(&self) -> &dyn EventSource {
        match &self.kind {
            Kind::Owned(source) => source.as_ref(),
            Kind::Session(seat) => seat.as_ref(),
        }
    }

    /// The source, to be called.
    pub(crate) fn source_mut(&mut self) -> &mut (dyn EventSource + 'static) {
        match &mut self.kind {
            Kind::Owned(source) => source.as_mut(),
            Kind::Session(seat) => seat.as_mut(),
        }
    }

    /// The session, if it is one.
    pub(crate) fn session(&self) -> Option<&Seat> {
        match &self.kind {
            Kind::Owned(_) => None,
            Kind::Session(seat) => Some(seat),
        }
    }

    /// The service that the source belongs to; `None` if it is the loop's owner's.
    pub(crate) fn service(&self) -> Option<Key> {
        self.session().map(|seat| seat.service)
    }
}

impl Table<Registration> {
    /// The session with this key, if it is one.
    pub(crate) fn session(&mut self, key: Key) -> Option<&mut Seat> {
        match &mut self.get_mut(key)?.kind {
            Kind::Owned(_) => None,
            Kind::Session(seat) => Some(seat),
        }
    }
}

/// All sources of a loop.
#[derive(Debug)]
pub(crate) struct EventSources {
    pub(crate) table: Table<Registration>,
    pub(crate) spares: Spares,
    queued: VecDeque<Key>,
    touched: Vec<Key>,
}

impl Default for EventSources {
    fn default() -> Self {
        let (spares, queued) = (Spares::default(), VecDeque::new());
        Self { table: Table::new(), spares, queued, touched: Vec::new() }
    }
}

impl EventSources {
    /// Takes in what was reported of the descriptor of a source.
    pub(crate) fn note(&mut self, key: Key, wake: Wake) {
        if let Some(registration) = self.table.get_mut(key) {
            registration.wake.add(wake);
            self.queue(key);
        }
    }

    /// Has a source called in the next turn for it.
    pub(crate) fn queue(&mut self, key: Key) {
        let Some(registration) = self.table.get_mut(key) else { return };
        if !std::mem::replace(&mut registration.queued, true) {
            self.queued.push_back(key);
        }
    }

    /// The sources that are to be called now, each with what was reported of it.
    pub(crate) fn take_queued(&mut self) -> Vec<(Key, Wake)> {
        let mut queued = Vec::with_capacity(self.queued.len());
        for key in self.queued.drain(..) {
            if let Some(registration) = self.table.get_mut(key) {
                registration.queued = false;
                queued.push((key, std::mem::replace(&mut registration.wake, Wake::START)));
            }
        }
        queued
    }

    /// Has a source looked at at the end of the turn.
    pub(crate) fn touch(&mut self, key: Key) {
        let Some(registration) = self.table.get_mut(key) else { return };
        if !std::mem::replace(&mut registration.touched, true) {
            self.touched.push(key);
        }
    }

    /// Those that have been touched since the last time.
    pub(crate) fn take_touched(&mut self) -> Vec<Key> {
        let touched = std::mem::take(&mut self.touched);
        for key in &touched {
            self.table.get_mut(*key).into_iter().for_each(|each| each.touched = false);
        }
        touched
    }

    /// Returns whether one has something to do without being told of an event.
    pub(crate) fn go_on(&self) -> bool {
        !self.queued.is_empty() || !self.touched.is_empty()
    }

    /// The keys of those that belong to this service; of the loop's owner's if to none.
    pub(crate) fn of(&self, service: Option<Key>) -> Vec<Key> {
        let is_of = |key: &Key| self.table.get(*key).is_some_and(|each| each.service() == service);
        self.table.keys().into_iter().filter(is_of).collect()
    }
}
