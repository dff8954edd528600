//! Other sources of wake-ups of a loop: descriptors of its owner's, and orders about them.
//!
//! An owner that needs no other thread (a program with one loop) has the loop itself wait for
//! its signals and timers.

use std::fmt::{self, Debug};
use std::os::fd::BorrowedFd;

use crate::link::downstream::Downstream;
use crate::relay::service::ServiceId;

/// Looks after a descriptor of the loop's owner.
pub trait Attendant: Debug + Send {
    /// The descriptor. It is watched for reads, edge-triggered.
    fn source(&self) -> BorrowedFd<'_>;

    /// Called when the descriptor has something to say, and again until the answer is
    /// [`Order::Nothing`]. It must not block.
    fn attend(&mut self) -> Order;

    /// Returns whether the loop goes on for its sake although there is neither a listener nor a
    /// link.
    fn keeps_loop(&self) -> bool {
        false
    }
}

/// A wish of an attendant to the loop.
pub enum Order {
    /// Nothing; the descriptor has nothing more to say.
    Nothing,
    /// As [`crate::Handle::drain`] without a time; attendants are dismissed. When the listeners are
    /// closed this is called with the number of links that are alive.
    DrainThen(Box<dyn FnOnce(usize) + Send>),
    /// The observer is told what the links that are alive have carried so far.
    Report,
    /// Ends the links that are let go by what they hold ([`crate::Hold::lets_go`]), as a stop does.
    EndLetGo,
    /// As [`crate::Handle::stop`]; attendants are dismissed.
    Stop,
    /// Makes a link of this downstream, for a service (see [`crate::Relay::add_forward`]). If it
    /// drains the downstream is closed by RST.
    Admit(ServiceId, Downstream),
}

impl Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::DrainThen(_) => "DrainThen",
            Self::Report => "Report",
            Self::EndLetGo => "EndLetGo",
            Self::Stop => "Stop",
            Self::Admit(..) => "Admit",
        })
    }
}
