//! The ends of a lane: descriptors, or streams of a session.
//!
//! A lane does not know which it has. What a socket does in the kernel a stream does in memory, and
//! says it in the same words: EAGAIN, a read of 0 bytes, ECONNRESET.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;

use crate::net::fd::{Descriptor, Kind};
use crate::session::StreamRef;
use crate::source::sources::EventSources;

/// One end of a lane.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End<'a> {
    Fd(Descriptor<'a>),
    Stream(StreamRef),
}

impl<'a> End<'a> {
    /// The end that a descriptor of this kind is.
    pub(crate) fn of(fd: BorrowedFd<'a>, kind: Kind) -> Self {
        Self::Fd(Descriptor { fd, kind })
    }

    /// The descriptor, if it is one.
    pub(crate) fn descriptor(self) -> Option<Descriptor<'a>> {
        match self {
            Self::Fd(descriptor) => Some(descriptor),
            Self::Stream(_) => None,
        }
    }

    /// The descriptor, if it is a socket.
    pub(crate) fn socket(self) -> Option<Descriptor<'a>> {
        self.descriptor().filter(|descriptor| descriptor.kind.is_socket())
    }

    fn is(self, of_descriptor: impl FnOnce(Kind) -> bool, of_stream: bool) -> bool {
        self.descriptor().map_or(of_stream, |descriptor| of_descriptor(descriptor.kind))
    }

    /// Returns whether it can be read from.
    pub(crate) fn reads(self) -> bool {
        self.is(Kind::reads, true)
    }

    /// Returns whether it can be written to.
    pub(crate) fn writes(self) -> bool {
        self.is(Kind::writes, true)
    }

    /// Returns whether what it gives belongs to a peer of ours alone, and a short read means that
    /// there is no more of it.
    pub(crate) fn is_peer(self) -> bool {
        self.is(Kind::is_socket, true)
    }

    /// Returns whether a short write means that it is full.
    pub(crate) fn is_socket(self) -> bool {
        self.is(Kind::is_socket, false)
    }

    pub(crate) fn is_pipe(self) -> bool {
        self.is(Kind::is_pipe, false)
    }

    /// Returns whether splice(2) can be used on it without the danger of blocking.
    pub(crate) fn splices(self) -> bool {
        self.is(Kind::splices, false)
    }

    /// Reads into `buffer`; 0 is the end, EAGAIN means dry.
    pub(crate) fn read(self, buffer: &mut [u8], sessions: &mut EventSources) -> nix::Result<usize> {
        match self {
            Self::Fd(descriptor) => descriptor.read(buffer),
            Self::Stream(stream) => sessions.read(stream, buffer),
        }
    }

    /// Writes from `bytes`; EAGAIN means full.
    pub(crate) fn write(self, bytes: &[u8], sessions: &mut EventSources) -> nix::Result<usize> {
        match self {
            Self::Fd(descriptor) => descriptor.write(bytes),
            Self::Stream(stream) => sessions.write(stream, bytes),
        }
    }

    /// Sets how many bytes must be queued before a TCP socket counts as readable.
    pub(crate) fn set_low_water(self, bytes: usize) -> nix::Result<()> {
        match self {
            Self::Fd(descriptor) => descriptor.set_low_water(bytes),
            Self::Stream(_) => Err(Errno::EOPNOTSUPP),
        }
    }
}
