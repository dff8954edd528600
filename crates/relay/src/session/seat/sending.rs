//! What a session gives to its client: its frames at the end of each turn, and its last words.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use mio::Registry;
use nix::errno::Errno;
use nsplice_sys::describe;

use crate::net::farewell::{abort, leave};
use crate::net::fd::{Descriptor, Kind};
use crate::net::interest::{reregister, Watched};
use crate::outcome::{Outcome, Side};
use crate::session::queue::Spares;

use super::{lost_by, Need, Seat, Stage};

/// How long a session that is over may take to send its last words.
const LEAVE_TIME: Duration = Duration::from_secs(5);

impl Seat {
    /// Gives what is in the outbox to the kernel, tells streams that there is room, and looks whether
    /// the session has come to its end.
    pub(crate) fn flush(&mut self, registry: &Registry, spares: &mut Spares) -> Need {
        let need = self.send_out(registry, spares);
        if need != Need::Wait {
            return need;
        }
        if self.streams.wake(self.room()) {
            return Need::Again;
        }
        let is_idle = self.streams.is_empty() && self.outbox.is_empty();
        match self.stage {
            Stage::Draining if is_idle => Need::End(Outcome::Clean, None),
            _ => Need::Wait,
        }
    }

    fn send_out(&mut self, registry: &Registry, spares: &mut Spares) -> Need {
        let Some(socket) = &self.socket else { return Need::Wait };
        let sink = Descriptor { fd: socket.as_fd(), kind: Kind::STREAM };
        while !self.outbox.is_empty() && self.ready.writable() {
            let whole = self.outbox.len();
            match sink.write(self.outbox.bytes()) {
                Ok(sent) => {
                    self.outbox.take(sent, spares);
                    self.ready.set_writable(sent == whole);
                }
                Err(Errno::EAGAIN) => self.ready.set_writable(false),
                Err(errno) => return lost_by(errno),
            }
        }
        if self.ready.writable() || self.watched == Watched::Both {
            return Need::Wait;
        }
        match reregister(registry, socket, self.token(), Watched::Both) {
            Ok(()) => {
                self.watched = Watched::Both;
                Need::Wait
            }
            Err(error) => Need::End(Outcome::Failed(Side::Downstream), Some(describe(&error))),
        }
    }

    /// Ends the session: its streams are reset. What is in the outbox is sent if the client takes it
    /// within a moment; at once if there is to be none.
    pub(crate) fn end(
        &mut self,
        (outcome, detail): (Outcome, Option<String>),
        now: Instant,
        spares: &mut Spares,
    ) {
        if !self.is_on() {
            return;
        }
        for (stream, _) in self.take_opened() {
            self.streams.remove(stream, spares);
        }
        let why = detail.as_deref().unwrap_or(outcome.as_str());
        self.streams.reset_all(&format!("the session has ended: {why}"));
        let waits = match outcome {
            Outcome::Reset(_) | Outcome::Stopped | Outcome::Expired(_) => Duration::ZERO,
            _ => LEAVE_TIME,
        };
        self.outcome = Some((outcome, detail));
        self.stage = Stage::Leaving { until: now + waits };
    }

    /// Closes the socket of a session that is over, once its last words are sent or its time is over.
    pub(crate) fn leave(
        &mut self,
        registry: &Registry,
        buffer: &mut [u8],
        now: Instant,
        spares: &mut Spares,
    ) {
        let Stage::Leaving { until } = self.stage else { return };
        let failed = self.send_out(registry, spares) != Need::Wait;
        let is_done = self.outbox.is_empty();
        if !is_done && !failed && now < until {
            return;
        }
        self.outbox.clear(spares);
        self.stage = Stage::Gone;
        let Some(socket) = self.socket.take() else { return };
        if is_done {
            leave(socket, buffer);
        } else {
            abort(socket.as_fd());
        }
    }
}
