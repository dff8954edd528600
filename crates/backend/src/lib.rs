//! Backends: opening an upstream inside a container's network namespace.
//!
//! A [`Destination`] says what is to be reached: a host and a port inside a [`Target`]. A [`Plan`]
//! is made once, at start: it finds the target, looks for permission and tools, and settles on a
//! backend. From then on its openers give one upstream per link:
//!
//! - `setns` makes a socket inside the target's namespace and connects it from home;
//! - `external` runs `nsenter -t PID -n socat - TCP4:localhost:PORT`, or a program of the
//!   operator's, and carries the bytes over its standard input and output;
//! - `dial` connects from the namespace that nsplice itself runs in.
//!
//! [`survey`] tells which of them work here, and why the others do not.

#![forbid(unsafe_code)]

mod brood;
mod choice;
mod connect;
mod error;
mod expected;
mod external;
mod later;
mod names;
mod netns;
mod options;
mod patient;
mod plan;
mod procfs;
mod prospect;
mod roster;
mod settled;
mod shared;
mod survey;
mod target;
mod timer;

pub use nsplice_runtime::names::Found as FoundName;
pub use nsplice_runtime::{nearest, shown, shown_json, Identity, Wanted, WantedError};

pub use brood::{reap_others, Reaped};
pub use choice::{Choice, ChoiceError};
pub use connect::candidates::{interleaved, STAGGER};
pub use error::{BackendError, ErrorKind};
pub use expected::{Expected, Look};
pub use external::template::{Template, TemplateError};
pub use names::look_up;
pub use netns::birthplace::Birthplace;
pub use netns::unborn::Unborn;
pub use options::Options;
pub use plan::Plan;
pub use procfs::of_proc;
pub use prospect::Prospect;
pub use roster::entry::{Entry, EntryKind, NetworkKind, OpenPort, PortProcess};
pub use roster::{open_ports, Detail, Node, Problem, Roster};
pub use settled::Settled;
pub use survey::limits::SystemLimits;
pub use survey::{
    survey, BackendReport, Capability, ConnectReport, NameReport, RuntimeReport, Survey,
    TargetReport, ToolReport,
};
pub use target::destination::Destination;
pub use target::host::{Host, HostError};
pub use target::{Target, TargetError};
pub use timer::{Limit, Timer};
