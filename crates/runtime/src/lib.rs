//! Where a pod or a container is.
//!
//! People know a name, not a PID. [`Wanted`] is what they write. Sources (a runtime's API, its state on
//! disk, the control groups of processes) say what they know of it, as [`Sighting`]s; those are merged,
//! and decided upon, without I/O. The process or the file that was decided upon is taken hold of and
//! checked.
//!
//! Everything here blocks, and belongs on a thread that may. Nothing here knows of the relay.

#![forbid(unsafe_code)]

mod bundle;
mod cgroup;
mod cni;
mod cri;
mod decide;
mod directory;
mod engine;
mod following;
mod found;
pub mod grpc;
mod hold;
mod http;
mod identity;
mod merge;
pub mod names;
mod nearest;
mod order;
pub mod owners;
pub mod ports;
pub mod proc_net;
mod process;
mod processes;
mod proof;
pub mod protobuf;
mod residents;
mod root;
mod run_netns;
mod said;
mod shown;
mod sighting;
mod signs;
mod source;
mod state;
mod unfound;
mod wanted;
pub mod wire;
mod words;

pub use directory::{Directory, Listing, Settings};
pub use engine::NotLocal;
pub use found::{Files, Found, Labels, Owner, Place};
pub use identity::{is_namespace, Identity, OPENING};
pub use nearest::nearest;
pub use process::Process;
pub use residents::{Rank, Resident};
pub use root::{FileError, Root};
pub use run_netns::NamedNamespace;
pub use shown::{escaped, shown, shown_json};
pub use sighting::{ClaimedPid, Kind, Network, PodName, Runtime, Sighting, State};
pub use signs::Signs;
pub use source::SourceError;
pub use unfound::{Answer, Unfound, Why};
pub use wanted::{Wanted, WantedError};
