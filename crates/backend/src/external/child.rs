//! A program that carries a link on its standard input and output.
//!
//! What is promised of it:
//!
//! - It gets three descriptors and no more, and of our environment only what it needs (see
//!   `environment.rs`). Its ends of the pipes block, ours do not: whether a
//!   descriptor blocks is a property of an end, not of a pipe.
//! - It runs in a process group of its own, with no signal blocked and SIGPIPE as in a fresh process
//!   (std sees to that), and the kernel kills it when the loop's thread is gone ([`nsplice_sys::confine`]).
//! - It is signalled only while it has not been reaped, for only so long is its PID, which is also
//!   its group's, its own. When it ends, whatever it left behind in its group ends with it:
//!   a forgotten one would hold the link's pipes open for ever.
//! - Its exit status is collected, so there are no zombies; dropping it while it runs kills it.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::poll::PollTimeout;
use nix::sys::signal::{killpg, Signal};
use nix::sys::wait::{waitid, Id, WaitPidFlag, WaitStatus};
use nix::unistd::{getpgid, pipe2, read, Pid};
use nsplice_relay::{Child, OpenClass, OpenError, Verdict};
use nsplice_sys::{offload, wait_readable, Pool};

use crate::brood;
use crate::external::environment;
use crate::external::stderr::LastWords;

/// Makes sure that the exit statuses of children are kept for us.
///
/// A process that ignores SIGCHLD has its children reaped by the kernel, statuses and all (wait(2),
/// notes), and the disposition is inherited through execve(2): some supervisors start us so.
pub(crate) fn keep_exit_statuses() {
    // Refused for SIGKILL and SIGSTOP only.
    let _ = nsplice_sys::default_action(Signal::SIGCHLD);
}

/// A program to run, with its arguments.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// The program, by its absolute path, and its arguments.
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    /// True if its messages are to be in English, so that they can be read for the reason.
    pub(crate) plain_messages: bool,
    /// Its purpose: `nsenter for localhost:80 in pid/4947`.
    pub(crate) purpose: String,
    /// The namespace's path as its messages would name it.
    pub(crate) namespace: Option<String>,
}

/// A program that runs, and our ends of its pipes.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) input: OwnedFd,
    pub(crate) output: OwnedFd,
    pub(crate) program: Program,
}

/// Starts a program. The calling thread must live as long as the program is to. Should it not die at
/// once when it is killed, a thread of `pool` waits for it.
pub(crate) fn start(invocation: Invocation, pool: &Pool) -> Result<Started, OpenError> {
    spawn(&invocation)
        .map(|(pid, pidfd, [input, output, diagnostics])| Started {
            input,
            output,
            program: Program {
                pid,
                pidfd,
                diagnostics,
                last_words: LastWords::default(),
                end: None,
                purpose: invocation.purpose.clone(),
                namespace: invocation.namespace.clone(),
                pool: pool.clone(),
            },
        })
        .map_err(|error| {
            let class = match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::ENOENT) => OpenClass::ToolMissing,
                Some(errno) => OpenClass::of_errno(errno),
                None => OpenClass::Other,
            };
            let detail = format!(
                "cannot start {} as {}: {}",
                invocation.program.display(),
                invocation.purpose,
                nsplice_sys::describe(&error)
            );
            OpenError::new(class, detail)
        })
}

/// Its PID, its pidfd, and our ends of its standard input, output and error.
fn spawn(invocation: &Invocation) -> io::Result<(Pid, OwnedFd, [OwnedFd; 3])> {
    let (child_input, input) = pipe2(OFlag::O_CLOEXEC)?;
    let (output, child_output) = pipe2(OFlag::O_CLOEXEC)?;
    let (diagnostics, child_diagnostics) = pipe2(OFlag::O_CLOEXEC)?;
    for end in [&input, &output, &diagnostics] {
        fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    }
    for pipe in [&input, &output] {
        // A wish: where the kernel refuses, the pipe keeps its size and is only slower.
        let _ = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
    }
    let mut command = Command::new(&invocation.program);
    command
        .args(&invocation.arguments)
        .stdin(child_input)
        .stdout(child_output)
        .stderr(child_diagnostics)
        .process_group(0);
    command.env_clear().envs(environment::of_child());
    if invocation.plain_messages {
        command.env("LC_ALL", "C");
    }
    nsplice_sys::confine(&mut command);
    let mut child = brood::start(&mut command)?;
    // The command holds the child's ends; while it does, no pipe would ever end.
    drop(command);
    let number = i32::try_from(child.id()).map_err(io::Error::other)?;
    match nsplice_sys::pidfd_open(number) {
        Ok(pidfd) => Ok((Pid::from_raw(number), pidfd, [input, output, diagnostics])),
        Err(error) => {
            child.kill()?;
            brood::collect(child.id(), || child.wait())?;
            Err(error)
        }
    }
}

/// A program that was started, until it is dropped.
#[derive(Debug)]
pub(crate) struct Program {
    pid: Pid,
    pidfd: OwnedFd,
    diagnostics: OwnedFd,
    last_words: LastWords,
    /// Set once the exit status has been collected, and never signalled after that.
    end: Option<Verdict>,
    purpose: String,
    namespace: Option<String>,
    pool: Pool,
}

impl Program {
    /// Looks at the exit status without collecting it. ECHILD: it was collected by the kernel,
    /// because whoever started us had SIGCHLD ignored, and the PID is nobody's.
    fn peek(&self) -> Result<WaitStatus, Errno> {
        waitid(
            Id::PIDFd(self.pidfd.as_fd()),
            WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT,
        )
    }

    /// Collects the exit status if there is one.
    fn collect(&mut self) -> Option<Verdict> {
        match self.peek() {
            Ok(WaitStatus::StillAlive) => return None,
            Err(Errno::ECHILD) => {}
            // A zombie: its number is its own until the next line has collected it.
            _ => {
                let _ = killpg(self.pid, Signal::SIGKILL);
            }
        }
        let status = brood::collect(self.pid.as_raw().unsigned_abs(), || {
            waitid(Id::PIDFd(self.pidfd.as_fd()), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG)
        });
        for _ in 0..LAST_BLOCKS {
            if !self.absorb_diagnostics() {
                break;
            }
        }
        Some(self.judge(status))
    }

    fn judge(&self, status: Result<WaitStatus, Errno>) -> Verdict {
        let (class, how) = match status {
            Ok(WaitStatus::Exited(_, 0)) => return Verdict::Success,
            Ok(WaitStatus::Exited(_, code)) => (
                self.last_words.class(code, self.namespace.as_deref()),
                format!("exit status {code}"),
            ),
            Ok(WaitStatus::Signaled(_, signal, _)) => {
                (OpenClass::ChildFailed, format!("killed by signal {} ({signal})", signal as i32))
            }
            Err(Errno::ECHILD) => (
                OpenClass::ChildFailed,
                "its exit status is lost, because SIGCHLD is ignored".to_owned(),
            ),
            // What nix has no name for: a real-time signal.
            _ => (OpenClass::ChildFailed, "killed by a signal without a name".to_owned()),
        };
        let said = self.last_words.line();
        let colon = if said.is_empty() { "" } else { ": " };
        Verdict::Failure(OpenError::new(class, format!("{}: {how}{colon}{said}", self.purpose)))
    }

    fn signal(&self, signal: Signal) {
        if self.end.is_some() || self.peek() == Err(Errno::ECHILD) {
            return;
        }
        let _ = killpg(self.pid, signal);
        // A program may leave its group (setsid); it is not to get the signal twice if it did not.
        if getpgid(Some(self.pid)) != Ok(self.pid) {
            let _ = nsplice_sys::pidfd_send_signal(self.pidfd.as_fd(), signal);
        }
    }
}

impl Child for Program {
    fn exit_source(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    fn diagnostics(&self) -> BorrowedFd<'_> {
        self.diagnostics.as_fd()
    }

    fn absorb_diagnostics(&mut self) -> bool {
        let mut block = [0; BLOCK];
        match read(&self.diagnostics, &mut block) {
            Ok(count) => {
                self.last_words.add(block.get(..count).unwrap_or_default());
                count > 0
            }
            Err(errno) => errno == Errno::EINTR,
        }
    }

    fn verdict(&mut self) -> Option<Verdict> {
        if self.end.is_none() {
            self.end = self.collect();
        }
        self.end.clone()
    }

    fn unread(&self, end: BorrowedFd<'_>) -> usize {
        nsplice_sys::unread(end)
    }

    fn unacknowledged(&self, socket: BorrowedFd<'_>) -> usize {
        nsplice_sys::unacknowledged(socket)
    }

    fn terminate(&mut self) {
        self.signal(Signal::SIGTERM);
    }

    fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

impl Drop for Program {
    /// A program that still runs is killed and reaped. SIGKILL cannot be ignored, so the wait is as
    /// long as the kernel takes to tear a process down: well below a millisecond. Only a process
    /// that sleeps in the kernel beyond reach (a dead NFS server, say) takes longer, and that one is
    /// left to a thread that has the time.
    fn drop(&mut self) {
        if self.verdict().is_some() {
            return;
        }
        self.kill();
        wait_readable(self.pidfd.as_fd(), PollTimeout::from(REAP_MILLIS));
        if self.verdict().is_some() {
            return;
        }
        if let Ok(pidfd) = self.pidfd.try_clone() {
            // If even this fails, init reaps it after us.
            let pid = self.pid.as_raw().unsigned_abs();
            let _ = offload(&self.pool, move || {
                wait_readable(pidfd.as_fd(), PollTimeout::from(LATE_REAP_MILLIS));
                let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG;
                brood::collect(pid, || waitid(Id::PIDFd(pidfd.as_fd()), flags))
            });
        }
    }
}

/// What one splice can move at most between a socket and a pipe of this size: the default of 64 KiB
/// means ten times as many system calls and wake-ups.
const PIPE_SIZE: i32 = 1 << 20;

/// Diagnostics read at once.
const BLOCK: usize = 4096;

/// Blocks read after the end: all that fits into a pipe.
const LAST_BLOCKS: usize = 16;

/// See [`Program::drop`].
const REAP_MILLIS: u8 = 100;
const LATE_REAP_MILLIS: u16 = 60_000;
