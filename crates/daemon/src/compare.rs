//! `nsplice compare`: the backends side by side.
//!
//! What is found out, and how it looks, is `nsplice-compare`'s. Here it gets its files and its
//! signals: what can be refused is refused before minutes are spent, and results go to standard output
//! while progress goes to standard error. SIGHUP keeps its own effect, so nohup works.
//!
//! SIGINT, SIGQUIT and SIGTERM are awaited by a thread of their own ([`Watch`]), since a step may take
//! long, and so may a Docker that does not answer or a FIFO that nobody opens. It starts as soon as
//! the process may have more than one thread: who is not root must be alone until it has left for its
//! namespaces. What a signal means depends on how far the comparison is ([`Phase`]):
//!
//! - before anything is measured, it ends the program;
//! - the first one while something is measured ends the comparison with what there is by then. If the
//!   step that is under way does not end within [`PATIENCE_MILLIS`], it is left where it is;
//! - the next one ends the program wherever it is.

mod error;
mod page;

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use std::{mem, process, thread};

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{SigSet, Signal};
use nsplice_compare::{change, html, json, table};
use nsplice_compare::{CompareError, Comparison, Found, Measurement, Milestone, Progress, Stage};

use self::error::comparing;
use self::page::Page;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{print, Waiting};
use crate::request::{CompareRequest, OutputFormat};
use crate::signals::Signals;
use crate::terminal;

/// Compares, answers, and says by the exit code whether it was broken off.
pub(crate) fn run(request: &CompareRequest) -> Result<Exit, Failure> {
    let signals = Signals::block(&STOPPING).map_err(Failure::system("collect signals"))?;
    let scenery = &request.comparison.scenery;
    Stage::depart(scenery).map_err(|error| comparing(CompareError::Stage(error)))?;
    let watch = Watch::start(signals).map_err(Failure::system("start a thread"))?;
    let older = request.older.as_deref().map(json::read).transpose().map_err(comparing)?;
    let stage = Stage::around(scenery.clone());
    let stage = stage.map_err(|error| comparing(CompareError::Stage(error)))?;
    // Not before it is known that something will be written.
    let page = request.page.as_deref().map(Page::open).transpose()?;
    watch.begin(Draft {
        outline: nsplice_compare::outline(&request.comparison, &stage),
        begun: Instant::now(),
        openings: Vec::new(),
        costs: Vec::new(),
        answer: Answer { format: request.format, page, older },
    });
    let tell = |milestone: &Milestone<'_>| watch.note(milestone);
    let compared = nsplice_compare::run(&request.comparison, &stage, &tell);
    drop(stage);
    let (answer, ended) = watch.close();
    answer.give(compared.map_err(comparing)?, ended)
}

/// Signals that end a comparison.
const STOPPING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT];

/// The time that the step under way may take to its end after the signal that ends the comparison.
const PATIENCE_MILLIS: u16 = 1_000;

/// The form in which a comparison is shown.
#[derive(Debug)]
struct Answer {
    format: OutputFormat,
    page: Option<Page>,
    older: Option<Comparison>,
}

impl Answer {
    fn give(self, mut comparison: Comparison, ended: Option<Signal>) -> Result<Exit, Failure> {
        if let Some(signal) = ended {
            let warning = format!("{signal} ended the comparison before it was complete.");
            comparison.warnings.push(warning);
        }
        comparison.change = self.older.map(|older| change::between(&older, &comparison));
        // Minutes of work are in it: one of the two that cannot be written takes not the other along.
        let answered = answer(&comparison, self.format);
        if let Some(page) = self.page {
            page.write(&html::render(&comparison))?;
        }
        answered?;
        Ok(ended.map_or(Exit::Done, Exit::Interrupted))
    }
}

/// The findings so far, and the form to show them in.
#[derive(Debug)]
struct Draft {
    outline: Comparison,
    begun: Instant,
    openings: Vec<Measurement>,
    costs: Vec<Measurement>,
    answer: Answer,
}

impl Draft {
    fn note(&mut self, found: Found<'_>) {
        match found {
            Found::Behaviours(found) => self.outline.behaviours = found.to_vec(),
            Found::Openings(found) => self.openings = found.to_vec(),
            Found::Costs(found) => self.costs = found.to_vec(),
        }
    }

    fn give(self, ended: Signal) -> Result<Exit, Failure> {
        let Self { mut outline, begun, openings, costs, answer } = self;
        outline.seconds = begun.elapsed().as_secs_f64();
        outline.measurements = openings.into_iter().chain(costs).collect();
        answer.give(outline, Some(ended))
    }
}

/// The progress of the comparison, shared with the thread that waits for signals.
struct Watch {
    progress: Mutex<Progress<io::Stderr>>,
    phase: Mutex<Phase>,
}

/// A phase of a comparison.
#[derive(Debug)]
enum Phase {
    /// Nothing is measured yet.
    Preparing,
    /// There is something to be told.
    Measuring(Box<Draft>),
    /// The same, and this signal has ended it.
    Ending(Box<Draft>, Signal),
    /// The findings are being shown.
    Telling,
}

impl Watch {
    fn start(signals: Signals) -> io::Result<Arc<Self>> {
        let (progress, phase) = (Mutex::new(Progress::stderr()), Mutex::new(Phase::Preparing));
        let watch = Arc::new(Self { progress, phase });
        let shared = Arc::clone(&watch);
        thread::Builder::new().name("signals".to_owned()).spawn(move || shared.wait(&signals))?;
        Ok(watch)
    }

    /// Something is there to be told from now on.
    fn begin(&self, draft: Draft) {
        *lock(&self.phase) = Phase::Measuring(Box::new(draft));
    }

    /// Takes down what has been found, and answers whether to go on.
    fn note(&self, milestone: &Milestone<'_>) -> ControlFlow<()> {
        lock(&self.progress).show(milestone, Instant::now());
        match &mut *lock(&self.phase) {
            Phase::Measuring(draft) => {
                draft.note(milestone.found);
                ControlFlow::Continue(())
            }
            Phase::Ending(draft, _) => {
                draft.note(milestone.found);
                ControlFlow::Break(())
            }
            Phase::Preparing | Phase::Telling => ControlFlow::Break(()),
        }
    }

    /// The comparison has come to its end by itself: how to tell it, and the signal that has ended it.
    /// If it is being told already, this waits for the end of the program.
    fn close(&self) -> (Answer, Option<Signal>) {
        lock(&self.progress).finish();
        loop {
            match mem::replace(&mut *lock(&self.phase), Phase::Telling) {
                Phase::Measuring(draft) => return (draft.answer, None),
                Phase::Ending(draft, signal) => return (draft.answer, Some(signal)),
                Phase::Preparing | Phase::Telling => thread::park(),
            }
        }
    }

    /// Waits for signals as long as the program lives.
    fn wait(&self, signals: &Signals) {
        loop {
            let signal = next(signals, PollTimeout::NONE);
            let Some(signal) = signal else { continue };
            let mut phase = lock(&self.phase);
            *phase = match mem::replace(&mut *phase, Phase::Telling) {
                Phase::Measuring(draft) => Phase::Ending(draft, signal),
                _ => self.abandon(signal),
            };
            drop(phase);
            if let Some(signal) = next(signals, PATIENCE_MILLIS.into()) {
                self.abandon(signal);
            }
            let phase = mem::replace(&mut *lock(&self.phase), Phase::Telling);
            if let Phase::Ending(draft, signal) = phase {
                self.tell(*draft, signal);
            }
        }
    }

    /// Tells what has been found while the step that is under way still is, and ends the program.
    fn tell(&self, draft: Draft, signal: Signal) -> ! {
        self.clean();
        // Nobody waits for signals meanwhile, so they have their own effect: they end it at once.
        let _ = STOPPING.into_iter().collect::<SigSet>().thread_unblock();
        let exit = draft.give(signal).unwrap_or_else(|failure| {
            let _ = writeln!(Waiting(io::stderr()), "{}", failure.line());
            Exit::Interrupted(signal)
        });
        process::exit(exit.code().into())
    }

    /// Ends the program at once.
    fn abandon(&self, signal: Signal) -> ! {
        self.clean();
        process::exit(Exit::Interrupted(signal).code().into())
    }

    /// Takes back what would outlive the program. The kernel ends the children with it; control groups
    /// are ours, and so are the CPUs that relays of others were put on.
    fn clean(&self) {
        nsplice_compare::abandon();
        // Whoever shows progress may be held up by a terminal that has stopped.
        if let Ok(mut progress) = self.progress.try_lock() {
            progress.finish();
        }
    }
}

/// The next signal, if one comes within `patience`.
fn next(signals: &Signals, patience: PollTimeout) -> Option<Signal> {
    // Should it fail, nothing has come.
    let _ = poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], patience);
    signals.next().ok().flatten()
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(comparison: &Comparison, format: OutputFormat) -> Result<(), Failure> {
    let text = match format {
        OutputFormat::Table => table::render_within(comparison, terminal::width()),
        OutputFormat::Json => json::text(comparison).map_err(comparing)?,
    };
    print(&text).map_err(Failure::system("write to standard output"))
}
