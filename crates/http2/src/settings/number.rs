//! The numbers of settings (RFC 9113, section 6.5.2).

/// The most that the table of the peer's header encoder may hold, in bytes.
pub const HEADER_TABLE_SIZE: u16 = 1;
/// 1 if pushes may be promised, else 0.
pub const ENABLE_PUSH: u16 = 2;
/// The number of streams that the peer may have open at once.
pub const MAX_CONCURRENT_STREAMS: u16 = 3;
/// The window that each new stream has, in bytes.
pub const INITIAL_WINDOW_SIZE: u16 = 4;
/// The longest payload that the peer may send, in bytes.
pub const MAX_FRAME_SIZE: u16 = 5;
/// The longest header list that the sender takes, in bytes.
pub const MAX_HEADER_LIST_SIZE: u16 = 6;
