//! Exit codes of the process: one for each class of reason.
//!
//! Scripts and unit files depend on these numbers, so they live in one place and nothing else in
//! the program knows them. `main` is the only one to turn them into a process's end.

use std::process::ExitCode;

use nix::sys::signal::Signal;
use nsplice_backend::ErrorKind;
use nsplice_relay::{OpenClass, Outcome};

/// A reason for the process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The request is done.
    Done,
    /// Something failed while running.
    Failed,
    /// Usage error: the command line is wrong.
    Usage,
    /// The configuration file cannot be read or is invalid.
    Config,
    /// An address cannot be listened on.
    Listen,
    /// A privilege is missing.
    Privilege,
    /// A program that the backend needs is missing.
    MissingTool,
    /// The process, container or namespace does not exist.
    NoSuchTarget,
    /// A signal ended the work before it was done; as shells count it, 128 + its number.
    Interrupted(Signal),
}

/// The number that shells add to that of the signal that ended a program.
const SIGNAL_BASE: u8 = 128;

impl Exit {
    /// The number that the parent process sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Config => 3,
            Self::Listen => 4,
            Self::Privilege => 5,
            Self::MissingTool => 6,
            Self::NoSuchTarget => 7,
            Self::Interrupted(signal) => {
                u8::try_from(signal as i32).map_or(SIGNAL_BASE, |number| SIGNAL_BASE + number)
            }
        }
    }

    /// The exit of a program whose one link ended in `outcome`.
    pub(crate) fn of_outcome(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Clean => Self::Done,
            Outcome::OpenFailed(OpenClass::Denied) => Self::Privilege,
            Outcome::OpenFailed(OpenClass::ToolMissing) => Self::MissingTool,
            Outcome::OpenFailed(OpenClass::TargetGone) => Self::NoSuchTarget,
            _ => Self::Failed,
        }
    }

    /// The exit of a program whose backend could not be prepared.
    pub(crate) fn of_backend(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Usage => Self::Usage,
            ErrorKind::Privilege => Self::Privilege,
            ErrorKind::MissingTool => Self::MissingTool,
            ErrorKind::NoSuchTarget => Self::NoSuchTarget,
            ErrorKind::Failed => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nsplice_relay::Side;

    #[test]
    fn signals_count_as_shells_count_them() {
        assert_eq!(Exit::Interrupted(Signal::SIGINT).code(), 130);
        assert_eq!(Exit::Interrupted(Signal::SIGTERM).code(), 143);
    }

    #[test]
    fn the_readme_has_a_row_for_each_number() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let readme = std::fs::read_to_string(path).unwrap();
        let (_, table) = readme.split_once("\n| exit code | means |\n|---|---|\n").unwrap();
        let rows = table.lines().take_while(|line| line.starts_with("| "));
        let told: Vec<&str> = rows.map(|row| row.split(" | ").next().unwrap()).collect();
        let numbers = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Config,
            Exit::Listen,
            Exit::Privilege,
            Exit::MissingTool,
            Exit::NoSuchTarget,
        ];
        let mut there: Vec<String> = numbers.map(|exit| format!("| {}", exit.code())).to_vec();
        there.push(format!("| {SIGNAL_BASE} + N"));
        assert_eq!(told, there);
    }

    #[test]
    fn only_a_clean_link_is_done() {
        for outcome in Outcome::ALL {
            assert_eq!(Exit::of_outcome(outcome) == Exit::Done, outcome == Outcome::Clean);
        }
        assert_eq!(Exit::of_outcome(Outcome::Reset(Side::Upstream)).code(), 1);
        assert_eq!(Exit::of_outcome(Outcome::OpenFailed(OpenClass::Refused)).code(), 1);
        assert_eq!(Exit::of_outcome(Outcome::OpenFailed(OpenClass::Denied)).code(), 5);
        assert_eq!(Exit::of_outcome(Outcome::OpenFailed(OpenClass::ToolMissing)).code(), 6);
        assert_eq!(Exit::of_outcome(Outcome::OpenFailed(OpenClass::TargetGone)).code(), 7);
    }
}
