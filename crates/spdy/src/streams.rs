//! The streams of a connection: which are open, and in which direction.

use std::collections::HashMap;
use std::fmt;

/// The number of a stream, of 31 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

impl StreamId {
    /// The highest number.
    pub(crate) const MOST: u32 = u32::MAX >> 1;
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Its streams and pings have odd numbers.
    Client,
    /// Even ones.
    Server,
}

impl Role {
    pub(crate) fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// Whether this end gives out `number`.
    pub(crate) fn gives(self, number: u32) -> bool {
        number != 0 && (number % 2 == 1) == (self == Self::Client)
    }

    /// The first number that it gives out.
    pub(crate) fn first(self) -> u32 {
        match self {
            Self::Client => 1,
            Self::Server => 2,
        }
    }
}

/// What is open of a stream. One of which nothing is open is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open {
    /// We may send.
    pub(crate) sends: bool,
    /// The peer may send.
    pub(crate) receives: bool,
    /// The `SYN_REPLY` is due.
    pub(crate) unanswered: bool,
}

/// What a number names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    Open(Open),
    /// A stream that was open once.
    Past,
    /// Nothing yet.
    Never,
}

/// All streams of a connection.
#[derive(Debug)]
pub(crate) struct Streams {
    role: Role,
    open: HashMap<StreamId, Open>,
    /// Those of them that the peer has opened.
    of_peer: usize,
    /// The highest numbers so far; 0 for none.
    last_of_peer: u32,
    last_of_ours: u32,
}

impl Streams {
    pub(crate) fn new(role: Role) -> Self {
        let open = HashMap::new();
        Self { role, open, of_peer: 0, last_of_peer: 0, last_of_ours: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// Streams that the peer has opened.
    pub(crate) fn of_peer(&self) -> usize {
        self.of_peer
    }

    /// The highest number that the peer has given.
    pub(crate) fn last_of_peer(&self) -> StreamId {
        StreamId(self.last_of_peer)
    }

    pub(crate) fn named(&self, stream: StreamId) -> Named {
        let last = if self.role.gives(stream.0) { self.last_of_ours } else { self.last_of_peer };
        match self.open.get(&stream) {
            Some(open) => Named::Open(*open),
            None if stream.0 <= last => Named::Past,
            None => Named::Never,
        }
    }

    /// Takes note that the peer has given a number; false if it is not the next.
    pub(crate) fn note_number(&mut self, stream: StreamId) -> bool {
        let is_next = self.role.peer().gives(stream.0) && stream.0 > self.last_of_peer;
        if is_next {
            self.last_of_peer = stream.0;
        }
        is_next
    }

    /// The peer has opened a stream whose number has been noted.
    pub(crate) fn open_of_peer(&mut self, stream: StreamId, open: Open) {
        self.open.insert(stream, open);
        self.of_peer += 1;
        self.forget_if_over(stream);
    }

    /// Gives out the next number of ours; `None` if there is none.
    pub(crate) fn open_ours(&mut self, open: Open) -> Option<StreamId> {
        let next = match self.last_of_ours {
            0 => self.role.first(),
            last => last.checked_add(2).filter(|next| *next <= StreamId::MOST)?,
        };
        self.last_of_ours = next;
        self.open.insert(StreamId(next), open);
        Some(StreamId(next))
    }

    /// Changes what is open of a stream that is.
    pub(crate) fn change(&mut self, stream: StreamId, change: impl FnOnce(&mut Open)) {
        if let Some(open) = self.open.get_mut(&stream) {
            change(open);
            self.forget_if_over(stream);
        }
    }

    /// Forgets a stream; false if it was not open.
    pub(crate) fn remove(&mut self, stream: StreamId) -> bool {
        let was_open = self.open.remove(&stream).is_some();
        if was_open && !self.role.gives(stream.0) {
            self.of_peer -= 1;
        }
        was_open
    }

    fn forget_if_over(&mut self, stream: StreamId) {
        if self.open.get(&stream).is_some_and(|open| !open.sends && !open.receives) {
            self.remove(stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Open = Open { sends: true, receives: true, unanswered: true };

    #[test]
    fn numbers_rise_and_have_the_parity_of_their_end() {
        let mut server = Streams::new(Role::Server);
        for (number, is_next) in
            [(0, false), (2, false), (3, true), (3, false), (1, false), (9, true)]
        {
            assert_eq!(server.note_number(StreamId(number)), is_next, "{number}");
        }
        assert_eq!(server.open_ours(BOTH), Some(StreamId(2)));
        assert_eq!(server.open_ours(BOTH), Some(StreamId(4)));
        server.last_of_ours = StreamId::MOST - 1;
        assert_eq!(server.open_ours(BOTH), None);
    }

    #[test]
    fn a_stream_is_forgotten_when_both_directions_have_ended() {
        let mut streams = Streams::new(Role::Server);
        assert_eq!(streams.named(StreamId(1)), Named::Never);
        assert!(streams.note_number(StreamId(1)));
        streams.open_of_peer(StreamId(1), BOTH);
        assert_eq!((streams.of_peer(), streams.len()), (1, 1));
        streams.change(StreamId(1), |open| open.receives = false);
        assert_eq!(streams.named(StreamId(1)), Named::Open(Open { receives: false, ..BOTH }));
        streams.change(StreamId(1), |open| open.sends = false);
        assert_eq!(streams.named(StreamId(1)), Named::Past);
        assert_eq!((streams.of_peer(), streams.len(), streams.remove(StreamId(1))), (0, 0, false));
    }
}
