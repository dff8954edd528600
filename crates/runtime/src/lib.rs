//! Where a pod or container is.
//!
//! Everything here blocks, and belongs on a thread that may. Nothing here knows of the relay.

#![forbid(unsafe_code)]

pub mod http;
mod identity;
mod nearest;
mod process;
mod shown;

pub use identity::{is_namespace, Identity, OPENING};
pub use nearest::nearest;
pub use process::Process;
pub use shown::{escaped, shown, shown_json};
