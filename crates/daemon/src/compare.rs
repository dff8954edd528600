//! `nsplice compare`: the backends side by side.
//!
//! What is found out, and how it looks, is `nsplice-compare`'s. Here it gets its files and its
//! signals: what can be refused is refused before minutes are spent, a first Ctrl-C or SIGTERM ends
//! the comparison with what there is by then, and results go to standard output while progress goes
//! to standard error.

use std::fs;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use nix::sys::signal::Signal;
use nsplice_backend::BackendError;
use nsplice_compare::model::Comparison;
use nsplice_compare::report::progress::{Progress, Step};
use nsplice_compare::report::{change, html, json, table};
use nsplice_compare::run::CompareError;
use nsplice_compare::stage::StageError;
use nsplice_relay::open::describe;

use crate::exit::Exit;
use crate::failure::Failure;
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
    let signals = Signals::block(&[Signal::SIGINT, Signal::SIGTERM])
        .map_err(Failure::system("collect signals"))?;
    let older = request.older.as_deref().map(json::read).transpose().map_err(comparing)?;
    let page = request.page.as_deref().map(Page::open).transpose()?;

    let told = Mutex::new(Told { progress: Progress::stderr(), ended: None });
    let tell = |step: &Step<'_>| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        told.progress.show(step, Instant::now());
        if let Ok(Some(signal)) = signals.next() {
            told.ended = Some(signal);
        }
        match told.ended {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    };
    let compared = nsplice_compare::run::run(&request.comparison, &tell);
    let Told { mut progress, ended } = told.into_inner().unwrap_or_else(PoisonError::into_inner);
    progress.finish();
    let mut comparison = compared.map_err(comparing)?;
    if let Some(signal) = ended {
        comparison
            .warnings
            .push(format!("{} ended the comparison before it was complete.", signal));
    }
    comparison.change = older.map(|older| change::between(&older, &comparison));
    answer(&comparison, request.format)?;
    if let Some(page) = page {
        page.write(&comparison)?;
    }
    Ok(ended.map_or(Exit::Done, Exit::Interrupted))
}

/// What the steps have brought.
struct Told {
    progress: Progress<io::Stderr>,
    /// The signal that has ended it.
    ended: Option<Signal>,
}

fn answer(comparison: &Comparison, format: OutputFormat) -> Result<(), Failure> {
    let text = match format {
        OutputFormat::Table => table::render(comparison),
        OutputFormat::Json => json::text(comparison).map_err(comparing)?,
    };
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // A reader that has seen enough, such as head(1).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Failure::system("write to standard output")),
    }
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
        let written = self.file.set_len(0).and_then(|()| self.file.write_all(text.as_bytes()));
        written.map_err(|error| Self::failed(&self.path, error))
    }

    fn failed(path: &Path, source: io::Error) -> Failure {
        comparing(ComparingError::Page { path: path.to_owned(), source })
    }
}

fn comparing(error: impl Into<ComparingError>) -> Failure {
    Failure::Comparing(error.into())
}
