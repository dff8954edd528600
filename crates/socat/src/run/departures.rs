//! Children that were only written to and have ended: nothing that their links read tells of it.
//!
//! socat takes the end of such a child for the end of what it sends, and gives the link the time that
//! it has after an answer (`-t`); one that has failed ends it at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use nsplice_relay::SourceTurn;

use crate::endpoint::children::{departed, let_go, Departed};

/// The links that are to be ended because their children have.
#[derive(Debug)]
pub(super) struct Departures {
    linger: Duration,
    whose: Whose,
    due: VecDeque<(Instant, Departed)>,
}

/// The links that the children of a loop serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The only one, of whichever of its sides.
    OnlyLink,
    /// Each the one that holds it.
    EachLink,
}

impl Departures {
    /// None yet; links are given `linger`.
    pub(super) fn new(linger: Duration, whose: Whose) -> Self {
        Self { linger, whose, due: VecDeque::new() }
    }

    /// Takes in the children that have ended since.
    pub(super) fn note(&mut self, now: Instant) {
        for child in departed() {
            if child.has_failed {
                self.due.push_front((now, child));
            } else {
                self.due.push_back((now + self.linger, child));
            }
        }
    }

    /// When the next link is to be ended.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.front().map(|(due, _)| *due)
    }

    /// Ends the links whose time has come.
    pub(super) fn end_links(&mut self, turn: &mut SourceTurn<'_>) {
        let now = turn.now();
        while self.next().is_some_and(|due| due <= now) {
            let Some((_, child)) = self.due.pop_front() else { return };
            match self.whose {
                Whose::OnlyLink => turn.stop(),
                Whose::EachLink => {
                    let_go(child);
                    turn.end_let_go();
                }
            }
        }
    }
}
