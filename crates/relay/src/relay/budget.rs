//! The kernel memory that the queues of all links of a loop may take.
//!
//! Sizes are settled when a socket begins and stay (`net/queues.rs`), so what is counted for a link is
//! the most that its queues can ever hold, from its beginning to its end. A link that finds too little
//! room left gets queues of the least size, which are not counted: every link needs them. So do those
//! after it, until there is room again for it and an eighth of the whole besides; else at the brink
//! each link that begins or ends would change what listeners hand on.

use std::time::Duration;

use crate::net::queues::Queues;
use crate::open::Allowance;

/// The part of the whole that must be free before queues are ample again.
const FREE_AGAIN: usize = 8;

/// The memory of a loop, in bytes.
#[derive(Debug)]
pub(crate) struct Budget {
    /// `None`: nothing is bounded.
    total: Option<usize>,
    granted: usize,
    room: Room,
    /// What listeners were last told to hand on.
    told: Queues,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Ample,
    /// Since a link wished for more than was left.
    Tight {
        wished: usize,
    },
}

/// A link's part of it; nothing at first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Grant {
    queues: Queues,
    bytes: usize,
}

impl Grant {
    /// The allowance of the link's attempt, that has `time` to open.
    pub(crate) fn allowance(self, time: Duration) -> Allowance {
        Allowance { time, queues: self.queues }
    }
}

impl Budget {
    /// Of `total` bytes, or without bounds.
    pub(crate) fn new(total: Option<usize>) -> Self {
        let told = total.map_or(Queues::Tuned, |_| Queues::Ample);
        Self { total, granted: 0, room: Room::Ample, told }
    }

    /// Takes the part of a link whose queues can hold `wished` bytes in all.
    pub(crate) fn grant(&mut self, wished: usize) -> Grant {
        let Some(total) = self.total else { return Grant::default() };
        if self.room == Room::Ample && wished > total - self.granted {
            self.room = Room::Tight { wished };
        }
        let bytes = if self.room == Room::Ample { wished } else { 0 };
        self.granted += bytes;
        Grant { queues: self.queues(), bytes }
    }

    /// Takes back what a link had.
    pub(crate) fn give_back(&mut self, grant: Grant) {
        self.granted -= grant.bytes;
        let Some(total) = self.total else { return };
        let left = total - self.granted;
        if matches!(self.room, Room::Tight { wished } if left >= wished.max(total / FREE_AGAIN)) {
            self.room = Room::Ample;
        }
    }

    /// The queues that the next link gets.
    pub(crate) fn queues(&self) -> Queues {
        match (self.total, self.room) {
            (None, _) => Queues::Tuned,
            (_, Room::Ample) => Queues::Ample,
            (_, Room::Tight { .. }) => Queues::Least,
        }
    }

    /// The queues that listeners are to hand on from now on, if that has changed since this was last asked.
    pub(crate) fn news(&mut self) -> Option<Queues> {
        let now = self.queues();
        (std::mem::replace(&mut self.told, now) != now).then_some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOTAL: usize = 64 << 20;

    #[test]
    fn without_bounds_nothing_is_counted() {
        let mut budget = Budget::new(None);
        let grant = budget.grant(usize::MAX);
        assert_eq!(grant, Grant::default());
        budget.give_back(grant);
        assert_eq!((budget.granted, budget.news()), (0, None));
    }

    #[test]
    fn the_brink_is_passed_once_each_way() {
        let mut budget = Budget::new(Some(16));
        let mut grants: Vec<_> = (0..20).map(|_| budget.grant(1)).collect();
        assert_eq!((budget.news(), budget.news()), (Some(Queues::Least), None));
        assert_eq!(grants.iter().filter(|grant| grant.queues == Queues::Ample).count(), 16);
        budget.give_back(grants.remove(0));
        assert_eq!(budget.grant(1).queues, Queues::Least, "less than an eighth is free");
        budget.give_back(grants.remove(0));
        assert_eq!((budget.news(), budget.grant(1).queues), (Some(Queues::Ample), Queues::Ample));
    }

    #[test]
    fn who_wishes_for_more_than_there_is_does_not_turn_listeners_to_and_fro() {
        let mut budget = Budget::new(Some(16));
        let grant = budget.grant(17);
        assert_eq!((grant.queues, budget.news()), (Queues::Least, Some(Queues::Least)));
        budget.give_back(grant);
        assert_eq!(budget.news(), None);
    }

    proptest! {
        /// However links come and go: what they can hold together, the least of each apart, is within
        /// the total, all of it comes back, and who gets less gets the least.
        #[test]
        fn the_total_is_kept(steps in prop::collection::vec((0..TOTAL / 3, any::<prop::sample::Index>(), any::<bool>()), 0..300)) {
            let mut budget = Budget::new(Some(TOTAL));
            let mut held: Vec<Grant> = Vec::new();
            for (wished, which, comes) in steps {
                if comes || held.is_empty() {
                    let grant = budget.grant(wished);
                    let expected = if grant.queues == Queues::Ample { wished } else { 0 };
                    prop_assert_eq!(grant.bytes, expected);
                    held.push(grant);
                } else {
                    budget.give_back(held.swap_remove(which.index(held.len())));
                }
                let sum: usize = held.iter().map(|grant| grant.bytes).sum();
                prop_assert_eq!(budget.granted, sum);
                prop_assert!(sum <= TOTAL);
            }
            held.into_iter().for_each(|grant| budget.give_back(grant));
            prop_assert_eq!(budget.granted, 0);
            prop_assert_eq!(budget.queues(), Queues::Ample);
        }
    }
}
