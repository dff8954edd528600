//! The children of this process, reaped by the loop.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nsplice_relay::{EventSource, Need, OpenError, SourceTurn, Wake};

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

impl EventSource for Nursery {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.source.as_fd())
    }

    fn wake(&mut self, _: Wake, turn: &mut SourceTurn<'_>) -> Need {
        children::reap();
        end_links(turn);
        Need::Wait
    }

    fn keeps_loop(&self) -> bool {
        children::is_awaiting()
    }
}

/// Has the loop end links whose stand-ins were killed, if there are any.
pub(super) fn end_links(turn: &mut SourceTurn<'_>) {
    if children::end_links() {
        turn.end_let_go();
    }
}
