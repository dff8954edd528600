//! One step of a lane: what a mover is asked to do, and what it answers.
//!
//! The lane and its mode decide by these words alone; who does the system calls (`mover.rs`, or a
//! script in the tests) is behind [`Mover`].

use nix::errno::Errno;

/// Does the system calls for a lane.
pub(crate) trait Mover {
    /// Moves bytes from the source towards the sink. What the sink does not take stays pending.
    /// Called only when nothing is pending.
    fn carry(&mut self, means: Means) -> Moved;

    /// Moves pending bytes to the sink.
    fn flush(&mut self) -> Moved;
}

/// The result of one call of a mover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Bytes taken from the source.
    pub(crate) read: usize,
    /// Bytes given to the sink.
    pub(crate) written: usize,
    /// The last answer of the source.
    pub(crate) source: Source,
    /// The last answer of the sink.
    pub(crate) sink: Sink,
    /// splice(2) was refused for these descriptors; the step did what it could by copying.
    pub(crate) refused: Option<Errno>,
}

/// An answer of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// There may be more.
    More,
    /// Nothing more is queued, or no heap where heaps are waited for; unless the end is.
    Short,
    /// EAGAIN.
    Dry,
    /// The end of the stream.
    Ended,
    /// An error.
    Failed(Errno),
}

/// An answer of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sink {
    /// It took all that it was given.
    Taking,
    /// It said that there is no room: wait for writability.
    Full,
    /// An error.
    Failed(Errno),
}

impl Moved {
    /// Nothing moved and nothing was said.
    pub(crate) const NOTHING: Self =
        Self { read: 0, written: 0, source: Source::More, sink: Sink::Taking, refused: None };
}

/// The means by which a mover is to move bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// read or recv, then write or send.
    Copy,
    /// splice(2) through a pipe of the pool.
    Pipe,
    /// The same, from a source whose low-water mark is up: what does not reach the mark stays there.
    Raised,
    /// splice(2) from one end straight to the other, one of them being a pipe itself.
    Direct,
}

/// The belief in the end of what a side sends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Belief {
    /// It is.
    #[default]
    Believed,
    /// There may be more later: it is asked again every second, as `tail -f` does.
    Ignored,
}
