//! The bytes that a lane has moved.

/// The bytes of one lane, taken and given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Taken from the source.
    pub read: u64,
    /// Given to the sink. On a clean link the same as `read`.
    pub written: u64,
}

impl Traffic {
    /// Counts what has moved since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { read: self.read - before.read, written: self.written - before.written }
    }
}
