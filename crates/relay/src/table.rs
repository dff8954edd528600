//! Tables of what a loop has many of (links, services, listeners), found by key.
//!
//! A slot that is freed is used again; its generation grows each time, so a key, a timer or an
//! event that still names the old occupant finds nothing instead of a stranger. An event carries a
//! token: a key, and a kind that says whose table the key is of.

use mio::Token;

/// Names an occupant of the table for as long as it is there, and never another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

/// Which descriptor of a link an event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    /// The downstream socket, or the descriptor a handed-over downstream is read from.
    DownSource,
    /// The descriptor a handed-over downstream is written to.
    DownSink,
    /// The upstream socket, or a child's standard output; before that, the attempt's source.
    UpSource,
    /// A child's standard input.
    UpSink,
    /// A child's pidfd.
    Exit,
    /// A child's standard error.
    Diagnostics,
}

const PORTS: [Port; 6] =
    [Port::DownSource, Port::DownSink, Port::UpSource, Port::UpSink, Port::Exit, Port::Diagnostics];

/// The cause of an event. Each kind that is found by key has a table of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The loop's waker.
    Waker,
    /// A descriptor of a link.
    Link(Key, Port),
    /// A listening socket.
    Listener(Key),
    /// The descriptor of a source of events.
    Source(Key),
}

/// Token layout: 4 bits kind, 28 bits generation, 32 bits index.
const KIND_BITS: u32 = 4;
const KIND_MASK: usize = (1 << KIND_BITS) - 1;
const GENERATION_BITS: u32 = 28;
const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;

/// Kinds of tokens: the waker's is 0, the ports of links follow.
const LISTENER: usize = PORTS.len() + 1;
const SOURCE: usize = LISTENER + 1;

impl Cause {
    /// The token to register it with.
    pub(crate) fn token(self) -> Token {
        match self {
            Self::Waker => Token(0),
            Self::Link(key, port) => {
                let port = PORTS.iter().position(|each| *each == port);
                key.token_of(port.map_or(0, |index| index + 1))
            }
            Self::Listener(key) => key.token_of(LISTENER),
            Self::Source(key) => key.token_of(SOURCE),
        }
    }

    /// The cause that a token was registered for; `None` if nothing ever is.
    pub(crate) fn of(token: Token) -> Option<Self> {
        let kind = token.0 & KIND_MASK;
        let Some(port) = kind.checked_sub(1) else {
            return Some(Self::Waker);
        };
        let generation = u32::try_from(token.0 >> KIND_BITS & GENERATION_MASK as usize).ok()?;
        let index = u32::try_from(token.0 >> (KIND_BITS + GENERATION_BITS)).ok()?;
        let key = Key { index, generation };
        match kind {
            LISTENER => Some(Self::Listener(key)),
            SOURCE => Some(Self::Source(key)),
            _ => PORTS.get(port).map(|port| Self::Link(key, *port)),
        }
    }
}

impl Key {
    /// The token to register `port` of this link with.
    pub(crate) fn token(self, port: Port) -> Token {
        Cause::Link(self, port).token()
    }

    fn token_of(self, kind: usize) -> Token {
        let generation = (self.generation & GENERATION_MASK) as usize;
        let index = self.index as usize;
        Token(index << (KIND_BITS + GENERATION_BITS) | generation << KIND_BITS | kind)
    }
}

/// A table of `T`.
#[derive(Debug)]
pub(crate) struct Table<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    occupant: Option<T>,
}

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts in what `make` makes for its key.
    pub(crate) fn insert(&mut self, make: impl FnOnce(Key) -> T) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, occupant: None });
            // More links than u32 can count would need more descriptors than Linux has (1 << 30).
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let slot = &mut self.slots[index as usize];
        let key = Key { index, generation: slot.generation };
        slot.occupant = Some(make(key));
        key
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.index as usize)?;
        slot.occupant.as_ref().filter(|_| slot.generation == key.generation)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation != key.generation {
            return None;
        }
        slot.occupant.as_mut()
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation != key.generation {
            return None;
        }
        let occupant = slot.occupant.take()?;
        slot.generation = (slot.generation + 1) & GENERATION_MASK;
        self.free.push(key.index);
        Some(occupant)
    }

    /// Slots, free ones included: what [`Table::key_at`] may be asked for.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The key of the occupant of a slot. Who walks over the slots may change the table meanwhile.
    pub(crate) fn key_at(&self, slot: usize) -> Option<Key> {
        let Slot { generation, occupant } = self.slots.get(slot)?;
        occupant.as_ref()?;
        Some(Key { index: u32::try_from(slot).ok()?, generation: *generation })
    }

    /// The keys of all occupants.
    pub(crate) fn keys(&self) -> Vec<Key> {
        (0..self.slots()).filter_map(|slot| self.key_at(slot)).collect()
    }

    /// All occupants.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| slot.occupant.as_ref())
    }

    /// All occupants, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|slot| slot.occupant.as_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stale_key_finds_nothing() {
        let mut table = Table::new();
        let first = table.insert(|_| "first");
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert(|_| "second");
        assert_eq!(second.index, first.index, "the slot is used again");
        assert_eq!(table.get_mut(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get_mut(second), Some(&mut "second"));
        assert_eq!(table.get(first), None);
        assert_eq!(table.get(second), Some(&"second"));
        assert_eq!(table.keys(), vec![second]);
        assert_eq!(table.iter().collect::<Vec<_>>(), [&"second"]);
    }

    fn cause() -> impl Strategy<Value = Cause> {
        let key = || {
            (any::<u32>(), 0..=GENERATION_MASK)
                .prop_map(|(index, generation)| Key { index, generation })
        };
        prop_oneof![
            Just(Cause::Waker),
            (key(), 0..PORTS.len()).prop_map(|(key, port)| Cause::Link(key, PORTS[port])),
            key().prop_map(Cause::Listener),
            key().prop_map(Cause::Source),
        ]
    }

    proptest! {
        #[test]
        fn tokens_name_their_cause(cause in cause()) {
            prop_assert_eq!(Cause::of(cause.token()), Some(cause));
        }
    }
}
