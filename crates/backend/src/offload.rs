//! Work that may wait, done off the loop.
//!
//! A name look-up or a question to Docker can take seconds. Such work goes to a small pool of
//! threads, one pool for the process; the loop gets an [`Offloaded`], whose source becomes readable
//! when the answer is there. The source is a pipe's read end and the work holds the write end, so it
//! becomes readable however the work ends, even if it panics.
//!
//! Threads are started on demand, at most [`MAX_WORKERS`], and end when they have had nothing to do
//! for [`IDLE`]. Dropping an [`Offloaded`] abandons its work: what has not begun never will, what has
//! begun finishes for nobody.
//!
//! A process that splits ([`split()`]) takes its memory along, but not its threads: in the child new
//! threads begin anew what the old ones were doing. So work is something that can be done twice.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::unistd::{pipe2, write};

use crate::sys::Branch;

/// Answers of slow servers are waited for side by side, up to this many.
const MAX_WORKERS: usize = 8;

/// How long a thread waits for more work. Long enough for a burst of links to reuse it.
const IDLE: Duration = Duration::from_secs(3);

/// Work that is under way on another thread.
pub struct Offloaded<T> {
    source: OwnedFd,
    slot: Arc<Mutex<Option<T>>>,
}

/// How far offloaded work has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// The source will become readable.
    NotYet,
    /// Done; it can be taken once.
    Here(T),
    /// The work ended without an answer: it panicked.
    Lost,
}

/// Gives `work` to the pool.
///
/// # Errors
/// When there are no descriptors for the pipe or not a single thread can be had.
pub fn offload<T: Send + 'static>(
    work: impl Fn() -> T + Send + Sync + 'static,
) -> io::Result<Offloaded<T>> {
    let (source, end) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    let slot = Arc::new(Mutex::new(None));
    let wanted = Arc::downgrade(&slot);
    let work = Box::new(move || {
        if let Some(slot) = wanted.upgrade() {
            let answer = work();
            // While the pool is locked the process does not split: the child would find the slot
            // locked for ever.
            let _pool = lock(&POOL.state);
            *lock(&slot) = Some(answer);
        }
    });
    POOL.submit(Arc::new(Job { work, bell: Bell(end) }))?;
    Ok(Offloaded { source, slot })
}

/// Splits this process in two, by fork(2); the child goes on with the work that
/// is under way, too.
///
/// # Errors
/// EAGAIN or ENOMEM, when the system allows no more processes.
pub fn split() -> io::Result<Branch> {
    let mut state = lock(&POOL.state);
    let branch = crate::sys::split()?;
    if branch == Branch::Child {
        POOL.begin_anew(&mut state);
    }
    Ok(branch)
}

impl<T> Offloaded<T> {
    /// Becomes readable, once, when the work has ended.
    pub fn source(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }

    /// Takes the answer if it is there.
    pub fn take(&self) -> Answer<T> {
        // Asked before the slot is looked at: an answer is put there before the source says so.
        let ended = crate::process::is_readable(self.source.as_fd());
        match lock(&self.slot).take() {
            Some(answer) => Answer::Here(answer),
            None if ended => Answer::Lost,
            None => Answer::NotYet,
        }
    }
}

impl<T> fmt::Debug for Offloaded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offloaded").field("source", &self.source).finish_non_exhaustive()
    }
}

/// The write end of a pipe.
struct Bell(OwnedFd);

impl Bell {
    fn ring(&self) {
        // A byte as well as the end of the pipe, so that the source counts as readable and not only
        // as hung up. The pipe is empty: the byte fits, unless nobody listens any more.
        let _ = write(&self.0, &[0]);
    }
}

struct Job {
    work: Box<dyn Fn() + Send + Sync>,
    /// Rung when the work has ended.
    bell: Bell,
}

impl Job {
    fn run(&self) {
        // A panic has been reported by its hook; the asker learns of it by the pipe.
        let _ = catch_unwind(AssertUnwindSafe(&self.work));
        self.bell.ring();
    }
}

/// One for the process: the bound on threads is worth something only if all loops share it.
static POOL: Pool = Pool {
    state: Mutex::new(State { queue: VecDeque::new(), running: Vec::new(), workers: 0, idle: 0 }),
    work: Condvar::new(),
};

struct Pool {
    state: Mutex<State>,
    work: Condvar,
}

struct State {
    queue: VecDeque<Arc<Job>>,
    /// What the workers are doing.
    running: Vec<Arc<Job>>,
    workers: usize,
    idle: usize,
}

impl Pool {
    fn submit(&'static self, job: Arc<Job>) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.queue.push_back(job);
        if state.queue.len() > state.idle && state.workers < MAX_WORKERS {
            match self.start_worker() {
                Ok(()) => state.workers += 1,
                // Others will come to it; without any, nobody would.
                Err(_) if state.workers > 0 => {}
                Err(error) => {
                    state.queue.pop_back();
                    return Err(error);
                }
            }
        }
        self.work.notify_one();
        Ok(())
    }

    fn start_worker(&'static self) -> io::Result<()> {
        thread::Builder::new()
            .name("nsplice-offload".to_owned())
            .spawn(move || self.serve())
            .map(drop)
    }

    /// Replaces the workers, who are in another process, and has them do again what is not done.
    fn begin_anew(&'static self, state: &mut State) {
        (state.workers, state.idle) = (0, 0);
        state.queue.extend(state.running.drain(..));
        let wanted = state.queue.len().min(MAX_WORKERS);
        while state.workers < wanted && self.start_worker().is_ok() {
            state.workers += 1;
        }
        if state.workers == 0 {
            state.queue.drain(..).for_each(|job| job.bell.ring());
        }
    }

    /// The life of a worker.
    fn serve(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.queue.pop_front() {
                state.running.push(Arc::clone(&job));
                drop(state);
                job.run();
                state = lock(&self.state);
                state.running.retain(|each| !Arc::ptr_eq(each, &job));
                continue;
            }
            state.idle += 1;
            let (woken, wait) = self
                .work
                .wait_timeout_while(state, IDLE, |state| state.queue.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if wait.timed_out() && state.queue.is_empty() {
                state.workers -= 1;
                return;
            }
        }
    }
}

/// A lock that does not care whether a holder panicked: what it guards is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::wait_readable;
    use nix::poll::PollTimeout;
    use std::sync::mpsc::channel;

    fn wait<T>(offloaded: &Offloaded<T>) -> Answer<T> {
        assert!(wait_readable(offloaded.source(), PollTimeout::try_from(5000).unwrap()));
        offloaded.take()
    }

    #[test]
    fn the_source_becomes_readable_when_the_answer_is_there() {
        let (go, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let offloaded = offload(move || lock(&gate).recv().map(|()| 42)).unwrap();
        assert_eq!(offloaded.take(), Answer::NotYet);
        go.send(()).unwrap();
        assert_eq!(wait(&offloaded), Answer::Here(Ok(42)));
        assert_eq!(offloaded.take(), Answer::Lost, "an answer is taken once");
    }

    #[test]
    fn work_that_panics_is_lost_and_harms_no_other() {
        let broken = offload(|| -> u8 { std::panic::resume_unwind(Box::new(())) }).unwrap();
        assert_eq!(wait(&broken), Answer::Lost);
        assert_eq!(wait(&offload(|| 1).unwrap()), Answer::Here(1));
    }

    #[test]
    fn abandoned_work_that_has_not_begun_never_begins() {
        let gates: Vec<_> = (0..MAX_WORKERS)
            .map(|_| {
                let (go, gate) = channel::<()>();
                let gate = Mutex::new(gate);
                (offload(move || lock(&gate).recv()).unwrap(), go)
            })
            .collect();
        let (told, heard) = channel();
        drop(offload(move || told.send(())).unwrap());
        for (offloaded, go) in gates {
            go.send(()).unwrap();
            assert_eq!(wait(&offloaded), Answer::Here(Ok(())));
        }
        assert!(heard.recv().is_err(), "its end of the channel was dropped without a word");
    }

    /// What a child of fork(2) finds: work in the hands of threads that are not there.
    #[test]
    fn work_of_lost_workers_is_begun_anew() {
        let state = State { queue: VecDeque::new(), running: Vec::new(), workers: 1, idle: 1 };
        let pool: &'static Pool =
            Box::leak(Box::new(Pool { state: Mutex::new(state), work: Condvar::new() }));
        let (told, heard) = channel();
        let (source, end) = pipe2(OFlag::O_CLOEXEC).unwrap();
        let work = Box::new(move || told.send(()).unwrap());
        let mut state = lock(&pool.state);
        state.running.push(Arc::new(Job { work, bell: Bell(end) }));
        pool.begin_anew(&mut state);
        drop(state);
        assert!(wait_readable(source.as_fd(), PollTimeout::try_from(5000).unwrap()));
        assert_eq!(heard.try_recv(), Ok(()));
        wait_until_idle(pool);
        assert!(lock(&pool.state).running.is_empty());
    }

    fn wait_until_idle(pool: &Pool) {
        while lock(&pool.state).idle == 0 {
            thread::yield_now();
        }
    }
}
