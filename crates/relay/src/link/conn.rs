//! One side of a link: what is behind it, and the ways to leave that.
//!
//! A side is usually one stream socket. A child, or our own standard input and output, is a pair:
//! one descriptor to read from, another to write to. And it may be a stream of a session, which is no
//! descriptor at all. Either way a side has a source end and a sink end, and everything above asks for
//! those.
//!
//! A side is *finished* (FIN), *closed* or *left* (closed after its FIN, without harm to what is still
//! on its way) or *aborted* (RST, or what the protocol of the session has in its place, with the
//! reason).

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::socket::{shutdown, Shutdown};

use crate::lane::end::End;
use crate::link::downstream::Downstream;
use crate::link::policy::Finish;
use crate::net::farewell::{abort, leave};
use crate::net::fd::Kind;
use crate::outcome::Outcome;
use crate::session::{Ending, StreamRef};
use crate::source::sources::EventSources;

/// One side of a link.
#[derive(Debug, Default)]
pub(crate) enum Conn {
    /// Not open yet, or not any more.
    #[default]
    Closed,
    /// A stream socket, both ways.
    Socket(OwnedFd, Kind),
    /// A stream of a session.
    Stream(StreamRef),
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
        Self::Socket(socket, Kind::STREAM)
    }

    /// A side that is read from `source` and written to `sink`.
    pub(crate) fn pair(source: OwnedFd, sink: OwnedFd) -> nix::Result<Self> {
        let source_kind = Kind::of(&source)?;
        let sink_kind = Kind::of(&sink)?;
        let sink = Some((sink, sink_kind));
        Ok(Self::Pair(Box::new(Pair { source: (source, source_kind), sink })))
    }

    /// The side of a link that a downstream becomes.
    pub(crate) fn handed_over(downstream: Downstream) -> nix::Result<Self> {
        match downstream {
            Downstream::Socket(socket) => {
                let kind = Kind::of(&socket)?;
                Ok(Self::Socket(socket, kind))
            }
            Downstream::Pair { source, sink } => Self::pair(source, sink),
        }
    }

    /// The stream that this side is, if it is one of a session.
    pub(crate) fn stream_of_session(&self) -> Option<StreamRef> {
        match self {
            Self::Stream(stream) => Some(*stream),
            _ => None,
        }
    }

    pub(crate) fn is_pair(&self) -> bool {
        matches!(self, Self::Pair(_))
    }

    /// The descriptor that its bytes come from.
    pub(crate) fn source(&self) -> Option<End<'_>> {
        match self {
            Self::Closed => None,
            Self::Socket(socket, kind) => Some(End::of(socket.as_fd(), *kind)),
            Self::Pair(pair) => Some(End::of(pair.source.0.as_fd(), pair.source.1)),
            Self::Stream(stream) => Some(End::Stream(*stream)),
        }
    }

    /// The descriptor that its bytes go to; gone once a pair has been finished.
    pub(crate) fn sink(&self) -> Option<End<'_>> {
        match self {
            Self::Closed => None,
            Self::Socket(socket, kind) => Some(End::of(socket.as_fd(), *kind)),
            Self::Pair(pair) => pair.sink.as_ref().map(|(fd, kind)| End::of(fd.as_fd(), *kind)),
            Self::Stream(stream) => Some(End::Stream(*stream)),
        }
    }

    /// Says "no more": shuts the sending half of a socket down, closes the sink of a pair, sends the
    /// end of a stream.
    pub(crate) fn finish(&mut self, how: Finish, sessions: &mut EventSources) -> nix::Result<()> {
        match self {
            _ if how == Finish::Nothing => Ok(()),
            Self::Closed => Ok(()),
            Self::Stream(stream) => {
                sessions.finish(*stream);
                Ok(())
            }
            Self::Socket(..) if how == Finish::Close => Ok(()),
            Self::Socket(socket, _) => shutdown(socket.as_raw_fd(), Shutdown::Write),
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

    /// Closes a side that has had its FIN and has ended itself.
    pub(crate) fn close(self, sessions: &mut EventSources) {
        if let Self::Stream(stream) = self {
            sessions.close(stream, Ending::Left);
        }
    }

    /// Closes a side that has had its FIN, although it may still be sending: what was sent to it
    /// is delivered.
    pub(crate) fn leave(self, buffer: &mut [u8], sessions: &mut EventSources) {
        if let Some(source) = self.source().and_then(End::socket) {
            leave(source.fd, buffer);
        }
        self.close(sessions);
    }

    /// Closes with RST; `outcome` and `detail` are told to the peer of a stream.
    pub(crate) fn abort(self, outcome: Outcome, detail: Option<&str>, sessions: &mut EventSources) {
        for socket in [self.source(), self.sink()].into_iter().flatten().filter_map(End::socket) {
            abort(socket.fd);
        }
        if let Self::Stream(stream) = self {
            sessions.close(stream, Ending::Aborted { outcome, detail });
        }
    }
}
