//! `nsplice-load`: what the scripts need beside `nsplice compare`. See [`nsplice_compare::measure_relay`].
//!
//! `scripts/soak` keeps a relay busy with it; `scripts/bench-peers` starts programs with it and
//! lays out what it has measured together with comparisons.

#![forbid(unsafe_code)]

mod args;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use nsplice_compare::{json, lines, markdown, merge, table};
use nsplice_compare::{Comparison, Failure, Job};
use structopt::clap::Error;
use structopt::StructOpt;

use args::{Command, Through};

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
        Command::Start(start) => {
            nsplice_compare::measure_programs(&start.job(), start.program())?.tell();
            Ok(())
        }
        Command::Ports { count } => {
            let words: Vec<String> =
                nsplice_compare::free_ports(count)?.iter().map(u16::to_string).collect();
            say(&format!("{}\n", words.join(" ")))
        }
        Command::Hierarchies => {
            let directories = nsplice_compare::hierarchies_here();
            say(&directories.iter().map(|path| format!("{}\n", path.display())).collect::<String>())
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

/// Runs a workload through a relay. Its costs are for `nsplice compare` to tell.
fn load(job: &Job, through: Through) -> Result<(), Failure> {
    nsplice_compare::measure_relay(job, through.relay, through.origin)?.tell();
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
