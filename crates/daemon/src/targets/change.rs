//! What has changed between two lists of targets. Pure.

use std::collections::HashMap;

use nsplice_backend::{Entry, EntryKind};
use serde::Serialize;

/// A change of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Change<'a> {
    /// The change.
    pub(super) change: Turn,
    /// The target, as it is now, or was last.
    pub(super) target: &'a Entry,
}

/// A turn in the life of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Turn {
    /// It was not there.
    Added,
    /// Something about it is different: its process, its addresses, its ports.
    Changed,
    /// It is there no more.
    Removed,
}

impl Turn {
    /// Its word.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

/// The changes that make `after` of `before`: what is removed, then what is new or different.
pub(super) fn changes<'a>(before: &'a [Entry], after: &'a [Entry]) -> Vec<Change<'a>> {
    let by_key = |entries: &'a [Entry]| -> HashMap<(EntryKind, &'a str), &'a Entry> {
        entries.iter().map(|entry| (entry.key(), entry)).collect()
    };
    let (old, new) = (by_key(before), by_key(after));
    let removed = before.iter().filter(|entry| !new.contains_key(&entry.key()));
    let removed = removed.map(|target| Change { change: Turn::Removed, target });
    let others = after.iter().filter_map(|target| match old.get(&target.key()) {
        None => Some(Change { change: Turn::Added, target }),
        Some(known) if *known != target => Some(Change { change: Turn::Changed, target }),
        Some(_) => None,
    });
    removed.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::tests::entry;

    /// A list of targets, by their numbers and PIDs.
    fn list(targets: &[(u8, u32)]) -> Vec<Entry> {
        let of = |(number, pid): &(u8, u32)| Entry {
            id: Some(format!("{number:02x}")),
            pid: Some(*pid),
            ..entry(&format!("container/c{number}"))
        };
        targets.iter().map(of).collect()
    }

    #[test]
    fn each_target_that_differs_is_told_once() {
        let before = list(&[(1, 10), (2, 20), (3, 30)]);
        let after = list(&[(2, 20), (3, 31), (4, 40)]);
        let told: Vec<_> = changes(&before, &after)
            .iter()
            .map(|change| (change.change.as_str(), change.target.name.as_str(), change.target.pid))
            .collect();
        assert_eq!(
            told,
            [("removed", "c1", Some(10)), ("changed", "c3", Some(31)), ("added", "c4", Some(40)),]
        );
        assert_eq!(changes(&after, &after), []);
        assert_eq!(changes(&[], &after).len(), 3);
    }
}
