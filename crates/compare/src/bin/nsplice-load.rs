//! `nsplice-load`: load for a TCP relay from both of its sides. See [`nsplice_compare::load`].

use nsplice_compare::load::args::{self, Command, Setting};
use nsplice_compare::load::dialer::Dialer;
use nsplice_compare::load::failure::Failure;
use nsplice_compare::load::meter::Meter;
use nsplice_compare::load::plan::{Plan, Workload};
use nsplice_compare::load::report::Measurement;
use nsplice_compare::load::{self, net, ports, start};
use nsplice_compare::report::{lines, table};
use std::io::Write;
use std::process::ExitCode;

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
        Command::Table(path) => say(&table::render(&lines::read(&path)?)),
        Command::Measure(plan, setting) => {
            measure(&plan, &setting)?.tell();
            Ok(())
        }
    }
}

fn measure(plan: &Plan, setting: &Setting) -> Result<Measurement, Failure> {
    let listener = net::listen(setting.origin)?;
    let meter = Meter::open(&setting.cgroups, setting.pid)?;
    if plan.workload == Workload::Start {
        return start::run(plan, &setting.program, &listener, &meter);
    }
    let origin =
        listener.local_addr().map_err(|e| Failure::system("read the origin's address", e))?;
    load::measure(plan, &Dialer::here(setting.relay.unwrap_or(origin)), listener, &meter)
}

fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|e| Failure::system("write to stdout", e))
}
