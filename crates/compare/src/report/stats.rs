//! The middle and the spread of a few rounds, and whether two sets of rounds differ.
//!
//! # The test
//!
//! A figure has three to ten rounds, which are not normally distributed: a machine is disturbed in
//! one direction only. So the test looks at ranks and assumes no shape: the rank sum of Wilcoxon,
//! Mann and Whitney, two-sided, by its exact distribution. Of all ways to deal the pooled rounds
//! out into two sets of these sizes, `p` is the share in which the rank sum lies at least as far
//! from its middle as it does here. Equal rounds share the mean of their ranks, which the count of
//! the ways takes in its stride.
//!
//! # Its limits
//!
//! - Few rounds cannot show anything. Three against three have 20 ways, two of which are the
//!   extremes, so `p` is never under 0.10, however far apart they are; four against four reach
//!   0.029. [`can_show`] tells the two apart, so that "no change" is never said where none could
//!   have been found.
//! - It finds that two *runs* differ. Whether the program is why, or the machine on another day, it
//!   cannot know.
//! - Among many figures one in twenty is found by chance. Reports say how many that would be.

/// The share of chance findings that is put up with.
pub(crate) const LEVEL: f64 = 0.05;

/// Medians that differ by less than this share of the larger one are level.
const NOISE: f64 = 0.1;

/// A spread from least to most beyond this share of the median makes the median doubtful.
pub(crate) const WIDE: f64 = 0.5;

/// The spread of some rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    /// The least of them.
    pub least: f64,
    /// The middle one, or the mean of the middle two.
    pub median: f64,
    /// The most of them.
    pub most: f64,
    /// Their number.
    pub rounds: usize,
}

impl Spread {
    /// Returns whether this and `other` differ by more than noise: no round of one reaches into the
    /// rounds of the other, and the medians are more than a tenth apart, which on a machine with
    /// other work in it is nobody's merit.
    pub(crate) fn is_apart(&self, other: &Self) -> bool {
        let disjoint = self.most < other.least || other.most < self.least;
        let far = (self.median - other.median).abs() > NOISE * self.median.max(other.median).abs();
        disjoint && far
    }

    /// Of `values`, if there are any.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let upper = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            *sorted.get(upper)?
        } else {
            (sorted.get(upper.checked_sub(1)?)? + sorted.get(upper)?) / 2.0
        };
        Some(Self { least: *sorted.first()?, median, most: *sorted.last()?, rounds: sorted.len() })
    }

    /// Returns whether the rounds lie so far apart that the median says little.
    pub(crate) fn is_wide(&self) -> bool {
        self.most - self.least > WIDE * self.median.abs()
    }
}

/// The two-sided `p` of the rank sum for two sets of rounds; `None` if either is empty.
pub(crate) fn rank_test(one: &[f64], other: &[f64]) -> Option<f64> {
    if one.is_empty() || other.is_empty() {
        return None;
    }
    let ranks = doubled_ranks(one, other);
    let seen: usize = ranks[..one.len()].iter().sum();
    let ways = ways_by_sum(&ranks, one.len());
    // The middle of all sums: the mean doubled rank is their number plus one.
    let middle = one.len() * (ranks.len() + 1);
    let distance = seen.abs_diff(middle);
    let all: f64 = ways.iter().sum();
    let far: f64 = ways
        .iter()
        .enumerate()
        .filter(|(sum, _)| sum.abs_diff(middle) >= distance)
        .map(|(_, n)| n)
        .sum();
    Some(far / all)
}

/// The least `p` that so many rounds can have.
pub(crate) fn least_p(one: usize, other: usize) -> f64 {
    // One of C(one + other, one) ways is the lowest rank sum, one the highest.
    let ways: f64 = (1..=one).map(|k| (other + k) as f64 / k as f64).product();
    (2.0 / ways).min(1.0)
}

/// Returns whether so many rounds can show a change at all.
pub(crate) fn can_show(one: usize, other: usize) -> bool {
    least_p(one, other) <= LEVEL
}

/// Returns the number of rounds a side that it takes to show a change.
pub(crate) fn rounds_needed() -> usize {
    (1..).find(|&n| can_show(n, n)).unwrap_or(usize::MAX)
}

/// Twice the rank of each value among all, so that the mean rank of equals is whole.
fn doubled_ranks(one: &[f64], other: &[f64]) -> Vec<usize> {
    let pooled: Vec<f64> = one.iter().chain(other).copied().collect();
    pooled
        .iter()
        .map(|value| {
            let below = pooled.iter().filter(|v| v.total_cmp(value).is_lt()).count();
            let equal = pooled.iter().filter(|v| v.total_cmp(value).is_eq()).count();
            // Equals take the ranks below + 1 to below + equal, the mean of which is half their
            // sum.
            2 * below + equal + 1
        })
        .collect()
}

/// For each sum, how many sets of `size` of the `ranks` have it.
fn ways_by_sum(ranks: &[usize], size: usize) -> Vec<f64> {
    let most: usize = ranks.iter().sum();
    let mut ways = vec![vec![0.0; most + 1]; size + 1];
    ways[0][0] = 1.0;
    for &rank in ranks {
        // Downwards, so that no rank is taken twice.
        for taken in (0..size).rev() {
            for sum in (0..=most - rank).rev() {
                let through = ways[taken][sum];
                ways[taken + 1][sum + rank] += through;
            }
        }
    }
    ways.swap_remove(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn medians_of_odd_and_even_counts() {
        let of = |values: &[f64]| Spread::of(values).map(|s| (s.least, s.median, s.most, s.rounds));
        assert_eq!(of(&[3.0, 1.0, 2.0]), Some((1.0, 2.0, 3.0, 3)));
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]), Some((1.0, 2.5, 4.0, 4)));
        assert_eq!(of(&[7.0]), Some((7.0, 7.0, 7.0, 1)));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn wide_is_beyond_half_of_the_median() {
        let wide = |values: &[f64]| Spread::of(values).is_some_and(|s| s.is_wide());
        assert!(wide(&[5.0, 10.0, 10.1]));
        assert!(!wide(&[8.0, 10.0, 12.0]));
    }

    #[test]
    fn exact_values_of_the_tables() {
        // From tables of the exact distribution: U = 0 for 3 x 3, 4 x 4, 5 x 5, and U = 4 for 5 x
        // 5.
        let p = |a: &[f64], b: &[f64]| rank_test(a, b).expect("two sets");
        assert!(close(p(&[1., 2., 3.], &[4., 5., 6.]), 2.0 / 20.0));
        assert!(close(p(&[1., 2., 3., 4.], &[5., 6., 7., 8.]), 2.0 / 70.0));
        assert!(close(p(&[6., 7., 8., 9., 10.], &[1., 2., 3., 4., 5.]), 2.0 / 252.0));
        let p = p(&[1., 2., 3., 5., 8.], &[4., 6., 7., 9., 10.]);
        assert!((p - 0.0952).abs() < 1e-4, "{p}");
    }

    #[test]
    fn equals_share_ranks_and_nothing_but_equals_is_no_change() {
        let same = rank_test(&[1.0; 5], &[1.0; 5]).expect("two sets");
        assert!(close(same, 1.0), "{same}");
        // Of the 6 ways to deal 1 2 2 3 out in pairs, {1, 2} and {2, 3} come about twice each.
        let tied = rank_test(&[1.0, 2.0], &[2.0, 3.0]).expect("two sets");
        assert!(close(tied, 4.0 / 6.0), "{tied}");
        assert_eq!(rank_test(&[], &[1.0]), None);
    }

    #[test]
    fn three_rounds_a_side_show_nothing_and_four_can() {
        assert!(close(least_p(3, 3), 0.1));
        assert!(!can_show(3, 3) && !can_show(3, 4) && can_show(3, 5) && can_show(4, 4));
        assert!(!can_show(1, 10));
        assert_eq!(rounds_needed(), 4);
    }

    #[test]
    fn the_least_p_is_reached() {
        for (one, other) in [(2, 2), (3, 5), (4, 4), (6, 3)] {
            let low: Vec<f64> = (0..one).map(|i| i as f64).collect();
            let high: Vec<f64> = (0..other).map(|i| 100.0 + i as f64).collect();
            let p = rank_test(&low, &high).expect("two sets");
            assert!(close(p, least_p(one, other)), "{one} against {other}: {p}");
        }
    }
}
