//! A prospect: a destination of which nothing is looked for before a link wants it.
//!
//! Where a [`crate::Plan`] is made at start, so that whatever is wrong is found then, a prospect is for
//! destinations that clients name.

use std::sync::Arc;

use nsplice_relay::Opener;
use nsplice_sys::Pool;

use crate::choice::Choice;
use crate::later::Later;
use crate::options::Options;
use crate::patient::{Awaited, Patient};
use crate::target::destination::Destination;

/// A destination that is looked for when the first link wants it.
#[derive(Debug)]
pub struct Prospect(Arc<Later>);

impl Prospect {
    /// What [`crate::Plan::prepare`] would look for, and refuse, is so when the first link wants it, by
    /// the threads of `pool`. That link waits for it, and so do those that come meanwhile. What is in its
    /// way is the end of those links, and is looked for again by the next.
    pub fn new(destination: &Destination, choice: Choice, options: &Options, pool: &Pool) -> Self {
        Self(Arc::new(Later::new(destination, choice, options, pool)))
    }

    /// An opener for one loop.
    pub fn opener(&self) -> Box<dyn Opener> {
        Box::new(Patient::new(Awaited::Later(Arc::clone(&self.0))))
    }
}
