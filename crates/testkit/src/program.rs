//! Running a real program and reading what it says, line by line.
//!
//! A [`Program`] collects the lines of standard output and standard error on two threads, so that
//! the program never waits for its reader, and a test can wait for a line or look at all of them.
//! It is killed and reaped when it goes out of scope, also by a panic.

use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use crate::wait::{poll_for, PATIENCE};

/// A program that runs, or has run.
pub struct Program {
    child: Child,
    name: String,
    status: Option<ExitStatus>,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
}

impl Program {
    /// Starts the program `path` with `args`, and nothing on its standard input.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn start<A: AsRef<OsStr>>(
        path: impl AsRef<Path>,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        let mut command = Command::new(path.as_ref());
        command.args(args).stdin(Stdio::null());
        Self::spawn(&mut command)
    }

    /// Starts `command`, whose environment, directory and standard input are as it says.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn spawn(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let stdout = Lines::collect(child.stdout.take());
        let stderr = Lines::collect(child.stderr.take());
        Self { child, name, status: None, stdout, stderr }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input, once, if `command` made that a pipe.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it has ended and was waited for.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        assert!(self.status.is_none(), "{self} has ended");
        let pid = i32::try_from(self.pid()).expect("process ids are positive");
        kill(Pid::from_raw(pid), signal).expect("a child can be signalled");
    }

    /// The lines of standard output so far.
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.lock().lines.clone()
    }

    /// The lines of standard error so far.
    pub fn stderr(&self) -> Vec<String> {
        self.stderr.lock().lines.clone()
    }

    /// Waits for a line of standard output that contains `text`, an earlier one included.
    ///
    /// # Panics
    /// If none comes within [`PATIENCE`] or before the output ends; the message has all output.
    #[track_caller]
    pub fn expect_stdout(&self, text: &str) -> String {
        self.expect_lines(&self.stdout, text, 1).remove(0)
    }

    /// The same for standard error.
    #[track_caller]
    pub fn expect_stderr(&self, text: &str) -> String {
        self.expect_lines(&self.stderr, text, 1).remove(0)
    }

    /// Waits for `count` lines of standard output that contain `text`, and returns those.
    ///
    /// # Panics
    /// As [`Program::expect_stdout`].
    #[track_caller]
    pub fn expect_stdout_lines(&self, text: &str, count: usize) -> Vec<String> {
        self.expect_lines(&self.stdout, text, count)
    }

    /// The same for standard error.
    #[track_caller]
    pub fn expect_stderr_lines(&self, text: &str, count: usize) -> Vec<String> {
        self.expect_lines(&self.stderr, text, count)
    }

    /// The addresses of the first `count` lines `Forwarding from ADDRESS -> PORT`.
    ///
    /// # Panics
    /// As [`Program::expect_stdout`], and if a line is not of that form.
    #[track_caller]
    pub fn forwarded(&self, count: usize) -> Vec<SocketAddr> {
        let lines = self.expect_stdout_lines("Forwarding from ", count);
        let address = |line: &String| {
            let words = line.strip_prefix("Forwarding from ")?;
            words.split_once(" -> ")?.0.parse().ok()
        };
        let addresses = lines.iter().take(count);
        addresses
            .map(|line| address(line).unwrap_or_else(|| panic!("no address in {line:?}")))
            .collect()
    }

    /// The address of the first line `Forwarding from ADDRESS -> PORT`.
    ///
    /// # Panics
    /// As [`Program::forwarded`].
    #[track_caller]
    pub fn forwarded_address(&self) -> SocketAddr {
        self.forwarded(1)[0]
    }

    /// Returns how it has ended, if it has; reaps it then.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("a child can be waited for");
        }
        self.status
    }

    /// Waits for its end, and for the end of its output unless children of it hold that open.
    ///
    /// # Panics
    /// If it does not end within [`PATIENCE`]; the message has all output.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        drop(self.child.stdin.take());
        let Some(status) = poll_for(PATIENCE, || self.ended()) else {
            panic!("{self} did not end within {} s", PATIENCE.as_secs());
        };
        let settled = || (self.stdout.lock().ended && self.stderr.lock().ended).then_some(());
        let _ = poll_for(std::time::Duration::from_secs(1), settled);
        status
    }

    #[track_caller]
    fn expect_lines(&self, lines: &Lines, text: &str, count: usize) -> Vec<String> {
        match lines.wait_for(text, count) {
            Some(found) => found,
            None => panic!("waited in vain for {count} lines with {text:?} from {self}"),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} (process {})", self.name, self.pid())?;
        for (stream, lines) in [("stdout", self.stdout()), ("stderr", self.stderr())] {
            for line in lines {
                writeln!(f, "  {stream}: {line}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.status.is_none() {
            // Neither fails on a child that is not yet waited for.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The lines of one stream.
#[derive(Default)]
struct Lines {
    state: Mutex<LinesState>,
    grown: Condvar,
}

#[derive(Default)]
struct LinesState {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn collect(source: Option<impl Read + Send + 'static>) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        if let Some(source) = source {
            let lines = lines.clone();
            thread::spawn(move || lines.read(BufReader::new(source)));
        }
        lines
    }

    fn read(&self, mut source: impl BufRead) {
        let mut line = Vec::new();
        // A read error ends the stream as its end does.
        while source.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
            self.lock().lines.push(text);
            self.grown.notify_all();
            line.clear();
        }
        self.lock().ended = true;
        self.grown.notify_all();
    }

    fn wait_for(&self, text: &str, count: usize) -> Option<Vec<String>> {
        let found = |state: &LinesState| -> Vec<String> {
            state.lines.iter().filter(|line| line.contains(text)).cloned().collect()
        };
        let waiting = |state: &mut LinesState| !state.ended && found(state).len() < count;
        let (state, _) = self
            .grown
            .wait_timeout_while(self.lock(), PATIENCE, waiting)
            .unwrap_or_else(PoisonError::into_inner);
        Some(found(&state)).filter(|lines| lines.len() >= count)
    }

    fn lock(&self) -> MutexGuard<'_, LinesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Copies a program, so that the copy can be run at once.
///
/// A process of its own does it: whatever another thread of ours starts while a file is open for
/// writing inherits that descriptor up to its exec, and until then the file cannot be run (ETXTBSY).
#[track_caller]
pub fn copy_program(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    let (from, to) = (from.as_ref(), to.as_ref());
    let status = Command::new("cp").arg("--").args([from, to]).status().expect("cp can be started");
    assert!(status.success(), "cp {} {}: {status}", from.display(), to.display());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{catch_unwind, AssertUnwindSafe};

    #[test]
    fn lines_are_waited_for() {
        let script = "echo one; echo two >&2; read line; echo three";
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped());
        let mut program = Program::spawn(&mut command);
        assert_eq!(program.expect_stdout("on"), "one");
        assert_eq!(program.expect_stderr("two"), "two");
        assert_eq!(program.ended(), None);
        drop(program.take_stdin());
        assert_eq!(program.expect_stdout_lines("e", 2), ["one", "three"]);
        assert!(program.wait().success());
        assert_eq!(program.stdout(), ["one", "three"]);
    }

    #[test]
    fn a_line_that_never_comes_is_not_waited_for_long() {
        let program = Program::start("sh", ["-c", "echo other"]);
        let panic = catch_unwind(AssertUnwindSafe(|| program.expect_stdout("this"))).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains("\"this\"") && message.contains("stdout: other"), "{message}");
    }

    #[test]
    fn addresses_are_read() {
        let script = "echo 'Forwarding from 127.0.0.1:18080 -> 80';
            echo 'Forwarding from [::1]:18080 -> 80'";
        let program = Program::start("sh", ["-c", script]);
        assert_eq!(program.forwarded_address().port(), 18080);
        let both: Vec<_> = program.forwarded(2).iter().map(ToString::to_string).collect();
        assert_eq!(both, ["127.0.0.1:18080", "[::1]:18080"]);
    }

    #[test]
    fn signals_end_it_and_so_does_the_end_of_scope() {
        let mut program = Program::start("sleep", ["1000"]);
        program.signal(Signal::SIGTERM);
        let status = program.wait();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
        let program = Program::start("sleep", ["1000"]);
        let pid = program.pid();
        drop(program);
        assert!(!Path::new("/proc").join(pid.to_string()).exists());
    }
}
