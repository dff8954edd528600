//! Times and counts as people write them, on the command line and in the configuration alike.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A time that must pass or may, such as `10s`: longer than nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Duration);

/// A time that may be unlimited: `30s`, or `none` for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeLimit(pub(crate) Option<Duration>);

/// A time to wait that may also be nothing or unlimited: `0s`, `30s`, `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grace(pub(crate) Option<Duration>);

/// A number of links at once, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkCount(pub(crate) u32);

/// A number of loops, 1 to [`MAX_LOOPS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoopCount(pub(crate) usize);

/// A number of measurements, 1 to [`MAX_ROUNDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RoundCount(pub(crate) u32);

/// The length of a measurement, in seconds: more than 0, at most an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) Duration);

/// A text that is not such a value, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub(crate) struct ValueError {
    text: String,
    wanted: &'static str,
}

/// A year: longer is a slip of the pen, and keeps sums of times far from overflowing.
const MAX_TIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// More loops than any machine has use for; each costs a thread and a few descriptors.
const MAX_LOOPS: usize = 256;

/// More rounds than anybody waits for.
const MAX_ROUNDS: u32 = 1000;

/// An hour for each of some hundred measurements is longer than anybody waits, too.
const MAX_SECONDS: f64 = 3600.0;

/// The time that links may go on after a request to end, unless the configuration says otherwise.
pub(crate) const DEFAULT_DRAIN: Duration = Duration::from_secs(30);

const UNLIMITED: &str = "none";

fn duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok().filter(|time| *time <= MAX_TIME)
}

fn positive(text: &str) -> Option<Duration> {
    duration(text).filter(|time| !time.is_zero())
}

/// A value, or an error that says what was wanted instead of `text`.
fn wanted<T>(value: Option<T>, text: &str, wanted: &'static str) -> Result<T, ValueError> {
    value.ok_or_else(|| ValueError { text: text.to_owned(), wanted })
}

impl FromStr for Time {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        wanted(positive(text), text, "a time: write for example 500ms, 10s or 5m, at most 365days")
            .map(Self)
    }
}

impl FromStr for TimeLimit {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text == UNLIMITED {
            return Ok(Self(None));
        }
        let hint =
            "a time limit: write for example 30s, 5m or 1h, at most 365days, or none for no limit";
        wanted(positive(text), text, hint).map(|time| Self(Some(time)))
    }
}

impl FromStr for Grace {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text == UNLIMITED {
            return Ok(Self(None));
        }
        let hint =
            "a time: write for example 30s, 0s for at once, at most 365days, or none for no limit";
        wanted(duration(text), text, hint).map(|time| Self(Some(time)))
    }
}

impl FromStr for LinkCount {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let count = text.parse().ok().filter(|count| *count > 0);
        wanted(count, text, "a number of links: 1 to 4294967295").map(Self)
    }
}

impl FromStr for LoopCount {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let count = text.parse().ok().filter(|count| (1..=MAX_LOOPS).contains(count));
        wanted(count, text, "a number of loops: 1 to 256").map(Self)
    }
}

impl FromStr for RoundCount {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let count = text.parse().ok().filter(|count| (1..=MAX_ROUNDS).contains(count));
        wanted(count, text, "a number of rounds: 1 to 1000").map(Self)
    }
}

impl FromStr for Seconds {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let seconds = text.parse().ok().filter(|seconds| *seconds > 0.0 && *seconds <= MAX_SECONDS);
        wanted(seconds, text, "a number of seconds: write for example 0.5 or 3, at most 3600")
            .map(|seconds| Self(Duration::from_secs_f64(seconds)))
    }
}

impl Default for LoopCount {
    /// One loop moves several gigabytes a second.
    fn default() -> Self {
        Self(1)
    }
}

impl fmt::Display for LoopCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_rounds_are_numbers() {
        assert_eq!("0.5".parse(), Ok(Seconds(Duration::from_millis(500))));
        assert_eq!("3".parse(), Ok(RoundCount(3)));
        for text in ["", "0", "-1", "nan", "inf", "3601", "1s"] {
            assert!(text.parse::<Seconds>().is_err(), "{text}");
        }
        for text in ["", "0", "-1", "1001", "1.5"] {
            assert!(text.parse::<RoundCount>().is_err(), "{text}");
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!("1500ms".parse(), Ok(Time(Duration::from_millis(1500))));
        assert_eq!("1m 30s".parse(), Ok(TimeLimit(Some(Duration::from_secs(90)))));
        assert_eq!("none".parse(), Ok(TimeLimit(None)));
        assert_eq!("0s".parse(), Ok(Grace(Some(Duration::ZERO))));
        assert_eq!("none".parse(), Ok(Grace(None)));
        for text in ["", "10", "-1s", "0s", "none", "10000000000y", "366days", "s"] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
        assert!("0s".parse::<TimeLimit>().is_err());
        assert!("ever".parse::<Grace>().is_err());
    }

    #[test]
    fn counts_have_bounds() {
        assert_eq!("1".parse(), Ok(LinkCount(1)));
        assert!("0".parse::<LinkCount>().is_err());
        assert!("4294967296".parse::<LinkCount>().is_err());
        assert_eq!(MAX_LOOPS.to_string().parse(), Ok(LoopCount(MAX_LOOPS)));
        for text in ["0", "257", "-1", "two"] {
            let error = text.parse::<LoopCount>().unwrap_err();
            assert_eq!(error.to_string(), format!("`{text}` is not a number of loops: 1 to 256"));
        }
    }
}
