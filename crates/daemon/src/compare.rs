//! `nsplice compare`: the backends side by side.
//!
//! What is found out, and how it looks, is `nsplice-compare`'s. Here it gets its files and its
//! signals: what can be refused is refused before minutes are spent, a first Ctrl-C, SIGQUIT or
//! SIGTERM ends the comparison with what there is by then, a second one ends the program wherever it
//! is, and results go to standard output while progress goes to standard error. SIGHUP keeps its own
//! effect, so nohup works.
//!
//! Signals are awaited by a thread of their own, since a step may take seconds. It starts after the
//! stage has been opened: who is not root must be alone in the process until then.

use std::fs;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use std::{process, thread};

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::Signal;
use nsplice_backend::BackendError;
use nsplice_compare::model::Comparison;
use nsplice_compare::report::progress::Progress;
use nsplice_compare::report::{change, html, json, table};
use nsplice_compare::run::CompareError;
use nsplice_compare::stage::{Stage, StageError};
use nsplice_compare::teller::Step;
use nsplice_compare::{group, placement};
use nsplice_relay::open::describe;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::print;
use crate::request::{CompareRequest, OutputFormat};
use crate::signals::Signals;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComparingError {
    /// The comparison itself.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// The older one, or the JSON of this one.
    #[error(transparent)]
    Json(#[from] json::JsonError),
    /// The page.
    #[error("cannot write the page {}: {}", path.display(), describe(source))]
    Page {
        /// Where it was to be.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

impl ComparingError {
    /// The exit code that tells it to scripts.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Compare(CompareError::Stage(error)) => match error {
                StageError::Target(error) => Exit::of_backend(BackendError::kind(error)),
                StageError::Forbidden(_) => Exit::Privilege,
                StageError::Port { .. } => Exit::Listen,
                _ => Exit::Failed,
            },
            Self::Compare(_) | Self::Json(_) | Self::Page { .. } => Exit::Failed,
        }
    }
}

/// Compares, answers, and says by the exit code whether it was broken off.
pub(crate) fn run(request: &CompareRequest) -> Result<Exit, Failure> {
    let signals = Signals::block(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT])
        .map_err(Failure::system("collect signals"))?;
    let older = request.older.as_deref().map(json::read).transpose().map_err(comparing)?;
    let stage = Stage::open(request.comparison.scenery.clone());
    let stage = stage.map_err(|error| comparing(CompareError::Stage(error)))?;
    // Not before it is known that something will be written.
    let page = request.page.as_deref().map(Page::open).transpose()?;
    let watch = Watch::start(signals).map_err(Failure::system("start a thread"))?;
    let tell = |step: &Step<'_>| {
        lock(&watch.progress).show(step, Instant::now());
        match lock(&watch.stopping).signal {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    };
    let compared = nsplice_compare::run::run(&request.comparison, &stage, &tell);
    drop(stage);
    lock(&watch.progress).finish();
    let ended = watch.close();
    let mut comparison = compared.map_err(comparing)?;
    if let Some(signal) = ended {
        comparison
            .warnings
            .push(format!("{} ended the comparison before it was complete.", signal));
    }
    comparison.change = older.map(|older| change::between(&older, &comparison));
    // Minutes of work are in it: one of the two that cannot be written takes not the other along.
    let answered = answer(&comparison, request.format);
    if let Some(page) = page {
        page.write(&comparison)?;
    }
    answered?;
    Ok(ended.map_or(Exit::Done, Exit::Interrupted))
}

/// Where the comparison stands, shared with the thread that waits for signals.
struct Watch {
    progress: Mutex<Progress<io::Stderr>>,
    stopping: Mutex<Stopping>,
}

/// What has been said about stopping.
#[derive(Debug, Default)]
struct Stopping {
    /// The signal that has ended the comparison.
    signal: Option<Signal>,
    /// Nothing is left to be broken off: the next signal ends the program.
    is_last: bool,
}

impl Watch {
    fn start(signals: Signals) -> io::Result<Arc<Self>> {
        let watch =
            Arc::new(Self { progress: Mutex::new(Progress::stderr()), stopping: Mutex::default() });
        let shared = Arc::clone(&watch);
        thread::Builder::new().name("signals".to_owned()).spawn(move || shared.wait(&signals))?;
        Ok(watch)
    }

    /// Waits for signals as long as the program lives.
    fn wait(&self, signals: &Signals) {
        loop {
            // Should it fail, the next look waits again.
            let _ = poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE);
            let Ok(Some(signal)) = signals.next() else { continue };
            let mut stopping = lock(&self.stopping);
            if stopping.is_last || stopping.signal.is_some() {
                self.abandon(signal);
            }
            stopping.signal = Some(signal);
        }
    }

    /// Ends the program at once. The kernel ends the children with it; control groups are ours, and
    /// so are the CPUs that relays of others were put on.
    fn abandon(&self, signal: Signal) -> ! {
        placement::end_all();
        group::end_all();
        // Whoever shows progress may be held up by a terminal that has stopped.
        if let Ok(mut progress) = self.progress.try_lock() {
            progress.finish();
        }
        process::exit(Exit::Interrupted(signal).code().into())
    }

    /// The signal that has ended the comparison; one that comes later ends the program.
    fn close(&self) -> Option<Signal> {
        let mut stopping = lock(&self.stopping);
        stopping.is_last = true;
        stopping.signal
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(comparison: &Comparison, format: OutputFormat) -> Result<(), Failure> {
    let text = match format {
        OutputFormat::Table => table::render(comparison),
        OutputFormat::Json => json::text(comparison).map_err(comparing)?,
    };
    print(&text).map_err(Failure::system("write to standard output"))
}

/// The file for the page, opened before anything is measured.
struct Page {
    path: PathBuf,
    file: fs::File,
}

impl Page {
    fn open(path: &Path) -> Result<Self, Failure> {
        // What stands there stays until there is something better.
        let opened = fs::OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = opened.map_err(|error| Self::failed(path, error))?;
        Ok(Self { path: path.to_owned(), file })
    }

    fn write(mut self, comparison: &Comparison) -> Result<(), Failure> {
        let text = html::render(comparison);
        // A pipe or a device has no length.
        let is_plain = self.file.metadata().is_ok_and(|found| found.is_file());
        let emptied = if is_plain { self.file.set_len(0) } else { Ok(()) };
        emptied
            .and_then(|()| self.file.write_all(text.as_bytes()))
            .map_err(|error| Self::failed(&self.path, error))
    }

    fn failed(path: &Path, source: io::Error) -> Failure {
        comparing(ComparingError::Page { path: path.to_owned(), source })
    }
}

fn comparing(error: impl Into<ComparingError>) -> Failure {
    Failure::Comparing(error.into())
}
