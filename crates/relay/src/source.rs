//! Sources of events of a loop, besides its links and listeners.
//!
//! A source is a descriptor that the loop watches, or a deadline, or both, and somebody who looks
//! after them. There are two kinds: those of the loop's owner (its signals, its timers, what another
//! thread has made ready), which are [`EventSource`]s from outside, and sessions, whose bytes the loop
//! reads and flushes for them (`session/seat.rs`). The loop does the same for either: it registers the
//! descriptor, calls the source when something has happened or its deadline has come, follows what it
//! wants to be watched for, has it drain, and lets it go. A source is added and removed at any time.
//!
//! In a turn: events are taken in; then each source of which something was reported is called; then
//! links have their turns; then what is due by the clock; and at the end each source that was called,
//! or whose streams a link has had to do with, is flushed once, and asked for its deadline and for what
//! it wants to be watched for.
//!
//! What a source wants of the loop it says by orders ([`SourceTurn`]), which are carried out as soon as
//! its call has returned, one after the other.

use std::collections::VecDeque;
use std::fmt::{self, Debug};
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use crate::admission::Reason;
use crate::link::downstream::Downstream;
use crate::net::interest::Watched;
use crate::net::readiness::Wake;
use crate::relay::service::ServiceId;
use crate::session::queue::Spares;
use crate::session::{NewStream, StreamRef};
use crate::table::Key;

pub(crate) mod sources;

/// Names a source of one loop for as long as that loop knows it, and never another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceId(pub(crate) Key);

/// Looks after a descriptor, or a deadline, on the thread of a loop. Nothing here may block.
pub trait EventSource: Debug + Send {
    /// The descriptor. It is watched, edge-triggered, from the moment the source is added, and stays the
    /// same; `None` if there is nothing to watch, or not any more because it is closed.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;

    /// Tells what the descriptor is watched for. Asked after each turn in which the source was called.
    fn watched(&self) -> Watched {
        Watched::Reads
    }

    /// Called when something was reported of the descriptor, or the source has asked for another turn.
    /// What was reported is reported once: whoever leaves something undone asks for another turn.
    fn wake(&mut self, wake: Wake, turn: &mut SourceTurn<'_>) -> Need;

    /// Called once at the end of a turn in which it was called, when the links have had theirs.
    fn flush(&mut self, turn: &mut SourceTurn<'_>) -> Need {
        let _ = turn;
        Need::Wait
    }

    /// The moment at which [`EventSource::expire`] is to be called. Asked after each turn in which the source was
    /// called.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The deadline has come. It has to move on, or the loop comes back at once.
    fn expire(&mut self, turn: &mut SourceTurn<'_>) -> Need {
        let _ = turn;
        Need::Wait
    }

    /// The loop drains, or the service does that the source belongs to. Whoever does not go stays until
    /// the loop ends.
    fn drain(&mut self, turn: &mut SourceTurn<'_>) -> Need {
        let _ = turn;
        Need::Over
    }

    /// The descriptor cannot be watched for what the source now wants.
    fn unwatched(&mut self, error: &io::Error, turn: &mut SourceTurn<'_>) -> Need {
        let _ = (error, turn);
        Need::Over
    }

    /// Returns whether the loop goes on for its sake although there is neither a listener nor a link.
    fn keeps_loop(&self) -> bool {
        false
    }
}

/// The needs of a source after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To be told of an event, or its deadline.
    Wait,
    /// Another turn without waiting.
    Again,
    /// Nothing any more: it is removed.
    Over,
}

/// The things that a loop lends to a source for one call, and takes its orders by.
#[derive(Debug)]
pub struct SourceTurn<'a> {
    pub(crate) now: Instant,
    /// The copy buffer. Holds nothing between two calls.
    pub(crate) buffer: &'a mut [u8],
    pub(crate) spares: &'a mut Spares,
    pub(crate) orders: &'a mut Orders,
}

impl SourceTurn<'_> {
    /// The time of this turn.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Makes a link of a downstream, for a service (see [`crate::Relay::add_service`]). If that drains
    /// the downstream is closed by RST.
    pub fn admit(&mut self, service: ServiceId, downstream: Downstream) {
        self.orders.push_back(Order::Admit(service, downstream));
    }

    /// Has the observer told what the links that are alive have carried so far.
    pub fn report(&mut self) {
        self.orders.push_back(Order::Report);
    }

    /// Ends the links that are let go by what they hold ([`crate::Hold::lets_go`]), as a stop does.
    pub fn end_let_go(&mut self) {
        self.orders.push_back(Order::EndLetGo);
    }

    /// Drains the loop as [`crate::Handle::drain`] does without a time. When sources have gone and the
    /// listeners are closed `then` is called with the number of links that are alive.
    pub fn drain_then(&mut self, then: impl FnOnce(usize) + Send + 'static) {
        self.orders.push_back(Order::DrainThen(Box::new(then)));
    }

    /// Stops the loop as [`crate::Handle::stop`] does.
    pub fn stop(&mut self) {
        self.orders.push_back(Order::Stop);
    }
}

/// Orders that are still to be carried out.
pub(crate) type Orders = VecDeque<Order>;

/// A wish of a source to its loop.
pub(crate) enum Order {
    /// Make a link of this downstream.
    Admit(ServiceId, Downstream),
    /// Make a link of this stream, which the session has just opened.
    Open(StreamRef, Box<NewStream>),
    /// Count and tell that a stream of this session was not opened.
    Refuse(Key, Reason),
    /// Tell a link what has become of its downstream.
    Note(Key, Wake),
    /// Tell the observer what links have carried.
    Report,
    /// End the links that are let go.
    EndLetGo,
    /// Drain, and call this with the number of links that are alive.
    DrainThen(Box<dyn FnOnce(usize) + Send>),
    /// Stop.
    Stop,
}

impl Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Admit(..) => "Admit",
            Self::Open(..) => "Open",
            Self::Refuse(..) => "Refuse",
            Self::Note(..) => "Note",
            Self::Report => "Report",
            Self::EndLetGo => "EndLetGo",
            Self::DrainThen(_) => "DrainThen",
            Self::Stop => "Stop",
        })
    }
}
