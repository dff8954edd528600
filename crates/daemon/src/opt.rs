//! The command line.
//!
//! This room alone knows structopt. What was typed is read into structs, one for each command, word by
//! word by the parsers of the values; then it is put together into a [`Request`], which is all that
//! the rest of the program sees. What was not typed is looked for in the [`Environment`].
//!
//! The structs have no docs of their own: structopt would print them as help.

use std::ffi::OsString;

use structopt::StructOpt;

use crate::environment::Environment;
use crate::request::Request;

mod answer;
mod bytes;
mod check;
mod command;
mod compare;
mod connect;
mod forward;
mod help;
mod install;
mod lists;
mod lookup;
mod opening;
mod operands;
mod run;
mod serve;
mod text;

pub(crate) use answer::Answer;

use command::Command;

/// Reads the command line `words`, the first of which is the program's name.
pub(crate) fn parse(
    words: impl IntoIterator<Item = OsString>,
    environment: Environment<'_>,
) -> Result<Request, Answer> {
    let matches = bytes::matches(Command::clap, help::spelled_out(words))?;
    match Command::from_clap(&matches) {
        Command::Forward(typed) => typed.into_request(environment).map(Request::Forward),
        Command::Connect(typed) => typed.into_request(environment).map(Request::Connect),
        Command::Run(typed) => typed.into_request(environment).map(Request::Run),
        Command::Serve(typed) => typed.into_request(environment).map(Request::Serve),
        Command::Check(typed) => typed.into_request(environment).map(Request::Check),
        Command::Lookup(typed) => typed.into_request(environment).map(Request::Lookup),
        Command::Install(typed) => typed.into_request(environment).map(Request::Install),
        Command::Compare(typed) => typed.into_request(environment).map(Request::Compare),
    }
}

#[cfg(test)]
mod tests;
