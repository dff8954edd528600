//! The place of a target's namespace, looked up: once at start, and again for each opening.
//!
//! A PID is held by its pidfd for as long as the forward lives; when the process is gone, the
//! target is gone. A path is followed to wherever it leads at the moment, but one that leads through a
//! process is that process's alone (`trail.rs`). A pod or container is looked for again when what it was
//! held by has ended (`named.rs`).

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nsplice_relay::OpenError;
use nsplice_runtime::{is_namespace, Identity, Process};
use nsplice_sys::{describe, Asker, Offloaded};

use crate::error::BackendError;
use crate::netns::home::Home;
use crate::options::Options;
use crate::target::located::{entry_failed, no_namespace, Located};
use crate::target::named::Named;
use crate::target::trail::Trail;
use crate::target::Target;

/// The way in which the namespace of a target is found.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// As it was found at start.
    Fixed(Located),
    /// Wherever this pod or container runs.
    Named(Arc<Named>),
}

/// The answer to "where is it now?".
#[derive(Debug)]
pub(crate) enum Whereabouts {
    /// There.
    Known(Located),
    /// Somebody has to be asked first.
    Asked(Offloaded<Result<Located, BackendError>>),
    /// Nowhere any more.
    Lost(OpenError),
}

impl Place {
    /// Finds `target`, or says why not. Blocks for a pod or container, about which runtimes are asked on
    /// behalf of `asker` later on.
    pub(crate) fn find(
        target: &Target,
        options: &Options,
        asker: &Asker,
    ) -> Result<Self, BackendError> {
        match target {
            Target::Tcp(_) => Ok(Self::Fixed(Located::Home)),
            Target::Pid(pid) => match Process::find(*pid) {
                Ok(process) => Ok(Self::Fixed(Located::Process(Arc::new(process)))),
                Err(errno) => Err(no_process(target, errno)),
            },
            Target::Netns(path) => match is_namespace(path) {
                Ok(true) => Ok(Self::Fixed(by_path(path))),
                Ok(false) => Err(BackendError::NoSuchTarget(no_namespace(target, path))),
                Err(errno) => {
                    let located = Located::Path(Arc::new(Trail::find(path)));
                    Err(entry_failed(target, &located, errno).into())
                }
            },
            Target::Named(wanted) => {
                let named = Named::new(wanted, options, asker)?;
                named.find()?;
                Ok(Self::Named(named))
            }
        }
    }

    /// Returns where it is, if nobody has to be asked. That a process of a fixed place is alive is
    /// found out by entering.
    pub(crate) fn known(&self) -> Option<Located> {
        match self {
            Self::Fixed(located) => Some(located.clone()),
            Self::Named(named) => named.known(),
        }
    }

    /// Returns whether it is at `located` still, as far as that is not found out by entering or by asking
    /// which namespace it is in.
    pub(crate) fn is_still_at(&self, located: &Located) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Named(named) => named.is_still_at(located),
        }
    }

    /// Finds where it is now.
    pub(crate) fn locate(&self) -> Whereabouts {
        let named = match self {
            Self::Fixed(located) => return Whereabouts::Known(located.clone()),
            Self::Named(named) => named,
        };
        match named.known() {
            Some(located) => Whereabouts::Known(located),
            None => named.ask().map_or_else(Whereabouts::Lost, Whereabouts::Asked),
        }
    }

    /// The same for who may wait. Blocks for a pod or container that is not known to be where it was.
    pub(crate) fn locate_now(&self) -> Result<Located, BackendError> {
        match self {
            Self::Fixed(located) => Ok(located.clone()),
            Self::Named(named) => named.find(),
        }
    }

    /// The addresses that its runtime tells of it.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        match self {
            Self::Fixed(_) => Vec::new(),
            Self::Named(named) => named.addresses(),
        }
    }

    /// The namespace it is in now, if that can be told without asking anybody.
    pub(crate) fn identity(&self, home: &Home) -> Option<Identity> {
        match self {
            Self::Fixed(located) => located.identity(home),
            Self::Named(named) => named.identity(home),
        }
    }
}

/// Where the namespace at `path` is.
fn by_path(path: &Path) -> Located {
    let trail = Trail::find(path);
    // A thread, or a process of another PID namespace, is held by its path.
    let process = trail.pid().filter(|_| is_own_proc()).and_then(|pid| Process::find(pid).ok());
    match process {
        Some(process) => Located::Process(Arc::new(process)),
        None => Located::Path(Arc::new(trail)),
    }
}

/// Returns whether the numbers in /proc are those of our own PID namespace.
fn is_own_proc() -> bool {
    let own = std::process::id().to_string();
    std::fs::read_link("/proc/self").is_ok_and(|number| number == Path::new(&own))
}

fn no_process(target: &Target, errno: Errno) -> BackendError {
    match errno {
        Errno::ESRCH => BackendError::NoSuchTarget(format!("{target}: no such process")),
        Errno::EINVAL | Errno::ENOENT => BackendError::NoSuchTarget(format!(
            "{target} is a thread; name its process instead (Tgid in /proc/PID/status)"
        )),
        Errno::ENOSYS => BackendError::Failed(format!(
            "cannot open a pidfd of {target}: Linux 5.3 or later is needed"
        )),
        _ => BackendError::Failed(format!(
            "cannot open a pidfd of {target}: {}",
            describe(&errno.into())
        )),
    }
}
