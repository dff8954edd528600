//! Where the bytes of a lane are between its source and its sink, and the system calls that move
//! them.
//!
//! Three means (chosen by the lane's mode):
//!
//! * copy: into the loop's buffer and out again at once. Only what the sink does not take is put
//!   aside, in a spill block of just that size, so a lane owns no memory while nothing is pending.
//! * pipe: splice into a pipe of the pool and out again at once. The pipe is kept only while bytes
//!   are in it.
//! * direct: one end is a pipe itself, so one splice moves the bytes and nothing is ever pending.
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

use crate::lane::filter::{Filter, Pass};
use crate::lane::pipe::{Pipe, PipePool};
use crate::lane::step::Ends;
use crate::lane::step::{Means, Mover, Sink, Source, Step};
use crate::net::fd::{End, Kind};

/// What a lane has between its ends.
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
    pub(crate) ends: Ends,
    /// What is done to the bytes; only ever there for a lane that copies.
    pub(crate) filter: Option<&'a mut (dyn Filter + 'static)>,
    pub(crate) in_flight: &'a mut InFlight,
    pub(crate) buffer: &'a mut [u8],
    pub(crate) pool: &'a mut PipePool,
    /// Set when splice(2) was refused, so that the loop can say so.
    pub(crate) refusal: &'a mut Option<Errno>,
}

/// Everything the source has: splice takes what fits the pipe.
const ALL: usize = usize::MAX;

impl Mover for LaneMover<'_> {
    fn carry(&mut self, means: Means) -> Step {
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
            Source::Ended if self.ends == Ends::Ignored => Step { source: Source::Dry, ..step },
            _ => step,
        }
    }

    fn flush(&mut self) -> Step {
        let step = match std::mem::take(self.in_flight) {
            InFlight::Empty => Step::NOTHING,
            InFlight::Spill { bytes, sent } => {
                let (written, sink) = offer(self.sink, &bytes[sent..]);
                if sent + written < bytes.len() {
                    *self.in_flight = InFlight::Spill { bytes, sent: sent + written };
                }
                Step { written, sink, ..Step::NOTHING }
            }
            InFlight::Pipe { pipe, pending } => self.drain(pipe, pending),
        };
        *self.refusal = step.refused.or(*self.refusal);
        step
    }
}

impl LaneMover<'_> {
    fn copy(&mut self) -> Step {
        let most = self.filter.as_ref().map_or(usize::MAX, |filter| filter.block().max(1));
        let most = most.min(self.buffer.len());
        let read = match self.source.read(&mut self.buffer[..most]) {
            Ok(0) => return Step { source: Source::Ended, ..Step::NOTHING },
            Ok(read) => read,
            Err(errno) => return Step { source: failure(errno), ..Step::NOTHING },
        };
        // Only a socket's short read means that its queue is empty; a terminal gives lines, a pipe
        // whatever was written at once.
        let short = read < most && self.source.kind.is_socket();
        let source = if short { Source::Short } else { Source::More };
        if let Some(filter) = self.filter.as_deref_mut() {
            let mut given = Vec::with_capacity(read);
            let pass = filter.pass(&self.buffer[..read], &mut given);
            let source = if pass == Pass::End { Source::Ended } else { source };
            return give(self.sink, &given, self.in_flight, source);
        }
        give(self.sink, &self.buffer[..read], self.in_flight, source)
    }

    fn splice_through(&mut self, pipe: Pipe) -> Step {
        match self.source.splice_to(entry(&pipe), ALL) {
            // splice(2) also says 0 when urgent data, or a want of memory, stands before a FIN that
            // has come already: only recv(2) is believed.
            Ok(0) => {
                self.pool.give_back(pipe);
                self.copy()
            }
            Ok(read) => Step { read, ..self.drain(pipe, read) },
            // The pipe was empty, so it is the source that is dry, or urgent data heads its queue:
            // the mode lets recv(2) decide.
            Err(Errno::EAGAIN) => {
                self.pool.give_back(pipe);
                Step::NOTHING
            }
            Err(errno) => {
                self.pool.give_back(pipe);
                match Recourse::after(errno) {
                    Recourse::Copy { refused } => Step { refused, ..self.copy() },
                    Recourse::None => Step { source: failure(errno), ..Step::NOTHING },
                }
            }
        }
    }

    /// With the mark up poll(2) tells whether a heap is left behind a step. What is less is left for
    /// the event that tells of a heap.
    fn leave_what_is_no_heap(&self, step: Step) -> Step {
        let all_passed_on = step.read > 0 && step.written == step.read;
        if all_passed_on && !self.source.is_ready(PollFlags::POLLIN).unwrap_or(true) {
            Step { source: Source::Short, ..step }
        } else {
            step
        }
    }

    /// Splices `pending` bytes out of `pipe`, all of them and not just the latest.
    fn drain(&mut self, pipe: Pipe, pending: usize) -> Step {
        match exit(&pipe).splice_to(self.sink, pending) {
            Ok(written) if written == pending => {
                self.pool.give_back(pipe);
                Step { written, ..Step::NOTHING }
            }
            Ok(written) => {
                *self.in_flight = InFlight::Pipe { pipe, pending: pending - written };
                let sink = if self.is_full_after(written) { Sink::Full } else { Sink::Taking };
                Step { written, sink, ..Step::NOTHING }
            }
            Err(Errno::EAGAIN) => {
                *self.in_flight = InFlight::Pipe { pipe, pending };
                Step { sink: Sink::Full, ..Step::NOTHING }
            }
            Err(errno) => match Recourse::after(errno) {
                Recourse::Copy { refused } => Step { refused, ..self.rescue(pipe, pending, errno) },
                Recourse::None => {
                    self.pool.discard(pipe);
                    Step { sink: Sink::Failed(errno), ..Step::NOTHING }
                }
            },
        }
    }

    /// Whether a sink that took only `written` bytes of those in a pipe has no room left, so that an
    /// event will tell when it has. A file has its reasons of its own, which the next call tells; and
    /// before Linux 6.5 any signal, SIGCONT too, ended a splice(2) early (`splice_from_pipe_next`),
    /// after which no event would come. poll(2) knows, and asks the kernel for that event.
    fn is_full_after(&self, written: usize) -> bool {
        if self.sink.kind.is_socket() {
            !self.sink.is_ready(PollFlags::POLLOUT).unwrap_or(true)
        } else {
            written == 0
        }
    }

    /// Reads the bytes back out of a pipe that cannot be spliced from, because of `obstacle`.
    fn rescue(&mut self, pipe: Pipe, pending: usize, obstacle: Errno) -> Step {
        let mut bytes = vec![0; pending];
        let mut got = 0;
        while got < pending {
            match exit(&pipe).read(&mut bytes[got..]) {
                Ok(read) if read > 0 => got += read,
                // A pipe that we filled ourselves gives back what it holds; if it does not, the
                // stream has a hole and must end as an abort.
                _ => {
                    self.pool.discard(pipe);
                    return Step { sink: Sink::Failed(obstacle), ..Step::NOTHING };
                }
            }
        }
        self.pool.give_back(pipe);
        *self.in_flight = InFlight::Spill { bytes, sent: 0 };
        Step::NOTHING
    }

    fn splice_direct(&mut self) -> Step {
        match self.source.splice_to(self.sink, ALL) {
            Ok(0) if self.source.kind.is_socket() => self.copy(),
            Ok(0) => Step { source: Source::Ended, ..Step::NOTHING },
            Ok(moved) => Step { read: moved, written: moved, ..Step::NOTHING },
            Err(Errno::EAGAIN) => self.which_end_blocks(),
            Err(errno) => match Recourse::after(errno) {
                Recourse::Copy { refused } => Step { refused, ..self.copy() },
                Recourse::None if self.source.kind.is_pipe() || errno == Errno::EPIPE => {
                    Step { sink: Sink::Failed(errno), ..Step::NOTHING }
                }
                Recourse::None => Step { source: failure(errno), ..Step::NOTHING },
            },
        }
    }

    /// A direct splice that would block does not tell which end is not ready: ask for each.
    fn which_end_blocks(&mut self) -> Step {
        let readable = self.source.is_ready(PollFlags::POLLIN).unwrap_or(true);
        let writable = self.sink.is_ready(PollFlags::POLLOUT).unwrap_or(true);
        match (readable, writable) {
            // Both became ready just now, or urgent data blocks splice(2): copying gets past it.
            (true, true) => self.copy(),
            (true, false) => Step { sink: Sink::Full, ..Step::NOTHING },
            (false, true) => Step { source: Source::Dry, ..Step::NOTHING },
            (false, false) => Step { source: Source::Dry, sink: Sink::Full, ..Step::NOTHING },
        }
    }
}

/// Gives `bytes` to `sink` and puts aside what it does not take; `source` is what the source said.
fn give(sink: End<'_>, bytes: &[u8], in_flight: &mut InFlight, source: Source) -> Step {
    let (written, sink) = if bytes.is_empty() { (0, Sink::Taking) } else { offer(sink, bytes) };
    if written < bytes.len() {
        *in_flight = InFlight::Spill { bytes: bytes[written..].to_vec(), sent: 0 };
    }
    Step { read: bytes.len(), written, source, sink, refused: None }
}

/// Gives `bytes` to `sink`: how many it took, and what it said.
fn offer(sink: End<'_>, bytes: &[u8]) -> (usize, Sink) {
    match sink.write(bytes) {
        Ok(written) if written == bytes.len() => (written, Sink::Taking),
        Ok(written) if sink.kind.is_socket() => (written, Sink::Full),
        // No event would come, and asking again would be asking for ever.
        Ok(0) => (0, Sink::Failed(Errno::EIO)),
        // A short write to a file or a blocking pipe is no sign of fullness; the next one tells.
        Ok(written) => (written, Sink::Taking),
        Err(Errno::EAGAIN) => (0, Sink::Full),
        Err(errno) => (0, Sink::Failed(errno)),
    }
}

fn failure(errno: Errno) -> Source {
    if errno == Errno::EAGAIN {
        Source::Dry
    } else {
        Source::Failed(errno)
    }
}

/// What there is to do after an error of splice(2).
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

fn entry(pipe: &Pipe) -> End<'_> {
    End { fd: pipe.input.as_fd(), kind: Kind::PIPE }
}

fn exit(pipe: &Pipe) -> End<'_> {
    End { fd: pipe.output.as_fd(), kind: Kind::PIPE }
}

#[cfg(test)]
mod tests;
