//! A connecting address with `fork`: connected again and again, each time as a new link.
//!
//! Opening may wait, for a name server or for a peer, and links must not wait with it, so it is done
//! on a thread of its own that hands over one downstream at a time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::unistd::{pipe2, read, write};
use nsplice_relay::{
    Downstream, EventSource, Need, OpenError, Opener, ServiceId, SourceTurn, Wake,
};

use crate::journal::{Journal, Level};

use super::downstream::split;
use super::driver::{self, Opened};

/// Takes what the thread has opened into the loop.
#[derive(Debug)]
pub(super) struct Reconnector {
    /// Whose links these are.
    service: ServiceId,
    opened: Receiver<Result<Downstream, OpenError>>,
    bell: OwnedFd,
    journal: Journal,
}

impl Reconnector {
    /// Opens with `first` from now on, `interval` apart.
    ///
    /// # Errors
    /// When a pipe or a thread cannot be had.
    pub(super) fn start(
        service: ServiceId,
        first: Box<dyn Opener>,
        interval: Duration,
        journal: Journal,
    ) -> io::Result<Self> {
        let (bell, rope) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let (sender, opened) = sync_channel(1);
        thread::Builder::new()
            .name("reconnect".to_owned())
            .spawn(move || open_again_and_again(first, interval, &sender, &rope))?;
        Ok(Self { service, opened, bell, journal })
    }
}

/// The life of the thread; it ends with the first failure, or when nobody wants more.
fn open_again_and_again(
    mut first: Box<dyn Opener>,
    interval: Duration,
    sender: &SyncSender<Result<Downstream, OpenError>>,
    rope: &OwnedFd,
) {
    loop {
        let result = match driver::open(first.as_mut(), None) {
            // An address that connects holds nothing but its socket.
            Opened::Open(upstream) => Ok(split(upstream).0),
            Opened::Failed(error) => Err(error),
            Opened::Interrupted(_) => return,
        };
        let failed = result.is_err();
        // A full pipe has been rung often enough.
        if sender.send(result).is_err() || write(rope, &[0]) == Err(nix::errno::Errno::EPIPE) {
            return;
        }
        if failed {
            return;
        }
        thread::sleep(interval);
    }
}

impl EventSource for Reconnector {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.bell.as_fd())
    }

    fn wake(&mut self, _: Wake, turn: &mut SourceTurn<'_>) -> Need {
        // However often it has rung: what was opened is taken one by one until there is no more.
        let _ = read(&self.bell, &mut [0; 64]);
        while let Ok(opened) = self.opened.try_recv() {
            match opened {
                Ok(downstream) => turn.admit(self.service, downstream),
                Err(error) => {
                    self.journal.tell(Level::Error, error);
                    return Need::Over;
                }
            }
        }
        Need::Wait
    }

    /// Until an opening has failed for good.
    fn keeps_loop(&self) -> bool {
        true
    }
}
