//! A whole command line: flags, then exactly two addresses.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::fault::Fault;

use super::flags::Scan;
use super::help::Question;
use super::{Flags, Spec};

/// The errand that a command line asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Errand {
    /// `-V`, `-h`, `-hh`, `-hhh`, `-?`: print the answer on standard output and exit 0.
    Tell(Question),
    /// Print this on standard error as it is, without time and program, and exit 1.
    Scold(String),
    /// Carry bytes.
    Carry(Box<CommandLine>),
}

/// A command line that is to be run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CommandLine {
    pub(crate) flags: Flags,
    pub(crate) first: Spec,
    pub(crate) second: Spec,
}

/// Reads the words after the program's name.
pub(crate) fn read(words: &[OsString]) -> Result<Errand, Fault> {
    let mut flags = Flags::default();
    let addresses = match flags.scan(words)? {
        Scan::Addresses(addresses) => addresses,
        Scan::Tell(question) => return Ok(Errand::Tell(question)),
        Scan::Scold(text) => return Ok(Errand::Scold(text)),
    };
    let [first, second] = addresses else {
        return Err(Fault::new(format_args!(
            "exactly 2 addresses required (there are {}); use option \"-h\" for help",
            addresses.len()
        )));
    };
    let first = Spec::read(first.as_bytes(), flags.unchecked)?;
    let second = Spec::read(second.as_bytes(), flags.unchecked)?;
    Ok(Errand::Carry(Box::new(CommandLine { flags, first, second })))
}

/// The flags as far as they can be read: a fault of [`read`] is told in the way that they ask for.
pub(crate) fn flags_before_fault(words: &[OsString]) -> Flags {
    let mut flags = Flags::default();
    let _ = flags.scan(words);
    flags
}
