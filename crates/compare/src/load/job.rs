//! A job: a workload that is to be measured, and how.

use std::time::Duration;

/// Bytes of a request, and of its reply, where the workload is about connections rather than bytes.
pub(crate) const SMALL_REQUEST: usize = 64;

/// Longest time of a relay that was started just now to its first link.
const PATIENCE: Duration = Duration::from_secs(15);

/// The way that bulk bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From client to origin.
    Up,
    /// From origin to client.
    Down,
}

/// One kind of load and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// Long one-way streams, as fast as they go.
    Bulk {
        /// Streams at the same time.
        streams: usize,
        /// Their way.
        direction: Direction,
    },
    /// Requests answered by replies of the same size, one outstanding per link.
    PingPong {
        /// Links at the same time.
        links: usize,
        /// Bytes of a request, and of a reply.
        size: usize,
    },
    /// Connect, one small request, its reply, close; again and again.
    Connect {
        /// Connections at the same time.
        parallel: usize,
    },
    /// Links that are established end to end and then do nothing.
    Idle {
        /// Their number, if so many can be opened in `opening`; else as many as were.
        links: usize,
        /// The time that opening them may take.
        opening: Duration,
    },
    /// A program started for each connection, its first byte, its end; again and again.
    Start,
}

impl Workload {
    /// The heading under which measurements of this workload are put side by side.
    pub fn case(&self) -> String {
        match *self {
            Self::Bulk { streams, direction } => {
                let way = match direction {
                    Direction::Up => "up",
                    Direction::Down => "down",
                };
                let noun = if streams == 1 { "stream" } else { "streams" };
                format!("bulk {streams} {noun} {way}")
            }
            Self::PingPong { links, size } if size % 1024 == 0 => {
                format!("ping-pong {links} x {} KiB", size / 1024)
            }
            Self::PingPong { links, size } => format!("ping-pong {links} x {size} B"),
            Self::Connect { parallel } => format!("connect-request-close {parallel} at a time"),
            Self::Idle { .. } => "idle links".to_owned(),
            Self::Start => "start to first byte".to_owned(),
        }
    }

    /// Descriptors this process needs: both ends of every link, and some of its own.
    pub fn fds_needed(&self) -> u64 {
        // Closing connections overlap with new ones, and stdio, the poll and the meter's files
        // count too.
        const OWN: usize = 128;
        let links = match *self {
            Self::Bulk { streams, .. } => streams,
            Self::PingPong { links, .. } | Self::Idle { links, .. } => links,
            Self::Connect { parallel } => parallel * 2,
            Self::Start => 1,
        };
        u64::try_from(links * 2 + OWN).unwrap_or(u64::MAX)
    }
}

/// A workload, how long it runs, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The load.
    pub workload: Workload,
    /// Length of the measured window.
    pub window: Duration,
    /// Unmeasured time before it.
    pub warmup: Duration,
    /// The time that the relay may take to its first link.
    pub patience: Duration,
    /// The name of the row.
    pub peer: String,
    /// The number of this repetition.
    pub round: u32,
}

impl Job {
    /// A job for `workload` with everything else at its default.
    pub fn new(workload: Workload) -> Self {
        Self {
            workload,
            window: Duration::from_secs(3),
            warmup: Duration::from_millis(500),
            patience: PATIENCE,
            peer: "direct".to_owned(),
            round: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_read_as_headings() {
        let case = |w: Workload| w.case();
        assert_eq!(
            case(Workload::Bulk { streams: 1, direction: Direction::Up }),
            "bulk 1 stream up"
        );
        assert_eq!(case(Workload::PingPong { links: 64, size: 1024 }), "ping-pong 64 x 1 KiB");
        assert_eq!(case(Workload::PingPong { links: 2, size: 100 }), "ping-pong 2 x 100 B");
    }

    #[test]
    fn both_ends_of_each_link_are_counted() {
        assert!(Workload::Idle { links: 2000, opening: Duration::ZERO }.fds_needed() > 4000);
    }
}
