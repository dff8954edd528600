//! Signals as something to wait for.
//!
//! The signals that a command handles are blocked in the main thread before any other thread
//! starts, so all threads inherit the mask and the kernel keeps the signals for the signalfd
//! (signalfd(2)). No code runs in signal context, and a signal can be neither lost nor handled
//! twice. The other signals keep the effect they had.
//!
//! SIGXFSZ is blocked with them and heard by nobody: a file that has reached its limit of size is
//! then an error (EFBIG) and not the end of the program.
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

/// Signals that keep their effect with a program that runs until it is told to stop: those that tell
/// of a defect, those of job control, those that do nothing by default, and the limit of CPU time.
/// SIGPIPE is ignored already.
const KEPT: [Signal; 15] = [
    Signal::SIGILL,
    Signal::SIGTRAP,
    Signal::SIGABRT,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGSEGV,
    Signal::SIGSYS,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGCONT,
    Signal::SIGURG,
    Signal::SIGWINCH,
    Signal::SIGXCPU,
    Signal::SIGPIPE,
];

impl Signals {
    /// Blocks `signals` in this thread and those it starts, and collects them from now on.
    pub(crate) fn block(signals: &[Signal]) -> io::Result<Self> {
        Self::collect(signals.iter().copied().collect())
    }

    /// The same with every signal that would end the program (signal(7)), those without a name
    /// included, but for `kept`: they keep their effect.
    pub(crate) fn block_all_but(kept: &[Signal]) -> io::Result<Self> {
        let mut mask = SigSet::all();
        KEPT.iter().chain(kept).for_each(|signal| mask.remove(*signal));
        Self::collect(mask)
    }

    fn collect(heard: SigSet) -> io::Result<Self> {
        let mut blocked = heard;
        blocked.add(Signal::SIGXFSZ);
        blocked.thread_block()?;
        let mut heard = heard;
        heard.remove(Signal::SIGXFSZ);
        let source = SignalFd::with_flags(&heard, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Self { source })
    }

    /// The next signal that has arrived, if there is one. Those without a name (the real-time
    /// signals) are passed over.
    pub(crate) fn next(&self) -> io::Result<Option<Signal>> {
        loop {
            match self.source.read_signal() {
                Ok(Some(info)) => {
                    let number = i32::try_from(info.ssi_signo).map_err(|_| Errno::EINVAL)?;
                    if let Ok(signal) = Signal::try_from(number) {
                        return Ok(Some(signal));
                    }
                }
                Ok(None) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
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

    #[test]
    fn whoever_runs_until_told_to_stop_hears_all_but_a_few() {
        let signals = Signals::block_all_but(&[Signal::SIGHUP]).unwrap();
        for signal in Signal::iterator() {
            let blocked = SigSet::thread_get_mask().unwrap().contains(signal);
            let unblockable = matches!(signal, Signal::SIGKILL | Signal::SIGSTOP);
            let is_kept = KEPT.contains(&signal) || signal == Signal::SIGHUP || unblockable;
            assert_eq!(blocked, !is_kept, "{signal}");
        }
        raise(Signal::SIGXFSZ).unwrap();
        raise(Signal::SIGALRM).unwrap();
        assert_eq!(signals.next().unwrap(), Some(Signal::SIGALRM));
        assert_eq!(signals.next().unwrap(), None, "SIGXFSZ is heard by nobody");
    }
}
