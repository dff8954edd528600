//! Sockets that are made in advance, while clients come fast.
//!
//! One excursion makes a few, which spares the way there and back for most. A socket is connected from
//! where the target was when it was made, so the target is asked for each whether it still is there
//! when it is taken: by a call that does not enter anything. A socket holds its namespace in memory, so
//! that no other can be taken for it meanwhile; none outlives the burst. How many are made at once
//! follows how fast they are taken.

use std::os::fd::BorrowedFd;

use nsplice_runtime::Identity;
use nsplice_sys::queued;
use socket2::{Domain, Socket};

use crate::connect::route::Route;
use crate::netns::excursion::sockets_in;
use crate::netns::home::Home;
use crate::target::located::Located;

/// Sockets that are made at once, at least and at most.
const BATCH: std::ops::RangeInclusive<usize> = 2..=16;

/// The sockets of one burst.
#[derive(Debug)]
pub(crate) struct Stock {
    batch: usize,
    made: Option<Made>,
}

#[derive(Debug)]
struct Made {
    located: Located,
    /// Which namespace that was.
    identity: Identity,
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
        Some(Self { batch, made: Made::new(located, domain, &route.home, batch) })
    }

    /// A socket in the namespace where the target is now, made now if there is none; `None` where none
    /// can be made. What fails here fails again in the opening itself, and is told there.
    pub(crate) fn take(&mut self, route: &Route) -> Option<Spare> {
        match &self.made {
            None => return None,
            Some(made) if made.sockets.is_empty() => {
                self.batch = (2 * self.batch).min(*BATCH.end());
                self.fill(route);
            }
            Some(made) if !made.is_good(route) => {
                self.batch = *BATCH.start();
                self.fill(route);
            }
            Some(_) => {}
        }
        let Made { located, sockets, .. } = self.made.as_mut()?;
        Some(Spare { socket: sockets.pop()?, located: located.clone() })
    }

    fn fill(&mut self, route: &Route) {
        // Whatever is old goes first, so that its descriptors are free.
        self.made = None;
        self.made = route
            .known()
            .and_then(|(located, domain)| Made::new(located, domain, &route.home, self.batch));
    }
}

impl Made {
    /// Whether the target is where it was when these sockets were made.
    fn is_good(&self, route: &Route) -> bool {
        route.place.is_still_at(&self.located)
            && self.located.identity(&route.home) == Some(self.identity)
    }

    fn new(located: Located, domain: Domain, home: &Home, count: usize) -> Option<Self> {
        let (identity, sockets) = sockets_in(&located, home, domain, count)?;
        Some(Self { located, identity, sockets })
    }
}
