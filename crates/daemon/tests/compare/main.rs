//! The comparison, with the real program as holder and as the relays that are compared.

#![allow(clippy::unwrap_used)]

mod command;
mod conformance;
mod cost;
mod fake;
mod stage;

use std::panic::resume_unwind;
use std::sync::{PoisonError, RwLock};
use std::thread;

use nsplice_backend::{Options, Target};
use nsplice_compare::Scenery;

/// A stage around `target`, or one of our own.
pub(crate) fn scenery(target: Option<Target>) -> Scenery {
    let program = env!("CARGO_BIN_EXE_nsplice").into();
    Scenery { target, port: None, program, options: Options::default() }
}

/// Held by each test while it runs; for writing by one whose descriptors are counted.
static COMPANY: RwLock<()> = RwLock::new(());

/// Runs `act` on a thread of its own, which may leave for a node.
pub(crate) fn on_a_thread(act: impl FnOnce() + Send + 'static) {
    let _company = COMPANY.read().unwrap_or_else(PoisonError::into_inner);
    thread::spawn(act).join().unwrap_or_else(|panic| resume_unwind(panic));
}

/// The same while no other test of this process opens or closes anything.
pub(crate) fn alone_on_a_thread(act: impl FnOnce() + Send + 'static) {
    let _alone = COMPANY.write().unwrap_or_else(PoisonError::into_inner);
    thread::spawn(act).join().unwrap_or_else(|panic| resume_unwind(panic));
}
