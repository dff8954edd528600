//! Roles that this program plays in a comparison when its first argument says so. Nobody types them.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::{floor, holder};

/// Plays the role that the first of `words`, the arguments of this process, names, and returns how it
/// ended; `None` if they name none. For the only thread of a process.
pub fn play(words: &[OsString]) -> Option<ExitCode> {
    let (role, words) = words.split_first()?;
    match role.to_str()? {
        holder::ARGUMENT => Some(holder::run()),
        floor::ARGUMENT => Some(floor::run(words)),
        _ => None,
    }
}
