//! The sessions of a loop, as the links of their streams use them.
//!
//! A link names its stream by a [`StreamRef`] and is lent all sources of the loop for its turn. What it does to a
//! stream *touches* the session: it is looked at once more at the end of the turn, when its outbox is
//! flushed, and its client is read again if that had to wait.

use nix::errno::Errno;

use crate::source::sources::EventSources;
use crate::table::Key;

use super::queue::Spares;
use super::seat::Seat;
use super::streams::{Abort, Front};
use super::{Ending, StreamRef};

impl EventSources {
    /// A stream is the downstream of `link` from now on.
    pub(crate) fn attach(&mut self, at: StreamRef, link: Key) {
        if let Some(seat) = self.table.session(at.session) {
            seat.streams.attach(at.stream, link);
        }
    }

    /// Looks at the front of a stream, as a lane finds it.
    pub(crate) fn front(&mut self, at: StreamRef) -> Front<'_> {
        match self.table.session(at.session) {
            Some(seat) => seat.streams.front(at.stream),
            None => Front::Failed(Errno::ECONNRESET),
        }
    }

    /// Takes `count` bytes from the front of a stream.
    pub(crate) fn take(&mut self, at: StreamRef, count: usize) {
        if let Some(seat) = self.table.session(at.session) {
            let was_full = seat.streams.are_full();
            seat.streams.take(at.stream, count, &mut self.spares);
            if was_full {
                self.touch(at.session);
            }
        }
    }

    /// Reads from a stream as from a socket: 0 is the end, EAGAIN means dry.
    pub(crate) fn read(&mut self, at: StreamRef, buffer: &mut [u8]) -> nix::Result<usize> {
        let read = match self.front(at) {
            Front::Bytes(bytes) => {
                let read = bytes.len().min(buffer.len());
                buffer[..read].copy_from_slice(&bytes[..read]);
                read
            }
            Front::Dry => return Err(Errno::EAGAIN),
            Front::End => return Ok(0),
            Front::Failed(errno) => return Err(errno),
        };
        self.take(at, read);
        Ok(read)
    }

    /// Counts the bytes that may be written to a stream now. After a 0 its link is told when there may be
    /// some again.
    pub(crate) fn allowance(&mut self, at: StreamRef) -> nix::Result<usize> {
        let Some(seat) = self.table.session(at.session) else { return Err(Errno::ECONNRESET) };
        let room = seat.room();
        let allowed = seat.streams.allowance(at.stream, room)?;
        if allowed == 0 {
            self.touch(at.session);
        }
        Ok(allowed)
    }

    /// Writes to a stream as to a socket: EAGAIN means full.
    pub(crate) fn write(&mut self, at: StreamRef, bytes: &[u8]) -> nix::Result<usize> {
        let written = self.allowance(at)?.min(bytes.len());
        let Some(seat) = self.table.session(at.session).filter(|_| written > 0) else {
            return Err(Errno::EAGAIN);
        };
        seat.streams.sent(at.stream, written);
        seat.send(at.stream, &bytes[..written], &mut self.spares);
        self.touch(at.session);
        Ok(written)
    }

    /// The upstream of a stream is open.
    pub(crate) fn opened(&mut self, at: StreamRef) {
        self.with(at, |seat, spares| seat.opened(at.stream, spares));
    }

    /// Sends the end of a stream, once.
    pub(crate) fn finish(&mut self, at: StreamRef) {
        self.with(at, |seat, spares| seat.finish(at.stream, spares));
    }

    /// Closes a stream.
    pub(crate) fn close(&mut self, at: StreamRef, ending: Ending<'_>) {
        self.with(at, |seat, spares| seat.close(at.stream, ending, spares));
    }

    fn with(&mut self, at: StreamRef, call: impl FnOnce(&mut Seat, &mut Spares)) {
        if let Some(seat) = self.table.session(at.session) {
            call(seat, &mut self.spares);
            self.touch(at.session);
        }
    }

    /// The abort of a stream, if it was aborted.
    pub(crate) fn why_aborted(&mut self, at: StreamRef) -> Option<&Abort> {
        self.table.session(at.session)?.streams.why_aborted(at.stream)
    }

    /// Returns whether a stream was aborted because its client has sent more than it may hold.
    pub(crate) fn has_overflowed(&mut self, at: StreamRef) -> bool {
        self.why_aborted(at).is_some_and(|abort| abort.errno == Errno::ENOBUFS)
    }

    /// Counts the bytes of a stream that nobody has read.
    pub(crate) fn unread(&mut self, at: StreamRef) -> usize {
        self.table.session(at.session).map_or(0, |seat| seat.streams.unread(at.stream))
    }
}
