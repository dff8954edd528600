//! What a relay is tried with: the ends of a link that say and hear a payload which can be checked,
//! waiting that has an end, and what processes hold.
//!
//! The tests and `nsplice compare` try relays in the same way. The comparison is shipped, so nothing
//! here panics over what a relay, a kernel or a process does: everything returns what was seen.
//! `nsplice-testkit` makes sentences and panics of it for tests.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::expect_used, clippy::panic, clippy::unwrap_used))]

mod ending;
pub mod process;
pub mod ramp;
pub mod talk;
mod wait;

pub use ending::Ending;
pub use wait::poll_for;
