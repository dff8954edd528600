//! The order in which links write to a sink that they share.
//!
//! The links of a forward may all have duplicates of one descriptor ([`crate::Owner::Forward`]).
//! What one of them has read at once is a block, and blocks must not be mixed: a link of whose block
//! the descriptor took only a part has the turn until it took the rest. The others wait, and are run
//! again when the turn is free: their own readiness has told them long ago that there is room.

use std::collections::HashSet;

use crate::table::Key;

/// The turn at one forward's shared descriptor.
#[derive(Debug, Default)]
pub(crate) struct Writers {
    holder: Option<Key>,
    /// In the order in which they came, so that nobody is passed over again and again.
    waiting: Vec<Key>,
    /// The same, to be found quickly.
    known: HashSet<Key>,
}

impl Writers {
    /// Returns whether `link` may write now; if not, it waits for its turn.
    pub(crate) fn admits(&mut self, link: Key) -> bool {
        if self.holder.is_none_or(|holder| holder == link) {
            return true;
        }
        if self.known.insert(link) {
            self.waiting.push(link);
        }
        false
    }

    /// `link` has written, and this many bytes of its block are left.
    pub(crate) fn note(&mut self, link: Key, left: u64) {
        if left > 0 {
            self.holder = Some(link);
        } else if self.holder == Some(link) {
            self.holder = None;
        }
    }

    /// Those who waited, in their order, if the turn is free now.
    pub(crate) fn next(&mut self) -> Vec<Key> {
        if self.holder.is_some() || self.waiting.is_empty() {
            return Vec::new();
        }
        self.known.clear();
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    #[test]
    fn a_block_is_finished_before_another_begins() {
        let mut table = Table::new();
        let [a, b, c] = [0; 3].map(|each| table.insert(|_| each));
        let mut writers = Writers::default();
        assert!(writers.admits(a));
        writers.note(a, 10);
        assert!(
            !writers.admits(b) && !writers.admits(c) && !writers.admits(b) && writers.admits(a)
        );
        assert_eq!(writers.next(), []);
        writers.note(a, 5);
        assert!(!writers.admits(c));
        writers.note(a, 0);
        assert_eq!(writers.next(), [b, c]);
        assert_eq!(writers.next(), []);
        assert!(writers.admits(b));
    }

    #[test]
    fn an_end_gives_the_turn_back() {
        let mut table = Table::new();
        let [a, b] = [0; 2].map(|each| table.insert(|_| each));
        let mut writers = Writers::default();
        writers.note(a, 10);
        assert!(!writers.admits(b));
        // Others that end hold nothing.
        writers.note(b, 0);
        assert_eq!(writers.next(), []);
        writers.note(a, 0);
        assert_eq!(writers.next(), [b]);
    }
}
