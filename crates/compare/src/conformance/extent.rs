//! The extent of a trial of behaviours.

/// The extent to which behaviours are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// Those that take a few seconds.
    Quick,
    /// Everything.
    Full,
}
