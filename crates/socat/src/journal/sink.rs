//! A place that text goes to, and that never holds up for long who writes it.
//!
//! Whoever writes here is the one loop that serves all links, so a standard error that nobody reads
//! must not block it. Text is written at once and in one piece where the place takes it. What it
//! does not take waits in a bounded queue, and a thread that lives as long as there is something in
//! the queue writes it, in order.
//!
//! A reader that is slower than we are is waited for when the queue is full, as socat waits, for as
//! long as it takes something now and then. One that takes nothing for [`PATIENCE`] is not waited
//! for again until the queue is empty: what finds no room is dropped as a whole, counted, and told as
//! soon as there is room again.
//!
//! Kernel facts:
//! - O_NONBLOCK belongs to the open file description (open(2)), which others share: our parent and
//!   the programs we start. So a pipe or a terminal is opened anew by `/proc/self/fd/N` (proc(5)), and
//!   a socket is sent to with MSG_DONTWAIT. Where neither is possible the thread does all writing.
//! - A regular file takes whatever it is given, so it is written to as it is, and keeps its offset.
//!
//! A process that splits has the queue twice and the thread once. The text is the parent's to write:
//! the child, known by its process id, forgets it. Who splits holds the lock ([`Sink::hold`]).

use std::collections::VecDeque;
use std::fs::File;
use std::io::{stderr, Stderr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{open, OFlag};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::{pthread_sigmask, SigSet, SigmaskHow};
use nix::sys::socket::{send, MsgFlags};
use nix::sys::stat::{fstat, Mode, SFlag};
use nix::unistd::{getpid, write, Pid};

/// Bytes that may wait. More than a pipe takes, and little beside the buffers of a few links.
const QUEUE: usize = 1 << 18;

/// How long a reader that takes nothing may hold up the loop, once.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long the end of the process waits for a reader that takes nothing.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A place for text. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Sink(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    origin: Origin,
    /// Found out at the first writing: most processes have nothing to say.
    place: OnceLock<Place>,
    state: Mutex<State>,
    /// Something has been written, or the thread has ended.
    moved: Condvar,
}

/// What it is.
#[derive(Debug)]
enum Origin {
    Stderr(Stderr),
    File(File),
}

/// How it is written to.
#[derive(Debug)]
enum Place {
    /// As it is: it never makes anybody wait.
    Prompt,
    /// By a description that is ours alone and does not block.
    Own(OwnedFd),
    /// A socket.
    Socket,
    /// Only by the thread, which may wait.
    Slow,
}

/// The lines that are to be written, and the reader as far as it is known.
#[derive(Debug)]
pub(super) struct State {
    /// The process whose text this is.
    owner: Pid,
    queue: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Pieces that found no room since that was last told.
    lost: u64,
    reader: Reader,
    drainer: Drainer,
}

/// What is known of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// It takes what it is given, sooner or later.
    Awake,
    /// It took nothing when it was waited for.
    Stalled,
}

/// Whether there is a thread that writes the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Drainer {
    None,
    Running,
}

impl Sink {
    /// Standard error.
    pub(super) fn stderr() -> Self {
        Self::new(Origin::Stderr(stderr()))
    }

    /// A file that nobody else has opened this way.
    pub(super) fn file(file: File) -> Self {
        Self::new(Origin::File(file))
    }

    fn new(origin: Origin) -> Self {
        Self(Arc::new(Shared {
            origin,
            place: OnceLock::new(),
            state: Mutex::new(State::new(Reader::Awake)),
            moved: Condvar::new(),
        }))
    }

    /// Writes `text`, or has it written. `told` makes the line that tells how many pieces were lost.
    pub(super) fn put(&self, text: &[u8], told: impl FnOnce(u64) -> String) {
        let mut state = self.0.lock();
        let notice = match state.lost {
            0 => Vec::new(),
            lost => told(lost).into_bytes(),
        };
        state = self.0.room(state, notice.len() + text.len());
        if !state.has_room(notice.len() + text.len()) {
            state.lost += 1;
            return;
        }
        state.lost = 0;
        for piece in [notice.as_slice(), text].into_iter().filter(|piece| !piece.is_empty()) {
            let written = match state.queue.is_empty() {
                true => self.0.try_write(piece),
                false => 0,
            };
            state.push(piece.get(written..).unwrap_or_default());
        }
        self.drain(&mut state);
    }

    /// Waits until all is written, but not for ever: the process is about to end, or to become
    /// another program.
    pub(super) fn finish(&self, told: impl FnOnce(u64) -> String) {
        let mut state = self.0.lock();
        if state.lost > 0 {
            let notice = told(state.lost);
            state.lost = 0;
            state.push(notice.as_bytes());
        }
        self.drain(&mut state);
        let patience = match state.reader {
            Reader::Awake => LAST_WORDS,
            Reader::Stalled => PATIENCE,
        };
        while !state.queue.is_empty() {
            let before = state.bytes;
            let waited = self.0.moved.wait_timeout(state, patience);
            let (now, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = now;
            if timeout.timed_out() && state.bytes == before {
                return;
            }
        }
    }

    /// Keeps everything as it is, for as long as the answer lives: while the process splits.
    pub(super) fn hold(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// Has a thread write the queue, unless there is nothing in it. Without a thread it stays until
    /// the next text comes.
    fn drain(&self, state: &mut State) {
        if state.queue.is_empty() || state.drainer == Drainer::Running {
            return;
        }
        let shared = Arc::clone(&self.0);
        // Signals are for the loop, whose thread may not have blocked them yet.
        let mut before = SigSet::empty();
        if pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), Some(&mut before)).is_err()
        {
            return;
        }
        let thread = thread::Builder::new().name("journal".to_owned());
        if thread.spawn(move || shared.write_queue()).is_ok() {
            state.drainer = Drainer::Running;
        }
        // It was possible a moment ago.
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
    }
}

impl State {
    fn new(reader: Reader) -> Self {
        let (queue, drainer) = (VecDeque::new(), Drainer::None);
        Self { owner: getpid(), queue, bytes: 0, lost: 0, reader, drainer }
    }

    fn has_room(&self, length: usize) -> bool {
        self.queue.is_empty() || self.bytes + length <= QUEUE
    }

    fn push(&mut self, piece: &[u8]) {
        if !piece.is_empty() {
            self.bytes += piece.len();
            self.queue.push_back(piece.to_vec());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.owner != getpid() {
            *state = State::new(state.reader);
        }
        state
    }

    /// Waits until there is room for `length` bytes, if the reader is one that is worth it.
    fn room<'a>(&self, mut state: MutexGuard<'a, State>, length: usize) -> MutexGuard<'a, State> {
        let mut since = Instant::now();
        while !state.has_room(length) && state.reader == Reader::Awake {
            let before = state.bytes;
            let waited = self.moved.wait_timeout(state, PATIENCE.saturating_sub(since.elapsed()));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.bytes != before {
                since = Instant::now();
            } else if since.elapsed() >= PATIENCE {
                state.reader = Reader::Stalled;
            }
        }
        state
    }

    /// The life of the thread: it ends with the queue.
    fn write_queue(&self) {
        let mut state = self.lock();
        while let Some(piece) = state.queue.front().cloned() {
            drop(state);
            self.write_whole(&piece);
            state = self.lock();
            state.queue.pop_front();
            state.bytes -= piece.len();
            if state.queue.is_empty() {
                state.reader = Reader::Awake;
            }
            self.moved.notify_all();
        }
        state.drainer = Drainer::None;
    }

    fn write_whole(&self, mut piece: &[u8]) {
        while !piece.is_empty() {
            match self.write(piece) {
                Ok(written) => piece = piece.get(written..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    let mut places = [PollFd::new(self.descriptor(), PollFlags::POLLOUT)];
                    // A poll that fails has waited for nothing; the next write tells more.
                    let _ = poll(&mut places, PollTimeout::NONE);
                }
                // Nobody is left who could be told that this failed.
                Err(_) => return,
            }
        }
    }

    /// How much of `piece` is written at once. What fails for good counts as written: nobody is left
    /// who could be told.
    fn try_write(&self, piece: &[u8]) -> usize {
        let mut written = 0;
        while written < piece.len() && !matches!(self.place(), Place::Slow) {
            match self.write(&piece[written..]) {
                Ok(more) => written += more,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(_) => return piece.len(),
            }
        }
        written
    }

    fn write(&self, piece: &[u8]) -> nix::Result<usize> {
        match self.place() {
            Place::Prompt | Place::Slow => write(self.descriptor(), piece),
            Place::Own(own) => write(own, piece),
            Place::Socket => send(
                self.descriptor().as_raw_fd(),
                piece,
                MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL,
            ),
        }
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        match &self.origin {
            Origin::Stderr(stderr) => stderr.as_fd(),
            Origin::File(file) => file.as_fd(),
        }
    }

    fn place(&self) -> &Place {
        self.place.get_or_init(|| self.find_place())
    }

    fn find_place(&self) -> Place {
        let descriptor = self.descriptor();
        let kind =
            fstat(descriptor).map(|found| SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT);
        match kind {
            Ok(SFlag::S_IFSOCK) => Place::Socket,
            Ok(SFlag::S_IFIFO | SFlag::S_IFCHR) => {
                let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
                let flags =
                    OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
                match open(path.as_str(), flags, Mode::empty()) {
                    Ok(own) => Place::Own(own),
                    Err(_) => Place::Slow,
                }
            }
            // A file; or nothing at all, which write(2) will tell.
            _ => Place::Prompt,
        }
    }
}

#[cfg(test)]
mod tests;
