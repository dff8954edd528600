//! The children of this process, reaped by the loop.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nsplice_relay::{Attendant, OpenError, Order};

use crate::endpoint::children;

/// Reaps children as they end.
#[derive(Debug)]
pub(super) struct Nursery {
    source: OwnedFd,
}

impl Nursery {
    /// Looks after all children that this process will have.
    pub(super) fn open() -> Result<Self, OpenError> {
        children::source().map(|source| Self { source })
    }
}

impl Attendant for Nursery {
    fn source(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }

    fn attend(&mut self) -> Order {
        children::reap();
        ending_links()
    }

    fn keeps_loop(&self) -> bool {
        children::is_awaiting()
    }
}

/// What the loop is to do about links whose stand-ins were killed.
pub(super) fn ending_links() -> Order {
    if children::end_links() {
        Order::EndLetGo
    } else {
        Order::Nothing
    }
}
