//! socat's command language: the same command lines, run by the nsplice relay.
//!
//! [`socat`] takes the words of a socat command line, runs it to its end and answers the exit
//! status. In between:
//!
//! - `language/` reads words into a command line: flags and two address specifications;
//! - `endpoint/` turns a specification into something that can be listened on or opened;
//! - `filter.rs` and `dump.rs` are what is done to the bytes, `journal.rs` is what is said;
//! - `run.rs` puts these together, hands them to a relay, and turns what the relay tells into
//!   socat's messages and exit status;
//! - `fallback.rs` becomes a real socat for what socat can do and nsplice will not.
//!
//! The persona is socat 1.7.4.4 in words, levels and exit statuses; options that only later versions
//! have are understood where they mean something here.

#![forbid(unsafe_code)]

mod dump;
mod endpoint;
mod fallback;
mod fault;
mod filter;
mod journal;
mod language;
mod run;

pub use run::socat;
