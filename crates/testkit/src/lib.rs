//! The tools that the tests of nsplice are made with; never part of a shipped program.
//!
//! Tests here use real things: real namespaces, real sockets, real programs and signals. This crate
//! makes them short to write, gives each wait an end, and cleans up whatever happens.
//!
//! - [`ramp`]: the payload, checked byte by byte; this and [`process`] are `nsplice-trial`'s;
//! - [`namespace`]: network namespaces that stand in for containers;
//! - [`server`], [`peer`] and [`talk`]: scripted servers, the sockets of both sides, and their words;
//! - [`mux`]: a protocol of many streams over one connection, and a client of it;
//! - [`names`]: files and servers of names;
//! - [`program`]: the real binary, line by line;
//! - [`fuzz`]: bytes that are nearly what real programs send;
//! - [`grpc`]: a scripted server of gRPC;
//! - [`mod@containerd`]: a real containerd, with pods and containers;
//! - [`queue`]: how many clients wait at a listener;
//! - [`dockerd`]: a scripted Docker;
//! - [`engine`]: a Docker or podman, and containers in it;
//! - [`census`]: what a process holds, before and after;
//! - [`wait`]: waiting for conditions;
//! - [`mod@skip`]: what a test does where it cannot run.

#![forbid(unsafe_code)]

pub mod census;
pub mod containerd;
pub mod dockerd;
pub mod engine;
pub mod fuzz;
pub mod grpc;
pub mod kubectl;
pub mod mux;
pub mod names;
pub mod namespace;
pub mod peer;
pub mod program;
pub mod queue;
pub mod server;
pub mod skip;
pub mod talk;
pub mod wait;

pub use nsplice_trial::{process, ramp};

pub use census::Census;
pub use containerd::Containerd;
pub use dockerd::Dockerd;
pub use grpc::{GrpcServer, Reply};
pub use mux::MuxClient;
pub use names::{name_server, NameKeeper, NetnsFiles};
pub use namespace::Namespace;
pub use peer::{connect, knock, listen};
pub use program::Program;
pub use queue::waiting_at;
pub use server::Server;
pub use wait::{wait_for, wait_until, Gate, PATIENCE};
