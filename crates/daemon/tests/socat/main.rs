//! The differential suite: what is called by the name of socat against the real socat.
//!
//! A [`case::Case`] is a command line and a play, all data. It is run twice at the same time, by the
//! real socat 1.7.4.4 and by ours, in namespaces and directories of their own, and what a user, a
//! script or a peer could notice is compared: standard output and error, the exit status or
//! signal, the bytes that peers got, how their streams ended, and the files that are left. What is
//! of one run only (dates, process ids, descriptor numbers, ports of the kernel's choice) is masked.
//!
//! A case may differ for a reason in the table of [`differences`] only, and then has a rule of its
//! own. What socat does at random is held against rules as well.
//!
//! `NSPLICE_CASES=WORD` runs the cases with that word in their names.

// The plays are data and the rules are functions that tests call: no tests in the eyes of clippy.
#![allow(clippy::unwrap_used)]

mod case;
mod compare;
mod differences;
mod mask;
mod node;
mod player;
mod remains;
mod report;
mod stream;
mod subject;

mod departure;
mod ends;
mod exhaustion;
mod handlers;
mod identity;
mod kubelet;
mod later;
mod numbers;
mod readers;
mod scale;
mod table;
mod terminate;
mod undrained;
mod words;
