//! The clock of a loop.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tells a loop the time: CLOCK_MONOTONIC (`Instant` on Linux), which neither a new date nor a
/// suspended machine moves.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Nanoseconds that it is ahead by; `None` if nobody can move it.
    ahead: Option<Arc<AtomicU64>>,
}

impl Clock {
    /// Makes a clock that can be moved on, so that a test need not wait for a time limit. All clones
    /// are the same clock.
    pub fn movable() -> Self {
        Self { ahead: Some(Arc::default()) }
    }

    /// Moves a movable clock on by `time`. A loop that waits learns of it with its next wake-up.
    pub fn advance(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        if let Some(ahead) = &self.ahead {
            ahead.fetch_add(nanoseconds, Ordering::SeqCst);
        }
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        let now = Instant::now();
        match &self.ahead {
            None => now,
            Some(ahead) => now + Duration::from_nanos(ahead.load(Ordering::SeqCst)),
        }
    }
}

impl PartialEq for Clock {
    /// Returns whether both are the same clock.
    fn eq(&self, other: &Self) -> bool {
        match (&self.ahead, &other.ahead) {
            (None, None) => true,
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

impl Eq for Clock {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_movable_clock_moves_and_with_it_its_clones() {
        let (fixed, movable) = (Clock::default(), Clock::movable());
        let copy = movable.clone();
        let hour = Duration::from_secs(3600);
        let before = Instant::now();
        fixed.advance(hour);
        copy.advance(hour);
        assert!(fixed.now() < before + hour && movable.now() >= before + hour);
        assert!(movable == copy && movable != fixed && movable != Clock::movable());
    }
}
