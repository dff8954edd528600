//! A loop on a thread of its own, and everything that it tells.
//!
//! Whoever [`close`](Running::close)s it gets its books checked: what was opened has ended, the
//! bytes of all links add up to the totals, and a clean link has delivered what it has read.

use std::collections::BTreeSet;
use std::fs;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::unistd::gettid;
use nsplice_relay::{
    Accepted, Clock, Glimpse, Handle, LinkId, Observer, Outcome, Record, Relay, ServiceReport,
    SessionGlimpse, SessionId, SessionRecord, SessionRef, Settings, Totals, Traffic, Trouble,
};
use nsplice_testkit::wait_until;

/// How a link ended: a [`Record`] that can be kept.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) id: LinkId,
    pub(crate) outcome: Outcome,
    pub(crate) detail: Option<String>,
    pub(crate) up: Traffic,
    pub(crate) down: Traffic,
    pub(crate) open_time: Option<Duration>,
    pub(crate) duration: Duration,
}

impl From<&Record<'_>> for Ended {
    fn from(record: &Record<'_>) -> Self {
        let Record { link, outcome, detail, up, down, open_time, duration, .. } = *record;
        let id = link.id;
        Self { id, outcome, detail: detail.map(str::to_owned), up, down, open_time, duration }
    }
}

/// How a session ended: a [`SessionRecord`] that can be kept.
#[derive(Debug, Clone)]
pub(crate) struct EndedSession {
    pub(crate) id: SessionId,
    pub(crate) outcome: Outcome,
    pub(crate) detail: Option<String>,
    pub(crate) streams: u64,
    pub(crate) up: u64,
    pub(crate) down: u64,
}

impl From<&SessionRecord<'_>> for EndedSession {
    fn from(record: &SessionRecord<'_>) -> Self {
        let SessionRecord { session, outcome, detail, streams, up, down, .. } = *record;
        let (id, detail) = (session.id, detail.map(str::to_owned));
        Self { id, outcome, detail, streams, up, down }
    }
}

/// What an observer was told.
#[derive(Debug, Default)]
struct Journal {
    accepted: usize,
    ended: Vec<Ended>,
    troubles: Vec<String>,
    stopped: Vec<ServiceReport>,
    /// Sessions that have begun, and those that have ended.
    sessions: (Vec<SessionId>, Vec<EndedSession>),
}

/// Keeps what it is told, and may say it aloud.
#[derive(Debug, Clone, Default)]
struct Reporter {
    journal: Arc<Mutex<Journal>>,
    aloud: bool,
}

impl Reporter {
    fn lock(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Reporter {
    fn accepted(&mut self, _: &Accepted<'_>) {
        self.lock().accepted += 1;
    }

    fn ended(&mut self, record: &Record<'_>) {
        if self.aloud {
            println!("ended: {}", record.outcome);
        }
        self.lock().ended.push(record.into());
    }

    fn session_began(&mut self, session: &SessionRef<'_>) {
        self.lock().sessions.0.push(session.id);
    }

    fn session_ended(&mut self, record: &SessionRecord<'_>) {
        self.lock().sessions.1.push(record.into());
    }

    fn service_stopped(&mut self, service: &ServiceReport) {
        self.lock().stopped.push(service.clone());
    }

    fn trouble(&mut self, trouble: &Trouble<'_>) {
        let trouble = format!("{trouble:?}");
        if self.aloud {
            println!("trouble: {trouble}");
        }
        self.lock().troubles.push(trouble);
    }
}

/// A loop that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) handle: Handle,
    clock: Clock,
    reporter: Reporter,
    thread: Option<JoinHandle<()>>,
    /// The thread's number, for its times.
    task: i32,
}

impl Running {
    /// Makes a loop, lets `equip` give it something to do, and runs it.
    #[track_caller]
    pub(crate) fn start(settings: Settings, equip: impl FnOnce(&mut Relay)) -> Self {
        Self::run(settings, Reporter::default(), equip)
    }

    /// The same with a loop that prints what it tells, for a process of its own.
    #[track_caller]
    pub(crate) fn start_aloud(settings: Settings, equip: impl FnOnce(&mut Relay)) -> Self {
        Self::run(settings, Reporter { aloud: true, ..Reporter::default() }, equip)
    }

    #[track_caller]
    fn run(settings: Settings, reporter: Reporter, equip: impl FnOnce(&mut Relay)) -> Self {
        let clock = settings.clock.clone();
        let made = Relay::new(settings, Box::new(reporter.clone()));
        let (mut relay, handle) = made.expect("make a loop");
        equip(&mut relay);
        let (sender, tasks) = channel();
        let thread = thread::spawn(move || {
            sender.send(gettid().as_raw()).expect("the test waits for this");
            relay.run().expect("the loop ends without an error");
        });
        let task = tasks.recv().expect("the thread tells its number");
        Self { handle, clock, reporter, thread: Some(thread), task }
    }

    /// Waits until `count` links have ended, and returns all that have, in order.
    #[track_caller]
    pub(crate) fn ended(&self, count: usize) -> Vec<Ended> {
        let ended = || self.reporter.lock().ended.clone();
        wait_until(&format!("the end of {count} links"), || ended().len() >= count);
        ended()
    }

    /// Waits until the only link of this loop has ended.
    #[track_caller]
    pub(crate) fn only_end(&self) -> Ended {
        let mut ended = self.ended(1);
        assert_eq!(ended.len(), 1, "more than one link: {ended:?}");
        ended.remove(0)
    }

    /// Moves the clock of the loop on, if it can be moved, and waits until the loop has done what is
    /// due by then.
    #[track_caller]
    pub(crate) fn advance(&self, time: Duration) {
        self.clock.advance(time);
        // The answer to the second question comes after all of the turn that answers the first.
        for _ in 0..2 {
            self.links();
        }
    }

    /// The links that are alive when the loop has done what it was told before.
    #[track_caller]
    pub(crate) fn links(&self) -> Vec<Glimpse> {
        let answer = self.handle.links().expect("ask the loop");
        // A loop that has ended does not answer.
        answer.wait().unwrap_or_default()
    }

    /// The sessions that are alive when the loop has done what it was told before.
    #[track_caller]
    pub(crate) fn sessions(&self) -> Vec<SessionGlimpse> {
        let answer = self.handle.sessions().expect("ask the loop");
        answer.wait().unwrap_or_default()
    }

    /// Waits until `count` sessions have ended, and returns all that have, in order.
    #[track_caller]
    pub(crate) fn ended_sessions(&self, count: usize) -> Vec<EndedSession> {
        let ended = || self.reporter.lock().sessions.1.clone();
        wait_until(&format!("the end of {count} sessions"), || ended().len() >= count);
        ended()
    }

    /// The services that have stopped.
    pub(crate) fn stopped(&self) -> Vec<ServiceReport> {
        self.reporter.lock().stopped.clone()
    }

    /// How many links were accepted or handed over so far.
    pub(crate) fn accepted(&self) -> usize {
        self.reporter.lock().accepted
    }

    /// How many troubles of the kind `word` were told, by the name of the variant.
    pub(crate) fn troubles(&self, word: &str) -> usize {
        self.reporter.lock().troubles.iter().filter(|trouble| trouble.contains(word)).count()
    }

    /// Processor time that the loop's thread has used.
    #[track_caller]
    pub(crate) fn cpu_time(&self) -> Duration {
        let path = format!("/proc/self/task/{}/schedstat", self.task);
        let stat = fs::read_to_string(&path).expect("a living thread has times");
        let nanoseconds = stat.split(' ').next().and_then(|field| field.parse().ok());
        Duration::from_nanos(nanoseconds.expect("the first field is the time on a processor"))
    }

    /// Checks that the loop stays off the processor for `window`.
    #[track_caller]
    pub(crate) fn assert_at_rest(&self, window: Duration) {
        let before = self.cpu_time();
        thread::sleep(window);
        let used = self.cpu_time() - before;
        // A loop that spins uses the whole window, one that rests a few microseconds at most.
        assert!(used < window / 20, "the loop used {used:?} of {window:?} with nothing to move");
    }

    /// Waits until the loop has returned by itself.
    #[track_caller]
    pub(crate) fn wait_returned(&self) {
        let returned = || self.thread.as_ref().is_none_or(JoinHandle::is_finished);
        wait_until("the loop to return", returned);
    }

    /// Stops the loop if it still runs, and checks its books.
    #[track_caller]
    pub(crate) fn close(mut self) -> Totals {
        self.handle.stop().expect("tell the loop to stop");
        self.wait_returned();
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok(), "the loop has panicked");
        }
        let totals = self.handle.counters().totals();
        let journal = self.reporter.lock();
        check_books(&totals, &journal.ended);
        let (began, ended) = &journal.sessions;
        let (began, ended): (Vec<_>, Vec<_>) =
            (began.iter().collect(), ended.iter().map(|each| &each.id).collect());
        let number = u64::try_from(began.len()).expect("they were counted");
        assert_eq!((totals.sessions_opened, totals.sessions_ended), (number, number));
        let [began, ended] = [began, ended].map(|ids| ids.into_iter().collect::<BTreeSet<_>>());
        assert_eq!(began, ended, "sessions that began and that ended");
        drop(journal);
        totals
    }
}

impl Drop for Running {
    /// After a failure: no loop is left behind.
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            if self.handle.stop().is_ok() {
                // Its panic was printed, and this is not the place for another one.
                let _ = thread.join();
            }
        }
    }
}

#[track_caller]
fn check_books(totals: &Totals, ended: &[Ended]) {
    assert_eq!(totals.opened, totals.ended_total(), "opened and ended: {totals:?}");
    assert_eq!(totals.opened, ended.len() as u64, "links and records: {totals:?}");
    let sum = |lane: fn(&Ended) -> Traffic| {
        ended.iter().map(lane).fold(Traffic::default(), |sum, traffic| Traffic {
            read: sum.read + traffic.read,
            written: sum.written + traffic.written,
        })
    };
    assert_eq!(totals.up, sum(|link| link.up), "bytes up");
    assert_eq!(totals.down, sum(|link| link.down), "bytes down");
    for link in ended {
        for lane in [link.up, link.down] {
            assert!(lane.written <= lane.read, "more was written than read: {link:?}");
            let whole = lane.written == lane.read;
            assert!(whole || link.outcome != Outcome::Clean, "clean with a hole: {link:?}");
        }
    }
}
