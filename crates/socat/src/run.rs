//! Running a command line: from words to an exit status.
//!
//! There are three ways to run one:
//!
//! - one of the addresses listens with `fork`: one loop serves all clients, and goes on until a signal
//!   ends it (`serving.rs`);
//! - the first address connects with `fork`: it is opened again and again (`serving.rs`);
//! - otherwise the first address is opened, then the second one, and the one link decides the
//!   status (`carry_once`).
//!
//! In all of them the relay carries the bytes, and what it tells becomes messages (`teller.rs`).

mod doorkeeper;
mod driver;
mod lock;
mod manners;
mod nursery;
mod reconnector;
mod serving;
mod signals;
mod teller;

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use nsplice_relay::{
    Downstream, Forward, Hold, Labels, Limits, LinkPolicy, OpenClass, OpenError, Opener, Places,
    Relay, Settings, Side, Upstream,
};

use crate::endpoint::identity::{assuming, Identity};
use crate::endpoint::{
    children, failure_status, opener, post, program, serves_many, terminal, without_process,
    Context, Links,
};
use crate::fallback::{answer_of_real, replace_by_real};
use crate::fault::Fault;
use crate::filter::Filters;
use crate::journal::{Journal, Level};
use crate::language::{flags_before_fault, read, Address, CommandLine, Errand, Opt, Spec};

use self::driver::Opened;
use self::manners::LINGER_VARIABLE;
use self::nursery::Nursery;
use self::serving::{Ending, Watchman};
use self::signals::Signals;
use self::teller::{LastStatus, Teller};

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

/// The exit status of a failed opening with `-s`.
const SLOPPY: u8 = 255;

/// All that running a command line takes.
#[derive(Debug)]
struct Job {
    line: CommandLine,
    context: Context,
    signals: Signals,
    limits: Limits,
    policy: Arc<LinkPolicy>,
    /// The side of its links that the command line's first address is.
    first_side: Side,
    status: LastStatus,
    /// Removed when the process ends that the command line is run by, not when its last link does.
    lock: Option<lock::Held>,
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

impl Job {
    /// Opens both addresses and carries one link.
    fn carry_once(self, mut first: Box<dyn Opener>, second: Box<dyn Opener>) -> Result<u8, Fault> {
        let journal = self.context.journal.clone();
        let opened = driver::open(first.as_mut(), Some((&self.signals, &journal)));
        drop(first);
        let (downstream, holds) = match opened {
            Opened::Open(upstream) => split(upstream),
            Opened::Failed(error) if error.class == OpenClass::NoClient => return Ok(0),
            Opened::Failed(error) => return Err(self.unopened(&self.line.first, error)),
            Opened::Interrupted(signal) => return Ok(signals::status(signal)),
        };
        self.assume_identity()?;
        if let Some(address) = self.replacement() {
            return Err(self.become_program(address, &downstream));
        }
        let (mut relay, _handle) = self.relay(false)?;
        relay.adopt(downstream, self.forward(second, Places::unlimited())).map_err(Fault::new)?;
        self.add_nursery(&mut relay)?;
        let ending = Ending::default();
        let status = self.status.clone();
        let watchman = Watchman::of_one(self.signals, journal.clone(), ending.clone());
        relay.add_source(Box::new(watchman)).map_err(Fault::new)?;
        relay.run().map_err(Fault::new)?;
        drop(relay);
        drop(holds);
        if let Some(signal) = ending.signal() {
            return Ok(signals::status(signal));
        }
        let failed = journal.failed() || children::has_failed();
        Ok(match status.get().max(u8::from(failed)) {
            0 => {
                journal.tell(Level::Notice, "exiting with status 0");
                0
            }
            status => {
                journal.tell(Level::Notice, format_args!("exit({status})"));
                status
            }
        })
    }

    /// `spec` could not be opened.
    fn unopened(&self, spec: &Spec, error: OpenError) -> Fault {
        Fault { status: self.unopened_status(spec), ..Fault::new(error) }
    }

    /// Returns whether the second address is opened once for all links: it is the command line's
    /// first.
    fn shares_second(&self) -> bool {
        self.first_side == Side::Upstream
    }

    /// The exit status when `spec` cannot be opened.
    fn unopened_status(&self, spec: &Spec) -> u8 {
        if self.line.flags.sloppy {
            SLOPPY
        } else {
            failure_status(spec)
        }
    }

    /// Becomes the user that the first address asks for, now that it is open. A program takes these
    /// steps by itself.
    fn assume_identity(&self) -> Result<(), Fault> {
        if manners::starts_programs(&self.line.first) {
            return Ok(());
        }
        Identity::of(manners::read(&self.line.first))?.assume()
    }

    /// The program that this process is to become, if it is one.
    fn replacement(&self) -> Option<&Address> {
        match &self.line.second {
            Spec::One(address) => Some(address).filter(|address| program::replaces(address)),
            Spec::Split { .. } => None,
        }
    }

    /// Becomes the program of the second address; what comes back is why that failed.
    fn become_program(&self, address: &Address, downstream: &Downstream) -> Fault {
        let (source, sink) = match downstream {
            Downstream::Socket(socket) => (socket.as_fd(), socket.as_fd()),
            Downstream::Pair { source, sink } => (source.as_fd(), sink.as_fd()),
        };
        let [_, way] = manners::ways(self.line.flags.directions);
        signals::release();
        program::replace(address, way, source, sink, &self.context)
    }

    /// Has the loop reap the children of this process, if there may be any.
    fn add_nursery(&self, relay: &mut Relay) -> Result<(), Fault> {
        let starts =
            [&self.line.first, &self.line.second].into_iter().any(manners::starts_programs);
        if !starts {
            return Ok(());
        }
        let nursery = Nursery::open().map_err(Fault::new)?;
        relay.add_source(Box::new(nursery)).map_err(Fault::new)?;
        Ok(())
    }

    fn forward(&self, opener: Box<dyn Opener>, places: Places) -> Forward {
        Forward {
            labels: Arc::new(Labels::new("socat", "")),
            opener,
            admission: None,
            limits: self.limits.clone(),
            places: Arc::new(places),
            counters: Arc::default(),
            policy: Arc::clone(&self.policy),
        }
    }

    fn relay(&self, many: bool) -> Result<(Relay, nsplice_relay::Handle), Fault> {
        // Sockets are what their options say, and else what the kernel makes them.
        let settings = Settings { socket_memory: None, ..Settings::default() };
        Relay::new(settings, Box::new(Teller::new(self, many))).map_err(Fault::new)
    }
}

/// Makes a downstream of what has been opened first, and what must live as long as its link.
fn split(upstream: Upstream) -> (Downstream, Vec<Box<dyn Hold>>) {
    match upstream {
        Upstream::Stream(socket) => (Downstream::Socket(socket), Vec::new()),
        // The relay's own kind of child is not what endpoints make.
        Upstream::Pair { source, sink }
        | Upstream::Piped { output: source, input: sink, child: _ } => {
            (Downstream::Pair { source, sink }, Vec::new())
        }
        Upstream::Held { upstream, hold } => {
            let (downstream, mut holds) = split(*upstream);
            holds.push(hold);
            (downstream, holds)
        }
    }
}
