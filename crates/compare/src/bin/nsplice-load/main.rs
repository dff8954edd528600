//! `nsplice-load`: what the scripts need beside `nsplice compare`. See [`nsplice_compare::load`].
//!
//! `scripts/soak` keeps a relay busy with it; `scripts/bench-peers` starts programs with it and
//! lays out what it has measured together with comparisons.

#![forbid(unsafe_code)]

mod args;

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use nsplice_compare::group;
use nsplice_compare::load::dialer::Dialer;
use nsplice_compare::load::failure::Failure;
use nsplice_compare::load::job::Job;
use nsplice_compare::load::meter::Meter;
use nsplice_compare::load::{self, net, ports, start};
use nsplice_compare::model::Comparison;
use nsplice_compare::placement::Placement;
use nsplice_compare::report::{json, lines, markdown, merge, table};
use structopt::clap::Error;
use structopt::StructOpt;

use args::{Command, Start, Through};

/// Where an origin listens unless it is told.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn main() -> ExitCode {
    match Command::from_args_safe() {
        Ok(command) => match run(command) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                let _ = writeln!(io::stderr(), "nsplice-load: {failure}");
                ExitCode::from(failure.exit_code())
            }
        },
        Err(error) => refuse(&error),
    }
}

/// Prints what clap says of a command line that is not one, or asks for help.
fn refuse(error: &Error) -> ExitCode {
    if error.use_stderr() {
        let _ = writeln!(io::stderr(), "{}", error.message);
        return ExitCode::from(Failure::Usage(String::new()).exit_code());
    }
    match say(&format!("{}\n", error.message)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(failure.exit_code()),
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Bulk(bulk) => load(&bulk.job(), bulk.through),
        Command::Pingpong(pingpong) => load(&pingpong.job(), pingpong.through),
        Command::Connect(connect) => load(&connect.job(), connect.through),
        Command::Start(start) => start_programs(&start),
        Command::Ports { count } => {
            let words: Vec<String> = ports::free(count)?.iter().map(u16::to_string).collect();
            say(&format!("{}\n", words.join(" ")))
        }
        Command::Hierarchies => {
            let lines =
                group::hierarchies_here().into_iter().map(|path| format!("{}\n", path.display()));
            say(&lines.collect::<String>())
        }
        Command::Merge { files } => {
            let all = files.iter().map(|path| comparison(path)).collect::<Result<Vec<_>, _>>()?;
            let whole = merge::merged(all)
                .ok_or_else(|| Failure::Usage("there is nothing to merge".to_owned()))?;
            say(&json::text(&whole).map_err(unreadable)?)
        }
        Command::Markdown { file } => say(&markdown::render(&comparison(&file)?)),
        Command::Summary { file } => say(&markdown::summary(&comparison(&file)?)),
        Command::Table { file } => say(&table::render(&comparison(&file)?)),
    }
}

/// Runs a workload through a relay. What the relay costs is for `nsplice compare` to tell.
fn load(job: &Job, through: Through) -> Result<(), Failure> {
    let listener = net::listen(through.origin.unwrap_or(ANY_PORT))?;
    let origin = listener
        .local_addr()
        .map_err(|error| Failure::system("read the origin's address", error))?;
    let dialer = Dialer::here(through.relay.unwrap_or(origin));
    let meter = match through.relay {
        Some(_) => Meter::open(&[], None)?,
        None => Meter::of_nothing(),
    };
    load::measure(job, &dialer, listener, &meter)?.tell();
    Ok(())
}

/// Starts a program for each link. Programs are counted by themselves.
fn start_programs(start: &Start) -> Result<(), Failure> {
    let listener = net::listen(ANY_PORT)?;
    // The programs inherit the CPU.
    let _pinned = Placement::choose().map(|placement| placement.apply([]));
    start::run(&start.job(), start.program(), &listener, &Meter::of_nothing())?.tell();
    Ok(())
}

/// Reads a file of measurements (lines), or of a comparison.
fn comparison(path: &Path) -> Result<Comparison, Failure> {
    if path.extension().is_some_and(|extension| extension == "jsonl") {
        return lines::read(path);
    }
    json::read(path).map_err(unreadable)
}

fn unreadable(error: json::JsonError) -> Failure {
    Failure::Usage(error.to_string())
}

fn say(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::system("write to stdout", error))
}
