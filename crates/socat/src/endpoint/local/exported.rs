//! The variables that programs find in their environment.
//!
//! All begin with the program's name in capitals. The addresses are those of the client's
//! connection; a client that is not a socket has none.

use std::ffi::OsString;
use std::os::fd::BorrowedFd;

use crate::endpoint::name::exported;

/// The version whose behaviour is offered.
const VERSION: &str = "1.7.4.4";

/// Names and values for a link with the client behind `downstream`, which `server` serves.
///
/// socat gives each client a process, and tells its number and that of the listener. A process that
/// serves a single link is both.
pub(crate) fn variables(
    prefix: &str,
    downstream: Option<BorrowedFd<'_>>,
    server: u32,
) -> Vec<(String, OsString)> {
    let number = |process: u32| OsString::from(process.to_string());
    [("VERSION", VERSION.into()), ("PID", number(server)), ("PPID", number(std::process::id()))]
        .into_iter()
        .chain(downstream.map(exported).unwrap_or_default())
        .map(|(suffix, value)| (format!("{prefix}_{suffix}"), value))
        .collect()
}
