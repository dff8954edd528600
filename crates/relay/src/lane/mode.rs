//! When a lane copies and when it splices.
//!
//! Copying through the loop's buffer is two system calls and no pipe; it wins for messages. A pipe
//! moves pages instead of bytes; it wins for bulk. Published crossovers lie between 16 and 128 KiB
//! for each burst, so a lane starts by copying, is promoted when its reads are large, and demoted
//! when they are small again. Directions are independent of each other.
//!
//! Two kernel facts shape the rules. `linear_to_page` copies small packets into fresh pages on
//! their way into a pipe, so splicing messages saves nothing. And splice(2) answers EAGAIN for ever
//! while urgent data heads the queue (`tcp_read_sock` stops at it), so a dry source, like the end
//! of one, is only ever believed when recv(2) says so: after each EAGAIN the next step is a copy.
//! Not earlier: under load that copy would find bytes, and copying them costs more than the splice
//! that finds nothing.

use crate::lane::step::{Means, Moved};

/// The gait of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Copy; splice is not to be had for this lane.
    CopyOnly,
    /// Copy; this many reads in a row were large.
    Copying { large: u8 },
    /// Splice; this many steps in a row were small.
    Splicing { small: u8 },
    /// Splicing, but the next step asks recv(2) whether the source is dry.
    Probing { small: u8 },
    /// Splice straight from end to end.
    Direct,
}

/// The size of the loop's copy buffer, and so the largest read in copy mode.
pub(crate) const COPY_BUFFER: usize = 64 * 1024;

/// A read of at least this many bytes counts towards promotion.
const LARGE: usize = 32 * 1024;

/// So many large reads in a row promote. A read that fills the whole buffer promotes at once.
const LARGE_IN_A_ROW: u8 = 3;

/// A step of at most this many bytes counts towards demotion.
const SMALL: usize = 8 * 1024;

/// So many small steps in a row demote.
const SMALL_IN_A_ROW: u8 = 2;

impl Mode {
    /// The means for the next step.
    pub(crate) fn means(self) -> Means {
        match self {
            Self::CopyOnly | Self::Copying { .. } | Self::Probing { .. } => Means::Copy,
            Self::Splicing { .. } => Means::Pipe,
            Self::Direct => Means::Direct,
        }
    }

    /// Returns whether the lane is bulk that goes through pipes of the pool.
    pub(crate) fn splices(self) -> bool {
        matches!(self, Self::Splicing { .. } | Self::Probing { .. })
    }

    /// Learns from what the last step did.
    pub(crate) fn note(&mut self, step: &Moved) {
        let read = step.read;
        *self = match *self {
            Self::CopyOnly => Self::CopyOnly,
            Self::Direct => Self::Direct,
            Self::Copying { .. } if read >= COPY_BUFFER => Self::Splicing { small: 0 },
            Self::Copying { large } if read >= LARGE => {
                if large + 1 >= LARGE_IN_A_ROW {
                    Self::Splicing { small: 0 }
                } else {
                    Self::Copying { large: large + 1 }
                }
            }
            Self::Copying { .. } if read > 0 => Self::Copying { large: 0 },
            Self::Copying { large } => Self::Copying { large },
            Self::Splicing { small } if read == 0 => Self::Probing { small },
            Self::Splicing { small } if read <= SMALL => {
                if small + 1 >= SMALL_IN_A_ROW {
                    Self::Copying { large: 0 }
                } else {
                    Self::Splicing { small: small + 1 }
                }
            }
            Self::Splicing { .. } => Self::Splicing { small: 0 },
            // The probe found the source dry, or a little more; either way splicing goes on.
            Self::Probing { small } => Self::Splicing { small },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(mut mode: Mode, reads: &[usize]) -> Mode {
        for read in reads {
            mode.note(&Moved { read: *read, ..Moved::NOTHING });
        }
        mode
    }

    const START: Mode = Mode::Copying { large: 0 };

    #[test]
    fn messages_are_copied() {
        assert_eq!(after(START, &[1024; 100]).means(), Means::Copy);
        assert_eq!(after(START, &[16 * 1024; 100]).means(), Means::Copy);
        assert_eq!(after(START, &[LARGE, LARGE, 100, LARGE, LARGE]).means(), Means::Copy);
    }

    #[test]
    fn bulk_is_promoted() {
        assert_eq!(after(START, &[COPY_BUFFER]).means(), Means::Pipe);
        assert_eq!(after(START, &[LARGE; 3]).means(), Means::Pipe);
        // An empty read between two large ones says nothing about their size.
        assert_eq!(after(START, &[LARGE, 0, LARGE, 0, LARGE]).means(), Means::Pipe);
    }

    #[test]
    fn small_steps_demote() {
        let bulk = Mode::Splicing { small: 0 };
        assert_eq!(after(bulk, &[1 << 20; 5]).means(), Means::Pipe);
        assert_eq!(after(bulk, &[100, 0, 0, 100]), START);
    }

    #[test]
    fn a_dry_splice_is_confirmed_by_a_copy() {
        let bulk = Mode::Splicing { small: 0 };
        assert_eq!(after(bulk, &[1 << 20, 0]).means(), Means::Copy);
        assert_eq!(after(bulk, &[1 << 20, 0, 0]).means(), Means::Pipe);
        assert_eq!(after(bulk, &[20_000]).means(), Means::Pipe);
    }
}
