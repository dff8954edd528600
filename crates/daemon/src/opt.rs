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
mod targets;
mod text;
mod unfinished;

pub(crate) use answer::Answer;

use command::Command;

/// What the scripts of shells call; the help does not show it.
const COMPLETE: &str = "__complete";

/// Reads the command line `words`, the first of which is the program's name.
pub(crate) fn parse(
    words: impl IntoIterator<Item = OsString>,
    environment: Environment<'_>,
) -> Result<Request, Answer> {
    let words: Vec<OsString> = words.into_iter().collect();
    if let [_, verb, rest @ ..] = words.as_slice() {
        if verb == COMPLETE {
            let rest = rest.strip_prefix(&[OsString::from("--")]).unwrap_or(rest);
            return Ok(Request::Complete(unfinished::read(rest, environment)));
        }
    }
    let matches = bytes::matches(Command::clap, help::spelled_out(words))?;
    match Command::from_clap(&matches) {
        Command::Forward(typed) => typed.into_request(environment).map(Request::Forward),
        Command::Connect(typed) => typed.into_request(environment).map(Request::Connect),
        Command::Run(typed) => typed.into_request(environment).map(Request::Run),
        Command::Serve(typed) => typed.into_request(environment).map(Request::Serve),
        Command::Check(typed) => typed.into_request(environment).map(Request::Check),
        Command::Lookup(typed) => typed.into_request(environment).map(Request::Lookup),
        Command::Targets(typed) => typed.into_request(environment).map(Request::Targets),
        Command::Completion(typed) => Ok(Request::Completion(typed.into_shell())),
        Command::Install(typed) => typed.into_request(environment).map(Request::Install),
        Command::Compare(typed) => typed.into_request(environment).map(Request::Compare),
    }
}

#[cfg(test)]
mod tests;
