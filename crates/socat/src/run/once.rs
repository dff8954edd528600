//! The one link of a command line without `fork`.

use nsplice_relay::{OpenClass, Opener, Places};

use crate::endpoint::children;
use crate::fault::Fault;
use crate::journal::Level;

use super::downstream::split;
use super::driver::{self, Opened};
use super::job::Job;
use super::manners;
use super::signals;
use super::watchman::{Ending, Watchman};

impl Job {
    /// Opens both addresses and carries one link.
    pub(super) fn carry_once(
        self,
        mut first: Box<dyn Opener>,
        second: Box<dyn Opener>,
    ) -> Result<u8, Fault> {
        let journal = self.context.journal.clone();
        let opened = driver::open(first.as_mut(), Some((&self.signals, &journal)));
        drop(first);
        let (downstream, holds) = match opened {
            Opened::Open(upstream) => split(upstream),
            Opened::Failed(error) if error.class == OpenClass::NoClient => return Ok(0),
            Opened::Failed(error) => return Err(self.unopened(&self.line.first, error)),
            Opened::Interrupted(signal) => return Ok(signals::status(signal)),
        };
        self.assume_identity()?;
        if let Some(address) = self.replacement() {
            return Err(self.become_program(address, &downstream));
        }
        let (mut relay, _handle) = self.relay(false)?;
        relay.adopt(downstream, self.forward(second, Places::unlimited())).map_err(Fault::new)?;
        self.add_nursery(&mut relay)?;
        let ending = Ending::default();
        let status = self.status.clone();
        let linger = manners::after_answer(&self.line.flags);
        let watchman = Watchman::of_one(self.signals, journal.clone(), ending.clone(), linger);
        relay.add_source(Box::new(watchman)).map_err(Fault::new)?;
        relay.run().map_err(Fault::new)?;
        drop(relay);
        drop(holds);
        if let Some(signal) = ending.signal() {
            return Ok(signals::status(signal));
        }
        let failed = journal.failed() || children::has_failed();
        Ok(match status.get().max(u8::from(failed)) {
            0 => {
                journal.tell(Level::Notice, "exiting with status 0");
                0
            }
            status => {
                journal.tell(Level::Notice, format_args!("exit({status})"));
                status
            }
        })
    }
}
