//! Settings: 16 bits of number and 32 of value each (RFC 9113, section 6.5).

use crate::error::ConnectionError;
use crate::frame::{DEFAULT_MAX_PAYLOAD, MAX_PAYLOAD};
use crate::window::{INITIAL_WINDOW, MOST_WINDOW};

mod number;

pub use number::{
    ENABLE_PUSH, HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE,
};

/// The settings in the payload of a `SETTINGS` frame, in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings<'a>(pub(crate) &'a [[u8; 6]]);

impl Settings<'_> {
    /// Numbers and values. One that stands twice has its last value.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u32)> + '_ {
        self.0.iter().map(|[a, b, c, d, e, f]| {
            (u16::from_be_bytes([*a, *b]), u32::from_be_bytes([*c, *d, *e, *f]))
        })
    }
}

/// What a peer has announced, as far as it bounds what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// `SETTINGS_INITIAL_WINDOW_SIZE`, in bytes.
    pub initial_window: u32,
    /// `SETTINGS_MAX_FRAME_SIZE`, in bytes.
    pub max_payload: usize,
    /// `SETTINGS_HEADER_TABLE_SIZE`, in bytes.
    pub header_table: u32,
}

impl Default for Announced {
    /// What holds before anything is announced.
    fn default() -> Self {
        Self {
            initial_window: INITIAL_WINDOW,
            max_payload: DEFAULT_MAX_PAYLOAD,
            header_table: DEFAULT_HEADER_TABLE,
        }
    }
}

/// The table of a header encoder until the peer has announced something else, in bytes.
pub const DEFAULT_HEADER_TABLE: u32 = 4096;

impl Announced {
    /// What holds after `settings`. Those it does not know are ignored.
    ///
    /// # Errors
    /// When a value is one that it may not have.
    pub fn after(mut self, settings: Settings<'_>) -> Result<Self, ConnectionError> {
        for (setting, value) in settings.iter() {
            let wrong = ConnectionError::Setting { setting, value };
            match setting {
                HEADER_TABLE_SIZE => self.header_table = value,
                ENABLE_PUSH if value > 1 => return Err(wrong),
                INITIAL_WINDOW_SIZE if value > MOST_WINDOW => return Err(wrong),
                INITIAL_WINDOW_SIZE => self.initial_window = value,
                MAX_FRAME_SIZE => {
                    self.max_payload = usize::try_from(value)
                        .ok()
                        .filter(|most| (DEFAULT_MAX_PAYLOAD..=MAX_PAYLOAD).contains(most))
                        .ok_or(wrong)?;
                }
                _ => {}
            }
        }
        Ok(self)
    }
}
