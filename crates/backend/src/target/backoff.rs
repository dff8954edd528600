//! When somebody is asked again about what was not there. Pure.
//!
//! A look asks the node's runtimes, and may be due at most every [`LONGEST`] while nothing is found. A
//! glance asks nobody: it sees whether anything has changed on the node at all, and a look follows if it
//! has. A glance follows the last look or glance after [`GLANCE`] at the earliest, so whoever comes waits
//! that long at most, and is told what was seen after it came, however many come.

use std::time::{Duration, Instant};

/// After the first look that found nothing, the next one is due after this time; after each of the
/// following ones, after twice the time.
const FIRST: Duration = Duration::from_millis(100);

/// The longest time between two looks: whoever is back without a sign is found again after it.
const LONGEST: Duration = Duration::from_secs(5);

/// The time between a glance and what was done before.
const GLANCE: Duration = Duration::from_millis(50);

/// The looks and glances that found nothing, one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    looks: u32,
    looked: Instant,
    /// Not before `looked`.
    glanced: Instant,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Advice {
    /// Wait this long and ask again what to do.
    Wait(Duration),
    /// See whether there is a sign.
    Glance,
    /// Look.
    Look,
}

impl Backoff {
    /// After the first look, which has ended `now`.
    pub(crate) fn begin(now: Instant) -> Self {
        Self { looks: 1, looked: now, glanced: now }
    }

    /// After one more look.
    pub(crate) fn looked(self, now: Instant) -> Self {
        Self { looks: self.looks.saturating_add(1), looked: now, glanced: now }
    }

    /// After a glance that has shown no sign.
    pub(crate) fn glanced(self, now: Instant) -> Self {
        Self { glanced: now, ..self }
    }

    /// Tells what to do `now`, for somebody who wants to know.
    pub(crate) fn advice(self, now: Instant) -> Advice {
        let until_look = (self.looked + self.interval()).saturating_duration_since(now);
        let until_glance = (self.glanced + GLANCE).saturating_duration_since(now);
        match until_look.min(until_glance) {
            _ if until_look.is_zero() => Advice::Look,
            Duration::ZERO => Advice::Glance,
            time => Advice::Wait(time),
        }
    }

    /// The time between the last look and the next without a sign.
    fn interval(self) -> Duration {
        let doublings = self.looks.saturating_sub(1).min(u32::BITS - 1);
        FIRST.saturating_mul(1 << doublings).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whoever comes at each of the times `after` the last one is served as the advice says; when each
    /// was done with, and when looks and glances were.
    fn play(after: &[u64]) -> (Vec<(Instant, Instant)>, Vec<Instant>, Vec<Instant>) {
        let mut now = Instant::now();
        let mut backoff = Backoff::begin(now);
        let (mut served, mut looks, mut glances) = (Vec::new(), vec![now], Vec::new());
        for pause in after {
            now += Duration::from_millis(*pause);
            let came = now;
            loop {
                match backoff.advice(now) {
                    Advice::Wait(time) => now += time,
                    Advice::Glance => {
                        backoff = backoff.glanced(now);
                        glances.push(now);
                        break;
                    }
                    Advice::Look => {
                        backoff = backoff.looked(now);
                        looks.push(now);
                        break;
                    }
                }
            }
            served.push((came, now));
        }
        (served, looks, glances)
    }

    proptest! {
        #[test]
        fn nobody_waits_long_and_nobody_is_asked_often(
            after in prop::collection::vec(0..8000u64, 0..200)
        ) {
            let (served, looks, glances) = play(&after);
            for (came, told) in served {
                prop_assert!(told - came <= GLANCE);
            }
            for (number, pair) in looks.windows(2).enumerate() {
                let least = FIRST * 2u32.pow(u32::try_from(number).unwrap().min(16));
                prop_assert!(pair[1] - pair[0] >= least.min(LONGEST));
            }
            for glance in &glances {
                let before = looks.iter().chain(&glances).filter(|each| *each < glance).max();
                prop_assert!(*glance - *before.unwrap() >= GLANCE);
            }
        }

        /// Whoever comes when the longest time is over since the last look looks again.
        #[test]
        fn nobody_is_given_up(looks in 1..u32::MAX, glance in 0..5000u64) {
            let looked = Instant::now();
            let glanced = looked + Duration::from_millis(glance);
            let backoff = Backoff { looks, looked, glanced };
            prop_assert_eq!(backoff.advice(looked + LONGEST), Advice::Look);
            prop_assert_ne!(backoff.advice(looked), Advice::Look);
        }
    }

    #[test]
    fn a_hammered_target_is_looked_for_ever_more_seldom() {
        let (_, looks, _) = play(&[1; 600]);
        let times: Vec<u128> =
            looks.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
        assert_eq!(times[..8], [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }
}
