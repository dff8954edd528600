//! The bytes of a lane between its source and its sink, and the system calls that move them.
//!
//! Four means (chosen by the lane's mode):
//!
//! * copy: into the loop's buffer and out again at once. Only what the sink does not take is put
//!   aside, in a spill block of just that size, so a lane owns no memory while nothing is pending.
//! * pipe: splice into a pipe of the pool and out again at once. The pipe is kept only while bytes
//!   are in it.
//! * raised: the same, from a source whose low-water mark is up, so that less than the mark may be
//!   left in it.
//! * raised: the same, from a source whose low-water mark is up, so that less than the mark may be
//!   left in it.
//! * raised: the same, from a source whose low-water mark is up, so that less than the mark may be
//!   left in it.
//! * direct: one end is a pipe itself, so one splice moves the bytes and nothing is ever pending.
//!
//! A stream of a session is copied from and to. From it to a descriptor no buffer is needed, because
//! its bytes are in memory already; nothing is pending then either.
//!
//! What an error means, in whichever call it comes (each one in each call is a test):
//!
//! * EAGAIN: the end is dry or full, and an event will tell when it is not;
//! * of splice(2) EINVAL, ENOSYS, and EPERM of a filter: it is refused, and the lane copies from now
//!   on; bytes that are in a pipe by then are read back out of it;
//! * of splice(2) ENOMEM and ENOBUFS: nothing has moved for want of memory; the step copies, which
//!   takes none;
//! * anything else: the end that the call was made on has failed. A splice from end to end does not
//!   tell which that is, but one of the two is a pipe, and a pipe fails in one way only: as a sink
//!   that nobody reads from.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::PollFlags;

use crate::lane::end::End;
use crate::lane::filter::{Filter, Pass};
use crate::lane::pipe::{Pipe, PipePool};
use crate::lane::step::Belief;
use crate::lane::step::{Means, Moved, Mover, Sink, Source};
use crate::net::fd::{Descriptor, Kind};
use crate::session::streams::Front;
use crate::session::StreamRef;
use crate::source::sources::EventSources;

/// The bytes that a lane has between its ends.
#[derive(Debug, Default)]
pub(crate) enum InFlight {
    /// Nothing pending.
    #[default]
    Empty,
    /// Pending bytes of a copy, from `sent` on.
    Spill { bytes: Vec<u8>, sent: usize },
    /// Pending bytes in a pipe.
    Pipe { pipe: Pipe, pending: usize },
}

impl InFlight {
    /// Throws away what is pending.
    pub(crate) fn discard(&mut self, pool: &mut PipePool) {
        if let Self::Pipe { pipe, .. } = std::mem::take(self) {
            pool.discard(pipe);
        }
    }
}

/// Moves the bytes of one lane.
#[derive(Debug)]
pub(crate) struct LaneMover<'a> {
    pub(crate) source: End<'a>,
    pub(crate) sink: End<'a>,
    /// Whether the end of the source is believed.
    pub(crate) ends: Belief,
    /// What is done to the bytes; only ever there for a lane that copies.
    pub(crate) filter: Option<&'a mut (dyn Filter + 'static)>,
    pub(crate) in_flight: &'a mut InFlight,
    pub(crate) buffer: &'a mut [u8],
    pub(crate) pool: &'a mut PipePool,
    /// Where the streams are that ends may be.
    pub(crate) sessions: &'a mut EventSources,
    /// Set when splice(2) was refused, so that the loop can say so.
    pub(crate) refusal: &'a mut Option<Errno>,
}

/// Everything the source has: splice takes what fits the pipe.
const ALL: usize = usize::MAX;

/// Bytes written at once of what a stream has queued: as much as a lane may move in a turn.
const MOST_PASSED_ON: usize = 256 * 1024;

impl Mover for LaneMover<'_> {
    fn carry(&mut self, means: Means) -> Moved {
        let step = match means {
            Means::Copy => self.copy(),
            Means::Direct => self.splice_direct(),
            Means::Pipe | Means::Raised => match self.pool.take() {
                Some(pipe) => self.splice_through(pipe),
                None => self.copy(),
            },
        };
        let step = if means == Means::Raised { self.leave_what_is_no_heap(step) } else { step };
        *self.refusal = step.refused.or(*self.refusal);
        match step.source {
            Source::Ended if self.ends == Belief::Ignored => Moved { source: Source::Dry, ..step },
            _ => step,
        }
    }

    fn flush(&mut self) -> Moved {
        let step = match std::mem::take(self.in_flight) {
            InFlight::Empty => Moved::NOTHING,
            InFlight::Spill { bytes, sent } => {
                let (written, sink) = offer(self.sink, &bytes[sent..], self.sessions);
                if sent + written < bytes.len() {
                    *self.in_flight = InFlight::Spill { bytes, sent: sent + written };
                }
                Moved { written, sink, ..Moved::NOTHING }
            }
            InFlight::Pipe { pipe, pending } => self.drain(pipe, pending),
        };
        *self.refusal = step.refused.or(*self.refusal);
        step
    }
}

impl LaneMover<'_> {
    fn copy(&mut self) -> Moved {
        let mut most = self.filter.as_ref().map_or(usize::MAX, |filter| filter.block().max(1));
        match (self.source, self.sink) {
            (End::Stream(source), End::Fd(sink)) if self.filter.is_none() => {
                return self.pass_on(source, sink);
            }
            // Nothing is read that could not be written: what the client does not take stays with
            // the upstream.
            (_, End::Stream(sink)) => match self.sessions.allowance(sink) {
                Ok(0) => return Moved { sink: Sink::Full, ..Moved::NOTHING },
                Ok(allowed) => most = most.min(allowed),
                Err(errno) => return Moved { sink: Sink::Failed(errno), ..Moved::NOTHING },
            },
            _ => {}
        }
        let most = most.min(self.buffer.len());
        let read = match self.source.read(&mut self.buffer[..most], self.sessions) {
            Ok(0) => return Moved { source: Source::Ended, ..Moved::NOTHING },
            Ok(read) => read,
            Err(errno) => return Moved { source: failure(errno), ..Moved::NOTHING },
        };
        // Only a socket's short read means that its queue is empty; a terminal gives lines, a pipe
        // whatever was written at once.
        let short = read < most && self.source.is_peer();
        let source = if short { Source::Short } else { Source::More };
        if let Some(filter) = self.filter.as_deref_mut() {
            let mut given = Vec::with_capacity(read);
            let pass = filter.pass(&self.buffer[..read], &mut given);
            let source = if pass == Pass::End { Source::Ended } else { source };
            return give(self.sink, &given, self.in_flight, source, self.sessions);
        }
        give(self.sink, &self.buffer[..read], self.in_flight, source, self.sessions)
    }

    /// Writes what a stream has queued from where it is: it is in memory already, and what the sink
    /// does not take stays there.
    fn pass_on(&mut self, source: StreamRef, sink: Descriptor<'_>) -> Moved {
        let (written, said) = match self.sessions.front(source) {
            Front::Bytes(bytes) => offer_to(sink, &bytes[..bytes.len().min(MOST_PASSED_ON)]),
            Front::Dry => return Moved { source: Source::Dry, ..Moved::NOTHING },
            Front::End => return Moved { source: Source::Ended, ..Moved::NOTHING },
            Front::Failed(errno) => return Moved { source: failure(errno), ..Moved::NOTHING },
        };
        self.sessions.take(source, written);
        let is_dry = self.sessions.front(source) == Front::Dry;
        let dry = if is_dry { Source::Dry } else { Source::More };
        Moved { read: written, written, source: dry, sink: said, refused: None }
    }

    fn splice_through(&mut self, pipe: Pipe) -> Moved {
        let Some(source) = self.source.descriptor() else {
            self.pool.give_back(pipe);
            return self.copy();
        };
        match source.splice_to(entry(&pipe), ALL) {
            // splice(2) also says 0 when urgent data, or a want of memory, stands before a FIN that
            // has come already: only recv(2) is believed.
            Ok(0) => {
                self.pool.give_back(pipe);
                self.copy()
            }
            Ok(read) => Moved { read, ..self.drain(pipe, read) },
            // The pipe was empty, so it is the source that is dry, or urgent data heads its queue:
            // the mode lets recv(2) decide.
            Err(Errno::EAGAIN) => {
                self.pool.give_back(pipe);
                Moved::NOTHING
            }
            Err(errno) => {
                self.pool.give_back(pipe);
                match Recourse::after(errno) {
                    Recourse::Copy { refused } => Moved { refused, ..self.copy() },
                    Recourse::None => Moved { source: failure(errno), ..Moved::NOTHING },
                }
            }
        }
    }

    /// With the mark up poll(2) tells whether a heap is left behind a step. What is less is left for
    /// the event that tells of a heap.
    fn leave_what_is_no_heap(&self, step: Moved) -> Moved {
        let all_passed_on = step.read > 0 && step.written == step.read;
        if all_passed_on && !is_ready(self.source, PollFlags::POLLIN) {
            Moved { source: Source::Short, ..step }
        } else {
            step
        }
    }

    /// Splices `pending` bytes out of `pipe`, all of them and not just the latest.
    fn drain(&mut self, pipe: Pipe, pending: usize) -> Moved {
        let spliced = match self.sink {
            End::Fd(sink) => exit(&pipe).splice_to(sink, pending),
            End::Stream(_) => Err(Errno::EINVAL),
        };
        match spliced {
            Ok(written) if written == pending => {
                self.pool.give_back(pipe);
                Moved { written, ..Moved::NOTHING }
            }
            Ok(written) => {
                *self.in_flight = InFlight::Pipe { pipe, pending: pending - written };
                let sink = if self.is_full_after(written) { Sink::Full } else { Sink::Taking };
                Moved { written, sink, ..Moved::NOTHING }
            }
            Err(Errno::EAGAIN) => {
                *self.in_flight = InFlight::Pipe { pipe, pending };
                Moved { sink: Sink::Full, ..Moved::NOTHING }
            }
            Err(errno) => match Recourse::after(errno) {
                Recourse::Copy { refused } => {
                    Moved { refused, ..self.rescue(pipe, pending, errno) }
                }
                Recourse::None => {
                    self.pool.discard(pipe);
                    Moved { sink: Sink::Failed(errno), ..Moved::NOTHING }
                }
            },
        }
    }

    /// Returns whether a sink that took only `written` bytes of those in a pipe has no room left,
    /// so that an event will tell when it has. A file has its reasons of its own, which the next
    /// call tells; and before Linux 6.5 any signal, SIGCONT too, ended a splice(2) early
    /// (`splice_from_pipe_next`), after which no event would come. poll(2) knows, and asks the
    /// kernel for that event.
    fn is_full_after(&self, written: usize) -> bool {
        if self.sink.is_socket() {
            !is_ready(self.sink, PollFlags::POLLOUT)
        } else {
            written == 0
        }
    }

    /// Reads the bytes back out of a pipe that cannot be spliced from, because of `obstacle`.
    fn rescue(&mut self, pipe: Pipe, pending: usize, obstacle: Errno) -> Moved {
        let mut bytes = vec![0; pending];
        let mut got = 0;
        while got < pending {
            match exit(&pipe).read(&mut bytes[got..]) {
                Ok(read) if read > 0 => got += read,
                // A pipe that we filled ourselves gives back what it holds; if it does not, the
                // stream has a hole and must end as an abort.
                _ => {
                    self.pool.discard(pipe);
                    return Moved { sink: Sink::Failed(obstacle), ..Moved::NOTHING };
                }
            }
        }
        self.pool.give_back(pipe);
        *self.in_flight = InFlight::Spill { bytes, sent: 0 };
        Moved::NOTHING
    }

    fn splice_direct(&mut self) -> Moved {
        let (End::Fd(source), End::Fd(sink)) = (self.source, self.sink) else {
            return self.copy();
        };
        match source.splice_to(sink, ALL) {
            Ok(0) if source.kind.is_socket() => self.copy(),
            Ok(0) => Moved { source: Source::Ended, ..Moved::NOTHING },
            Ok(moved) => Moved { read: moved, written: moved, ..Moved::NOTHING },
            Err(Errno::EAGAIN) => self.which_end_blocks(),
            Err(errno) => match Recourse::after(errno) {
                Recourse::Copy { refused } => Moved { refused, ..self.copy() },
                Recourse::None if source.kind.is_pipe() || errno == Errno::EPIPE => {
                    Moved { sink: Sink::Failed(errno), ..Moved::NOTHING }
                }
                Recourse::None => Moved { source: failure(errno), ..Moved::NOTHING },
            },
        }
    }

    /// A direct splice that would block does not tell which end is not ready: ask for each.
    fn which_end_blocks(&mut self) -> Moved {
        let readable = is_ready(self.source, PollFlags::POLLIN);
        let writable = is_ready(self.sink, PollFlags::POLLOUT);
        match (readable, writable) {
            // Both became ready just now, or urgent data blocks splice(2): copying gets past it.
            (true, true) => self.copy(),
            (true, false) => Moved { sink: Sink::Full, ..Moved::NOTHING },
            (false, true) => Moved { source: Source::Dry, ..Moved::NOTHING },
            (false, false) => Moved { source: Source::Dry, sink: Sink::Full, ..Moved::NOTHING },
        }
    }
}

/// Gives `bytes` to `sink` and puts aside what it does not take; `source` is what the source said.
fn give(
    sink: End<'_>,
    bytes: &[u8],
    in_flight: &mut InFlight,
    source: Source,
    sessions: &mut EventSources,
) -> Moved {
    let (written, sink) =
        if bytes.is_empty() { (0, Sink::Taking) } else { offer(sink, bytes, sessions) };
    if written < bytes.len() {
        *in_flight = InFlight::Spill { bytes: bytes[written..].to_vec(), sent: 0 };
    }
    Moved { read: bytes.len(), written, source, sink, refused: None }
}

/// Gives `bytes` to `sink`: how many it took, and what it said.
fn offer(sink: End<'_>, bytes: &[u8], sessions: &mut EventSources) -> (usize, Sink) {
    taken(sink.write(bytes, sessions), bytes.len(), sink.is_socket())
}

/// The same for a descriptor.
fn offer_to(sink: Descriptor<'_>, bytes: &[u8]) -> (usize, Sink) {
    taken(sink.write(bytes), bytes.len(), sink.kind.is_socket())
}

/// The answer of a sink that has taken so much of `most` bytes.
fn taken(written: nix::Result<usize>, most: usize, is_socket: bool) -> (usize, Sink) {
    match written {
        Ok(written) if written == most => (written, Sink::Taking),
        Ok(written) if is_socket => (written, Sink::Full),
        // No event would come, and asking again would be asking for ever.
        Ok(0) => (0, Sink::Failed(Errno::EIO)),
        // A short write to anything else is no sign of fullness; the next one tells.
        Ok(written) => (written, Sink::Taking),
        Err(Errno::EAGAIN) => (0, Sink::Full),
        Err(errno) => (0, Sink::Failed(errno)),
    }
}

/// Returns whether an end is ready; where that cannot be asked the next call tells.
fn is_ready(end: End<'_>, flags: PollFlags) -> bool {
    end.descriptor().is_none_or(|descriptor| descriptor.is_ready(flags).unwrap_or(true))
}

fn failure(errno: Errno) -> Source {
    if errno == Errno::EAGAIN {
        Source::Dry
    } else {
        Source::Failed(errno)
    }
}

/// The thing to do after an error of splice(2).
enum Recourse {
    /// What could not be spliced is copied: for this lane from now on if it was `refused`.
    Copy { refused: Option<Errno> },
    /// Nothing.
    None,
}

impl Recourse {
    fn after(errno: Errno) -> Self {
        match errno {
            // It is splice(2) itself that is not wanted: by a descriptor that cannot (EINVAL), by a
            // kernel or a seccomp filter that will not (ENOSYS, EPERM).
            Errno::EINVAL | Errno::ENOSYS | Errno::EPERM => Self::Copy { refused: Some(errno) },
            Errno::ENOMEM | Errno::ENOBUFS => Self::Copy { refused: None },
            _ => Self::None,
        }
    }
}

fn entry(pipe: &Pipe) -> Descriptor<'_> {
    Descriptor { fd: pipe.input.as_fd(), kind: Kind::PIPE }
}

fn exit(pipe: &Pipe) -> Descriptor<'_> {
    Descriptor { fd: pipe.output.as_fd(), kind: Kind::PIPE }
}

#[cfg(test)]
mod tests;
