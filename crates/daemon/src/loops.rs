//! The threads that relay, and the main thread that looks after them.
//!
//! Each loop runs on a thread of its own. The main thread does no relaying: it waits for signals
//! and for loops to end, in one poll(2). That a loop has ended is told by a pipe whose writing end
//! the loop's thread holds and nobody writes to: it hangs up when the thread is over, however it
//! ends.
//!
//! Children that were not started here are reaped as they end, if their SIGCHLD is collected.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{channel, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::resource::{getrlimit, setrlimit, Resource};
use nix::sys::signal::Signal;
use nix::unistd::pipe2;
use nsplice_backend::{reap_others, Reaped};
use nsplice_relay::{Downstream, Forward, Handle, Observer, Relay, RelayError, Settings};

use crate::failure::Failure;
use crate::signals::Signals;

/// The work of one loop.
#[derive(Debug)]
pub(crate) struct Work {
    /// Forwards and what they listen on.
    pub(crate) forwards: Vec<(Forward, Vec<TcpListener>)>,
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
const NEXT_LOOK_MILLIS: u8 = 20;

/// Running loops.
#[derive(Debug)]
pub(crate) struct Loops {
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
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
        let prepared = prepare(settings, works).map_err(too_low)?;
        let mut loops = Self { running: Vec::with_capacity(prepared.len()) };
        // A loop whose sender is gone ends without having begun.
        let mut begins = Vec::with_capacity(prepared.len());
        for (index, (relay, handle)) in prepared.into_iter().enumerate() {
            let (begin, beginning) = channel();
            loops.running.push(start_thread(index, relay, handle, beginning)?);
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
        while !self.running.is_empty() {
            let patience = match (reaped, draining) {
                (Reaped::Unsure, _) => NEXT_LOOK_MILLIS.into(),
                (Reaped::All, Some(due)) => patience_until(due),
                (Reaped::All, None) => PollTimeout::NONE,
            };
            let woken = self.wait(signals, end.as_ref(), patience)?;
            for index in woken.ended {
                let ended = self.running.swap_remove(index);
                if let Err(failure) = outcome(ended.thread) {
                    self.apply(Action::Stop)?;
                    result = result.and(Err(failure));
                }
            }
            let mut events = Vec::new();
            if woken.target_ended {
                end = None;
                events.push(Event::TargetEnded);
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

    /// Waits for a signal, the end of a loop or of the target, at most for `patience`.
    fn wait(
        &self,
        signals: &Signals,
        end: Option<&OwnedFd>,
        patience: PollTimeout,
    ) -> Result<Woken, Failure> {
        let ends =
            self.running.iter().map(|running| PollFd::new(running.end.as_fd(), PollFlags::empty()));
        let mut sources: Vec<PollFd<'_>> = ends.collect();
        sources.push(PollFd::new(signals.as_fd(), PollFlags::POLLIN));
        sources.extend(end.map(|end| PollFd::new(end.as_fd(), PollFlags::POLLIN)));
        match poll(&mut sources, patience) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Woken::default()),
            Err(errno) => return Err(Failure::system("wait for signals")(errno.into())),
        }
        let is_woken = |source: &PollFd<'_>| source.any() == Some(true);
        let target_ended = end.is_some() && sources.pop().is_some_and(|end| is_woken(&end));
        sources.pop();
        let ended = sources.iter().enumerate().rev();
        let ended = ended.filter(|(_, end)| is_woken(end)).map(|(index, _)| index).collect();
        Ok(Woken { ended, target_ended })
    }
}

/// The events that woke the main thread, but for signals.
#[derive(Debug, Default)]
struct Woken {
    /// Loops that have ended, the last first.
    ended: Vec<usize>,
    target_ended: bool,
}

/// Returns the time to wait for what is `due`, in whole milliseconds and not too short.
fn patience_until(due: Instant) -> PollTimeout {
    let left = due.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}

/// Makes the loops, and makes sure that a client of any of them would find a descriptor: one that
/// finds none would wait in the queue for ever.
fn prepare(settings: &Settings, works: Vec<Work>) -> Result<Vec<(Relay, Handle)>, RelayError> {
    let (count, mut prepared) = (works.len(), Vec::with_capacity(works.len()));
    let accepts = works.iter().any(|work| !work.forwards.is_empty());
    for work in works {
        let (mut relay, handle) = Relay::new(settings.clone(), work.observer)?;
        for (forward, listeners) in work.forwards {
            relay.add_forward(forward, listeners)?;
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
    Ok(Running { thread, handle, end })
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
