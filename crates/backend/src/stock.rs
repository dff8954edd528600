//! Sockets that are made in advance, while clients come fast.
//!
//! Entering a namespace and coming home costs several times what the socket does that is made there,
//! so one excursion makes a few. A socket holds its namespace in memory, and is connected from where
//! the target was when it was made: none is used that is older than [`FRESH`], and none outlives the
//! burst. How many are made at once follows how fast they are taken.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket};

use crate::excursion::sockets_in;
use crate::home::Home;
use crate::place::Located;
use crate::route::Route;
use crate::sys::queued;

/// Sockets that are made at once, at least and at most.
const BATCH: std::ops::RangeInclusive<usize> = 2..=16;

/// For how long the target is taken to be where it was. No container is restarted in that time, and
/// hardly a namespace replaced by hand.
const FRESH: Duration = Duration::from_millis(50);

/// The sockets of one burst.
#[derive(Debug)]
pub(crate) struct Stock {
    batch: usize,
    made: Option<Made>,
}

#[derive(Debug)]
struct Made {
    at: Instant,
    located: Located,
    sockets: Vec<Socket>,
}

/// A socket for the first candidate, and where it was made.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) located: Located,
    pub(crate) socket: Socket,
}

impl Stock {
    /// A stock for a burst of clients, of whom the first is in the queue of `listener` no more, and at
    /// most `most` are there. `None` where sockets cannot be made in advance along `route`, or need
    /// not.
    pub(crate) fn new(route: &Route, listener: BorrowedFd<'_>, most: usize) -> Option<Self> {
        let (located, domain) = route.known()?;
        let batch = most.min(1 + queued(listener)).clamp(*BATCH.start(), *BATCH.end());
        Some(Self { batch, made: Some(Made::new(located, domain, &route.home, batch)) })
    }

    /// A socket, made now if there is none that is fresh; `None` where none can be made. What fails
    /// here fails again in the opening itself, and is told there.
    pub(crate) fn take(&mut self, route: &Route) -> Option<Spare> {
        match &self.made {
            Some(made) if made.at.elapsed() > FRESH => {
                self.batch = *BATCH.start();
                self.fill(route);
            }
            Some(made) if made.sockets.is_empty() => {
                self.batch = (2 * self.batch).min(*BATCH.end());
                self.fill(route);
            }
            Some(_) => {}
            None => return None,
        }
        let Made { located, sockets, .. } = self.made.as_mut()?;
        Some(Spare { socket: sockets.pop()?, located: located.clone() })
    }

    fn fill(&mut self, route: &Route) {
        // Whatever is old goes first, so that its descriptors are free.
        self.made = None;
        self.made = route
            .known()
            .map(|(located, domain)| Made::new(located, domain, &route.home, self.batch));
    }
}

impl Made {
    fn new(located: Located, domain: Domain, home: &Home, count: usize) -> Self {
        let sockets = sockets_in(&located, home, domain, count);
        Self { at: Instant::now(), located, sockets }
    }
}
