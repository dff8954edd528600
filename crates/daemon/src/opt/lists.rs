//! Options that may be given several times.

use std::str::FromStr;

/// Returns what was typed of an option that may be typed several times, if it was at all.
pub(super) fn given<T>(values: Vec<T>) -> Option<Vec<T>> {
    Some(values).filter(|values| !values.is_empty())
}

/// Reads the one value that the environment has for such an option.
pub(super) fn one<T: FromStr>(text: &str) -> Result<Vec<T>, T::Err> {
    text.parse().map(|value| vec![value])
}
