//! Descriptors kept for the moment the process runs out of them.
//!
//! accept(2) takes one descriptor, but the link needs more for its upstream: one for a socket, nine
//! for a child (three pipes, the pidfd, and the pipe over which the standard library learns of a
//! failed exec). If the last descriptor goes to an accepted client, that client can only be turned
//! away. So a loop holds a few descriptors of /dev/null: when an upstream cannot be opened for
//! want of descriptors, it lets go of them and tries again, and accepts nothing more until it has
//! them back.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

/// What a child with its pipes needs at most, and one to spare.
const SIZE: usize = 10;

/// The reserve of one loop.
#[derive(Debug)]
pub(crate) struct Reserve {
    held: Vec<OwnedFd>,
}

impl Reserve {
    /// A full reserve.
    pub(crate) fn new() -> io::Result<Self> {
        let mut reserve = Self { held: Vec::with_capacity(SIZE) };
        reserve.refill()?;
        Ok(reserve)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.held.len() == SIZE
    }

    /// Lets go of all that is held.
    pub(crate) fn release(&mut self) {
        self.held.clear();
    }

    /// Fills the reserve, and makes sure that accept(2) would find a descriptor, too.
    pub(crate) fn refill_with_one_to_spare(&mut self) -> io::Result<()> {
        self.refill()?;
        File::open("/dev/null").map(drop)
    }

    /// Gets back what was let go of, or as much as there is.
    pub(crate) fn refill(&mut self) -> io::Result<()> {
        while !self.is_full() {
            self.held.push(File::open("/dev/null")?.into());
        }
        Ok(())
    }
}
