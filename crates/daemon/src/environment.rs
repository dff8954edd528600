//! Options from the environment: each option has a twin there, `NSPLICE_BACKEND` for `--backend`.
//!
//! What is typed wins over the environment. A variable that is set but empty counts as not set, so
//! that a unit file or a container can leave it blank.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// The environment, in which variables are looked up.
#[derive(Clone, Copy)]
pub(crate) struct Environment<'a>(pub(crate) &'a dyn Fn(&str) -> Option<OsString>);

/// A variable whose value cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid value for {variable}: {reason}")]
pub(crate) struct EnvironmentError {
    variable: String,
    reason: String,
}

impl Environment<'_> {
    /// Returns what was `typed` for `option`, or else what its twin says.
    pub(crate) fn twin<T, E: fmt::Display>(
        self,
        typed: Option<T>,
        option: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, EnvironmentError> {
        if typed.is_some() {
            return Ok(typed);
        }
        let variable = variable_of(option);
        let Some(value) = self.value(&variable) else { return Ok(None) };
        let parsed = match value.to_str() {
            Some(text) => parse(text).map_err(|error| error.to_string()),
            None => Err("it is not UTF-8".to_owned()),
        };
        parsed.map(Some).map_err(|reason| EnvironmentError { variable, reason })
    }

    /// The path that was `typed` for `option`, or else the one in its twin. It may be any bytes.
    pub(crate) fn path(self, typed: Option<PathBuf>, option: &str) -> Option<PathBuf> {
        typed.or_else(|| self.value(&variable_of(option)).map(PathBuf::from))
    }

    fn value(self, variable: &str) -> Option<OsString> {
        (self.0)(variable).filter(|value| !value.is_empty())
    }

    /// Returns whether the flag `option` was `typed`, or its twin says so: `1` or `true`.
    pub(crate) fn flag(self, typed: bool, option: &str) -> Result<bool, EnvironmentError> {
        let parse = |text: &str| match text {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err(format!("`{text}` is neither 1 nor 0")),
        };
        Ok(self.twin(typed.then_some(true), option, parse)?.unwrap_or(false))
    }
}

fn variable_of(option: &str) -> String {
    format!("NSPLICE_{}", option.to_ascii_uppercase().replace('-', "_"))
}

impl fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(variable: &str) -> Option<OsString> {
        match variable {
            "NSPLICE_MAX_LINKS" => Some("5".into()),
            "NSPLICE_LOOPS" => Some("".into()),
            "NSPLICE_NO_SPLICE" => Some("true".into()),
            "NSPLICE_LOG" => Some("loud".into()),
            _ => None,
        }
    }

    #[test]
    fn what_is_typed_wins() {
        let environment = Environment(&lookup);
        assert_eq!(environment.twin(None, "max-links", str::parse::<u8>), Ok(Some(5)));
        assert_eq!(environment.twin(Some(7), "max-links", str::parse::<u8>), Ok(Some(7)));
        assert_eq!(environment.twin(None, "loops", str::parse::<u8>), Ok(None), "empty");
        assert_eq!(environment.twin(None, "linger", str::parse::<u8>), Ok(None), "not set");
    }

    #[test]
    fn flags_have_twins_too() {
        let environment = Environment(&lookup);
        assert_eq!(environment.flag(false, "no-splice"), Ok(true));
        assert_eq!(environment.flag(false, "no-such"), Ok(false));
        assert_eq!(environment.flag(true, "no-such"), Ok(true));
    }

    #[test]
    fn a_bad_value_is_told_with_its_variable() {
        let error = Environment(&lookup).flag(false, "log").unwrap_err().to_string();
        assert_eq!(error, "Invalid value for NSPLICE_LOG: `loud` is neither 1 nor 0");
    }
}
