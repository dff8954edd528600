//! Running a command line: from words to an exit status.
//!
//! There are three ways to run one:
//!
//! - one of the addresses listens with `fork`: one loop serves all clients, and goes on until a signal
//!   ends it (`serving.rs`);
//! - the first address connects with `fork`: it is opened again and again (`serving.rs`);
//! - otherwise the first address is opened, then the second one, and the one link decides the
//!   status (`once.rs`).
//!
//! In all of them the relay carries the bytes, and what it tells becomes messages (`teller.rs`).

mod departures;
mod doorkeeper;
mod downstream;
mod driver;
mod job;
mod lock;
mod manners;
mod nursery;
mod once;
mod reconnector;
mod relay;
mod serving;
mod signals;
mod teller;
mod watchman;

use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::Arc;

use crate::endpoint::identity::assuming;
use crate::endpoint::{opener, post, serves_many, terminal, without_process, Context, Links};
use crate::fallback::{answer_of_real, replace_by_real};
use crate::fault::Fault;
use crate::filter::Filters;
use crate::journal::{Journal, Level};
use crate::language::{flags_before_fault, read, CommandLine, Errand, Opt, Spec};

use self::job::{Job, LastStatus};
use self::manners::LINGER_VARIABLE;
use self::signals::Signals;

/// Runs the socat command line `words` (the first is the program's name) and answers the exit
/// status.
///
/// What socat can do and nsplice will not is handed to a real socat, where there is one, by
/// replacing this process.
pub fn socat(words: &[OsString]) -> u8 {
    let program = words.first().map_or_else(|| "socat".into(), |word| word.to_string_lossy());
    let arguments = words.get(1..).unwrap_or_default();
    let errand = match read(arguments) {
        Ok(errand) => errand,
        Err(fault) => {
            let journal = Journal::early(&flags_before_fault(arguments), &program);
            return refuse(&fault, words, &journal);
        }
    };
    match errand {
        Errand::Tell(question) => {
            let text = question.answer(answer_of_real(question.flag()).as_deref());
            // Nobody is left to be told that it could not be printed.
            let _ = io::stdout().write_all(text.as_bytes());
            0
        }
        Errand::Scold(text) => {
            let _ = io::stderr().write_all(text.as_bytes());
            1
        }
        Errand::Carry(line) => match Journal::new(&line.flags, &program) {
            Ok(journal) => {
                let status = run(*line, &program, &journal)
                    .unwrap_or_else(|fault| refuse(&fault, words, &journal));
                terminal::restore_all();
                journal.finish();
                status
            }
            Err(fault) => refuse(&fault, words, &Journal::early(&line.flags, &program)),
        },
    }
}

/// Tells of a fault, unless a real socat can be had that knows better.
fn refuse(fault: &Fault, words: &[OsString], journal: &Journal) -> u8 {
    if fault.foreign {
        journal.finish();
        if let Some(error) = replace_by_real(words) {
            journal.tell(Level::Error, error);
        }
    }
    journal.tell(Level::Error, fault);
    journal.tell(Level::Notice, format_args!("exit({})", fault.status));
    journal.finish();
    fault.status
}

fn run(line: CommandLine, program: &str, journal: &Journal) -> Result<u8, Fault> {
    let variable = std::env::var_os(LINGER_VARIABLE);
    let limits = manners::limits(&line.flags, variable.as_deref())?;
    let context = Context::new(journal.clone(), &line.flags, program);
    let filters = Filters::new(&line.flags, &line.first, &line.second, journal)?;
    if manners::is_replaced_out_of_place(&line) {
        return Err(Fault::new("option nofork is not allowed here"));
    }
    let (line, first_side) = manners::listener_first(line);
    let context = match manners::read(&line.first).has(Opt::Fork) {
        true => context.with(Links::Many),
        false => context,
    };
    let [first_way, second_way] = manners::ways(line.flags.directions);
    // Both addresses are looked at before anything is opened.
    let first = opener(&line.first, first_way, &context)?;
    let second = opener(&line.second, second_way, &context)?;
    let second = if manners::starts_programs(&line.second) {
        second
    } else if manners::read(&line.first).has(Opt::Fork) {
        // The one process is for all links: what it becomes for one, it is for the next.
        without_process(manners::read(&line.second))?;
        without_process(manners::written(&line.second))?;
        second
    } else {
        assuming(second, manners::read(&line.second))?
    };
    for spec in [&line.first, &line.second] {
        match spec {
            Spec::Split { write, .. } if !manners::is_program(write) => without_process(write)?,
            Spec::Split { .. } | Spec::One(_) => {}
        }
    }
    let forks = |spec| manners::read(spec).has(Opt::Fork) && !serves_many(spec);
    if forks(&line.second) {
        return Err(Fault::not_implemented("option \"fork\" with a second address that connects"));
    }
    let policy = manners::policy(&line, filters, first_side);
    let lock = line.flags.lock.as_ref().map(lock::take).transpose()?;
    let signals = Signals::collect()
        .map_err(|error| Fault::new(format_args!("cannot collect signals: {error}")))?;
    let job = Job {
        line,
        context,
        signals,
        limits,
        policy: Arc::new(policy),
        first_side,
        status: LastStatus::default(),
        lock,
    };
    if !manners::read(&job.line.first).has(Opt::Fork) {
        return job.carry_once(first, second);
    }
    match post(&job.line.first, &job.context)? {
        Some(post) => job.serve(post, second),
        None => job.reconnect(first, second),
    }
}
