//! The threads that do what may wait: one small pool for the process.
//!
//! Threads are started on demand, at most [`MAX_WORKERS`], and end when they have had nothing to do
//! for [`IDLE`]. Of one asker at most [`SHARE`] jobs run at a time, so that nobody's slow names are
//! everybody's: its others wait, whoever came later is served first. A job that nobody wants any more
//! when its turn has come is not begun.
//!
//! A process that splits ([`split()`]) takes its memory along, but not its threads: in the child new
//! threads begin anew what the old ones were doing. So a job is something that can be done twice.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::fork::{fork, Branch};
use crate::lock::lock;

/// Answers of slow servers are waited for side by side, up to this many.
const MAX_WORKERS: usize = 32;

/// How many of them one asker may have.
const SHARE: usize = 4;

/// How long a thread waits for more work. Long enough for a burst of links to reuse it.
const IDLE: Duration = Duration::from_secs(3);

/// On whose behalf something is asked: a forward, or whatever else is to have its share only.
#[derive(Debug, Clone, Default)]
pub struct Asker(Arc<Identified>);

/// Has a size, so that no two of them have one address.
#[derive(Debug, Default)]
struct Identified {
    _something: u8,
}

impl PartialEq for Asker {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Work that may wait.
pub(crate) trait Job: Send + Sync {
    /// On whose behalf it is.
    fn asker(&self) -> &Asker;
    /// Whether anybody waits for it.
    fn is_wanted(&self) -> bool;
    /// Does it, and returns what hands out its results, which is quickly done.
    fn run(&self) -> Box<dyn FnOnce() + '_>;
    /// Tells those who wait that it will not be done.
    fn give_up(&self);
}

/// One for the process: the bound on threads is worth something only if all loops share it.
pub(crate) static POOL: Pool = Pool::new();

/// The threads, and what they have to do.
pub(crate) struct Pool {
    state: Mutex<State>,
    work: Condvar,
}

/// What is to be done, and what is being done.
#[derive(Default)]
pub(crate) struct State {
    queue: VecDeque<Arc<dyn Job>>,
    running: Vec<Arc<dyn Job>>,
    workers: usize,
    idle: usize,
}

/// Splits this process in two, by fork(2); the child goes on with the work that
/// is under way, too.
///
/// # Errors
/// EAGAIN or ENOMEM, when the system allows no more processes.
pub fn split() -> io::Result<Branch> {
    let mut state = POOL.lock();
    let branch = fork()?;
    if branch == Branch::Child {
        POOL.begin_anew(&mut state);
    }
    Ok(branch)
}

impl Pool {
    const fn new() -> Self {
        let state = State { queue: VecDeque::new(), running: Vec::new(), workers: 0, idle: 0 };
        Self { state: Mutex::new(state), work: Condvar::new() }
    }

    /// Keeps all threads from beginning and ending jobs, and the process from splitting, for as long
    /// as the guard lives. Who holds this holds no lock of a job yet.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Has `job` done, unless it is to be done already.
    ///
    /// # Errors
    /// When not a single thread can be had.
    pub(crate) fn submit(&'static self, state: &mut State, job: &Arc<dyn Job>) -> io::Result<()> {
        if state.queue.iter().chain(&state.running).any(|each| is_same(each, job)) {
            return Ok(());
        }
        state.queue.push_back(Arc::clone(job));
        if state.startable().count() > state.idle && state.workers < MAX_WORKERS {
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
        let wanted = state.startable().count().min(MAX_WORKERS);
        while state.workers < wanted && self.start_worker().is_ok() {
            state.workers += 1;
        }
        if state.workers == 0 {
            state.queue.drain(..).for_each(|job| job.give_up());
        }
    }

    /// The life of a worker.
    fn serve(&self) {
        let mut state = self.lock();
        loop {
            state.queue.retain(|job| job.is_wanted());
            if let Some(job) = state.take() {
                state.running.push(Arc::clone(&job));
                drop(state);
                let hand_out = job.run();
                state = self.lock();
                // At one with the end of it, so that nobody joins who would get nothing.
                state.running.retain(|each| !is_same(each, &job));
                hand_out();
                continue;
            }
            state.idle += 1;
            let (woken, wait) = self
                .work
                .wait_timeout_while(state, IDLE, |state| state.startable().next().is_none())
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if wait.timed_out() && state.startable().next().is_none() {
                state.workers -= 1;
                return;
            }
        }
    }
}

impl State {
    /// Which of the queue may begin now, each asker having its share: by their places.
    fn startable(&self) -> impl Iterator<Item = usize> + '_ {
        let share = |index: usize, job: &Arc<dyn Job>| {
            let before = self.running.iter().chain(self.queue.iter().take(index));
            before.filter(|each| each.asker() == job.asker()).count() < SHARE
        };
        let queue = self.queue.iter().enumerate();
        queue.filter(move |(index, job)| share(*index, job)).map(|(index, _)| index)
    }

    /// Takes the next one to begin.
    fn take(&mut self) -> Option<Arc<dyn Job>> {
        let next = self.startable().next()?;
        self.queue.remove(next)
    }
}

fn is_same(one: &Arc<dyn Job>, other: &Arc<dyn Job>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{channel, Sender};

    /// Says when it is done.
    struct Errand {
        asker: Asker,
        done: Sender<&'static str>,
        wanted: bool,
    }

    impl Job for Errand {
        fn asker(&self) -> &Asker {
            &self.asker
        }

        fn is_wanted(&self) -> bool {
            self.wanted
        }

        fn run(&self) -> Box<dyn FnOnce() + '_> {
            Box::new(|| self.done.send("done").unwrap())
        }

        fn give_up(&self) {
            self.done.send("given up").unwrap();
        }
    }

    fn errand(asker: &Asker, done: &Sender<&'static str>, wanted: bool) -> Arc<dyn Job> {
        Arc::new(Errand { asker: asker.clone(), done: done.clone(), wanted })
    }

    #[test]
    fn each_asker_has_its_share() {
        let (done, _heard) = channel();
        let (busy, other) = (Asker::default(), Asker::default());
        let mut state = State::default();
        state.queue.extend((0..SHARE + 2).map(|_| errand(&busy, &done, true)));
        state.queue.push_back(errand(&other, &done, true));
        let expected: Vec<_> = (0..SHARE).chain([SHARE + 2]).collect();
        assert_eq!(state.startable().collect::<Vec<_>>(), expected);
        for _ in 0..SHARE {
            let begun = state.take().unwrap();
            assert!(*begun.asker() == busy);
            state.running.push(begun);
        }
        assert!(*state.take().unwrap().asker() == other, "whoever has its share waits");
        assert!(state.take().is_none());
        state.running.pop();
        assert!(*state.take().unwrap().asker() == busy);
    }

    /// What a child of fork(2) finds: work in the hands of threads that are not there.
    #[test]
    fn work_of_lost_workers_is_begun_anew() {
        let pool: &'static Pool = Box::leak(Box::new(Pool::new()));
        let (done, heard) = channel();
        let mut state = pool.lock();
        (state.workers, state.idle) = (1, 1);
        state.running.push(errand(&Asker::default(), &done, true));
        pool.begin_anew(&mut state);
        drop(state);
        assert_eq!(heard.recv(), Ok("done"));
        while pool.lock().idle == 0 {
            thread::yield_now();
        }
        assert!(pool.lock().running.is_empty());
    }

    #[test]
    fn what_nobody_wants_never_begins() {
        let pool: &'static Pool = Box::leak(Box::new(Pool::new()));
        let (done, heard) = channel();
        let mut state = pool.lock();
        for wanted in [false, true, false] {
            pool.submit(&mut state, &errand(&Asker::default(), &done, wanted)).unwrap();
        }
        drop((state, done));
        assert_eq!(heard.recv(), Ok("done"));
        assert!(heard.recv().is_err(), "their ends of the channel were dropped without a word");
    }
}
