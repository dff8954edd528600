//! Tools that the tests of endpoints are made with.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nsplice_relay::{Attempt, Hold, OpenError, Opener, Progress, Upstream, Wake};
use nsplice_testkit::PATIENCE;
use tempfile::TempDir;

use crate::fault::Fault;
use crate::journal::{Journal, Level};
use crate::language::flags::LogTarget;
use crate::language::{Flags, Spec};

use super::{opener, Context, Links, Way};

/// A context whose journal can be read, and a directory for files.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) context: Context,
    pub(crate) directory: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Flags::default())
    }

    pub(crate) fn with(flags: Flags) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let flags = Flags {
            level: Level::Notice,
            log_target: LogTarget::File(directory.path().join("log")),
            ..flags
        };
        let journal = Journal::new(&flags, "socat").unwrap();
        let context = Context {
            journal,
            flags: Arc::new(flags),
            prefix: "SOCAT".into(),
            links: Links::One,
            pool: nsplice_sys::Pool::on_demand(),
        };
        Self { context, directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The messages so far, each from its level on.
    pub(crate) fn told(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        log.lines().map(|line| line.split_once("] ").unwrap().1.to_owned()).collect()
    }

    pub(crate) fn opener(&self, words: &str) -> Result<Box<dyn Opener>, Fault> {
        opener(&spec(words), Way::Both, &self.context)
    }

    pub(crate) fn begin(&self, words: &str) -> Opening {
        let mut opener = self.opener(words).unwrap();
        Opening::of(opener.open(None))
    }

    /// Opens what `words` describe, waiting for it.
    pub(crate) fn open(&self, words: &str) -> Result<Open, String> {
        self.begin(words).wait()
    }

    /// The fault of a specification that cannot be opened, however often it is tried.
    pub(crate) fn fault(&self, words: &str) -> String {
        self.opener(words).unwrap_err().message
    }
}

pub(crate) fn spec(words: &str) -> Spec {
    Spec::read(words.as_bytes(), false).unwrap()
}

/// An attempt that is driven as the relay does it.
#[derive(Debug)]
pub(crate) struct Opening {
    attempt: Box<dyn Attempt>,
    progress: Option<Progress>,
}

/// An upstream's two descriptors and what was held for it.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) source: OwnedFd,
    pub(crate) sink: Option<OwnedFd>,
    pub(crate) holds: Vec<Box<dyn Hold>>,
}

impl Opening {
    pub(crate) fn of(mut attempt: Box<dyn Attempt>) -> Self {
        let progress = Some(attempt.advance(Wake::START));
        Self { attempt, progress }
    }

    /// Returns whether it waits for something.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.progress, Some(Progress::Waiting | Progress::Pending))
    }

    pub(crate) fn wait(mut self) -> Result<Open, String> {
        loop {
            match self.progress.take().unwrap() {
                Progress::Open(upstream) => return Ok(Open::of(upstream)),
                Progress::Failed(OpenError { detail, .. }) => return Err(detail),
                Progress::Found(_) => self.progress = Some(self.attempt.advance(Wake::START)),
                Progress::Waiting | Progress::Pending => {
                    let wake = wait(self.attempt.source().unwrap());
                    self.progress = Some(self.attempt.advance(wake));
                }
            }
        }
    }
}

impl Open {
    fn of(upstream: Upstream) -> Self {
        match upstream {
            Upstream::Stream(source) => Self { source, sink: None, holds: Vec::new() },
            Upstream::Pair { source, sink } => Self { source, sink: Some(sink), holds: Vec::new() },
            Upstream::Held { upstream, hold } => {
                let mut open = Self::of(*upstream);
                open.holds.push(hold);
                open
            }
            Upstream::Piped { .. } => panic!("no endpoint gives this"),
        }
    }
}

impl AsFd for Open {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

fn wait(source: BorrowedFd<'_>) -> Wake {
    let mut watched = [PollFd::new(source, PollFlags::POLLIN | PollFlags::POLLOUT)];
    let patience = PollTimeout::try_from(PATIENCE).unwrap();
    assert_eq!(poll(&mut watched, patience), Ok(1), "nothing happened");
    watched[0].revents().unwrap().into()
}
