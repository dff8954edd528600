//! One side of a link, and the lane that begins there.

use std::time::Instant;

use crate::lane::filter::Filter;
use crate::lane::low_water::{Mark, RAISED_MARK};
use crate::lane::mover::InFlight;
use crate::lane::Lane;
use crate::link::arrival::Origin;
use crate::link::conn::Conn;
use crate::net::interest::Watched;
use crate::net::readiness::Readiness;

/// One side of a link, and the lane that begins there.
#[derive(Debug, Default)]
pub(super) struct Half {
    pub(super) conn: Conn,
    pub(super) origin: Origin,
    pub(super) ready: Readiness,
    pub(super) watched: Watched,
    pub(super) lane: Option<Lane>,
    pub(super) in_flight: InFlight,
    /// What is done to the bytes of the lane.
    pub(super) filter: Option<Box<dyn Filter>>,
}

impl Half {
    /// Moves the low-water mark of the source. Where it cannot be raised the lane does without; where
    /// it cannot be lowered, what stays below it is told by nothing, so patience begins anew.
    pub(super) fn apply(&mut self, mark: Mark, now: Instant) {
        let bytes = match mark {
            Mark::Stays => return,
            Mark::Raised => RAISED_MARK,
            Mark::Lowered => {
                self.ready.set_readable(true);
                1
            }
        };
        let refused = self.conn.source().is_some_and(|end| end.set_low_water(bytes).is_err());
        match (&mut self.lane, mark) {
            (Some(lane), Mark::Raised) if refused => lane.leave_mark_alone(),
            (Some(lane), Mark::Lowered) if refused => lane.keep_patience(now),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::low_water::LongBurst;
    use crate::lane::mode::Mode;
    use crate::net::fd::fault::{Call, Fault};
    use nix::errno::Errno;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    #[test]
    fn a_mark_that_cannot_be_moved_is_no_reason_to_wait_for_ever() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (now, heap) = (Instant::now(), u64::try_from(RAISED_MARK).unwrap());
        for (moved, waits) in [(Mark::Raised, false), (Mark::Lowered, true)] {
            let conn = Conn::stream(stream.try_clone().unwrap().into());
            let mut half = Half { conn, ..Half::default() };
            let lane = half.lane.insert(Lane::new(Mode::Splicing { small: 0 }));
            while lane.note_read(heap, now, &LongBurst::default()) != Mark::Raised {}
            if moved == Mark::Lowered {
                assert_eq!(lane.lose_patience(now + Duration::from_secs(1)), Mark::Lowered);
            }
            let fault = Fault { call: Call::LowWater, errno: Errno::ENOMEM, after: 0 };
            assert!(fault.during(|| half.apply(moved, now)).1, "the fault was not met");
            assert_eq!(half.lane.unwrap().patience().is_some(), waits, "{moved:?}");
        }
    }
}
