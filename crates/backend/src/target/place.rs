//! The place of a target's namespace, looked up: once at start, and again for each opening.
//!
//! A PID is held by its pidfd for as long as the forward lives; when the process is gone, the
//! target is gone. A path is followed to wherever it leads at the moment, but one that leads through a
//! process is that process's alone (`trail.rs`). A container is held by the
//! pidfd of its first process; when that ends, the next opening asks Docker again, off the loop, so
//! a restarted container is followed. A container is one question to Docker, for all links of all
//! forwards that lead there.

use std::path::Path;
use std::sync::{Arc, Mutex};

use nix::errno::Errno;
use nsplice_relay::{OpenClass, OpenError};
use nsplice_runtime::{is_namespace, Identity, Process};
use nsplice_sys::{describe, lock, Asker, Offloaded, Pool, Question};

use crate::error::BackendError;
use crate::netns::home::Home;
use crate::options::Options;
use crate::shared::Shared;
use crate::target::docker::Docker;
use crate::target::trail::Trail;
use crate::target::Target;

/// The way in which the namespace of a target is found.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// As it was found at start.
    Fixed(Located),
    /// Wherever this container is running.
    Container(Arc<Container>),
}

/// The namespace as it was found.
#[derive(Debug, Clone)]
pub(crate) enum Located {
    /// It is our own.
    Home,
    /// Wherever this process is, for as long as it lives.
    Process(Arc<Process>),
    /// Wherever this path leads.
    Path(Arc<Trail>),
}

impl Located {
    /// Returns whether it is our own for certain.
    pub(crate) fn is_home(&self) -> bool {
        matches!(self, Self::Home)
    }

    /// Returns which namespace it is now, if that can be told.
    pub(crate) fn identity(&self, home: &Home) -> Option<Identity> {
        match self {
            Self::Home => Some(home.identity()),
            Self::Process(process) => process.identity_now(),
            Self::Path(trail) => trail.identity(),
        }
    }
}

/// The answer to "where is it now?".
#[derive(Debug)]
pub(crate) enum Whereabouts {
    /// There.
    Known(Located),
    /// Somebody has to be asked first.
    Asked(Offloaded<Result<Arc<Process>, BackendError>>),
    /// Nowhere any more.
    Lost(OpenError),
}

impl Place {
    /// Finds `target`, or says why not. Blocks for a container, about which Docker is asked on behalf of
    /// `asker` later on.
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
            Target::Docker(name) => {
                let docker = Docker::of(options.docker_host.as_deref())?;
                let process = Arc::new(docker.process(name)?);
                Ok(Self::Container(Container::found(docker, name, process, asker)))
            }
        }
    }

    /// Returns where it is, if nobody has to be asked. That a process of a fixed place is alive is
    /// found out by entering.
    pub(crate) fn known(&self) -> Option<Located> {
        match self {
            Self::Fixed(located) => Some(located.clone()),
            Self::Container(container) => container.known(),
        }
    }

    /// Finds where it is now.
    pub(crate) fn locate(&self, target: &Target) -> Whereabouts {
        let container = match self {
            Self::Fixed(located) => return Whereabouts::Known(located.clone()),
            Self::Container(container) => container,
        };
        if let Some(located) = container.known() {
            return Whereabouts::Known(located);
        }
        match container.question.ask() {
            Ok(asked) => Whereabouts::Asked(asked),
            Err(error) => Whereabouts::Lost(OpenError::from_io(
                format_args!("cannot ask Docker about {target}"),
                &error,
            )),
        }
    }

    /// The namespace it is in now, if that can be told without asking anybody.
    pub(crate) fn identity(&self, home: &Home) -> Option<Identity> {
        match self {
            Self::Fixed(located) => located.identity(home),
            Self::Container(container) => container.last.current().identity_now(),
        }
    }
}

/// A container of Docker.
#[derive(Debug)]
pub(crate) struct Container {
    last: Arc<Last>,
    /// Where it runs now.
    question: Question<Result<Arc<Process>, BackendError>>,
}

/// A container and the process it was last found with.
#[derive(Debug)]
struct Last {
    docker: Docker,
    name: String,
    process: Mutex<Arc<Process>>,
}

/// Containers, by whose threads ask and who is asked about them.
static CONTAINERS: Shared<(Pool, Docker, String), Container> = Shared::new();

impl Container {
    /// The container `name`, which has just been found as `process`.
    fn found(docker: Docker, name: &str, process: Arc<Process>, asker: &Asker) -> Arc<Self> {
        let key = (asker.pool().clone(), docker.clone(), name.to_owned());
        let container = CONTAINERS.of(key, || {
            let process = Mutex::new(Arc::clone(&process));
            let last = Arc::new(Last { docker, name: name.to_owned(), process });
            let asked = Arc::clone(&last);
            let question = Question::new(asker, move || asked.find_again());
            Self { last, question }
        });
        *lock(&container.last.process) = process;
        container
    }

    fn known(&self) -> Option<Located> {
        let process = self.last.current();
        process.is_alive().then_some(Located::Process(process))
    }
}

impl Last {
    fn current(&self) -> Arc<Process> {
        Arc::clone(&lock(&self.process))
    }

    /// Asks Docker where the container runs now. Blocks.
    fn find_again(&self) -> Result<Arc<Process>, BackendError> {
        // It may have been found anew since this was asked.
        let current = self.current();
        if current.is_alive() {
            return Ok(current);
        }
        let found = Arc::new(self.docker.process(&self.name)?);
        *lock(&self.process) = Arc::clone(&found);
        Ok(found)
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

/// Tells in a sentence why the namespace of `target` could not be entered.
pub(crate) fn entry_failed(target: &Target, located: &Located, errno: Errno) -> OpenError {
    let words = describe(&errno.into());
    let class = OpenClass::of_errno(errno);
    let detail = match (located, errno) {
        (Located::Path(trail), Errno::EINVAL) => {
            return OpenError::new(OpenClass::TargetGone, no_namespace(target, trail.path()));
        }
        (_, Errno::EPERM) => format!(
            "cannot enter the network namespace of {target}: {words}; CAP_SYS_ADMIN is needed, and \
             CAP_SYS_PTRACE for processes of other users: run as root"
        ),
        (Located::Process(_) | Located::Path(_), Errno::ESRCH) => {
            format!("{target} is gone: its process has ended")
        }
        (Located::Process(_), Errno::EINVAL | Errno::EBADF) => format!(
            "cannot enter the network namespace of {target}: {words}; setns(2) with a pidfd needs \
             Linux 5.8"
        ),
        (Located::Path(trail), Errno::ENOENT | Errno::ENOTDIR) => {
            let path = trail.path().display();
            let detail = format!("{target} does not exist: {path}: {words}");
            return OpenError::new(OpenClass::TargetGone, detail);
        }
        (Located::Path(trail), _) => {
            let path = trail.path().display();
            format!("cannot enter the network namespace of {target} at {path}: {words}")
        }
        _ => format!("cannot enter the network namespace of {target}: {words}"),
    };
    OpenError::new(class, detail)
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

fn no_namespace(target: &Target, path: &Path) -> String {
    format!("{target}: {} is not a network namespace", path.display())
}
