//! Latencies of operations: every one is kept, so percentiles are exact and merging never blurs
//! them.
//!
//! Four bytes each: a run of minutes at a hundred thousand a second is still a few dozen megabytes,
//! and the vector is written in order, which costs the loop next to nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Room for this many before the vector must grow, so that it does not do so in most windows.
const EXPECTED: usize = 1 << 20;

/// The points at which a distribution is told, in thousandths. They lie close where they are
/// plotted close: at the tail.
pub(crate) const PER_MILLE: [u16; 11] = [10, 50, 100, 250, 500, 750, 900, 950, 990, 999, 1000];

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
    /// Adds one. What took longer than four seconds counts as four seconds: it is a stall either
    /// way.
    pub fn add(&mut self, took: Duration) {
        self.nanoseconds.push(u32::try_from(took.as_nanos()).unwrap_or(u32::MAX));
    }

    /// Forgets all, keeping the room.
    pub fn clear(&mut self) {
        self.nanoseconds.clear();
    }

    /// Returns their number.
    pub fn count(&self) -> usize {
        self.nanoseconds.len()
    }

    /// The distribution: for each of [`PER_MILLE`] the share and the microseconds that it does not
    /// exceed. Empty if there is no value.
    pub fn into_quantiles(mut self) -> Vec<Quantile> {
        self.nanoseconds.sort_unstable();
        let at = |&per_mille: &u16| {
            let nanoseconds = percentile(&self.nanoseconds, usize::from(per_mille))?;
            let share = f64::from(per_mille) / 1e3;
            Some(Quantile { share, micros: f64::from(nanoseconds) / 1e3 })
        };
        PER_MILLE.iter().filter_map(at).collect()
    }
}

/// One point of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    /// This share of the operations, from 0 to 1,
    pub share: f64,
    /// took no longer than so many microseconds.
    pub micros: f64,
}

/// The smallest value of sorted `values` that `per_mille` thousandths of them do not exceed
/// (nearest rank).
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
        let quantiles = latencies.into_quantiles();
        assert_eq!(quantiles.len(), PER_MILLE.len());
        assert!(
            (quantiles[4].share - 0.5).abs() < 1e-9 && (quantiles[4].micros - 2.0).abs() < 1e-9
        );
        assert!(quantiles.windows(2).all(|pair| pair[0].micros <= pair[1].micros));
        assert!(quantiles[10].micros > 4_000_000.0);
        assert!(Latencies::default().into_quantiles().is_empty());
    }
}
