//! Signals, as socat answers them: exit with 128 and the number, and say so first.
//!
//! They are blocked and read from a signalfd(2), by the loop itself or by whoever waits for an
//! address to open, so that everything that must be cleaned up (socket files, terminals, children)
//! is, and nothing runs in signal context.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{siginfo, SfdFlags, SignalFd};

use crate::endpoint::children;
use crate::journal::{Journal, Level};

/// The signals that are waited for.
#[derive(Debug)]
pub(super) struct Signals {
    source: SignalFd,
}

/// The demand that a signal makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    /// Exit; the signal has been told.
    Exit {
        signal: Signal,
        /// Whether a key was pressed for it, rather than kill(2) called.
        from_terminal: bool,
    },
    /// Tell how many bytes have been carried.
    Statistics,
}

/// The signals that end socat.
const ENDING: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

impl Signals {
    /// Collects signals from now on. One that is ignored (by nohup, say) stays ignored: a blocked
    /// signal that is ignored is never queued.
    pub(super) fn collect() -> io::Result<Self> {
        let others = [Signal::SIGUSR1, Signal::SIGCHLD];
        let mask: SigSet = ENDING.iter().copied().chain(others).collect();
        mask.thread_block()?;
        let source = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        // Of those that ended before nothing will tell.
        children::reap_all();
        Ok(Self { source })
    }

    /// The next demand, if a signal has arrived.
    pub(super) fn next(&self, journal: &Journal) -> Option<Demand> {
        let (signal, info) = self.next_signal()?;
        if signal == Signal::SIGUSR1 {
            return Some(Demand::Statistics);
        }
        let number = signal as i32;
        let level = match signal {
            Signal::SIGTERM => Level::Warning,
            Signal::SIGQUIT => Level::Error,
            _ => Level::Notice,
        };
        journal.tell(Level::Notice, format_args!("socat_signal(): handling signal {number}"));
        journal.tell(level, format_args!("exiting on signal {number}"));
        if signal == Signal::SIGQUIT {
            journal.tell(Level::Notice, format_args!("exit({})", 128 + number));
        }
        journal.tell(Level::Notice, format_args!("socat_signal(): finishing signal {number}"));
        journal.tell(Level::Notice, format_args!("exit({})", 128 + number));
        Some(Demand::Exit { signal, from_terminal: info.ssi_code == libc::SI_KERNEL })
    }

    /// The next signal that demands something; children that have ended are reaped on the way.
    fn next_signal(&self) -> Option<(Signal, siginfo)> {
        loop {
            let info = self.source.read_signal().ok()??;
            let signal = Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok()?;
            if signal != Signal::SIGCHLD {
                return Some((signal, info));
            }
            children::reap_all();
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

/// The exit status of a process that was ended by `signal`.
pub(super) fn status(signal: Signal) -> u8 {
    u8::try_from(128 + signal as i32).unwrap_or(u8::MAX)
}

/// Gives all signals their default effect again, for a process that goes on alone.
pub(super) fn release() {
    // The mask is the only thing that was changed, and setting an empty one cannot fail.
    let _ = SigSet::empty().thread_set_mask();
}
