//! A child without a process: what it reads, what it says and how it ends is in the test's hands.

use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nsplice_relay::{
    Attempt, Child, OpenClass, OpenError, Opener, Progress, Upstream, Verdict, Wake,
};
use nsplice_testkit::ramp;
use rustix::io::ioctl_fionread;

use crate::openers::by;

/// The program's side of its pipes.
#[derive(Debug)]
pub(crate) struct Puppet {
    input: Option<PipeReader>,
    output: Option<PipeWriter>,
    life: Arc<Mutex<Life>>,
    /// Bytes of the ramp that it has said.
    pub(crate) said: u64,
    /// Bytes of the ramp that it has read.
    pub(crate) read: u64,
}

/// What the program and its link share.
#[derive(Debug)]
struct Life {
    verdict: Option<Verdict>,
    /// Closed with the program's end.
    exit: Option<PipeWriter>,
    is_told_to_end: bool,
}

/// An opener whose upstreams are puppets, each of which is sent to `puppets`.
pub(crate) fn puppets(puppets: Sender<Puppet>) -> Box<dyn Opener> {
    by(move || Start { puppets: puppets.clone() })
}

#[derive(Debug)]
struct Start {
    puppets: Sender<Puppet>,
}

impl Start {
    fn start(&self) -> io::Result<Upstream> {
        let ((input, to_input), (from_output, output)) = (io::pipe()?, io::pipe()?);
        let ((diagnostics, _), (exit, ending)) = (io::pipe()?, io::pipe()?);
        for fd in [input.as_fd(), to_input.as_fd(), from_output.as_fd(), output.as_fd()] {
            fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        let life = Life { verdict: None, exit: Some(ending), is_told_to_end: false };
        let life = Arc::new(Mutex::new(life));
        let (input, output) = (Some(input), Some(output));
        let puppet = Puppet { input, output, life: Arc::clone(&life), said: 0, read: 0 };
        self.puppets.send(puppet).map_err(io::Error::other)?;
        let child = Box::new(Strings { diagnostics, exit, life });
        Ok(Upstream::Piped { input: to_input.into(), output: from_output.into(), child })
    }
}

impl Attempt for Start {
    fn advance(&mut self, _: Wake) -> Progress {
        match self.start() {
            Ok(upstream) => Progress::Open(upstream),
            Err(error) => Progress::Failed(OpenError::from_io("cannot make a puppet", &error)),
        }
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

fn lock(life: &Mutex<Life>) -> MutexGuard<'_, Life> {
    life.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failure() -> Verdict {
    Verdict::Failure(OpenError::new(OpenClass::ChildFailed, "as scripted".to_owned()))
}

impl Puppet {
    /// Whether it has ended, by itself or because it was told to.
    pub(crate) fn has_ended(&mut self) -> bool {
        let has_ended = lock(&self.life).verdict.is_some();
        if has_ended {
            self.close_input();
            self.close_output();
        }
        has_ended
    }

    /// Whether its link has told it to end.
    pub(crate) fn was_told_to_end(&self) -> bool {
        lock(&self.life).is_told_to_end
    }

    /// Says as much more of the ramp as its output takes.
    pub(crate) fn say(&mut self, bytes: usize) {
        if self.has_ended() {
            return;
        }
        let Some(output) = &mut self.output else { return };
        let mut block = vec![0; bytes];
        ramp::fill(self.said, &mut block);
        // Nobody may hear it any more, and it is no matter to the puppet.
        if let Ok(taken) = output.write(&block) {
            self.said += taken as u64;
        }
    }

    /// Reads what there is.
    pub(crate) fn hear(&mut self) {
        if self.has_ended() {
            return;
        }
        let Some(input) = &mut self.input else { return };
        let mut block = vec![0; 64 * 1024];
        loop {
            match input.read(&mut block) {
                Ok(0) => return,
                Ok(read) => {
                    ramp::verify(self.read, &block[..read]).expect("the ramp goes on");
                    self.read += read as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the puppet cannot read: {error}"),
            }
        }
    }

    /// Reads no more.
    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    /// Says no more.
    pub(crate) fn close_output(&mut self) {
        self.output = None;
    }

    /// Whether it may still say something.
    pub(crate) fn speaks(&self) -> bool {
        self.output.is_some()
    }

    /// Ends, if it has not.
    pub(crate) fn exit(&mut self, well: bool) {
        if self.has_ended() {
            return;
        }
        self.close_input();
        self.close_output();
        let mut life = lock(&self.life);
        life.verdict = Some(if well { Verdict::Success } else { failure() });
        life.exit = None;
    }
}

/// What the link has of it.
#[derive(Debug)]
struct Strings {
    diagnostics: PipeReader,
    exit: PipeReader,
    life: Arc<Mutex<Life>>,
}

impl Strings {
    fn end(&self) {
        let mut life = lock(&self.life);
        life.is_told_to_end = true;
        life.verdict.get_or_insert_with(failure);
        life.exit = None;
    }
}

impl Child for Strings {
    fn exit_source(&self) -> BorrowedFd<'_> {
        self.exit.as_fd()
    }

    fn diagnostics(&self) -> BorrowedFd<'_> {
        self.diagnostics.as_fd()
    }

    fn absorb_diagnostics(&mut self) -> bool {
        false
    }

    fn verdict(&mut self) -> Option<Verdict> {
        lock(&self.life).verdict.clone()
    }

    fn unread(&self, end: BorrowedFd<'_>) -> usize {
        ioctl_fionread(end).ok().and_then(|bytes| bytes.try_into().ok()).unwrap_or(0)
    }

    /// A peer on this machine has what it was sent.
    fn unacknowledged(&self, _: BorrowedFd<'_>) -> usize {
        0
    }

    fn terminate(&mut self) {
        self.end();
    }

    fn kill(&mut self) {
        self.end();
    }
}
