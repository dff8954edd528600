//! Endpoints: what a specification can be listened on or opened as.
//!
//! Whatever opens once per link is an opener of the relay's; whatever waits for many clients is a
//! [`Post`]. Sockets are made here: `station.rs` listens and `connect.rs` connects, both by the
//! options of `settings.rs`. What stays on this machine (descriptors, files, programs) is behind
//! `local.rs`.

use std::sync::Arc;

use nsplice_relay::Opener;

use crate::fault::Fault;
use crate::language::{Address, Keyword, Opt, Spec};

mod accept;
mod admission;
mod binding;
mod candidate;
mod connect;
mod context;
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
pub(crate) use context::{Context, Links};
pub(crate) use listen::{failure_status, post, Post};
pub(crate) use local::{children, identity, program, terminal, without_process, Way};
pub(crate) use shared::Shared;

use accept::Reception;
use route::{routed, Route};
use split::Split;

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
        keyword if connects(keyword) => connect::opener(address, context),
        keyword if listen::listens(keyword) => {
            let route: Arc<dyn Route> = Arc::new(Reception::of(address, context)?);
            Ok(routed("listen", route, address, &context.journal))
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

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
