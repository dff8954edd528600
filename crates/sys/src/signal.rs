//! Signal dispositions.

use std::io;

use nix::sys::signal::{signal, SigHandler, Signal};

/// Makes `number` do to this process what it does by default.
///
/// # Errors
/// EINVAL for SIGKILL and SIGSTOP, which always do.
pub fn default_action(number: Signal) -> io::Result<()> {
    // SAFETY: the default disposition runs no code of ours.
    unsafe { signal(number, SigHandler::SigDfl) }?;
    Ok(())
}
