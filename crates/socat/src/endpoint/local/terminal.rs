//! Terminals: their modes are changed for a link and put back after it.
//!
//! The options are applied in the order in which they were given, once the endpoint is open, and
//! what was there before is kept in a process-wide list. A [`Hold`] puts it back at the end of the
//! link; [`restore_all`] does the same for a process that ends early, by a signal say. It must be
//! called from ordinary code and not from a signal handler.

use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::termios::{
    cfmakeraw, tcgetattr, tcsetattr, ControlFlags, InputFlags, LocalFlags, OutputFlags, SetArg,
    SpecialCharacterIndices, Termios,
};
use nsplice_relay::{Hold, OpenError};

use crate::language::{Address, Opt, Value};

use super::error::refused;
use super::side::copy;

/// Puts all terminals back as they were.
pub(crate) fn restore_all() {
    for former in std::mem::take(&mut *formers()) {
        former.restore();
    }
}

/// The terminal options of an address, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings(Vec<Change>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Raw,
    Rawer,
    MakeRaw,
    Sane,
    Echo(bool),
    Canonical(bool),
    Signals(bool),
}

impl Settings {
    /// Those of `address`.
    pub(crate) fn of(address: &Address) -> Self {
        let change = |(option, is_on): (Opt, bool)| match option {
            Opt::Raw => is_on.then_some(Change::Raw),
            Opt::RawEr => is_on.then_some(Change::Rawer),
            Opt::CfMakeRaw => is_on.then_some(Change::MakeRaw),
            Opt::Sane => is_on.then_some(Change::Sane),
            Opt::Echo => Some(Change::Echo(is_on)),
            Opt::Icanon => Some(Change::Canonical(is_on)),
            Opt::Isig => Some(Change::Signals(is_on)),
            _ => None,
        };
        let flags = address.options.iter().map(|setting| {
            let is_off = matches!(setting.value, Value::Flag(false) | Value::Number(0));
            (setting.option, !is_off)
        });
        Self(flags.filter_map(change).collect())
    }

    /// Applies them to the terminals `ends`, which are told by their numbers. What it answers puts
    /// the terminals back when it is dropped.
    pub(crate) fn apply(
        &self,
        ends: &[(BorrowedFd<'_>, RawFd)],
    ) -> Result<Option<Box<dyn Hold>>, OpenError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let mut restored = Restored::default();
        for (terminal, number) in ends {
            let before = tcgetattr(terminal)
                .map_err(|errno| refused(format_args!("tcgetattr({number}, 0x0)"), errno))?;
            let mut modes = before.clone();
            for change in &self.0 {
                change.make(&mut modes);
            }
            restored.add(copy(*terminal)?, before);
            tcsetattr(terminal, SetArg::TCSADRAIN, &modes)
                .map_err(|errno| refused(format_args!("tcsetattr({number})"), errno))?;
        }
        Ok(Some(Box::new(restored)))
    }
}

impl Change {
    fn make(self, modes: &mut Termios) {
        match self {
            Self::MakeRaw => {
                cfmakeraw(modes);
                deliver_at_once(modes);
            }
            Self::Raw => make_raw(modes),
            Self::Rawer => {
                make_raw(modes);
                modes.output_flags = OutputFlags::empty();
                modes.local_flags = LocalFlags::empty();
                modes.control_flags.remove(ControlFlags::CSIZE | ControlFlags::PARENB);
                modes.control_flags.insert(ControlFlags::CS8 | ControlFlags::CREAD);
            }
            Self::Sane => make_sane(modes),
            Self::Echo(is_on) => modes.local_flags.set(LocalFlags::ECHO, is_on),
            Self::Signals(is_on) => modes.local_flags.set(LocalFlags::ISIG, is_on),
            Self::Canonical(is_on) => {
                modes.local_flags.set(LocalFlags::ICANON, is_on);
                if !is_on {
                    deliver_at_once(modes);
                }
            }
        }
    }
}

/// A read returns as soon as there is one byte. In canonical mode these two slots mean something
/// else (VEOF, VEOL on some machines), so they are set whenever that mode is left.
fn deliver_at_once(modes: &mut Termios) {
    modes.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
    modes.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
}

/// Like `stty raw`: nothing is translated, no line is waited for and no key is a signal. Echo stays
/// what it was.
fn make_raw(modes: &mut Termios) {
    modes.input_flags = InputFlags::empty();
    modes.output_flags.remove(OutputFlags::OPOST);
    modes.local_flags.remove(LocalFlags::ISIG | LocalFlags::ICANON);
    deliver_at_once(modes);
}

/// Like `stty sane`, for what a person at a terminal would miss.
fn make_sane(modes: &mut Termios) {
    modes.input_flags.remove(
        InputFlags::IGNBRK
            | InputFlags::INLCR
            | InputFlags::IGNCR
            | InputFlags::IXOFF
            | InputFlags::IXANY,
    );
    modes
        .input_flags
        .insert(InputFlags::BRKINT | InputFlags::ICRNL | InputFlags::IXON | InputFlags::IMAXBEL);
    modes.output_flags.remove(OutputFlags::OCRNL | OutputFlags::ONOCR | OutputFlags::ONLRET);
    modes.output_flags.insert(OutputFlags::OPOST | OutputFlags::ONLCR);
    modes.control_flags.insert(ControlFlags::CREAD);
    modes
        .local_flags
        .remove(LocalFlags::ECHONL | LocalFlags::NOFLSH | LocalFlags::TOSTOP | LocalFlags::ECHOPRT);
    modes.local_flags.insert(
        LocalFlags::ISIG
            | LocalFlags::ICANON
            | LocalFlags::IEXTEN
            | LocalFlags::ECHO
            | LocalFlags::ECHOE
            | LocalFlags::ECHOK
            | LocalFlags::ECHOCTL
            | LocalFlags::ECHOKE,
    );
}

/// Terminals whose modes were changed, in order. Dropping it puts them back.
#[derive(Debug, Default)]
struct Restored(Vec<u64>);

impl Restored {
    fn add(&mut self, terminal: OwnedFd, before: Termios) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let ticket = NEXT.fetch_add(1, Ordering::Relaxed);
        // The newest first: that is the order in which changes on one terminal are undone.
        formers().insert(0, Former { ticket, terminal, modes: before });
        self.0.push(ticket);
    }
}

impl Hold for Restored {}

impl Drop for Restored {
    fn drop(&mut self) {
        for former in formers().extract_if(.., |former| self.0.contains(&former.ticket)) {
            former.restore();
        }
    }
}

/// What a terminal was before.
#[derive(Debug)]
struct Former {
    ticket: u64,
    terminal: OwnedFd,
    modes: Termios,
}

impl Former {
    /// A terminal that has gone needs nothing any more.
    fn restore(self) {
        let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.modes);
    }
}

static FORMERS: Mutex<Vec<Former>> = Mutex::new(Vec::new());

fn formers() -> MutexGuard<'static, Vec<Former>> {
    FORMERS.lock().unwrap_or_else(PoisonError::into_inner)
}
