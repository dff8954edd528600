//! The endpoint with a client of its own: what is forwarded, what is refused, and what a client that
//! means no good can do.

// A test may fail where it stands.
#![allow(clippy::unwrap_used)]

#[path = "../stage/mod.rs"]
mod stage;

mod client;
mod connections;
mod hostile;
mod requests;
