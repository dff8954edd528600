//! Questions whose answers may take seconds, asked off the loop.
//!
//! A name look-up or a question to Docker can wait long. A [`Question`] is put to a [`Pool`] of threads; whoever asks gets an [`Offloaded`], whose source becomes readable when the answer is
//! there. It is asked once at a time: whoever asks while it is under way gets the same answer. So a
//! name whose server is dead keeps one thread busy, however many links want it.
//!
//! The source is a pipe's read end; the question holds the write end while somebody waits. Dropping
//! an [`Offloaded`] is waiting no more: a question that nobody waits for when its turn comes is not
//! asked, one that is being asked finishes for whoever joins meanwhile, or for nobody.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex, Weak};

use nix::fcntl::OFlag;
use nix::unistd::{pipe2, write};

use crate::descriptor::is_readable;
use crate::lock::lock;
use crate::pool::{Asker, Job, Pool};

/// Something that can be asked any number of times, at most once at a time.
pub struct Question<T>(Arc<Inquiry<T>>);

/// What a question is to the pool.
struct Inquiry<T> {
    asker: Asker,
    work: Box<dyn Fn() -> T + Send + Sync>,
    waiting: Mutex<Vec<Waiter<T>>>,
}

struct Waiter<T> {
    slot: Slot<T>,
    bell: Bell,
}

type Slot<T> = Arc<Mutex<Option<T>>>;

/// A question that has been asked.
pub struct Offloaded<T> {
    source: OwnedFd,
    slot: Slot<T>,
    inquiry: Weak<Inquiry<T>>,
}

/// The progress of offloaded work.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// The source will become readable.
    NotYet,
    /// Done; it can be taken once.
    Here(T),
    /// The work ended without an answer: it panicked.
    Lost,
}

impl<T: Clone + Send + 'static> Question<T> {
    /// A question that `work` answers, asked on behalf of `asker`. What it brings is the answer of
    /// all who wait, so it depends on nothing that only one of them knows.
    pub fn new(asker: &Asker, work: impl Fn() -> T + Send + Sync + 'static) -> Self {
        let waiting = Mutex::new(Vec::new());
        Self(Arc::new(Inquiry { asker: asker.clone(), work: Box::new(work), waiting }))
    }

    /// Asks it, or joins those who wait for its answer.
    ///
    /// # Errors
    /// When there are no descriptors for the pipe or not a single thread can be had.
    pub fn ask(&self) -> io::Result<Offloaded<T>> {
        let (source, end) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let slot = Slot::default();
        let asked = Offloaded { source, slot, inquiry: Arc::downgrade(&self.0) };
        let mut desk = self.0.asker.pool().desk();
        lock(&self.0.waiting).push(Waiter { slot: Arc::clone(&asked.slot), bell: Bell(end) });
        let job: Arc<dyn Job> = Arc::<Inquiry<T>>::clone(&self.0);
        desk.submit(&job)?;
        Ok(asked)
    }
}

/// Asks `work` once, of the threads of `pool`, on nobody else's behalf.
///
/// # Errors
/// Those of [`Question::ask`].
pub fn offload<T: Clone + Send + 'static>(
    pool: &Pool,
    work: impl Fn() -> T + Send + Sync + 'static,
) -> io::Result<Offloaded<T>> {
    Question::new(&pool.asker(), work).ask()
}

impl<T: Clone + Send + 'static> Job for Inquiry<T> {
    fn asker(&self) -> &Asker {
        &self.asker
    }

    fn is_wanted(&self) -> bool {
        !lock(&self.waiting).is_empty()
    }

    fn run(&self) -> Box<dyn FnOnce() + '_> {
        // A panic has been reported by its hook; those who wait learn of it by their pipes.
        let answer = catch_unwind(AssertUnwindSafe(&self.work)).ok();
        Box::new(move || {
            for Waiter { slot, bell } in lock(&self.waiting).drain(..) {
                lock(&slot).clone_from(&answer);
                bell.ring();
            }
        })
    }

    fn give_up(&self) {
        lock(&self.waiting).drain(..).for_each(|waiter| waiter.bell.ring());
    }
}

impl<T> Offloaded<T> {
    /// Becomes readable, once, when the work has ended.
    pub fn source(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }

    /// Takes the answer if it is there.
    pub fn take(&self) -> Answer<T> {
        // Asked before the slot is looked at: an answer is put there before the source says so.
        let ended = is_readable(self.source.as_fd());
        match lock(&self.slot).take() {
            Some(answer) => Answer::Here(answer),
            None if ended => Answer::Lost,
            None => Answer::NotYet,
        }
    }
}

impl<T> Drop for Offloaded<T> {
    fn drop(&mut self) {
        if let Some(inquiry) = self.inquiry.upgrade() {
            lock(&inquiry.waiting).retain(|waiter| !Arc::ptr_eq(&waiter.slot, &self.slot));
        }
    }
}

impl<T> fmt::Debug for Question<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("waiting", &lock(&self.0.waiting).len()).finish()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::wait_readable;
    use nix::poll::PollTimeout;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{channel, Sender};

    fn wait<T>(offloaded: &Offloaded<T>) -> Answer<T> {
        assert!(wait_readable(offloaded.source(), PollTimeout::try_from(20_000).unwrap()));
        offloaded.take()
    }

    /// A question that says when it is being asked, waits for a word, and counts.
    fn gated(asker: &Asker) -> (Question<usize>, Sender<()>, std::sync::mpsc::Receiver<()>) {
        let (go, gate) = channel::<()>();
        let (begin, begun) = channel::<()>();
        let (gate, begin) = (Mutex::new(gate), Mutex::new(begin));
        let times = AtomicUsize::new(0);
        let question = Question::new(asker, move || {
            let _ = lock(&begin).send(());
            let _ = lock(&gate).recv();
            times.fetch_add(1, Ordering::SeqCst) + 1
        });
        (question, go, begun)
    }

    #[test]
    fn the_source_becomes_readable_when_the_answer_is_there() {
        let (question, go, _begun) = gated(&Pool::on_demand().asker());
        let offloaded = question.ask().unwrap();
        assert_eq!(offloaded.take(), Answer::NotYet);
        go.send(()).unwrap();
        assert_eq!(wait(&offloaded), Answer::Here(1));
        assert_eq!(offloaded.take(), Answer::Lost, "an answer is taken once");
    }

    #[test]
    fn all_who_wait_get_the_one_answer() {
        let (question, go, begun) = gated(&Pool::on_demand().asker());
        let mut waiting: Vec<_> = (0..20).map(|_| question.ask().unwrap()).collect();
        begun.recv().unwrap();
        waiting.extend((0..20).map(|_| question.ask().unwrap()));
        waiting.truncate(30);
        go.send(()).unwrap();
        assert!(waiting.iter().all(|asked| wait(asked) == Answer::Here(1)));
        // An answer is that of those who waited; whoever comes later asks anew.
        let later = question.ask().unwrap();
        assert_eq!(later.take(), Answer::NotYet);
        go.send(()).unwrap();
        assert_eq!(wait(&later), Answer::Here(2));
    }

    #[test]
    fn work_that_panics_is_lost_and_harms_no_other() {
        let pool = Pool::on_demand();
        let broken = offload(&pool, || -> u8 { std::panic::resume_unwind(Box::new(())) }).unwrap();
        assert_eq!(wait(&broken), Answer::Lost);
        assert_eq!(wait(&offload(&pool, || 1).unwrap()), Answer::Here(1));
    }

    #[test]
    fn whoever_waits_no_more_is_forgotten_at_once() {
        let (question, go, begun) = gated(&Pool::on_demand().asker());
        let first = question.ask().unwrap();
        begun.recv().unwrap();
        drop((question.ask().unwrap(), first));
        assert!(lock(&question.0.waiting).is_empty(), "no descriptor is kept for them");
        let last = question.ask().unwrap();
        go.send(()).unwrap();
        assert_eq!(wait(&last), Answer::Here(1), "what they asked for is good for others");
    }

    /// One asker's questions wait for each other, beyond its share; nobody else waits for them, and
    /// those that were abandoned meanwhile are never asked.
    #[test]
    fn slow_questions_of_one_asker_hold_up_nobody_else() {
        let pool = Pool::on_demand();
        let asker = pool.asker();
        let all: Vec<_> = (0..8).map(|_| gated(&asker)).collect();
        let mut waiting: Vec<_> =
            all.iter().map(|(question, ..)| question.ask().unwrap()).collect();
        all.iter().take(4).for_each(|(_, _, begun)| begun.recv().unwrap());
        assert_eq!(wait(&offload(&pool, || 1).unwrap()), Answer::Here(1));
        assert!(all.iter().skip(4).all(|(_, _, begun)| begun.try_recv().is_err()));
        drop(waiting.drain(4..6));
        all.iter().for_each(|(_, go, _)| go.send(()).unwrap());
        assert!(waiting.iter().all(|asked| wait(asked) == Answer::Here(1)));
        assert!(all[4].2.try_recv().is_err() && all[5].2.try_recv().is_err());
    }
}
