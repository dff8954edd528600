//! The size of a terminal.

use std::os::fd::{AsRawFd, BorrowedFd};

/// Returns the number of columns of the terminal `of`; `None` if it is none, or does not say.
pub fn columns(of: BorrowedFd<'_>) -> Option<u16> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize where the pointer leads (ioctl_tty(2)).
    let answer = unsafe { libc::ioctl(of.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (answer == 0 && size.ws_col > 0).then_some(size.ws_col)
}
