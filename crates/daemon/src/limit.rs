//! A bound on lines that peers can trigger.
//!
//! Each kind of line has a budget of its own per window, so a flood of one kind cannot hide
//! another. What is beyond the budget is counted, and the count is told in one line once the
//! window is over: by the next event of any kind, or at the end.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The span of time that a budget is for.
pub(crate) const WINDOW: Duration = Duration::from_secs(1);

/// Budgets by kind of line.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    kinds: HashMap<&'static str, Budget>,
}

#[derive(Debug)]
struct Budget {
    since: Instant,
    used: u32,
    held: u64,
}

/// Lines that were held back within a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// Their kind.
    pub(crate) kind: &'static str,
    /// Their number.
    pub(crate) count: u64,
}

impl Limiter {
    /// Returns whether a line of `kind` may be written now; at most `burst` per window.
    pub(crate) fn allow(&mut self, kind: &'static str, burst: u32, now: Instant) -> bool {
        let budget = self.kinds.entry(kind).or_insert(Budget { since: now, used: 0, held: 0 });
        if budget.is_over(now) && budget.held == 0 {
            *budget = Budget { since: now, used: 0, held: 0 };
        }
        if budget.used < burst {
            budget.used += 1;
            true
        } else {
            budget.held += 1;
            false
        }
    }

    /// Returns what was held back in windows that are over. Asked before [`Limiter::allow`], so
    /// that the count precedes the lines of the next window.
    pub(crate) fn overdue(&mut self, now: Instant) -> Vec<Held> {
        self.collect(|budget| budget.is_over(now))
    }

    /// Returns what was held back and not logged yet.
    pub(crate) fn rest(&mut self) -> Vec<Held> {
        self.collect(|_| true)
    }

    fn collect(&mut self, due: impl Fn(&Budget) -> bool) -> Vec<Held> {
        let mut all = Vec::new();
        for (kind, budget) in &mut self.kinds {
            if budget.held > 0 && due(budget) {
                all.push(Held { kind, count: budget.held });
                budget.held = 0;
            }
        }
        all.sort_by_key(|held| held.kind);
        all
    }
}

impl Budget {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_rest_is_counted() {
        let start = Instant::now();
        let mut limiter = Limiter::default();
        let passed = (0..50).filter(|_| limiter.allow("refused", 20, start)).count();
        assert_eq!(passed, 20);
        assert_eq!(limiter.overdue(start), [], "the window is not over");
        let later = start + WINDOW;
        assert_eq!(limiter.overdue(later), [Held { kind: "refused", count: 30 }]);
        assert_eq!(limiter.overdue(later), [], "told once");
        assert!(limiter.allow("refused", 20, later), "a new window has a new budget");
    }

    #[test]
    fn kinds_have_budgets_of_their_own() {
        let now = Instant::now();
        let mut limiter = Limiter::default();
        assert!(limiter.allow("refused", 1, now));
        assert!(!limiter.allow("refused", 1, now));
        assert!(limiter.allow("denied", 1, now));
    }

    #[test]
    fn the_rest_is_told_at_the_end() {
        let now = Instant::now();
        let mut limiter = Limiter::default();
        for kind in ["b", "a"] {
            assert!(!limiter.allow(kind, 0, now));
        }
        let rest = limiter.rest();
        assert_eq!(rest, [Held { kind: "a", count: 1 }, Held { kind: "b", count: 1 }]);
        assert_eq!(limiter.rest(), []);
    }

    #[test]
    fn a_slow_trickle_is_never_held() {
        let start = Instant::now();
        let mut limiter = Limiter::default();
        for tick in 0..100 {
            assert!(limiter.allow("refused", 1, start + WINDOW * tick));
        }
    }
}
