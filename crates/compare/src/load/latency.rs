//! How long operations took: every one is kept, so percentiles are exact and merging never blurs them.
//!
//! Four bytes each: a run of minutes at a hundred thousand a second is still a few dozen megabytes, and the vector is
//! written in order, which costs the loop next to nothing.

use std::time::Duration;

/// Room for this many before the vector must grow, so that it does not do so in most windows.
const EXPECTED: usize = 1 << 20;

/// Durations of finished operations, in nanoseconds.
#[derive(Debug)]
pub struct Latencies {
    nanoseconds: Vec<u32>,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { nanoseconds: Vec::with_capacity(EXPECTED) }
    }
}

impl Latencies {
    /// Adds one. What took longer than four seconds counts as four seconds: it is a stall either way.
    pub fn add(&mut self, took: Duration) {
        self.nanoseconds.push(u32::try_from(took.as_nanos()).unwrap_or(u32::MAX));
    }

    /// Forgets all, keeping the room.
    pub fn clear(&mut self) {
        self.nanoseconds.clear();
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.nanoseconds.len()
    }

    /// The median and the 99th percentile in microseconds.
    #[must_use]
    pub fn into_p50_p99(mut self) -> Option<(f64, f64)> {
        self.nanoseconds.sort_unstable();
        let at = |per_mille| percentile(&self.nanoseconds, per_mille).map(|ns| f64::from(ns) / 1e3);
        Some((at(500)?, at(990)?))
    }
}

/// The smallest value of sorted `values` that `per_mille` thousandths of them do not exceed (nearest rank).
fn percentile(values: &[u32], per_mille: usize) -> Option<u32> {
    let rank = (values.len() * per_mille).div_ceil(1000).max(1);
    values.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 500), Some(50));
        assert_eq!(percentile(&hundred, 990), Some(99));
        assert_eq!(percentile(&hundred, 1000), Some(100));
        assert_eq!(percentile(&[7], 500), Some(7));
        assert_eq!(percentile(&[7], 0), Some(7));
        assert_eq!(percentile(&[], 500), None);
    }

    #[test]
    fn order_of_arrival_does_not_matter_and_stalls_saturate() {
        let mut latencies = Latencies::default();
        for micros in [3, 1, 2] {
            latencies.add(Duration::from_micros(micros));
        }
        latencies.add(Duration::from_secs(100));
        assert_eq!(latencies.count(), 4);
        let (p50, p99) = latencies.into_p50_p99().expect("not empty");
        assert!((p50 - 2.0).abs() < 1e-9);
        assert!(p99 > 4_000_000.0);
    }
}
