//! Frames that wait to be sent to the client of a session.

use super::queue::{Queue, Spares};

/// Frames on their way to the client of a session: those of all its streams, one behind the other,
/// which go to the kernel in one call at the end of the turn.
#[derive(Debug)]
pub struct Outbox<'a> {
    pub(super) queue: &'a mut Queue,
    pub(super) spares: &'a mut Spares,
}

impl Outbox<'_> {
    /// Adds bytes of the protocol's: a frame, or a part of one.
    pub fn push(&mut self, bytes: &[u8]) {
        self.queue.push(bytes, self.spares);
    }

    /// The last `count` bytes that wait, for a frame to be changed that has not begun to be sent; `None`
    /// if so many do not wait any more.
    pub fn tail(&mut self, count: usize) -> Option<&mut [u8]> {
        self.queue.tail(count)
    }

    /// Bytes that wait to be sent.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }
}
