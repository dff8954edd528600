//! The size of a terminal.

use std::os::fd::{AsRawFd, BorrowedFd};

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns, at least one.
    pub columns: u16,
    /// Rows; 0 where the terminal does not say.
    pub rows: u16,
}

/// Returns the size of the terminal `of`; `None` if it is none, or does not say how wide it is.
pub fn terminal_size(of: BorrowedFd<'_>) -> Option<TerminalSize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize where the pointer leads (ioctl_tty(2)).
    let answer = unsafe { libc::ioctl(of.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    let size = TerminalSize { columns: size.ws_col, rows: size.ws_row };
    (answer == 0 && size.columns > 0).then_some(size)
}
