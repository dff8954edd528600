//! A subject that runs: where it listens, what belongs to it, and how it is ended.
//!
//! Only what was started here is ended here: by SIGTERM, which a relay may take its time for, and
//! by SIGKILL when that time is over. It is reaped in any case. Whatever ends this process, the
//! kernel ends the relay with it.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{mpsc, Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use nsplice_sys::confine;
use nsplice_trial::poll_for;

use super::Peer;
use crate::group;
use crate::stage::{Birth, Stage};

/// An error that keeps a subject from running.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// Its program cannot be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// The program.
        program: String,
        /// The system's answer.
        source: io::Error,
    },
    /// It cannot be counted apart from others.
    #[error("cannot put it into the control group {}: {source}", .group.display())]
    Group {
        /// The group.
        group: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It ended, or said nothing, before it listened.
    #[error("it does not listen: {0}")]
    Silent(String),
    /// Nobody can listen to what it says.
    #[error("no thread can be started to hear what it says: {0}")]
    Unheard(io::Error),
    /// It leads to one place only.
    #[error("it runs already, and forwards to one place only")]
    Fixed,
}

/// A relay that listens.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    pid: Option<u32>,
    cgroup: Option<PathBuf>,
    own: Option<Own>,
}

impl Running {
    /// A relay that listens on `address`, and that whoever started it ends.
    pub fn at(address: SocketAddr, pid: u32) -> Self {
        Self { address, pid: Some(pid), cgroup: None, own: None }
    }

    pub(super) fn of_peer(peer: &Peer) -> Self {
        Self { address: peer.address, pid: peer.pid, cgroup: peer.cgroup.clone(), own: None }
    }

    /// Runs `command`, which says on standard output where it listens, on the side of `birth`.
    pub(crate) fn start(
        mut command: Command,
        stage: &Stage,
        birth: Birth,
        groups: &[PathBuf],
    ) -> Result<Self, SubjectError> {
        // Ctrl-C goes to all of a terminal's foreground group, and would end it amid its trials.
        command.process_group(0);
        confine(&mut command);
        let spawned = stage.visit(birth, || command.spawn()).and_then(|spawned| spawned);
        let mut own = Own::new(spawned.map_err(|source| {
            let program = command.get_program().to_string_lossy().into_owned();
            SubjectError::Start { program, source }
        })?)?;
        for directory in groups {
            group::join(directory, own.child.id())
                .map_err(|source| SubjectError::Group { group: directory.clone(), source })?;
        }
        let address = own.address()?;
        Ok(Self { address, pid: Some(own.child.id()), cgroup: None, own: Some(own) })
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process, if that is known.
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// The control group that it was found in, if it was named.
    pub fn cgroup(&self) -> Option<&Path> {
        self.cgroup.as_deref()
    }

    /// Returns whether it was started here.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }
}

/// A child of ours. It is ended when it goes out of scope.
#[derive(Debug)]
struct Own {
    child: Child,
    errors: Arc<Tail>,
}

impl Own {
    fn new(mut child: Child) -> Result<Self, SubjectError> {
        let stderr = child.stderr.take();
        let own = Self { child, errors: Arc::default() };
        if let Some(stderr) = stderr {
            let errors = Arc::clone(&own.errors);
            hear(move || errors.fill(BufReader::new(stderr)))?;
        }
        Ok(own)
    }

    /// Waits for the line that tells where it listens.
    fn address(&mut self) -> Result<SocketAddr, SubjectError> {
        let (sender, told) = mpsc::channel();
        if let Some(stdout) = self.child.stdout.take() {
            hear(move || {
                let mut lines = BufReader::new(stdout);
                let mut line = Vec::new();
                // A long line is no address; it is read in pieces. With the address known the pipe
                // is closed, and a relay without a reader does not write a line for each
                // connection.
                while (&mut lines).take(LINE).read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                    if let Some(address) = address_of(&String::from_utf8_lossy(&line)) {
                        // Who asked may have lost patience.
                        let _ = sender.send(address);
                        return;
                    }
                    line.clear();
                }
            })?;
        }
        told.recv_timeout(START).map_err(|_| {
            let ended = self.child.try_wait().ok().flatten();
            let how = match ended {
                Some(status) => status.to_string(),
                None => "it runs and says nothing".to_owned(),
            };
            let words = self.errors.wait();
            SubjectError::Silent(if words.is_empty() { how } else { words.join("; ") })
        })
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Ok(number) = i32::try_from(self.child.id()) {
            // Nobody else waits for it, so the number is its own until the wait below.
            let _ = kill(Pid::from_raw(number), Signal::SIGTERM);
        }
        let ended = || (!matches!(self.child.try_wait(), Ok(None))).then_some(());
        if poll_for(MERCY, ended).is_some() {
            return;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Does `work`, which is reading what a relay says, on a thread of its own.
fn hear(work: impl FnOnce() + Send + 'static) -> Result<(), SubjectError> {
    thread::Builder::new().spawn(work).map(drop).map_err(SubjectError::Unheard)
}

/// The address of a line `Forwarding from ADDRESS -> PORT`.
fn address_of(line: &str) -> Option<SocketAddr> {
    line.strip_prefix("Forwarding from ")?.split_once(" -> ")?.0.parse().ok()
}

/// The last lines of a stream; whoever floods it costs no more memory than these.
#[derive(Debug, Default)]
struct Tail {
    lines: Mutex<VecDeque<String>>,
}

impl Tail {
    fn fill(&self, mut source: impl BufRead) {
        let mut line = Vec::new();
        while (&mut source).take(LINE).read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == KEPT {
                lines.pop_front();
            }
            lines.push_back(text);
            drop(lines);
            line.clear();
        }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The lines, once there are some; for one that has ended they may be on their way.
    fn wait(self: &Arc<Self>) -> Vec<String> {
        poll_for(LAST_WORDS, || Some(self.lines()).filter(|lines| !lines.is_empty()))
            .unwrap_or_default()
    }
}

/// Longest time of a subject until it listens.
const START: Duration = Duration::from_secs(10);

/// Longest time of a subject to its end when it is asked to.
const MERCY: Duration = Duration::from_secs(2);

/// Longest time of the last words of one that has ended to their arrival.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Lines of standard error that are kept.
const KEPT: usize = 20;

/// Bytes of a line that are kept together.
const LINE: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_kubectls_words() {
        let address = address_of("Forwarding from 127.0.0.1:8080 -> 80\n");
        assert_eq!(address, Some(([127, 0, 0, 1], 8080).into()));
        assert_eq!(address_of("Handling connection for 8080\n"), None);
    }

    #[test]
    fn only_the_end_of_a_flood_is_kept() {
        let tail = Tail::default();
        let flood: String = (0..1000).map(|n| format!("line {n}\n")).collect();
        tail.fill(flood.as_bytes());
        assert_eq!(tail.lines().len(), KEPT);
        assert_eq!(tail.lines().last().map(String::as_str), Some("line 999"));
        tail.fill([b'x'; 5000].as_slice());
        assert!(tail.lines().iter().all(|line| line.len() <= 1024));
    }
}
