//! The timers of a loop: at most one for each link, and one for each source of events.
//!
//! A link, or a source, computes from its state when it next has to be looked at; the loop enters the earliest
//! such moment here. A moment that has meanwhile moved into the future (a link that was idle and
//! is not any more) is left standing and corrected when it comes up, so moving bytes never touches
//! this set. Setting the clock or suspending the machine expires nothing (`clock.rs`).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::table::Key;

/// Moments, and the links or the sources they belong to.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    set: BTreeSet<(Instant, Key)>,
}

impl Timers {
    /// Makes `entered`, the moment that stands for `key`, agree with the `wanted` one.
    pub(crate) fn arrange(
        &mut self,
        key: Key,
        entered: &mut Option<Instant>,
        wanted: Option<Instant>,
    ) {
        match (*entered, wanted) {
            (Some(standing), Some(wanted)) if standing <= wanted => return,
            (None, None) => return,
            _ => {}
        }
        if let Some(standing) = entered.take() {
            self.set.remove(&(standing, key));
        }
        if let Some(wanted) = wanted {
            self.set.insert((wanted, key));
        }
        *entered = wanted;
    }

    /// Takes out a moment that has come by `now`.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Key> {
        let (moment, key) = *self.set.first()?;
        if moment > now {
            return None;
        }
        self.set.pop_first();
        Some(key)
    }

    /// The time until the next moment.
    pub(crate) fn until_next(&self, now: Instant) -> Option<Duration> {
        self.set.first().map(|(moment, _)| moment.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;

    #[test]
    fn moments_come_in_order_and_only_when_due() {
        let mut table = Table::new();
        let (a, b) = (table.insert(|_| ()), table.insert(|_| ()));
        let start = Instant::now();
        let later = |seconds| Some(start + Duration::from_secs(seconds));
        let mut timers = Timers::default();
        let (mut of_a, mut of_b) = (None, None);
        timers.arrange(a, &mut of_a, later(5));
        timers.arrange(b, &mut of_b, later(3));
        assert_eq!(timers.pop(start), None);
        assert_eq!(timers.until_next(start), Some(Duration::from_secs(3)));

        // Later than what stands: left alone. Earlier: moved. None: taken out.
        timers.arrange(b, &mut of_b, later(9));
        assert_eq!(of_b, later(3));
        timers.arrange(a, &mut of_a, later(1));
        assert_eq!(timers.pop(start + Duration::from_secs(4)), Some(a));
        timers.arrange(b, &mut of_b, None);
        assert_eq!(timers.until_next(start), None);
    }
}
