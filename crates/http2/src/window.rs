//! Flow control: what may still be sent, and what a peer may still send (RFC 9113, section 5.2).

/// The window of the connection, and of each stream until something else is announced, in bytes.
pub const INITIAL_WINDOW: u32 = 65_535;

/// The largest window, in bytes.
pub const MOST_WINDOW: u32 = (1 << 31) - 1;

/// A window became larger than [`MOST_WINDOW`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow;

/// How many bytes of `DATA` may still be sent. It falls below nothing when the peer lowers the
/// initial window (section 6.9.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendWindow(i64);

impl SendWindow {
    /// A window of so many bytes.
    pub fn new(bytes: u32) -> Self {
        Self(i64::from(bytes))
    }

    /// How much may be sent now, in bytes.
    pub fn open(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    /// Counts bytes that are sent.
    pub fn sent(&mut self, bytes: usize) {
        self.0 = self.0.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Opens it by the increment of a `WINDOW_UPDATE`.
    ///
    /// # Errors
    /// When it becomes larger than a window can be.
    pub fn widen(&mut self, increment: u32) -> Result<(), Overflow> {
        self.shift(i64::from(increment))
    }

    /// Moves it by the difference between two initial windows that the peer has announced.
    ///
    /// # Errors
    /// When it becomes larger than a window can be.
    pub fn rebase(&mut self, from: u32, to: u32) -> Result<(), Overflow> {
        self.shift(i64::from(to) - i64::from(from))
    }

    fn shift(&mut self, by: i64) -> Result<(), Overflow> {
        let shifted = self.0.saturating_add(by);
        if shifted > i64::from(MOST_WINDOW) {
            return Err(Overflow);
        }
        self.0 = shifted;
        Ok(())
    }
}

/// How many bytes of `DATA` a peer may still send, and what it is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiveWindow {
    whole: u32,
    left: u32,
}

impl ReceiveWindow {
    /// A window of so many bytes, at most [`MOST_WINDOW`].
    pub fn new(bytes: u32) -> Self {
        let whole = bytes.min(MOST_WINDOW);
        Self { whole, left: whole }
    }

    /// Counts bytes that came, padding included.
    ///
    /// # Errors
    /// When they are more than the peer was allowed.
    pub fn received(&mut self, bytes: usize) -> Result<(), Overflow> {
        let bytes = u32::try_from(bytes).map_err(|_| Overflow)?;
        self.left = self.left.checked_sub(bytes).ok_or(Overflow)?;
        Ok(())
    }

    /// The increment to send, once half of the window is used up: everything that came is taken to
    /// be consumed.
    pub fn increment(&mut self) -> Option<u32> {
        let used = self.whole - self.left;
        if used == 0 || used < self.whole / 2 {
            return None;
        }
        self.left = self.whole;
        Some(used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_may_be_negative_and_never_too_large() {
        let mut window = SendWindow::new(INITIAL_WINDOW);
        window.sent(60_000);
        window.rebase(INITIAL_WINDOW, 1_000).unwrap();
        assert_eq!(window.open(), 0);
        window.widen(58_999 + 1).unwrap();
        assert_eq!(window.open(), 0, "{window:?}");
        window.widen(1).unwrap();
        assert_eq!(window.open(), 1);
        window.widen(MOST_WINDOW - 1).unwrap();
        assert_eq!(window.widen(1), Err(Overflow));
        assert_eq!(SendWindow::new(MOST_WINDOW).rebase(0, 1), Err(Overflow));
    }

    #[test]
    fn what_is_given_back_is_what_came() {
        let mut window = ReceiveWindow::new(100);
        window.received(49).unwrap();
        assert_eq!(window.increment(), None);
        window.received(1).unwrap();
        assert_eq!(window.increment(), Some(50));
        assert_eq!(window.increment(), None);
        window.received(100).unwrap();
        assert_eq!(window.received(1), Err(Overflow));
        let mut nothing = ReceiveWindow::new(0);
        assert_eq!((nothing.increment(), nothing.received(1)), (None, Err(Overflow)));
    }
}
