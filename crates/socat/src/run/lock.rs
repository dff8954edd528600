//! The lock files of -L and -W.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use nsplice_relay::Hold;

use crate::fault::Fault;
use crate::language::flags::Lock;

/// How often a lock that another process holds is tried again.
const TICK: Duration = Duration::from_millis(100);

/// A lock file of ours; it is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Held(PathBuf);

impl Hold for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        // Somebody else may have removed it, and then there is nothing left to be done.
        let _ = fs::remove_file(&self.0);
    }
}

/// Takes the lock, or waits for it, as the flag says.
pub(super) fn take(lock: &Lock) -> Result<Held, Fault> {
    let (path, waits) = match lock {
        Lock::Fail(path) => (path, false),
        Lock::Wait(path) => (path, true),
    };
    loop {
        match create(path) {
            Ok(()) => return Ok(Held(path.clone())),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && waits => {
                thread::sleep(TICK);
            }
            Err(_) => {
                return Err(Fault::new(format_args!(
                    "could not obtain lock \"{}\"",
                    path.display()
                )));
            }
        }
    }
}

/// The file holds our PID, as lock files do.
fn create(path: &PathBuf) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{:10}", std::process::id())
}
