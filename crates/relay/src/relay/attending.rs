//! The attendants of a loop.

use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::Interest;

use crate::link::arrival::Arrival;
use crate::link::Next;
use crate::outcome::Outcome;
use crate::relay::attendant::{Attendant, Order};
use crate::table::Source;

use super::error::RelayError;
use super::Relay;

/// Number of the first attendant.
pub(super) const ATTENDANTS: usize = super::WAKER + 1;

impl Relay {
    /// Lets `attendant` look after its descriptor on this loop.
    ///
    /// # Errors
    /// When the descriptor cannot be registered.
    pub fn attend(&mut self, attendant: Box<dyn Attendant>) -> Result<(), RelayError> {
        let token = Source::Own(ATTENDANTS + self.attendants.len()).token();
        self.poll
            .registry()
            .register(&mut SourceFd(&attendant.source().as_raw_fd()), token, Interest::READABLE)
            .map_err(RelayError::when("wait for a descriptor"))?;
        self.attendants.push(attendant);
        Ok(())
    }

    /// Lets an attendant look after its descriptor, and does what it then wants.
    pub(super) fn call(&mut self, index: usize) {
        while let Some(attendant) = self.attendants.get_mut(index) {
            let order = attendant.attend();
            if matches!(order, Order::Nothing) {
                return;
            }
            self.carry_out(order);
        }
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Nothing => {}
            Order::DrainThen(then) => {
                self.attendants.clear();
                self.drain(None);
                then(self.links.len());
            }
            Order::Report => {
                for key in self.links.keys() {
                    let Some(link) = self.links.get_mut(key) else { continue };
                    let [up, down] = link.carried();
                    self.observer.carrying(link.names(), up, down);
                }
                self.observer.reported();
            }
            Order::EndLetGo => {
                for key in self.links.keys() {
                    self.with_link(key, |link, _| {
                        let ends = link.is_let_go() && !link.is_closing();
                        if ends {
                            Next::End(Outcome::Stopped)
                        } else {
                            Next::Wait
                        }
                    });
                }
            }
            Order::Stop => {
                self.attendants.clear();
                self.stop();
            }
            Order::Admit(service, downstream) => {
                // What cannot even be asked for its kind is closed, and that is all there is to do.
                if let Ok(conn) = downstream.into_conn() {
                    self.admit_to(service.0, Arrival::handed_over(conn));
                }
            }
        }
    }
}
