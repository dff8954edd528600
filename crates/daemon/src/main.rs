//! nsplice: reach a TCP port inside a container's network namespace from the node.
//!
//! This program is thin: options, configuration, signals and logs. Moving bytes is
//! `nsplice-relay`, opening upstreams is `nsplice-backend`; what it does under the names `socat` and
//! `nsenter` is in `nsplice-socat` and `nsplice-nsenter`, and is asked for first. A comparison
//! starts it once more to hold a namespace, and once to be the floor that others are measured from.
//!
//! A command line becomes a [`request::Request`], each kind of request has a file of its own, and
//! whatever keeps it from being done becomes a [`failure::Failure`], which knows its exit code. The
//! process ends here, but for three places: a signal that breaks off a comparison (`compare.rs`), a
//! signal that ends socat (`run/serving.rs` in `nsplice-socat`), and the abort of a thread that
//! cannot return from another namespace (`netns/excursion.rs` in `nsplice-backend`).

#![forbid(unsafe_code)]

mod address;
mod applet;
mod bind;
mod check;
mod compare;
mod completion;
mod config;
mod connect;
mod drain;
mod dump;
mod environment;
mod exit;
mod failure;
mod filter;
mod forward;
mod install;
mod journal;
mod limit;
mod log;
mod lookout;
mod lookup;
mod loops;
mod main_loop;
mod missing;
mod opt;
mod output;
mod ports;
mod printer;
mod request;
mod run;
mod serve;
mod service;
mod signals;
mod stdio;
mod table;
mod targets;
mod terminal;
mod values;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use nsplice_backend::shown;

use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::opt::Answer;
use crate::output::{tell, Stdout};
use crate::request::Request;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    if let Some(status) = applet::run(&words) {
        return ExitCode::from(status);
    }
    if let Some(status) = words.get(1..).and_then(nsplice_compare::play) {
        return status;
    }
    let environment = Environment(&|variable| std::env::var_os(variable));
    let exit = match opt::parse(words, environment) {
        Ok(request) => act(request).unwrap_or_else(|failure| {
            tell(io::stderr(), &failure.line());
            failure.exit()
        }),
        Err(Answer::Help(text)) => {
            tell(Stdout, &terminal::fit_help(&text));
            Exit::Done
        }
        Err(Answer::Usage(message)) => {
            // It has several lines, and words of the command line in them.
            let lines: Vec<_> = message.split('\n').map(shown).collect();
            tell(io::stderr(), &lines.join("\n"));
            Exit::Usage
        }
    };
    exit.into()
}

fn act(request: Request) -> Result<Exit, Failure> {
    match request {
        Request::Forward(request) => forward::run(&request).map(|()| Exit::Done),
        Request::Connect(request) => connect::run(request),
        Request::Run(request) => run::run(&request).map(|()| Exit::Done),
        Request::Serve(request) => serve::run(&request).map(|()| Exit::Done),
        Request::Check(request) => check::run(&request),
        Request::Lookup(request) => lookup::run(&request),
        Request::Targets(request) => targets::run(&request),
        Request::Completion(shell) => completion::print_script(shell),
        Request::Complete(unfinished) => completion::answer(unfinished),
        Request::Install(request) => install::run(&request).map(|()| Exit::Done),
        Request::Compare(request) => compare::run(&request),
    }
}
