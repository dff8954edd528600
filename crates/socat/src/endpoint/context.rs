//! The context of endpoints: what all those of one command line share.

use std::sync::Arc;

use nsplice_sys::Pool;

use crate::journal::Journal;
use crate::language::Flags;

/// The context that all endpoints of one command line share.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) journal: Journal,
    pub(crate) flags: Arc<Flags>,
    /// The prefix of exported variables: `SOCAT`, or `-lp`'s name, upper-cased.
    pub(crate) prefix: String,
    pub(crate) links: Links,
    /// Looks names up.
    pub(crate) pool: Pool,
}

/// The number of links that the process serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// One: the process is the link's.
    One,
    /// As many as come: `fork`.
    Many,
}

impl Context {
    /// The context of a command line that was called by the name `program`.
    pub(crate) fn new(journal: Journal, flags: &Flags, program: &str) -> Self {
        let base = program.rsplit('/').next().unwrap_or(program);
        let prefix = flags.log_name.as_deref().unwrap_or(base).to_uppercase();
        // Most command lines ask nobody, and a thread costs time at the start of each of them.
        let pool = Pool::on_demand();
        Self { journal, flags: Arc::new(flags.clone()), prefix, links: Links::One, pool }
    }

    /// The same for a process that serves `links`.
    pub(crate) fn with(self, links: Links) -> Self {
        Self { links, ..self }
    }
}
