//! Endpoints on this machine: inherited descriptors, files, pipes and programs.
//!
//! Opening one is immediate (only a named pipe may have to wait for its other end), so an opener
//! does all of it in `open` and the attempt merely hands over what came of it.
//!
//! socat opens in the directions that the command line uses: with `-u`, with `-U`, and on the two
//! sides of `!!`, an endpoint is only read from or only written to. That is a [`Way`]. An endpoint
//! that has just one direction still gives two descriptors, because a link has two lanes; the other
//! one is /dev/null, so that nothing is read from where nothing was asked.

mod adjustments;
pub(crate) mod children;
mod end;
mod entry;
mod error;
pub(crate) mod exported;
mod file;
pub(crate) mod identity;
mod pipe;
pub(crate) mod program;
mod recipe;
mod side;
mod stand_in;
mod stdio;
pub(crate) mod terminal;
mod waiting;
mod words;

use nsplice_relay::Opener;

use super::Context;
use crate::fault::Fault;
use crate::language::{Address, Keyword, Opt, Setting};

pub(crate) use side::Way;
pub(super) use side::{answered, copy, pair};

/// The opener of an endpoint on this machine.
pub(crate) fn opener(
    address: &Address,
    way: Way,
    context: &Context,
) -> Result<Box<dyn Opener>, Fault> {
    match address.setting(Opt::ControllingTty) {
        Some(Setting { word, .. })
            if !matches!(address.keyword, Keyword::Exec | Keyword::System) =>
        {
            return Err(Fault::not_implemented(format_args!(
                "option \"{word}\" with address type \"{}\"",
                address.word
            )));
        }
        _ => {}
    }
    match address.keyword {
        Keyword::Stdio | Keyword::Stdin | Keyword::Stdout | Keyword::Stderr | Keyword::Fd => {
            stdio::opener(address, way, context)
        }
        Keyword::Gopen | Keyword::Open | Keyword::Create => file::opener(address, way, context),
        Keyword::Pipe => pipe::opener(address, way, context),
        Keyword::Exec | Keyword::System => program::opener(address, way, context),
        _ => Err(Fault::not_implemented(format_args!("address type \"{}\"", address.word))),
    }
}

/// Refuses what changes a process, for an address that is opened by the one that serves all links.
pub(crate) fn without_process(address: &Address) -> Result<(), Fault> {
    let changes = [
        Opt::Su,
        Opt::SuDelayed,
        Opt::SetUid,
        Opt::SetGid,
        Opt::SetSid,
        Opt::Chroot,
        Opt::ControllingTty,
    ];
    match address.options.iter().find(|setting| changes.contains(&setting.option)) {
        Some(Setting { word, .. }) => Err(Fault::not_implemented(format_args!(
            "option \"{word}\" with address type \"{}\"",
            address.word
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
