//! The sending half of a session: its frames at the end of each turn, and its last words.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;

use crate::glimpse::SessionState;
use crate::net::farewell::{abort, leave};
use crate::net::fd::{Descriptor, Kind};
use crate::net::interest::Watched;
use crate::outcome::Outcome;
use crate::source::SourceTurn;

use super::{lost_by, Seat};

/// The time that a session that is over may take to send its last words.
const LEAVE_TIME: Duration = Duration::from_secs(5);

impl Seat {
    /// Gives what is in the outbox to the kernel, tells streams that there is room, and looks whether
    /// the session has come to its end. True if it has to be looked at again without waiting.
    pub(super) fn send_out(&mut self, turn: &mut SourceTurn<'_>) -> bool {
        if let (Err(errno), true) = (self.empty_outbox(turn), self.is_on()) {
            self.end(lost_by(errno), turn);
        }
        if self.is_on() {
            if self.streams.wake(self.room()) {
                return true;
            }
            let is_idle = self.streams.is_empty() && self.outbox.is_empty();
            if self.state == SessionState::Draining && is_idle {
                self.end((Outcome::Clean, None), turn);
            }
        }
        self.leave(turn);
        false
    }

    /// Writes what the client takes. From the first time that it does not take everything, the socket
    /// is watched for room as well.
    fn empty_outbox(&mut self, turn: &mut SourceTurn<'_>) -> nix::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        let sink = Descriptor { fd: socket.as_fd(), kind: Kind::STREAM };
        while !self.outbox.is_empty() && self.ready.writable() {
            let whole = self.outbox.len();
            match sink.write(self.outbox.bytes()) {
                Ok(sent) => {
                    self.outbox.take(sent, turn.spares);
                    self.ready.set_writable(sent == whole);
                }
                Err(Errno::EAGAIN) => self.ready.set_writable(false),
                Err(errno) => return Err(errno),
            }
        }
        if !self.ready.writable() {
            self.watched = Watched::Both;
        }
        Ok(())
    }

    /// Ends the session: its streams are reset. What is in the outbox is sent if the client takes it
    /// within a moment; at once if there is to be none.
    pub(crate) fn end(
        &mut self,
        (outcome, detail): (Outcome, Option<String>),
        turn: &mut SourceTurn<'_>,
    ) {
        if !self.is_on() {
            return;
        }
        for (stream, _) in self.opened.drain(..) {
            self.streams.remove(stream, turn.spares);
        }
        let why = detail.as_deref().unwrap_or(outcome.as_str());
        self.streams.reset_all(&format!("the session has ended: {why}"));
        let waits = match outcome {
            Outcome::Reset(_) | Outcome::Stopped | Outcome::Expired(_) => Duration::ZERO,
            _ => LEAVE_TIME,
        };
        self.outcome = Some((outcome, detail));
        self.state = SessionState::Leaving { until: turn.now + waits };
    }

    /// Closes the socket of a session that is over, once its last words are sent or its time is over.
    fn leave(&mut self, turn: &mut SourceTurn<'_>) {
        let SessionState::Leaving { until } = self.state else { return };
        let failed = self.empty_outbox(turn).is_err();
        let is_done = self.outbox.is_empty();
        if !is_done && !failed && turn.now < until {
            return;
        }
        self.outbox.clear(turn.spares);
        self.state = SessionState::Gone;
        let Some(socket) = self.socket.take() else { return };
        if is_done {
            leave(socket, turn.buffer);
        } else {
            abort(socket.as_fd());
        }
    }

    /// Returns whether nothing is left of it: neither the socket nor a stream.
    pub(super) fn is_empty(&self) -> bool {
        self.state == SessionState::Gone && self.streams.is_empty()
    }
}
