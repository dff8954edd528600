//! The relay that carries the links of a command line.

use nsplice_relay::{Handle, Relay, Settings};

use crate::fault::Fault;

use super::job::Job;
use super::manners;
use super::nursery::Nursery;
use super::teller::Teller;

impl Job {
    /// A relay without links; `many` if each will be what socat has a process for.
    pub(super) fn relay(&self, many: bool) -> Result<(Relay, Handle), Fault> {
        // Sockets are what their options say, and else what the kernel makes them.
        let settings = Settings { socket_memory: None, ..Settings::default() };
        Relay::new(settings, Box::new(Teller::new(self, many))).map_err(Fault::new)
    }

    /// Has the loop reap the children of this process, if there may be any.
    pub(super) fn add_nursery(&self, relay: &mut Relay) -> Result<(), Fault> {
        let starts =
            [&self.line.first, &self.line.second].into_iter().any(manners::starts_programs);
        if !starts {
            return Ok(());
        }
        let nursery = Nursery::open().map_err(Fault::new)?;
        relay.add_source(Box::new(nursery)).map_err(Fault::new)?;
        Ok(())
    }
}
