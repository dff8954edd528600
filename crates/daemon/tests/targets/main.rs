//! `nsplice targets` and the completion of command lines, seen from outside: real namespaces, real runtimes,
//! real shells.

// A test may fail where it stands.
#![allow(clippy::unwrap_used)]

#[path = "../binary/mod.rs"]
mod binary;
mod engines;
mod listing;
mod node;
mod odd;
mod readme;
mod shells;
mod speed;
mod watch;
