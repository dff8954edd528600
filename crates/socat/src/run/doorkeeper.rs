//! Who is let in, and by whom a client is served.
//!
//! socat has a process for each client. Here the loop has a link for each, with one exception: a
//! program with `nofork` is to have the client's own socket, so it is started at the door and there
//! is nothing left to relay.

use std::os::fd::BorrowedFd;

use nsplice_relay::{Attempt, Opener};

use crate::endpoint::Admission;

/// Lets clients in, and opens the second address for them.
#[derive(Debug)]
pub(super) struct Doorkeeper {
    admission: Admission,
    second: Box<dyn Opener>,
}

impl Doorkeeper {
    /// Lets in whom `admission` admits, and serves them with `second`.
    pub(super) fn new(admission: Admission, second: Box<dyn Opener>) -> Self {
        Self { admission, second }
    }
}

impl Opener for Doorkeeper {
    fn backend(&self) -> &'static str {
        self.second.backend()
    }

    fn open(&mut self, downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        self.second.open(downstream)
    }

    fn begin_burst(&mut self, listener: BorrowedFd<'_>, most: usize) {
        self.second.begin_burst(listener, most);
    }

    fn end_burst(&mut self) {
        self.second.end_burst();
    }

    fn admits(&mut self, client: BorrowedFd<'_>) -> bool {
        self.admission.admits(client)
    }
}
