//! Shares, fresh starts, and what threads inherit.

use super::*;

use std::sync::mpsc::{channel, Sender};

use nix::sys::prctl;

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

fn both() -> [Pool; 2] {
    [Pool::on_demand(), Pool::start().unwrap()]
}

/// Waits until as many threads as `count` are there, all of them free.
fn wait_for_threads(pool: &Pool, count: usize) {
    loop {
        let state = pool.0 .0.lock();
        if (state.workers, state.free()) == (count, count) {
            return;
        }
        drop(state);
        thread::yield_now();
    }
}

#[test]
fn each_asker_has_its_share() {
    let (done, _heard) = channel();
    let pool = Pool::on_demand();
    let (busy, other) = (pool.asker(), pool.asker());
    let mut state = State::default();
    state.queue.extend((0..SHARE + 2).map(|_| errand(&busy, &done, true)));
    state.queue.push_back(errand(&other, &done, true));
    let expected: Vec<_> = (0..SHARE).chain([SHARE + 2]).collect();
    assert_eq!(state.startable().collect::<Vec<_>>(), expected);
    for _ in 0..SHARE {
        assert!(*state.take().unwrap().asker() == busy);
    }
    assert!(*state.take().unwrap().asker() == other, "whoever has its share waits");
    assert!(state.take().is_none());
    state.running.swap_remove(0);
    assert!(*state.take().unwrap().asker() == busy);
}

/// What a child of fork(2) finds: work in the hands of threads that are not there.
#[test]
fn work_of_lost_workers_is_begun_anew() {
    for pool in both() {
        let (done, heard) = channel();
        let mut state = pool.0 .0.lock();
        let lost = std::mem::replace(&mut state.workers, 1);
        state.running.push(errand(&pool.asker(), &done, true));
        pool.0 .0.begin_anew(&mut state);
        // Those that are there after all are not lost.
        state.workers += lost;
        drop(state);
        assert_eq!(heard.recv(), Ok("done"));
        assert!(pool.0 .0.lock().queue.is_empty());
    }
}

#[test]
fn what_nobody_wants_never_begins() {
    for pool in both() {
        let (done, heard) = channel();
        let asker = pool.asker();
        let mut desk = pool.desk();
        for wanted in [false, true, false] {
            desk.submit(&errand(&asker, &done, wanted)).unwrap();
        }
        drop((desk, done));
        assert_eq!(heard.recv(), Ok("done"));
        assert!(heard.recv().is_err(), "their ends of the channel were dropped without a word");
    }
}

/// Runs until it is told to end, and tells whether its thread may gain privileges.
struct Confession {
    asker: Asker,
    told: Sender<bool>,
    end: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Job for Confession {
    fn asker(&self) -> &Asker {
        &self.asker
    }

    fn is_wanted(&self) -> bool {
        true
    }

    fn run(&self) -> Box<dyn FnOnce() + '_> {
        self.told.send(prctl::get_no_new_privs().unwrap()).unwrap();
        let _ = lock(&self.end).recv();
        Box::new(|| {})
    }

    fn give_up(&self) {}
}

/// Has `count` threads of `pool` tell at once whether they have `no_new_privs`, asked by a thread that
/// has.
fn confessions(pool: &Pool, count: usize) -> Vec<bool> {
    let (told, heard) = channel();
    let pool = pool.clone();
    let asking = move || {
        prctl::set_no_new_privs().unwrap();
        let submitted = (0..count).map(|_| {
            let (go, end) = channel();
            let job = Confession { asker: pool.asker(), told: told.clone(), end: Mutex::new(end) };
            let job: Arc<dyn Job> = Arc::new(job);
            pool.desk().submit(&job).unwrap();
            go
        });
        let going: Vec<_> = submitted.collect();
        let answers = heard.iter().take(count).collect();
        drop(going);
        answers
    };
    thread::spawn(asking).join().unwrap()
}

#[test]
fn threads_have_what_the_maker_of_their_pool_has() {
    assert_eq!(confessions(&Pool::start().unwrap(), 5), [false; 5]);
    // Whoever has no other thread starts them itself.
    assert_eq!(confessions(&Pool::on_demand(), 5), [true; 5]);
}

#[test]
fn as_many_threads_as_there_is_work_and_no_more_than_there_may_be() {
    for pool in both() {
        let (told, heard) = channel();
        let ends: Vec<_> = (0..MAX_WORKERS + 3)
            .map(|_| {
                let (go, end) = channel();
                let (asker, end) = (pool.asker(), Mutex::new(end));
                let job: Arc<dyn Job> = Arc::new(Confession { asker, told: told.clone(), end });
                pool.desk().submit(&job).unwrap();
                go
            })
            .collect();
        assert_eq!(heard.iter().take(MAX_WORKERS).count(), MAX_WORKERS);
        assert_eq!(pool.0 .0.lock().workers, MAX_WORKERS);
        assert!(heard.try_recv().is_err(), "the others wait");
        drop(ends);
        assert_eq!(heard.iter().take(3).count(), 3);
    }
}

#[test]
fn a_pool_that_was_started_keeps_one_thread_and_ends_it_with_its_last_handle() {
    let pool = Pool::start().unwrap();
    let workshop = Arc::clone(&pool.0 .0);
    let (done, heard) = channel();
    let asker = pool.asker();
    let job = errand(&asker, &done, true);
    pool.desk().submit(&job).unwrap();
    assert_eq!(heard.recv(), Ok("done"));
    // The one that was started for what might have come next ends when nothing has.
    wait_for_threads(&pool, 1);
    drop((pool, job));
    assert_eq!(workshop.lock().workers, 1, "whoever may ask still has a handle");
    drop(asker);
    while workshop.lock().workers > 0 {
        thread::yield_now();
    }
}
