//! Descriptors kept for the moment the process runs out of them.
//!
//! accept(2) takes one descriptor, but the link needs more for its upstream: one for a socket, nine
//! for a child (three pipes, the pidfd, and the pipe over which the standard library learns of a
//! failed exec). If the last descriptor goes to an accepted client, that client can only be turned
//! away. So a loop holds a few descriptors of /dev/null: when an upstream cannot be opened for
//! want of descriptors, it lets go of them and tries again, and accepts nothing more until it has
//! them back. A loop that accepts nobody has no use for one, and does not pay for it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

/// Descriptors that a child with its pipes needs at most, and one to spare.
const SIZE: usize = 10;

/// The reserve of one loop.
#[derive(Debug, Default)]
pub(crate) struct FdReserve {
    held: Vec<OwnedFd>,
    size: usize,
}

impl FdReserve {
    /// Makes it as large as it must be for a loop that accepts, and fills it.
    pub(crate) fn establish(&mut self) -> io::Result<()> {
        self.size = SIZE;
        self.refill()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.held.len() == self.size
    }

    /// Lets go of all that is held.
    pub(crate) fn release(&mut self) {
        self.held.clear();
    }

    /// Fills the reserve, and makes sure that accept(2) would find a descriptor, too.
    pub(crate) fn refill_with_one_to_spare(&mut self) -> io::Result<()> {
        self.refill()?;
        Self::try_out(1)
    }

    /// Makes sure that `count` descriptors more are to be had.
    pub(crate) fn try_out(count: usize) -> io::Result<()> {
        (0..count).map(|_| File::open("/dev/null")).collect::<io::Result<Vec<_>>>().map(drop)
    }

    /// Gets back what was let go of, or as much as there is.
    pub(crate) fn refill(&mut self) -> io::Result<()> {
        while !self.is_full() {
            self.held.push(File::open("/dev/null")?.into());
        }
        Ok(())
    }
}
