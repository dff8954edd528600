//! An upstream that is a shell script: a real child behind real pipes.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::sys::signal::{killpg, Signal};
use nix::sys::wait::{waitid, Id, WaitPidFlag};
use nix::unistd::Pid;
use nsplice_relay::{
    Attempt, Child, OpenClass, OpenError, Opener, Progress, Upstream, Verdict, Wake,
};
use rustix::io::ioctl_fionread;

use crate::openers::by;

/// Bytes of diagnostics that one call reads.
const BLOCK: usize = 4096;

/// What was done to the children of a script, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deeds(Arc<Mutex<Vec<&'static str>>>);

impl Deeds {
    fn note(&self, deed: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(deed);
    }

    /// All deeds so far.
    pub(crate) fn all(&self) -> Vec<&'static str> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An opener that starts `sh -c SCRIPT` for each link.
pub(crate) fn script(script: &'static str) -> (Box<dyn Opener>, Deeds) {
    let deeds = Deeds::default();
    let given = deeds.clone();
    (by(move || Start { script, deeds: given.clone() }), deeds)
}

#[derive(Debug)]
struct Start {
    script: &'static str,
    deeds: Deeds,
}

impl Attempt for Start {
    fn advance(&mut self, _: Wake) -> Progress {
        match Shell::start(self.script, self.deeds.clone()) {
            Ok(upstream) => Progress::Open(upstream),
            Err(error) => Progress::Failed(OpenError::from_io("cannot start sh", &error)),
        }
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// A shell that leads a process group of its own.
#[derive(Debug)]
struct Shell {
    child: std::process::Child,
    /// Ends when the shell does. The standard library has no stable way to a pidfd, so a thread
    /// waits, and leaves the exit status to be collected.
    exit: io::PipeReader,
    stderr: ChildStderr,
    said: Vec<u8>,
    status: Option<ExitStatus>,
    deeds: Deeds,
}

impl Shell {
    fn start(script: &str, deeds: Deeds) -> io::Result<Upstream> {
        let mut command = Command::new("sh");
        command.args(["-c", script]).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let missing = || io::Error::other("a pipe that was asked for is missing");
        let input = OwnedFd::from(child.stdin.take().ok_or_else(missing)?);
        let output = OwnedFd::from(child.stdout.take().ok_or_else(missing)?);
        let stderr = child.stderr.take().ok_or_else(missing)?;
        for fd in [input.as_fd(), output.as_fd(), stderr.as_fd()] {
            fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        let (exit, ending) = io::pipe()?;
        let pid = pid_of(&child);
        thread::spawn(move || {
            // Whatever it answers, the shell is gone then.
            let _ = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
            drop(ending);
        });
        let shell = Self { child, exit, stderr, said: Vec::new(), status: None, deeds };
        Ok(Upstream::Piped { input, output, child: Box::new(shell) })
    }

    fn signal(&self, signal: Signal) {
        // The group may be gone already.
        let _ = killpg(pid_of(&self.child), signal);
    }
}

fn pid_of(child: &std::process::Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("process ids are positive"))
}

impl Child for Shell {
    fn exit_source(&self) -> BorrowedFd<'_> {
        self.exit.as_fd()
    }

    fn diagnostics(&self) -> BorrowedFd<'_> {
        self.stderr.as_fd()
    }

    fn absorb_diagnostics(&mut self) -> bool {
        let mut block = [0; BLOCK];
        match self.stderr.read(&mut block) {
            Ok(read) if read > 0 => {
                self.said.extend(&block[..read]);
                let surplus = self.said.len().saturating_sub(BLOCK);
                self.said.drain(..surplus);
                true
            }
            _ => false,
        }
    }

    fn verdict(&mut self) -> Option<Verdict> {
        self.status = self.status.or_else(|| self.child.try_wait().ok().flatten());
        let status = self.status?;
        if status.success() {
            return Some(Verdict::Success);
        }
        let end = match status.signal() {
            Some(signal) => format!("signal {signal}"),
            None => format!("exit status {}", status.code().unwrap_or(-1)),
        };
        let said = String::from_utf8_lossy(&self.said);
        let detail = format!("{end}: {}", said.trim_end());
        Some(Verdict::Failure(OpenError::new(OpenClass::ChildFailed, detail)))
    }

    fn unread(&self, end: BorrowedFd<'_>) -> usize {
        ioctl_fionread(end).ok().and_then(|bytes| bytes.try_into().ok()).unwrap_or(0)
    }

    /// A peer on this machine has what it was sent.
    fn unacknowledged(&self, _: BorrowedFd<'_>) -> usize {
        0
    }

    fn terminate(&mut self) {
        self.deeds.note("terminate");
        self.signal(Signal::SIGTERM);
    }

    fn kill(&mut self) {
        self.deeds.note("kill");
        self.signal(Signal::SIGKILL);
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.deeds.note("drop");
        if self.status.is_none() {
            self.signal(Signal::SIGKILL);
            // Nothing is left to be done if it cannot be waited for.
            let _ = self.child.wait();
        }
    }
}
