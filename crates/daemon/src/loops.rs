//! The threads that relay, and the main thread that looks after them.
//!
//! Each loop runs on a thread of its own. The main thread does no relaying: it has a small loop
//! (`main_loop.rs`), in which it waits for signals and for loops to end. That a loop has ended is
//! told by a pipe whose writing end the loop's thread holds and nobody writes to: it hangs up when
//! the thread is over, however it ends.
//!
//! Children that were not started here are reaped as they end, if their SIGCHLD is collected.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{channel, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::resource::{getrlimit, setrlimit, Resource};
use nix::sys::signal::Signal;
use nix::unistd::pipe2;
use nsplice_backend::{reap_others, Reaped};
use nsplice_relay::{
    Downstream, Forward, Handle, NewService, Observer, Relay, RelayError, Settings,
};

use crate::failure::Failure;
use crate::main_loop::{MainLoop, Source};
use crate::signals::Signals;

/// The work of one loop.
#[derive(Debug)]
pub(crate) struct Work {
    /// Services and what they listen on.
    pub(crate) services: Vec<(NewService, Vec<TcpListener>)>,
    /// A link whose downstream is at hand.
    pub(crate) adopted: Option<(Downstream, Forward)>,
    /// Whom the loop tells about it.
    pub(crate) observer: Box<dyn Observer>,
}

/// The meaning of a signal to the loops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing.
    Ignore,
    /// Nothing to them; what they are at is told elsewhere.
    Tell,
    /// Stop listening, and give the links this time (`None`: as long as they like).
    Drain(Option<Duration>),
    /// End all links now.
    Stop,
}

/// An event that wakes the main thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A signal has arrived.
    Signal(Signal),
    /// The process that all links lead to has ended. Told once.
    TargetEnded,
    /// Links are left, some time after they were asked to end.
    StillDraining,
}

/// The interval at which the number of links that a drain still waits for is logged.
const STILL_DRAINING: Duration = Duration::from_secs(5);

/// The interval after which to look again for children that have ended, while one of a link's hides
/// them.
const NEXT_LOOK: Duration = Duration::from_millis(20);

/// Running loops.
#[derive(Debug)]
pub(crate) struct Loops {
    main: MainLoop,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    number: usize,
    thread: JoinHandle<Result<(), RelayError>>,
    handle: Handle,
    /// Hangs up when the thread is over.
    end: OwnedFd,
}

impl Loops {
    /// Starts a loop for each piece of work. If one cannot be started, none begins. When all can, and
    /// before any does, `announce` says so.
    pub(crate) fn start(
        settings: &Settings,
        works: Vec<Work>,
        announce: impl FnOnce(),
    ) -> Result<Self, Failure> {
        let main = MainLoop::new().map_err(Failure::system("create an epoll instance"))?;
        let prepared = prepare(settings, works).map_err(too_low)?;
        let mut loops = Self { main, running: Vec::with_capacity(prepared.len()) };
        // A loop whose sender is gone ends without having begun.
        let mut begins = Vec::with_capacity(prepared.len());
        for (index, (relay, handle)) in prepared.into_iter().enumerate() {
            let (begin, beginning) = channel();
            let running = start_thread(index, relay, handle, beginning)?;
            loops
                .main
                .watch(&running.end, Source::Loop(index))
                .map_err(Failure::system("wait for a thread"))?;
            loops.running.push(running);
            begins.push(begin);
        }
        announce();
        for begin in begins {
            // Whoever waits for it has nothing else to do.
            let _ = begin.send(());
        }
        Ok(loops)
    }

    /// Waits until all loops have ended. Each event is translated into an action by `react`; that the
    /// target has ended is told by `end`, a pidfd. When one loop fails the others are stopped, and its
    /// failure is returned.
    pub(crate) fn supervise(
        mut self,
        signals: &Signals,
        mut end: Option<OwnedFd>,
        mut react: impl FnMut(Event, &Self) -> Action,
    ) -> Result<(), Failure> {
        let mut result = Ok(());
        let mut draining = None;
        let mut reaped = reap_others();
        let watched = self.main.watch(signals, Source::Signals);
        let watched = watched.and_then(|()| match &end {
            Some(end) => self.main.watch(end, Source::Target),
            None => Ok(()),
        });
        watched.map_err(Failure::system("wait for signals"))?;
        while !self.running.is_empty() {
            let patience = match (reaped, draining) {
                (Reaped::Unsure, _) => Some(NEXT_LOOK),
                (Reaped::All, due) => {
                    due.map(|due: Instant| due.saturating_duration_since(Instant::now()))
                }
            };
            let woken = self.main.wait(patience).map_err(Failure::system("wait for signals"))?;
            let mut events = Vec::new();
            for source in woken {
                match source {
                    // They are read below, whatever has happened.
                    Source::Signals => {}
                    Source::Target => {
                        if end.take().is_some() {
                            events.push(Event::TargetEnded);
                        }
                    }
                    Source::Loop(number) => {
                        if let Err(failure) = self.join(number) {
                            self.apply(Action::Stop)?;
                            result = result.and(Err(failure));
                        }
                    }
                }
            }
            if draining.is_some_and(|due| due <= Instant::now()) && !self.running.is_empty() {
                draining = Some(Instant::now() + STILL_DRAINING);
                events.push(Event::StillDraining);
            }
            while let Some(signal) = signals.next().map_err(Failure::system("read a signal"))? {
                match signal {
                    Signal::SIGCHLD => reaped = Reaped::Unsure,
                    signal => events.push(Event::Signal(signal)),
                }
            }
            for event in events {
                let action = react(event, &self);
                if matches!(action, Action::Drain(_)) {
                    draining = Some(Instant::now() + STILL_DRAINING);
                }
                self.apply(action)?;
            }
            if reaped == Reaped::Unsure {
                reaped = reap_others();
            }
        }
        result
    }

    /// Counts the links that are alive.
    pub(crate) fn links_left(&self) -> u64 {
        let left = |running: &Running| {
            let totals = running.handle.counters().totals();
            totals.opened.saturating_sub(totals.ended_total())
        };
        self.running.iter().map(left).sum()
    }

    /// A hold on each loop that runs.
    pub(crate) fn handles(&self) -> Vec<Handle> {
        self.running.iter().map(|running| running.handle.clone()).collect()
    }

    fn apply(&self, action: Action) -> Result<(), Failure> {
        for Running { handle, .. } in &self.running {
            match action {
                Action::Ignore | Action::Tell => Ok(()),
                Action::Drain(time) => handle.drain(time).map(drop),
                Action::Stop => handle.stop().map(drop),
            }
            .map_err(Failure::system("wake a loop"))?;
        }
        Ok(())
    }

    /// Takes the result of a loop that has ended.
    fn join(&mut self, number: usize) -> Result<(), Failure> {
        match self.running.iter().position(|running| running.number == number) {
            Some(index) => outcome(self.running.swap_remove(index).thread),
            None => Ok(()),
        }
    }
}

/// Makes the loops, and makes sure that a client of any of them would find a descriptor: one that
/// finds none would wait in the queue for ever.
fn prepare(settings: &Settings, works: Vec<Work>) -> Result<Vec<(Relay, Handle)>, RelayError> {
    let (count, mut prepared) = (works.len(), Vec::with_capacity(works.len()));
    let accepts = works.iter().any(|work| !work.services.is_empty());
    // What is for the whole process is shared out.
    let socket_memory = settings.socket_memory.map(|total| total / count.max(1));
    let settings = Settings { socket_memory, ..settings.clone() };
    for work in works {
        let (mut relay, handle) = Relay::new(settings.clone(), work.observer)?;
        for (service, listeners) in work.services {
            relay.add_service(service, listeners)?;
        }
        if let Some((downstream, forward)) = work.adopted {
            relay.adopt(downstream, forward)?;
        }
        prepared.push((relay, handle));
    }
    if let Some((relay, _)) = prepared.last().filter(|_| accepts) {
        relay.expect_room(count * DESCRIPTORS_OF_THREAD)?;
    }
    Ok(prepared)
}

/// The pipe that tells of a thread's end.
const DESCRIPTORS_OF_THREAD: usize = 2;

/// Turns an error for want of descriptors into that of a limit that is too low.
fn too_low(error: RelayError) -> Failure {
    let RelayError::System { source, .. } = &error else { return error.into() };
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((limit, _)) if source.raw_os_error() == Some(Errno::EMFILE as i32) => {
            Failure::TooFewDescriptors { limit, error }
        }
        _ => error.into(),
    }
}

fn start_thread(
    index: usize,
    mut relay: Relay,
    handle: Handle,
    beginning: Receiver<()>,
) -> Result<Running, Failure> {
    let (end, held) =
        pipe2(OFlag::O_CLOEXEC).map_err(|errno| Failure::system("create a pipe")(errno.into()))?;
    let work = move || {
        let result = beginning.recv().map_or(Ok(()), |()| relay.run());
        // Its sockets are closed and its observer has spoken before the end is told.
        drop(relay);
        drop(held);
        result
    };
    let thread = thread::Builder::new()
        .name(format!("loop-{index}"))
        .spawn(work)
        .map_err(Failure::system("start a thread"))?;
    Ok(Running { number: index, thread, handle, end })
}

fn outcome(thread: JoinHandle<Result<(), RelayError>>) -> Result<(), Failure> {
    match thread.join() {
        Ok(result) => Ok(result?),
        Err(_) => Err(Failure::Defect),
    }
}

/// Raises the number of descriptors this process may open as far as it may on its own: two are
/// needed for each link. Programs that are started from here inherit the higher limit.
pub(crate) fn raise_descriptor_limit() -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(())
}
