//! The floor: a bare loop of the system calls that a relay cannot do without, and nothing else.
//!
//! It is the second yardstick; the loop itself is in `bare.rs`. What a relay costs above it is what
//! the relay does besides: tables that outlive their entries, timers, budgets, limits, logs,
//! resets, half-closed links that linger. Nobody should run this one.
//!
//! It runs as a process of its own, so that it is measured as every other relay is:
//! [`Floor::words`] are the words that start it, [`run`] is what the program does when its first
//! one is [`ARGUMENT`]. The listener is made at home; then the process enters the target's
//! namespace for good, so its connects are plain ones. It says where it listens as `nsplice
//! forward` does, and ends with its standard input.

mod bare;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use mio::net::TcpListener;
use nix::sched::{setns, CloneFlags};

use crate::load::failure::Failure;
use crate::load::net;
use crate::stage::{Birth, Stage};
use crate::subject::{Running, SubjectError};

/// The first word of the command line that starts a floor.
pub(crate) const ARGUMENT: &str = "compare-floor";

/// The command line of a floor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Floor {
    /// The address it listens on, at home.
    pub listen: SocketAddr,
    /// The namespace it connects from, as `/proc/4947/ns/net`; `None` is home.
    pub namespace: Option<PathBuf>,
    /// The address it connects to.
    pub origin: SocketAddr,
}

/// Plays the floor that `words`, those after [`ARGUMENT`], describe, until standard input has ended.
pub(crate) fn run(words: &[OsString]) -> ExitCode {
    let ended = match Floor::read(words) {
        Some(floor) => floor.serve(io::stdin(), io::stdout()),
        None => Err(Failure::Usage(format!("{ARGUMENT} takes LISTEN ORIGIN [NAMESPACE]"))),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Who started us reads it; if nobody does, there is nobody to tell.
            let _ = writeln!(io::stderr(), "{failure}");
            ExitCode::FAILURE
        }
    }
}

/// Starts a floor on the node that leads to the stage's origin; `program` is nsplice, `groups` are
/// the directories of its control group.
///
/// # Errors
/// When it cannot be started, or does not say that it listens.
pub(crate) fn start(
    program: &Path,
    stage: &Stage,
    groups: &[PathBuf],
) -> Result<Running, SubjectError> {
    let start_error =
        |source| SubjectError::Start { program: program.display().to_string(), source };
    // Named by our own descriptor of it, which is held until the child has entered: that works for
    // every target.
    let namespace = stage
        .visit(Birth::Target, || File::open("/proc/thread-self/ns/net"))
        .and_then(|opened| opened)
        .map_err(start_error)?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd());
    let floor = Floor {
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        namespace: Some(path.into()),
        origin: stage.origin(),
    };
    let mut command = Command::new(program);
    command.args(floor.words());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Running::start(command, stage, Birth::Node, groups)
}

impl Floor {
    /// The words that start it, [`ARGUMENT`] first.
    pub(crate) fn words(&self) -> Vec<OsString> {
        let (listen, origin) = (self.listen.to_string(), self.origin.to_string());
        let namespace = self.namespace.iter().map(|path| path.clone().into_os_string());
        [ARGUMENT.into(), listen.into(), origin.into()].into_iter().chain(namespace).collect()
    }

    fn read(words: &[OsString]) -> Option<Self> {
        let address = |word: &OsStr| word.to_str()?.parse().ok();
        let (listen, origin, namespace) = match words {
            [listen, origin] => (listen, origin, None),
            [listen, origin, namespace] => (listen, origin, Some(PathBuf::from(namespace))),
            _ => return None,
        };
        Some(Self { listen: address(listen)?, origin: address(origin)?, namespace })
    }

    /// Relays until `input` has ended; `output` is told when it begins. The thread stays in the
    /// namespace.
    fn serve(&self, input: impl AsFd, mut output: impl Write) -> Result<(), Failure> {
        // Fewer than that are enough for most loads, and the load says so if they are not.
        let _ = net::raise_fd_limit(DESCRIPTORS);
        let listener = TcpListener::from_std(net::listen(self.listen)?);
        if let Some(path) = &self.namespace {
            let failed = |error| Failure::system(format!("enter {}", path.display()), error);
            let namespace = File::open(path).map_err(failed)?;
            setns(namespace, CloneFlags::CLONE_NEWNET).map_err(|errno| failed(errno.into()))?;
        }
        let address = listener
            .local_addr()
            .map_err(|error| Failure::system("read the listener's address", error))?;
        writeln!(output, "Forwarding from {address} -> {}", self.origin.port())
            .and_then(|()| output.flush())
            .map_err(|error| Failure::system("say that we are ready", error))?;
        bare::relay(&listener, self.origin, &input)
            .map_err(|error| Failure::system("relay without anything around it", error))
    }
}

/// Both ends of more links than anybody measures.
const DESCRIPTORS: u64 = 65_536;

#[cfg(test)]
mod tests;
