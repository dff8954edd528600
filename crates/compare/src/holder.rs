//! The holder: a process whose only purpose is to have a network namespace of its own.
//!
//! When no target is given, the target of a comparison is this process, as `pid/N`. It makes its
//! namespace, switches loopback on, says [`READY`], and lives until its standard input ends: when
//! the comparison lets go of it, or ends in whatever way.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use nix::sched::{unshare, CloneFlags};

use crate::stage::{loopback, tuning};

/// The first argument by which a program knows that it is to be the holder. Nobody types it.
pub(crate) const ARGUMENT: &str = "compare-holder";

/// The word of the holder when its namespace can be used.
pub(crate) const READY: &str = "ready";

/// Plays the holder, to its end. For the only thread of a process.
pub(crate) fn run() -> ExitCode {
    match hold() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Who started us reads it; if nobody does, there is nobody to tell.
            let _ = writeln!(io::stderr(), "cannot make a network namespace: {error}");
            ExitCode::FAILURE
        }
    }
}

fn hold() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    loopback::switch_on()?;
    tuning::apply();
    writeln!(io::stdout(), "{READY}")?;
    // Nobody writes: this waits for the end.
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}
