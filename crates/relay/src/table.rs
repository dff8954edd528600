//! The links of a loop, found by key.
//!
//! A slot that is freed is used again; its generation grows each time, so a key, a timer or an
//! event that still names the old occupant finds nothing instead of a stranger.

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

/// Token layout: 3 bits port + 1, 29 bits generation, 32 bits index. Tokens below
/// `1 << GENERATION_SHIFT` that have no port are free for the loop's own sources.
const PORT_BITS: u32 = 3;
const GENERATION_BITS: u32 = 29;
const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;

impl Key {
    /// The token to register `port` of this link with.
    pub(crate) fn token(self, port: Port) -> Token {
        let port = PORTS.iter().position(|each| *each == port).map_or(0, |index| index + 1);
        let generation = (self.generation & GENERATION_MASK) as usize;
        let index = self.index as usize;
        Token(index << (PORT_BITS + GENERATION_BITS) | generation << PORT_BITS | port)
    }

    /// The link and port that a token names; `None` for the loop's own sources.
    pub(crate) fn of_token(token: Token) -> Option<(Self, Port)> {
        let port = *PORTS.get((token.0 & 0b111).checked_sub(1)?)?;
        let generation = u32::try_from(token.0 >> PORT_BITS & GENERATION_MASK as usize).ok()?;
        let index = u32::try_from(token.0 >> (PORT_BITS + GENERATION_BITS)).ok()?;
        Some((Self { index, generation }, port))
    }

    /// The token of one of the loop's own sources.
    pub(crate) fn own_token(number: usize) -> Token {
        Token(number << PORT_BITS)
    }

    /// The number of one of the loop's own sources.
    pub(crate) fn own_number(token: Token) -> usize {
        token.0 >> PORT_BITS
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

    /// The keys of all occupants.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let key = |(index, slot): (usize, &Slot<T>)| {
            let index = u32::try_from(index).ok()?;
            slot.occupant.as_ref()?;
            Some(Key { index, generation: slot.generation })
        };
        self.slots.iter().enumerate().filter_map(key).collect()
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
        assert_eq!(table.keys(), vec![second]);
    }

    proptest! {
        #[test]
        fn tokens_name_their_key_and_port(index: u32, generation in 0..=GENERATION_MASK, port in 0..PORTS.len()) {
            let key = Key { index, generation };
            let token = key.token(PORTS[port]);
            prop_assert_eq!(Key::of_token(token), Some((key, PORTS[port])));
        }

        #[test]
        fn own_tokens_are_no_links(number in 0..1_000_000usize) {
            let token = Key::own_token(number);
            prop_assert_eq!(Key::of_token(token), None);
            prop_assert_eq!(Key::own_number(token), number);
        }
    }
}
