//! Endpoints: what a specification can be listened on or opened as.
//!
//! Whatever opens once per link is an opener of the relay's; whatever waits for many clients is a
//! [`Post`]. Sockets are made here: `station.rs` listens and `connect.rs` connects, both by the
//! options of `settings.rs`. What stays on this machine (descriptors, files, programs) is behind
//! `local.rs`.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use nsplice_relay::Opener;
use nsplice_sys::Pool;

use crate::fault::Fault;
use crate::journal::Journal;
use crate::language::{Address, Flags, Keyword, Opt, Spec};

mod accept;
mod admission;
mod binding;
mod candidate;
mod connect;
mod handshake;
mod inet;
mod listen;
mod local;
pub(crate) mod name;
mod netns;
mod preference;
mod range;
mod refusal;
mod route;
mod settings;
mod setup;
mod shared;
mod socket_file;
mod split;
mod station;
mod unix;
mod vsock;

#[cfg(test)]
pub(crate) use accept::ACCEPT_TIMED_OUT;
pub(crate) use admission::Admission;
pub(crate) use listen::{failure_status, post, Post};
pub(crate) use local::{children, identity, program, terminal, without_process, Way};
pub(crate) use shared::Shared;

use accept::Reception;
use candidate::Connection;
use route::{Patience, Route, Routed};
use split::Split;

/// The context that all endpoints of one command line share.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) journal: Journal,
    pub(crate) flags: Arc<Flags>,
    /// The prefix of exported variables: `SOCAT`, or `-lp`'s name, upper-cased.
    pub(crate) prefix: String,
    pub(crate) links: Links,
    /// Looks names up.
    pub(crate) pool: Pool,
}

/// The number of links that the process serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// One: the process is the link's.
    One,
    /// As many as come: `fork`.
    Many,
}

impl Context {
    /// The context of a command line that was called by the name `program`.
    pub(crate) fn new(journal: Journal, flags: &Flags, program: &str) -> Self {
        let base = program.rsplit('/').next().unwrap_or(program);
        let prefix = flags.log_name.as_deref().unwrap_or(base).to_uppercase();
        // Most command lines ask nobody, and a thread costs time at the start of each of them.
        let pool = Pool::on_demand();
        Self { journal, flags: Arc::new(flags.clone()), prefix, links: Links::One, pool }
    }

    /// The same for a process that serves `links`.
    pub(crate) fn with(self, links: Links) -> Self {
        Self { links, ..self }
    }
}

/// Returns whether `spec` is a listener with `fork`.
pub(crate) fn serves_many(spec: &Spec) -> bool {
    match spec {
        Spec::One(address) => listen::listens(address.keyword) && address.has(Opt::Fork),
        Spec::Split { .. } => false,
    }
}

/// An endpoint that opens once per link (the second address; the first one too, if it does not
/// listen with `fork`), used in the directions `way`. Everything that can be checked without opening
/// has been checked.
pub(crate) fn opener(spec: &Spec, way: Way, context: &Context) -> Result<Box<dyn Opener>, Fault> {
    match spec {
        Spec::One(address) => one(address, way, context),
        Spec::Split { read, write } => {
            let read = one(read, Way::Read, context)?;
            let write = one(write, Way::Write, context)?;
            Ok(Box::new(Split { read, write }))
        }
    }
}

fn one(address: &Address, way: Way, context: &Context) -> Result<Box<dyn Opener>, Fault> {
    let limits = listen::listens(address.keyword) && address.setting(Opt::MaxChildren).is_some();
    if limits && !address.has(Opt::Fork) {
        return Err(Fault::new("option max-children not allowed without option fork"));
    }
    address.check_options()?;
    match address.keyword {
        keyword if connects(keyword) => connecting(address, context),
        keyword if listen::listens(keyword) => {
            let route: Arc<dyn Route> = Arc::new(Reception::of(address, context)?);
            Ok(routed("listen", route, address, context))
        }
        _ => local::opener(address, way, context),
    }
}

/// Returns whether it is an address that connects.
pub(crate) fn connects(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::TcpConnect
            | Keyword::Tcp4Connect
            | Keyword::Tcp6Connect
            | Keyword::UnixConnect
            | Keyword::UnixClient
            | Keyword::AbstractConnect
            | Keyword::AbstractClient
            | Keyword::VsockConnect
    )
}

fn connecting(address: &Address, context: &Context) -> Result<Box<dyn Opener>, Fault> {
    let route: Arc<dyn Route> = Arc::new(Connection::of(address, context)?);
    Ok(routed("connect", route, address, context))
}

fn routed(
    word: &'static str,
    route: Arc<dyn Route>,
    address: &Address,
    context: &Context,
) -> Box<dyn Opener> {
    let (patience, journal) = (Patience::of(address), context.journal.clone());
    Box::new(Routed { word, route, patience, journal })
}

/// The first parameter of `address`.
fn parameter(address: &Address) -> &OsStr {
    address.parameters.first().map(OsString::as_os_str).unwrap_or_default()
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
