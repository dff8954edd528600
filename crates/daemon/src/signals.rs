//! Signals as something to wait for.
//!
//! The signals that a command handles are blocked in the main thread before any other thread
//! starts, so all threads inherit the mask and the kernel keeps the signals for the signalfd
//! (signalfd(2)). No code runs in signal context, and a signal can be neither lost nor handled
//! twice. The other signals keep the effect they had.
//!
//! A program started from here inherits the mask, unless whoever starts it clears it: the backend
//! does.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals that are waited for.
#[derive(Debug)]
pub(crate) struct Signals {
    source: SignalFd,
}

impl Signals {
    /// Blocks `signals` in this thread and those it starts, and collects them from now on.
    pub(crate) fn block(signals: &[Signal]) -> io::Result<Self> {
        let mask: SigSet = signals.iter().copied().collect();
        mask.thread_block()?;
        let source = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { source })
    }

    /// The next signal that has arrived, if there is one.
    pub(crate) fn next(&self) -> io::Result<Option<Signal>> {
        match self.source.read_signal() {
            Ok(Some(info)) => {
                let number = i32::try_from(info.ssi_signo).map_err(|_| Errno::EINVAL)?;
                Ok(Some(Signal::try_from(number)?))
            }
            Ok(None) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::raise;

    #[test]
    fn a_blocked_signal_is_collected_once() {
        let signals = Signals::block(&[Signal::SIGUSR2]).unwrap();
        assert_eq!(signals.next().unwrap(), None);
        raise(Signal::SIGUSR2).unwrap();
        assert_eq!(signals.next().unwrap(), Some(Signal::SIGUSR2));
        assert_eq!(signals.next().unwrap(), None);
    }
}
