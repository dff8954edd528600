//! The backend comparison: what each way into a namespace costs and how it behaves.
//!
//! [`run`] makes a [`Comparison`] of what a [`Request`] names, on a [`Stage`]. The reports are made of
//! that alone: [`table`], [`json`], [`html`], [`markdown`], and [`change`] against an older one.

#![forbid(unsafe_code)]

mod conformance;
mod cost;
mod floor;
mod group;
mod holder;
mod load;
mod machine;
mod model;
mod noise;
mod opening;
mod placement;
mod player;
mod report;
mod request;
mod role;
mod run;
mod stage;
mod subject;
mod teller;
mod words;

pub use conformance::run as try_cases;
pub use conformance::{cases, Case, Difference, Extent, Known};
pub use cost::{Choices, Family, Timing};
pub use group::hierarchies_here;
pub use load::failure::Failure;
pub use load::job::{Direction, Job, Workload};
pub use load::latency::Quantile;
pub use load::ports::free as free_ports;
pub use load::report::{Figure, Measurement};
pub use load::{measure_programs, measure_relay};
pub use model::{
    Behaviour, BehaviourChange, Change, Comparison, FigureChange, Finding, Machine, Passed,
    StageFacts, SubjectFacts, SubjectKind, Verdict, SCHEMA,
};
pub use report::progress::Progress;
pub use report::{change, html, json, lines, markdown, merge, table};
pub use request::{Request, RequestError};
pub use role::play;
pub use run::{abandon, outline, run, CompareError};
pub use stage::{Birth, Listening, Scenery, Stage, StageError};
pub use subject::{Launch, Launcher, Means, Peer, Route, Running, Subject, SubjectError};
pub use teller::{Found, Milestone, Teller};
pub use words::{Backends, NamedCommand, NamedPeer, WordsError, Workloads};
