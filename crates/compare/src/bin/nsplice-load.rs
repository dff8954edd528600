//! `nsplice-load`: load for a TCP relay from both of its sides. See [`nsplice_compare::load`].

use nsplice_compare::load::args::{self, Command};
use nsplice_compare::load::failure::Failure;
use nsplice_compare::load::{measure, ports, table};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "nsplice-load: {failure}");
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
        Command::Table(path) => say(&table::from_file(&path)?),
        Command::Measure(plan) => {
            measure(&plan)?.tell();
            Ok(())
        }
    }
}

fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|e| Failure::system("write to stdout", e))
}
