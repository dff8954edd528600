//! The comparison, with the real program as holder and as the relays that are compared.

#![allow(clippy::unwrap_used)]

mod conformance;
mod cost;
mod fake;
mod stage;

use std::panic::resume_unwind;
use std::thread;

use nsplice_backend::{Options, Target};
use nsplice_compare::stage::Scenery;

/// A stage around `target`, or one of our own.
pub(crate) fn scenery(target: Option<Target>) -> Scenery {
    let program = env!("CARGO_BIN_EXE_nsplice").into();
    Scenery { target, port: None, program, options: Options::default() }
}

/// Runs `act` on a thread of its own, which may leave for a node.
pub(crate) fn on_a_thread(act: impl FnOnce() + Send + 'static) {
    thread::spawn(act).join().unwrap_or_else(|panic| resume_unwind(panic));
}
