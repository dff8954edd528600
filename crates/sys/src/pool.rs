//! A pool of threads for what may block.
//!
//! A pool is a value: whoever makes it decides what its threads may do, and passes it on. Threads come
//! on demand, at most [`MAX_WORKERS`], and end when they have had nothing to do for [`IDLE`]. There
//! are two kinds of pool, which differ in who starts a thread, for a thread inherits from that one its
//! capabilities, `no_new_privs`, namespaces, seccomp filters and affinity (clone(2)):
//!
//! - [`Pool::start`] makes one thread at once, and all others are started by threads of the pool. So
//!   all of them may do what their maker may, whatever the threads of loops give up or take on later.
//!   One thread is always free to begin what comes next, up to the maximum.
//! - [`Pool::on_demand`] makes none: each is started by who asks. For programs of one thread, most of
//!   which never ask anything.
//!
//! Workers block all signals: those of a process are for its other threads.
//!
//! Of one asker at most [`SHARE`] jobs run at a time, so that nobody's slow names are everybody's:
//! its others wait, whoever came later is served first. A job that nobody wants any more when its
//! turn has come is not begun.
//!
//! A process that forks ([`Pool::fork`]) takes its memory along, but not its threads: in the child new
//! threads begin anew what the old ones were doing. So a job is something that can be done twice.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::SigSet;

use crate::fork::{fork, Branch};
use crate::lock::lock;

/// Answers of slow servers are waited for side by side, up to this many.
const MAX_WORKERS: usize = 32;

/// How many of them one asker may have.
const SHARE: usize = 4;

/// How long a thread waits for more work. Long enough for a burst of links to reuse it.
const IDLE: Duration = Duration::from_secs(3);

/// Threads that do what may block. Clones are handles of the same pool; when the last one is gone, so
/// are threads that have nothing to do.
#[derive(Clone)]
pub struct Pool(Arc<Owner>);

/// What all handles share.
struct Owner(Arc<Workshop>);

/// Identity on whose behalf something is asked: a forward, or whatever else is to have its share of a
/// pool only.
#[derive(Debug, Clone)]
pub struct Asker {
    pool: Pool,
    identity: Arc<Identified>,
}

/// Has a size, so that no two of them have one address.
#[derive(Debug, Default)]
struct Identified {
    _something: u8,
}

impl Asker {
    /// The pool that it asks.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}

impl PartialEq for Pool {
    /// Whether they are handles of the same pool.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl PartialEq for Asker {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.identity, &other.identity)
    }
}

/// Work that may block.
pub(crate) trait Job: Send + Sync {
    /// On whose behalf it is.
    fn asker(&self) -> &Asker;
    /// Returns whether anybody waits for it.
    fn is_wanted(&self) -> bool;
    /// Does it, and returns what hands out its results, which is quickly done.
    fn run(&self) -> Box<dyn FnOnce() + '_>;
    /// Tells those who wait that it will not be done.
    fn give_up(&self);
}

/// Where threads find work.
struct Workshop {
    starter: Starter,
    state: Mutex<State>,
    work: Condvar,
}

/// Who starts a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Starter {
    /// Another thread of the pool.
    Worker,
    /// Whoever asks.
    Asker,
}

/// What is to be done, and what is being done.
#[derive(Default)]
struct State {
    queue: VecDeque<Arc<dyn Job>>,
    running: Vec<Arc<dyn Job>>,
    /// Threads, those included that run something.
    workers: usize,
    /// Nobody will ask any more.
    closed: bool,
}

impl Pool {
    /// A pool whose threads have what this thread has now.
    ///
    /// # Errors
    /// EAGAIN, when the system allows no more threads.
    pub fn start() -> io::Result<Self> {
        let pool = Self::of(Starter::Worker);
        let workshop = &pool.0 .0;
        workshop.start_worker(&mut workshop.lock())?;
        Ok(pool)
    }

    /// A pool without threads; each is started by who needs it, and has what that one has.
    pub fn on_demand() -> Self {
        Self::of(Starter::Asker)
    }

    fn of(starter: Starter) -> Self {
        let (state, work) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Owner(Arc::new(Workshop { starter, state, work }))))
    }

    /// Somebody with a share of its own.
    pub fn asker(&self) -> Asker {
        Asker { pool: self.clone(), identity: Arc::default() }
    }

    /// Splits this process in two, by fork(2); the child goes on with the work that is under way, too.
    /// There must be no other threads but those of this pool.
    ///
    /// # Errors
    /// EAGAIN or ENOMEM, when the system allows no more processes.
    pub fn fork(&self) -> io::Result<Branch> {
        let workshop = &self.0 .0;
        let mut state = workshop.lock();
        let branch = fork()?;
        if branch == Branch::Child {
            workshop.begin_anew(&mut state);
        }
        Ok(branch)
    }

    /// Keeps all threads from beginning and ending jobs, and the process from forking, for as long as
    /// the desk lives. Who holds it holds no lock of a job yet.
    pub(crate) fn desk(&self) -> Desk<'_> {
        let workshop = &self.0 .0;
        Desk { workshop, state: workshop.lock() }
    }
}

/// Where jobs are handed in, one visitor at a time.
pub(crate) struct Desk<'a> {
    workshop: &'a Arc<Workshop>,
    state: MutexGuard<'a, State>,
}

impl Desk<'_> {
    /// Has `job` done, unless it is to be done already.
    ///
    /// # Errors
    /// When not a single thread can be had.
    pub(crate) fn submit(&mut self, job: &Arc<dyn Job>) -> io::Result<()> {
        let state = &mut *self.state;
        if state.queue.iter().chain(&state.running).any(|each| is_same(each, job)) {
            return Ok(());
        }
        state.queue.push_back(Arc::clone(job));
        let is_short = match self.workshop.starter {
            Starter::Asker => state.startable().count() > state.free(),
            // A child of fork(2) may have none.
            Starter::Worker => state.workers == 0,
        };
        if is_short {
            match self.workshop.start_worker(state) {
                // Others will come to it; without any, nobody would.
                Err(error) if state.workers == 0 => {
                    state.queue.pop_back();
                    return Err(error);
                }
                Ok(()) | Err(_) => {}
            }
        }
        self.workshop.work.notify_one();
        Ok(())
    }
}

impl Workshop {
    /// Starts one more thread, if there may be one more.
    fn start_worker(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        if state.workers >= MAX_WORKERS {
            return Ok(());
        }
        let workshop = Arc::clone(self);
        let thread = thread::Builder::new().name("nsplice-offload".to_owned());
        thread.spawn(move || workshop.serve())?;
        state.workers += 1;
        Ok(())
    }

    /// Replaces the workers, who are in another process, and has them do again what is not done.
    fn begin_anew(self: &Arc<Self>, state: &mut State) {
        state.workers = 0;
        state.queue.extend(state.running.drain(..));
        let wanted = match self.starter {
            Starter::Asker => state.startable().count(),
            Starter::Worker => state.startable().count().min(1),
        };
        for _ in 0..wanted {
            if self.start_worker(state).is_err() {
                break;
            }
        }
        if state.workers == 0 {
            state.queue.drain(..).for_each(|job| job.give_up());
        }
    }

    /// The life of a worker.
    fn serve(self: &Arc<Self>) {
        // Fails for no set.
        let _ = SigSet::all().thread_set_mask();
        let mut state = self.lock();
        loop {
            // Whatever is dropped here is dropped without the lock: it may be the last handle of this
            // pool, which takes it.
            let forgotten = state.take_unwanted();
            if !forgotten.is_empty() {
                drop(state);
                drop(forgotten);
                state = self.lock();
            } else if let Some(job) = state.take() {
                if self.starter == Starter::Worker && state.free() == 0 {
                    // Without another one, whoever ends a job first comes to the next.
                    let _ = self.start_worker(&mut state);
                }
                drop(state);
                let hand_out = job.run();
                state = self.lock();
                // At one with the end of it, so that nobody joins who would get nothing.
                state.running.retain(|each| !is_same(each, &job));
                hand_out();
                drop(state);
                drop(job);
                state = self.lock();
            } else {
                match self.rest(state) {
                    Some(woken) => state = woken,
                    None => return,
                }
            }
        }
    }

    /// Waits for something to do; `None` if this thread is to end.
    fn rest<'a>(&self, mut state: MutexGuard<'a, State>) -> Option<MutexGuard<'a, State>> {
        let is_idle = |state: &mut State| !state.closed && state.startable().next().is_none();
        if self.needs_all_who_rest(&state) {
            let woken = self.work.wait_while(state, is_idle);
            return Some(woken.unwrap_or_else(PoisonError::into_inner));
        }
        if !state.closed {
            let woken = self.work.wait_timeout_while(state, IDLE, is_idle);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.startable().next().is_some() || self.needs_all_who_rest(&state) {
            return Some(state);
        }
        state.workers -= 1;
        None
    }

    /// Whether somebody has to be there for what comes next, and nobody else is.
    fn needs_all_who_rest(&self, state: &State) -> bool {
        self.starter == Starter::Worker && !state.closed && state.free() == 1
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Threads that run nothing.
    fn free(&self) -> usize {
        self.workers.saturating_sub(self.running.len())
    }

    /// Places in the queue of those jobs that may begin now, each asker having its share.
    fn startable(&self) -> impl Iterator<Item = usize> + '_ {
        let share = |index: usize, job: &Arc<dyn Job>| {
            let before = self.running.iter().chain(self.queue.iter().take(index));
            before.filter(|each| each.asker() == job.asker()).count() < SHARE
        };
        let queue = self.queue.iter().enumerate();
        queue.filter(move |(index, job)| share(*index, job)).map(|(index, _)| index)
    }

    /// Takes the next one to begin, which counts as running from now on.
    fn take(&mut self) -> Option<Arc<dyn Job>> {
        let next = self.startable().next()?;
        let job = self.queue.remove(next)?;
        self.running.push(Arc::clone(&job));
        Some(job)
    }

    /// Takes what nobody wants any more out of the queue.
    fn take_unwanted(&mut self) -> VecDeque<Arc<dyn Job>> {
        let (wanted, unwanted) = self.queue.drain(..).partition(|job| job.is_wanted());
        self.queue = wanted;
        unwanted
    }
}

fn is_same(one: &Arc<dyn Job>, other: &Arc<dyn Job>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Nothing is in the queue: each job has a handle.
        self.0.lock().closed = true;
        self.0.work.notify_all();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("starter", &self.0 .0.starter).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
