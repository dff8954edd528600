//! One side of a link: the descriptor or descriptors behind it, and the three ways to leave them.
//!
//! A side is usually one stream socket. A child, or our own standard input and output, is a pair:
//! one descriptor to read from, another to write to. Either way a side has a source end and a sink
//! end, and everything above asks for those.
//!
//! How TCP tells the other side (RFC 9293, 3.6 and 3.10.5): a FIN says "no more from me, and you
//! have got everything"; an RST says "this did not work out". A side is therefore *finished*
//! (FIN), *left* (closed after its FIN, without harm to what is still on its way) or *aborted*
//! (RST).

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{shutdown, Shutdown};
use socket2::SockRef;
use std::os::fd::AsRawFd;

use crate::link::policy::Finish;
use crate::net::fd::{End, Kind};

/// One side of a link.
#[derive(Debug, Default)]
pub(crate) enum Conn {
    /// Not open yet, or not any more.
    #[default]
    Closed,
    /// A stream socket, both ways.
    Stream(OwnedFd, Kind),
    /// Two descriptors.
    Pair(Box<Pair>),
}

/// A side made of two descriptors; each is closed on its own.
#[derive(Debug)]
pub(crate) struct Pair {
    source: (OwnedFd, Kind),
    sink: Option<(OwnedFd, Kind)>,
}

impl Conn {
    /// A stream socket that is O_NONBLOCK.
    pub(crate) fn stream(socket: OwnedFd) -> Self {
        Self::Stream(socket, Kind::STREAM)
    }

    /// A side that is read from `source` and written to `sink`.
    pub(crate) fn pair(source: OwnedFd, sink: OwnedFd) -> nix::Result<Self> {
        let source_kind = Kind::of(&source)?;
        let sink_kind = Kind::of(&sink)?;
        let sink = Some((sink, sink_kind));
        Ok(Self::Pair(Box::new(Pair { source: (source, source_kind), sink })))
    }

    pub(crate) fn is_pair(&self) -> bool {
        matches!(self, Self::Pair(_))
    }

    /// Where its bytes come from.
    pub(crate) fn source(&self) -> Option<End<'_>> {
        match self {
            Self::Closed => None,
            Self::Stream(socket, kind) => Some(End { fd: socket.as_fd(), kind: *kind }),
            Self::Pair(pair) => Some(End { fd: pair.source.0.as_fd(), kind: pair.source.1 }),
        }
    }

    /// Where its bytes go to; gone once a pair has been finished.
    pub(crate) fn sink(&self) -> Option<End<'_>> {
        match self {
            Self::Closed => None,
            Self::Stream(socket, kind) => Some(End { fd: socket.as_fd(), kind: *kind }),
            Self::Pair(pair) => {
                pair.sink.as_ref().map(|(fd, kind)| End { fd: fd.as_fd(), kind: *kind })
            }
        }
    }

    /// Says "no more": shuts the sending half of a socket down, closes the sink of a pair.
    pub(crate) fn finish(&mut self, how: Finish) -> nix::Result<()> {
        match self {
            _ if how == Finish::Nothing => Ok(()),
            Self::Closed => Ok(()),
            Self::Stream(..) if how == Finish::Close => Ok(()),
            Self::Stream(socket, _) => shutdown(socket.as_raw_fd(), Shutdown::Write),
            Self::Pair(pair) if how == Finish::Close => {
                pair.sink = None;
                Ok(())
            }
            Self::Pair(pair) => match pair.sink.take() {
                // Closing is not enough for a socket that someone else holds, too.
                Some((fd, kind)) if kind.is_socket() => shutdown(fd.as_raw_fd(), Shutdown::Write),
                _ => Ok(()),
            },
        }
    }

    /// Closes a side that has had its FIN, although it may still be sending: what was sent to it
    /// is delivered, and what it sends from now on is answered by the kernel with RST.
    ///
    /// close(2) with unread bytes would be an RST at once (RFC 2525, 2.17) and take the undelivered
    /// rest of our answer with it, so those bytes are read away first, within bounds.
    pub(crate) fn leave(self, buffer: &mut [u8]) {
        if let Some(source) = self.source().filter(|source| source.kind.is_socket()) {
            for _ in 0..MOST_READS_ON_LEAVING {
                if !matches!(source.read(buffer), Ok(read) if read > 0) {
                    break;
                }
            }
        }
    }

    /// Closes with RST.
    pub(crate) fn abort(self) {
        let ends = [self.source(), self.sink()];
        for end in ends.into_iter().flatten().filter(|end| end.kind.is_socket()) {
            // On a socket that is reset already this fails, and nothing is lost by that.
            let _ = SockRef::from(&end.fd).set_linger(Some(Duration::ZERO));
        }
    }
}

/// Unread bytes that are read away before closing: this many buffers full. A peer that sends faster
/// than that gets its RST a little early.
const MOST_READS_ON_LEAVING: usize = 16;

/// Whether an error means that the peer has aborted the connection (or let it die), rather than
/// that something is wrong with the descriptor.
pub(crate) fn is_reset(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ECONNRESET
            | Errno::EPIPE
            | Errno::ENOTCONN
            | Errno::ETIMEDOUT
            | Errno::EHOSTUNREACH
            | Errno::ENETUNREACH
            | Errno::ECONNABORTED
    )
}
