//! An excursion: the moment a thread is inside another network namespace.
//!
//! A socket belongs for life to the namespace it was created in, wherever its owner goes later. So
//! the thread enters, makes the socket, and comes home; connecting, and everything that can wait or
//! fail in interesting ways, happens at home. Only this file moves a thread by setns(2).
//!
//! Where no thread may go, into the namespaces of our own user's rootless containers, a process that was
//! sent there makes the socket (`delegation.rs`).
//!
//! A thread that cannot come home must not go on: every listener, look-up and dial after that
//! would happen in the wrong namespace. What may pass, a signal or a want of memory (setns(2) needs
//! some), is given about a second to pass; then the process is aborted, with one line that says why.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use nix::errno::Errno;
use nix::sched::{setns, CloneFlags};
use socket2::{Domain, Protocol, Socket, Type};

use nsplice_runtime::{Identity, Process};
use nsplice_sys::describe;

use crate::netns::home::{Home, OF_THIS_THREAD};
use crate::netns::unborn::Unborn;
use crate::target::located::Located;

/// Makes a non-blocking TCP socket in the namespace that `located` is in now.
pub(crate) fn socket_in(located: &Located, home: &Home, domain: Domain) -> Result<Socket, Unborn> {
    any_socket_in(located, home, domain, Type::STREAM, Some(Protocol::TCP))
}

/// Makes a non-blocking socket of any kind in the namespace that `located` is in now.
pub(crate) fn any_socket_in(
    located: &Located,
    home: &Home,
    domain: Domain,
    kind: Type,
    protocol: Option<Protocol>,
) -> Result<Socket, Unborn> {
    let kind = kind.nonblocking();
    match visit(located, home, || Socket::new(domain, kind, protocol)) {
        Ok(Ok(socket)) => Ok(socket),
        Ok(Err(error)) => {
            Err(Unborn::Inside(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)))
        }
        Err(errno) => match for_delegates(located, errno) {
            Some(process) => home.delegation().socket(process, domain, kind, protocol),
            None => Err(Unborn::Outside(errno)),
        },
    }
}

/// Makes `count` sockets like that of [`socket_in`] in one excursion, or fewer where that fails, and
/// says in which namespace they are; `None` where that is not known.
pub(crate) fn sockets_in(
    located: &Located,
    home: &Home,
    domain: Domain,
    count: usize,
) -> Option<(Identity, Vec<Socket>)> {
    let socket = |_| Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP)).ok();
    let make = || {
        // Asked in there: a process may move at any time.
        let identity = Identity::of_path(Path::new(OF_THIS_THREAD)).ok()?;
        Some((identity, (0..count).map_while(socket).collect()))
    };
    visit(located, home, make).ok()?
}

/// Does `work` in the namespace that `located` is in now, and comes home.
pub(crate) fn visit<T>(
    located: &Located,
    home: &Home,
    work: impl FnOnce() -> T,
) -> Result<T, Errno> {
    let _excursion = begin_to(located, home)?;
    Ok(work())
}

/// Enters the namespace of `located` and comes home, to see whether sockets can be made there.
pub(crate) fn try_entering(located: &Located, home: &Home) -> Result<(), Errno> {
    let Err(errno) = visit(located, home, || ()) else { return Ok(()) };
    match for_delegates(located, errno) {
        Some(process) => home.delegation().try_sending(process),
        None => Err(errno),
    }
}

/// The process of `located`, if a delegate may get to where a thread did not for `errno`.
fn for_delegates(located: &Located, errno: Errno) -> Option<&Arc<Process>> {
    match (located, errno) {
        (Located::Process(process), Errno::EPERM) if process.has_other_user_namespace() => {
            Some(process)
        }
        _ => None,
    }
}

/// Tries whether this thread may leave home and come back, by doing it.
pub(crate) fn try_leaving(home: &Home) -> Result<(), Errno> {
    Excursion::begin(home, home.as_fd()).map(drop)
}

/// Enters the namespace that `located` is in now; `None` if that is home, which needs no privilege.
fn begin_to<'a>(located: &Located, home: &'a Home) -> Result<Option<Excursion<'a>>, Errno> {
    match located {
        Located::Home | Located::Behind(_) => Ok(None),
        Located::Process(process) => {
            // A process may move: one that lived here when it was found is asked again. For all
            // others the pidfd leads to wherever the process is now, and to ESRCH if it is gone.
            let lived_here = process.identity() == Some(home.identity());
            if lived_here && process.identity_now() == Some(home.identity()) {
                return Ok(None);
            }
            Excursion::begin(home, process.as_fd()).map(Some)
        }
        Located::Path(trail) => {
            // Opened each time: the path may lead to another namespace by now, and a descriptor
            // that is kept would hold a dead one in memory.
            let namespace = trail.open()?;
            if Identity::of_fd(&namespace).is_ok_and(|identity| identity == home.identity()) {
                return Ok(None);
            }
            Excursion::begin(home, namespace.as_fd()).map(Some)
        }
    }
}

/// While it lives, the thread is away; dropping it, by whatever way, is coming home.
#[derive(Debug)]
struct Excursion<'a> {
    home: &'a Home,
}

impl<'a> Excursion<'a> {
    /// Enters the network namespace of `destination`, a namespace or a pidfd (Linux 5.8).
    fn begin(home: &'a Home, destination: BorrowedFd<'_>) -> Result<Self, Errno> {
        go(destination)?;
        Ok(Self { home })
    }
}

impl Drop for Excursion<'_> {
    fn drop(&mut self) {
        if let Err(errno) = persist(|| go(self.home.as_fd()), sleep) {
            let _ = writeln!(
                io::stderr(),
                "nsplice: cannot return to {} from another network namespace: {}; aborting, \
                 because going on would connect in the wrong place",
                self.home.identity(),
                describe(&errno.into()),
            );
            std::process::abort();
        }
    }
}

/// Goes to the namespace of `destination`. A signal does not stop that.
fn go(destination: BorrowedFd<'_>) -> Result<(), Errno> {
    loop {
        match setns(destination, CloneFlags::CLONE_NEWNET) {
            Err(Errno::EINTR) => {}
            answer => return answer,
        }
    }
}

/// Takes `step`; again, after ever longer rests, while it fails for want of memory.
fn persist(
    mut step: impl FnMut() -> Result<(), Errno>,
    mut rest: impl FnMut(Duration),
) -> Result<(), Errno> {
    let mut pause = FIRST_REST;
    loop {
        match step() {
            Err(Errno::ENOMEM) if pause <= LAST_REST => rest(pause),
            answer => return answer,
        }
        pause *= 2;
    }
}

/// The kernel has looked for memory before it says that there is none; others may let go of some.
const FIRST_REST: Duration = Duration::from_millis(1);

/// With those before it half a second: a second in all.
const LAST_REST: Duration = Duration::from_millis(512);

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// Whoever has the number by now, it is the process that is entered, and that is gone.
    #[test]
    fn a_process_that_has_ended_is_not_entered_by_its_number() {
        let home = Home::here().unwrap();
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let located = Located::Process(Arc::new(Process::find(child.id()).unwrap()));
        assert!(socket_in(&located, &home, Domain::IPV4).is_ok());
        drop(child.stdin.take());
        child.wait().unwrap();
        let refused = socket_in(&located, &home, Domain::IPV4).map(drop);
        assert_eq!(refused, Err(Unborn::Outside(Errno::ESRCH)));
    }

    #[test]
    fn a_want_of_memory_is_given_a_second_to_pass() {
        let trials = |failures: usize, errno: Errno| {
            let (mut left, mut rested) = (failures, Duration::ZERO);
            let step = || match left.checked_sub(1) {
                None => Ok(()),
                Some(fewer) => {
                    left = fewer;
                    Err(errno)
                }
            };
            let answer = persist(step, |rest| rested += rest);
            (answer, rested)
        };
        assert_eq!(trials(0, Errno::ENOMEM), (Ok(()), Duration::ZERO));
        assert_eq!(trials(2, Errno::ENOMEM), (Ok(()), Duration::from_millis(3)));
        let longest = Duration::from_millis(1023);
        assert_eq!(trials(10, Errno::ENOMEM), (Ok(()), longest));
        assert_eq!(trials(11, Errno::ENOMEM), (Err(Errno::ENOMEM), longest));
        assert_eq!(trials(1, Errno::EPERM), (Err(Errno::EPERM), Duration::ZERO));
    }
}
