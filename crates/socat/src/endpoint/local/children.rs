//! The children of this process: programs of EXEC and SYSTEM, from their start until they are
//! reaped.
//!
//! A child serves a link until the link ends, and is then terminated, left alone or waited for,
//! depending on what it is ([`AtEnd`]). Either way it is ours to reap. There is one register for the
//! process, as there is one set of children; all of its pidfds are in one epoll, so that a single
//! descriptor ([`source`]) becomes readable when a child has ended, and whoever waits for that calls
//! [`reap`]. Every start of a child and every end of a link reaps as well.
//!
//! There are children that were not started here: the first process of a PID namespace (socat as a
//! container's entry point) inherits the orphans of all others, and a shell that has jobs leaves them to
//! what it execs. SIGCHLD tells of their end, and they are collected along with the children.
//!
//! Where a process serves many links, another one stands for the link towards its program
//! (`stand_in.rs`), and is reaped here as well.
//!
//! A child that ends badly *while it serves* is a failure, told in socat's words and remembered
//! ([`has_failed`]). After that nobody is interested.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::signal::Signal;
use nix::sys::wait::{waitid, Id, WaitPidFlag, WaitStatus};
use nsplice_relay::{Hold, OpenError};
use nsplice_sys::{pidfd_open, pidfd_send_signal};

use crate::journal::{Journal, Level};

use super::end::collected;
use super::error::{failed, refused};
use super::stand_in::StandIn;

/// The fate of a child when its link has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtEnd {
    /// It gets SIGTERM: EXEC.
    Terminate,
    /// It goes on: the shell of SYSTEM.
    Leave,
    /// It goes on, and the process should not end before it: a child that is only written to.
    Await,
}

/// A child that has just been started.
#[derive(Debug, Clone)]
pub(super) struct Newborn {
    pub(super) pid: u32,
    /// The shell command, of SYSTEM.
    pub(super) shell: Option<String>,
    pub(super) at_end: AtEnd,
    /// Signals that are passed on to it.
    pub(super) passed_on: Vec<Signal>,
    pub(super) journal: Journal,
}

/// Registers a child; dropping what is answered is the end of its link.
pub(super) fn adopt(
    newborn: Newborn,
    stand_in: Option<StandIn>,
) -> Result<Box<dyn Hold>, OpenError> {
    let mut register = lock();
    register.reap();
    let pid = newborn.pid;
    register.add(newborn)?;
    if let Some(stand_in) = stand_in {
        register.add_stand_in(pid, stand_in);
    }
    Ok(Box::new(Serving(pid)))
}

/// Lets a stand-in go whose child has not come to be.
pub(super) fn dismiss(mut stand_in: StandIn) {
    stand_in.dismiss();
    lock().add_stand_in(0, stand_in);
}

/// A descriptor that becomes readable when a child has ended.
pub(crate) fn source() -> Result<OwnedFd, OpenError> {
    lock().epoll()?.0.try_clone().map_err(|error| failed("epoll_create1()", &error))
}

/// Collects the children that have ended, and tells of those that have failed.
pub(crate) fn reap() {
    lock().reap();
}

/// The same, and collects children that were not started here. Only for the thread that starts
/// programs: one that is not in the register yet would be taken for a stranger.
pub(crate) fn reap_all() {
    let mut register = lock();
    register.reap();
    register.reap_others();
}

/// Returns whether there are links to be ended whose stand-ins have been killed; true once for
/// each.
pub(crate) fn end_links() -> bool {
    std::mem::take(&mut lock().ends_links)
}

/// A child that was only written to, and has ended while its link lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Departed {
    pid: u32,
    /// It told so by its status, or by the signal that ended it.
    pub(crate) has_failed: bool,
}

/// The children that have departed since this was last asked. Nothing else tells their links: they
/// never read anything of them.
pub(crate) fn departed() -> Vec<Departed> {
    std::mem::take(&mut lock().departed)
}

/// Has the links of children that have departed end, when the loop is told to end links.
pub(crate) fn let_go(departed: Departed) {
    lock().let_go.insert(departed.pid);
}

/// Returns whether a child has failed while it served a link.
pub(crate) fn has_failed() -> bool {
    lock().has_failed
}

/// Returns whether there is a child that the process should not end before.
pub(crate) fn is_awaiting() -> bool {
    lock().children.iter().any(|child| child.state == State::Awaited)
}

/// Sends `signal` to the children that asked for it (`sigint`, `sighup`, `sigquit`).
pub(crate) fn pass_on(signal: Signal) {
    for child in &lock().children {
        if child.newborn.passed_on.contains(&signal) {
            child.signal(signal);
        }
    }
}

/// A link that a child serves.
#[derive(Debug)]
struct Serving(u32);

impl Hold for Serving {
    fn lets_go(&self) -> bool {
        lock().let_go.contains(&self.0)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        reap();
        lock().release(self.0);
    }
}

#[derive(Debug)]
struct Register {
    /// Made with the first child.
    epoll: Option<Epoll>,
    children: Vec<Child>,
    /// With the children that they stand before.
    stand_ins: Vec<(u32, StandIn)>,
    /// Whose stand-ins were killed while their links lived.
    let_go: BTreeSet<u32>,
    /// There are new ones among those, and the loop has not been told.
    ends_links: bool,
    departed: Vec<Departed>,
    has_failed: bool,
}

#[derive(Debug)]
struct Child {
    newborn: Newborn,
    pidfd: OwnedFd,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Serving,
    Awaited,
    Released,
}

static REGISTER: Mutex<Register> = Mutex::new(Register {
    epoll: None,
    children: Vec::new(),
    stand_ins: Vec::new(),
    let_go: BTreeSet::new(),
    ends_links: false,
    departed: Vec::new(),
    has_failed: false,
});

fn lock() -> MutexGuard<'static, Register> {
    REGISTER.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Register {
    fn epoll(&mut self) -> Result<&Epoll, OpenError> {
        if self.epoll.is_none() {
            let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)
                .map_err(|errno| refused("epoll_create1()", errno))?;
            self.epoll = Some(epoll);
        }
        self.epoll.as_ref().ok_or_else(|| refused("epoll_create1()", Errno::EMFILE))
    }

    fn add(&mut self, newborn: Newborn) -> Result<(), OpenError> {
        let pid = i32::try_from(newborn.pid).unwrap_or_default();
        let pidfd =
            pidfd_open(pid).map_err(|error| failed(format_args!("pidfd_open({pid})"), &error))?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, u64::from(newborn.pid));
        self.epoll()?
            .add(&pidfd, event)
            .map_err(|errno| refused(format_args!("epoll_ctl({pid})"), errno))?;
        self.children.push(Child { newborn, pidfd, state: State::Serving });
        Ok(())
    }

    fn add_stand_in(&mut self, child: u32, stand_in: StandIn) {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, u64::from(stand_in.number()));
        if let Ok(epoll) = self.epoll() {
            // Without it, its end is found out at the next occasion.
            let _ = epoll.add(&stand_in.pidfd, event);
        }
        self.stand_ins.push((child, stand_in));
    }

    /// Collects the stand-ins that have ended. One that was not dismissed has been killed by somebody
    /// who meant its link.
    fn reap_stand_ins(&mut self) {
        let ended: Vec<_> =
            self.stand_ins.extract_if(.., |(_, stand_in)| stand_in.has_ended()).collect();
        for (pid, stand_in) in ended {
            let child = self.children.iter().find(|child| child.newborn.pid == pid);
            if let (Some(child), false) = (child, stand_in.is_dismissed()) {
                child.newborn.journal.tell(Level::Warning, "SOCAT_PID was ended by a signal");
                self.let_go.insert(pid);
                self.ends_links = true;
            }
        }
    }

    fn reap(&mut self) {
        self.reap_stand_ins();
        let Self { children, departed, has_failed, .. } = self;
        children.retain(|child| {
            let Some(status) = child.collected() else { return true };
            let fails = child.state != State::Released && child.tell(status);
            *has_failed |= fails;
            if child.state == State::Serving && child.newborn.at_end == AtEnd::Await {
                departed.push(Departed { pid: child.newborn.pid, has_failed: fails });
            }
            false
        });
    }

    /// Collects those who have ended and are none of ours. Only to be called when every child of
    /// ours is in the register.
    fn reap_others(&self) {
        let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
        while let Ok(status) = waitid(Id::All, ended | WaitPidFlag::WNOWAIT) {
            let Some(pid) = status.pid() else { return };
            // The next call would find a child of ours again; its own pidfd tells of it.
            let number = pid.as_raw().unsigned_abs();
            let is_ours = self.children.iter().any(|child| child.newborn.pid == number)
                || self.stand_ins.iter().any(|(_, stand_in)| stand_in.pid == pid);
            if is_ours || waitid(Id::Pid(pid), ended).is_err() {
                return;
            }
        }
    }

    fn release(&mut self, pid: u32) {
        self.let_go.remove(&pid);
        for (_, stand_in) in self.stand_ins.iter_mut().filter(|(child, _)| *child == pid) {
            stand_in.dismiss();
        }
        let Some(child) = self.children.iter_mut().find(|child| child.newborn.pid == pid) else {
            return;
        };
        child.state = State::Released;
        match child.newborn.at_end {
            AtEnd::Terminate => child.signal(Signal::SIGTERM),
            AtEnd::Leave => {}
            AtEnd::Await => child.state = State::Awaited,
        }
    }
}

impl Child {
    fn collected(&self) -> Option<Result<WaitStatus, Errno>> {
        collected(self.pidfd.as_fd())
    }

    /// Tells how it ended, and answers whether that is a failure. socat runs the shell of SYSTEM
    /// from a child of its own, which turns death by a signal into exit status 0.
    fn tell(&self, status: Result<WaitStatus, Errno>) -> bool {
        let Newborn { pid, shell, journal, .. } = &self.newborn;
        journal.tell(Level::Notice, "childdied(): handling signal 17");
        let returned = |status: i32| {
            if let Some(command) = shell {
                journal.tell(
                    Level::Warning,
                    format_args!("system(\"{command}\") returned with status {status}"),
                );
            }
        };
        match status {
            Ok(WaitStatus::Exited(_, code)) if code != 0 => {
                returned(code << u8::BITS);
                let message = format_args!("waitpid(): child {pid} exited with status {code}");
                journal.tell(Level::Error, message);
                true
            }
            Ok(WaitStatus::Signaled(_, signal, _)) => {
                returned(signal as i32);
                if shell.is_none() {
                    let number = signal as i32;
                    let message = format_args!("waitpid(): child {pid} exited on signal {number}");
                    journal.tell(Level::Error, message);
                }
                shell.is_none()
            }
            _ => false,
        }
    }

    /// A child that has ended meanwhile gets nothing.
    fn signal(&self, signal: Signal) {
        if let Err(error) = pidfd_send_signal(self.pidfd.as_fd(), signal) {
            let (pid, number) = (self.newborn.pid, signal as i32);
            let failure = failed(format_args!("kill({pid}, {number})"), &error);
            self.newborn.journal.tell(Level::Info, failure);
        }
    }
}
