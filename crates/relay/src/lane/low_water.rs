//! When a lane waits for a heap of bytes instead of for the next one.
//!
//! A relay that is quicker than its source reads whatever has come, be it one segment: on loopback
//! tens of kilobytes at a time, each at the price of a wake-up, two splices and two system calls
//! that find nothing more. A source can be told to wake us later, by its low-water mark
//! (SO_RCVLOWAT, socket(7)): readable is then what has this many bytes queued, or has ended, or has
//! failed, or has no room left (`tcp_epollin_ready`). So a heap costs what a segment did.
//!
//! The price is the tail. What stays below the mark, and is neither followed by more nor by an end,
//! is told by nothing but our own patience. Three rules keep that price small beside what was paid
//! anyway:
//!
//! * only a long burst raises the mark, so that a message of megabytes never meets it;
//! * only a fast one, of which a heap arrives within moments;
//! * patience is twice the time that a heap has taken so far. When it ends the mark is lowered, what
//!   is there is read, and a new burst must earn the mark again. Where less came under the mark than
//!   had earned it, the next one is twice as dear: a source that sends part of a heap and waits for
//!   an answer would pay for patience again and again. One that pays off brings the price down.
//!
//! With the mark up, poll(2) knows whether a step has left a heap behind (a pipe may hold less than
//! the queue). If not, nothing more is asked: what comes later is told when it makes a heap.

use std::time::{Duration, Instant};

/// The raised mark, in bytes. On loopback, where a segment is 64 KiB, this brings a gigabyte from some
/// 33,000 system calls down to 4,000; half of it saves half as much. The kernel lowers it to half
/// of what it may queue at most (`tcp_set_rcvlowat`).
pub(crate) const RAISED_MARK: usize = 1024 * 1024;

/// The burst it takes for the low-water mark of its source to be raised.
///
/// The default is for people: what patience adds is then a few hundredths of the time that was taken
/// anyway, and where a heap takes less than a millisecond up to a tenth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongBurst {
    /// The bytes that it must at first have carried.
    pub bytes: u64,
    /// The time within which a MiB must arrive, or waiting for it would be felt.
    pub heap_within: Duration,
    /// A source that has been silent for longer begins a new burst.
    pub pause: Duration,
}

impl Default for LongBurst {
    fn default() -> Self {
        Self {
            bytes: 64 * 1024 * 1024,
            heap_within: Duration::from_millis(4),
            pause: Duration::from_millis(10),
        }
    }
}

/// The number of times that the price of the mark may double: up to a minute of the fastest bursts.
const MOST_DOUBLINGS: u32 = 12;

/// Added to patience: the loop's timers count in milliseconds.
const TICK: Duration = Duration::from_millis(1);

/// Patience with a source whose mark cannot be lowered.
const STUCK: Duration = Duration::from_millis(4);

/// The history of a lane that splices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LowWater {
    run: Run,
    /// How often the bytes that a burst must have carried before the mark is raised have doubled.
    doublings: u32,
    /// The bytes that had earned the latest mark.
    cost: u64,
}

/// The run of bytes from the source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Run {
    /// Nothing has come, or not enough to call it a burst.
    #[default]
    Quiet,
    /// Bytes come without a pause, `bytes` since `begun`.
    Burst { begun: Instant, latest: Instant, bytes: u64 },
    /// The mark is up, and `bytes` have come since.
    Heaps { latest: Instant, patience: Duration, bytes: u64 },
}

/// The change of the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It stays.
    Stays,
    /// It is raised to [`RAISED_MARK`].
    Raised,
    /// It is lowered to one byte, and the source is to be read without being told.
    Lowered,
}

impl LowWater {
    /// Learns that `bytes` were spliced in the turn at `now`; `long` is what raises the mark.
    pub(crate) fn note(&mut self, bytes: u64, now: Instant, long: &LongBurst) -> Mark {
        let price = long.bytes.saturating_mul(1 << self.doublings);
        let fresh = Run::Burst { begun: now, latest: now, bytes };
        self.run = match self.run {
            _ if bytes == 0 => return Mark::Stays,
            Run::Heaps { patience, bytes: before, .. } => {
                Run::Heaps { latest: now, patience, bytes: before + bytes }
            }
            Run::Quiet => fresh,
            Run::Burst { latest, .. } if now.duration_since(latest) > long.pause => fresh,
            Run::Burst { begun, bytes: before, .. } if before + bytes < price => {
                Run::Burst { begun, latest: now, bytes: before + bytes }
            }
            Run::Burst { begun, bytes: before, .. } => {
                let share = RAISED_MARK as f64 / (before + bytes) as f64;
                let heap = now.duration_since(begun).mul_f64(share);
                if heap > long.heap_within {
                    fresh
                } else {
                    let patience = heap * 2 + TICK;
                    self.run = Run::Heaps { latest: now, patience, bytes: 0 };
                    self.cost = price;
                    return Mark::Raised;
                }
            }
        };
        Mark::Stays
    }

    /// The mark is up.
    pub(crate) fn waits_for_heaps(&self) -> bool {
        matches!(self.run, Run::Heaps { .. })
    }

    /// When patience ends.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.run {
            Run::Heaps { latest, patience, .. } => Some(latest + patience),
            Run::Quiet | Run::Burst { .. } => None,
        }
    }

    /// Ends the waiting, if patience has ended by `now`.
    pub(crate) fn expire(&mut self, now: Instant) -> Mark {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.end()
        } else {
            Mark::Stays
        }
    }

    /// Goes on waiting: the mark could not be lowered, and is still up.
    pub(crate) fn go_on(&mut self, now: Instant) {
        self.run = Run::Heaps { latest: now, patience: STUCK, bytes: 0 };
    }

    /// Ends the waiting: patience has ended, or the lane splices no more.
    pub(crate) fn end(&mut self) -> Mark {
        let run = std::mem::replace(&mut self.run, Run::Quiet);
        let Run::Heaps { bytes, .. } = run else { return Mark::Stays };
        let pays_off = bytes >= self.cost;
        self.doublings = if pays_off { 0 } else { MOST_DOUBLINGS.min(self.doublings + 1) };
        Mark::Lowered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: u64 = 1024 * 1024;

    /// What raises the mark by default.
    fn long() -> LongBurst {
        LongBurst::default()
    }

    /// A low_water after `count` steps of a MiB, `apart` from each other.
    fn after(count: u64, apart: Duration) -> (LowWater, Instant) {
        let (mut low_water, mut now) = (LowWater::default(), Instant::now());
        for _ in 0..count {
            now += apart;
            low_water.note(STEP, now, &long());
        }
        (low_water, now)
    }

    #[test]
    fn a_long_fast_burst_raises_the_mark() {
        let apart = Duration::from_micros(200);
        let (mut low_water, now) = after(long().bytes / STEP - 1, apart);
        assert!(!low_water.waits_for_heaps(), "it was not long yet");
        assert_eq!(low_water.note(STEP, now + apart, &long()), Mark::Raised);
        // A MiB each 200 us: twice that and a tick.
        let patience = low_water.deadline().expect("it waits").duration_since(now + apart);
        assert!(patience > TICK && patience < TICK + Duration::from_micros(450), "{patience:?}");
    }

    #[test]
    fn pauses_and_slowness_do_not() {
        assert!(!after(1000, long().pause * 2).0.waits_for_heaps());
        assert!(!after(1000, long().heap_within * 2).0.waits_for_heaps());
    }

    #[test]
    fn patience_begins_anew_with_bytes_and_then_ends_once() {
        let (mut low_water, now) = after(long().bytes / STEP, Duration::from_micros(200));
        let later = now + TICK;
        assert_eq!(low_water.note(STEP, later, &long()), Mark::Stays);
        assert_eq!(low_water.expire(later), Mark::Stays);
        let deadline = low_water.deadline().expect("it waits");
        assert!(deadline > later);
        assert_eq!(low_water.expire(deadline), Mark::Lowered);
        assert_eq!((low_water.run, low_water.expire(deadline)), (Run::Quiet, Mark::Stays));
    }

    #[test]
    fn a_mark_that_does_not_pay_off_is_dearer_the_next_time() {
        /// Steps that it takes until the mark is up, `carried` of which come under it thereafter.
        fn earn(low_water: &mut LowWater, carried: u64) -> u64 {
            let mut now = low_water.deadline().unwrap_or_else(Instant::now);
            let mut steps = 1;
            while low_water.note(STEP, now, &long()) != Mark::Raised {
                (steps, now) = (steps + 1, now + Duration::from_micros(200));
            }
            (0..carried).for_each(|_| assert_eq!(low_water.note(STEP, now, &long()), Mark::Stays));
            let deadline = low_water.deadline().expect("it waits");
            assert_eq!(low_water.expire(deadline), Mark::Lowered);
            steps
        }
        let mut low_water = LowWater::default();
        let first = long().bytes / STEP;
        assert_eq!(earn(&mut low_water, 0), first);
        assert_eq!(earn(&mut low_water, first), 2 * first);
        assert_eq!(earn(&mut low_water, 4 * first), 4 * first, "less than it had cost");
        assert_eq!(earn(&mut low_water, 0), first, "it has paid off");
        for _ in 0..20 {
            low_water.run = Run::Heaps { latest: Instant::now(), patience: TICK, bytes: 0 };
            low_water.end();
        }
        assert_eq!(low_water.doublings, MOST_DOUBLINGS);
    }

    #[test]
    fn a_mark_that_stays_up_is_waited_for_again_and_again() {
        let (mut low_water, _) = after(long().bytes / STEP, Duration::from_micros(200));
        for _ in 0..3 {
            let now = low_water.deadline().expect("it waits");
            assert_eq!(low_water.expire(now), Mark::Lowered);
            low_water.go_on(now);
            assert!(low_water.deadline().is_some_and(|deadline| deadline > now));
        }
    }

    #[test]
    fn a_turn_without_bytes_changes_nothing() {
        let (mut low_water, now) = after(long().bytes / STEP, Duration::from_micros(200));
        let before = low_water;
        assert_eq!(low_water.note(0, now + long().pause, &long()), Mark::Stays);
        assert_eq!(low_water, before);
    }
}
