//! `nsplice-load`: what the scripts need beside `nsplice compare`. See [`nsplice_compare::load`].
//!
//! `scripts/soak` keeps a relay busy with it; `scripts/bench-peers` starts programs with it and
//! lays out what it has measured together with comparisons.

#![forbid(unsafe_code)]

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use nsplice_compare::group;
use nsplice_compare::load::args::{self, Command, Setting};
use nsplice_compare::load::dialer::Dialer;
use nsplice_compare::load::failure::Failure;
use nsplice_compare::load::job::{Job, Workload};
use nsplice_compare::load::meter::Meter;
use nsplice_compare::load::report::Measurement;
use nsplice_compare::load::{self, net, ports, start};
use nsplice_compare::model::Comparison;
use nsplice_compare::placement::Placement;
use nsplice_compare::report::{json, lines, markdown, merge, table};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let help = match failure {
                Failure::Usage(_) => " (see nsplice-load --help)",
                _ => "",
            };
            let _ = writeln!(std::io::stderr(), "nsplice-load: {failure}{help}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run() -> Result<(), Failure> {
    match args::parse(std::env::args_os().skip(1))? {
        Command::Help => say(args::HELP),
        Command::Ports(count) => {
            let words: Vec<String> = ports::free(count)?.iter().map(u16::to_string).collect();
            say(&format!("{}\n", words.join(" ")))
        }
        Command::Hierarchies => {
            let lines =
                group::hierarchies_here().into_iter().map(|path| format!("{}\n", path.display()));
            say(&lines.collect::<String>())
        }
        Command::Merge(paths) => {
            let all = paths.iter().map(|path| comparison(path)).collect::<Result<Vec<_>, _>>()?;
            let whole = merge::merged(all)
                .ok_or_else(|| Failure::Usage("there is nothing to merge".to_owned()))?;
            say(&json::text(&whole).map_err(unreadable)?)
        }
        Command::Markdown(path) => say(&markdown::render(&comparison(&path)?)),
        Command::Summary(path) => say(&markdown::summary(&comparison(&path)?)),
        Command::Table(path) => say(&table::render(&comparison(&path)?)),
        Command::Measure(job, setting) => {
            measure(&job, &setting)?.tell();
            Ok(())
        }
    }
}

fn measure(job: &Job, setting: &Setting) -> Result<Measurement, Failure> {
    let listener = net::listen(setting.origin)?;
    // What the relay costs is for `nsplice compare` to tell, and programs are counted by
    // themselves.
    let meter = Meter::of_nothing();
    if job.workload == Workload::Start {
        // The programs inherit the CPU.
        let _pinned = Placement::choose().map(|placement| placement.apply([]));
        return start::run(job, &setting.program, &listener, &meter);
    }
    let origin = listener
        .local_addr()
        .map_err(|error| Failure::system("read the origin's address", error))?;
    load::measure(job, &Dialer::here(setting.relay.unwrap_or(origin)), listener, &meter)
}

/// What is in a file: lines of measurements, or a comparison.
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
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::system("write to stdout", error))
}
