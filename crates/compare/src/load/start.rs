//! The cost of a process for one connection: `PROGRAM - TCP4:localhost:PORT`, wired as the kubelet
//! wires it.
//!
//! Standard input and output are pipes that stay open, standard error is collected; the origin
//! sends one byte as soon as it is connected to. One operation after the other goes through these
//! steps:
//!
//! 1. the program is started: the clock runs from before the fork, so that exec, the dynamic linker
//!    and everything that the program does before it connects are in it;
//! 2. the origin accepts and sends its byte; with that byte on the program's standard output the
//!    clock stops;
//! 3. the program waits for more, and its memory is read: all that it has mapped in (`Rss`), and
//!    what of that is its own and no file's (`Anonymous`), which is what each further process
//!    costs. Both are exact in `smaps_rollup`, and leave out what `ru_maxrss` would have inherited
//!    from us over the fork. The first moves by a few hundred KiB with the page cache, because a
//!    fault maps in whatever of the file is cached around it;
//! 4. standard input is closed, the origin answers the FIN with its own, and the program must end
//!    with status 0 and without a word on standard error. Its CPU time is in the usage of our
//!    children from then on.
//!
//! Program and load are on one CPU, where the load is put before. Nothing is lost by that: of the
//! two one always waits for the other.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use super::failure::Failure;
use super::job::Job;
use super::latency::Latencies;
use super::meter::{self, Meter, Usage, Window};
use super::process::{self, Footprint};
use super::report::{Figure, Measurement};

/// Longest time of the program for each of its steps.
const PATIENCE: Duration = Duration::from_secs(10);

/// Measures it.
///
/// # Errors
/// When the program cannot be started, does not pass the byte on, complains, or ends badly.
pub(crate) fn run(
    job: &Job,
    program: &Path,
    listener: &TcpListener,
    meter: &Meter,
) -> Result<Measurement, Failure> {
    let mut latencies = Latencies::default();
    let mut memory = Footprint::default();
    let start = Instant::now();
    let mut window: Option<(Window<'_>, Duration)> = None;
    loop {
        let (took, footprint) = operation(program, listener)?;
        latencies.add(took);
        memory += footprint;
        let now = Instant::now();
        match &window {
            Some((open, _)) if open.age(now) >= job.window => break,
            None if now - start >= job.warmup => {
                latencies.clear();
                memory = Footprint::default();
                window = Some((meter.open_window()?, meter::children_cpu()?));
            }
            _ => {}
        }
    }

    let Some((window, before)) = window else {
        return Err(Failure::Relay("the measured window never opened".to_owned()));
    };
    let usage = with_children(window.close()?, meter::children_cpu()?.saturating_sub(before));
    let mut report = Measurement::new(job, meter, &usage);
    "rusage, smaps".clone_into(&mut report.meter);
    report.operations(latencies.count(), &usage)?;
    let count = latencies.count() as f64;
    report.figures.insert(Figure::ResidentBytes, memory.resident as f64 / count);
    report.figures.insert(Figure::OwnBytes, memory.own as f64 / count);
    report.latencies(latencies);
    Ok(report)
}

/// The usage in which our children are what is measured, and not among the others.
fn with_children(usage: Usage, children: Duration) -> Usage {
    let others = usage.others.map(|others| others.saturating_sub(children));
    Usage { relay: Some(children), others, ..usage }
}

/// Starts the program once and sees it through: the time to the first byte, and its memory then.
fn operation(program: &Path, listener: &TcpListener) -> Result<(Duration, Footprint), Failure> {
    let port = listener
        .local_addr()
        .map_err(|error| Failure::system("read the origin's address", error))?
        .port();
    let mut run = Run::start(program, port)?;
    let (took, server) =
        run.first_byte(listener).map_err(|error| run.failed("pass the first byte on", &error))?;
    let footprint = process::footprint(run.child.id())?;
    run.end(server).map_err(|error| run.failed("end well", &error))?;
    Ok((took, footprint))
}

/// One process. It is killed and waited for when it goes out of scope, whatever it is doing.
struct Run {
    begun: Instant,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    stderr: ChildStderr,
}

impl Run {
    fn start(program: &Path, port: u16) -> Result<Self, Failure> {
        let failed = |error| Failure::system(format!("start {}", program.display()), error);
        let mut command = Command::new(program);
        command.arg("-").arg(format!("TCP4:localhost:{port}"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let begun = Instant::now();
        let mut child = command.spawn().map_err(failed)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (stdin @ Some(_), Some(stdout), Some(stderr)) = pipes else {
            return Err(failed(io::Error::other("its pipes are missing")));
        };
        Ok(Self { begun, child, stdin, stdout, stderr })
    }

    /// Serves the connection and waits for the byte: the time since the start, and the origin's
    /// end.
    fn first_byte(&mut self, listener: &TcpListener) -> io::Result<(Duration, TcpStream)> {
        self.wait_for(listener.as_fd())?;
        let (mut server, _) = listener.accept()?;
        server.write_all(b"!")?;
        self.wait_for(self.stdout.as_fd())?;
        self.stdout.read_exact(&mut [0])?;
        Ok((self.begun.elapsed(), server))
    }

    /// Closes the program's input and waits for its end.
    fn end(&mut self, mut server: TcpStream) -> io::Result<()> {
        self.stdin = None;
        self.wait_for(server.as_fd())?;
        if server.read(&mut [0])? != 0 {
            return Err(io::Error::other("it sent bytes of its own"));
        }
        drop(server);
        self.wait_for(self.stdout.as_fd())?;
        let status = self.child.wait()?;
        let mut told = String::new();
        self.stderr.read_to_string(&mut told)?;
        if status.success() && told.is_empty() {
            Ok(())
        } else {
            Err(io::Error::other(format!("{status}: {}", told.trim_end())))
        }
    }

    /// Waits until `source` has something to be read, as long as the program keeps its output open.
    fn wait_for(&self, source: BorrowedFd<'_>) -> io::Result<()> {
        let timeout = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
        let mut sources = [
            PollFd::new(source, PollFlags::POLLIN),
            PollFd::new(self.stdout.as_fd(), PollFlags::empty()),
        ];
        let ready = poll(&mut sources, timeout)?;
        if ready == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match sources[0].any() {
            Some(true) => Ok(()),
            _ => Err(io::Error::other("it closed its output")),
        }
    }

    /// The failure to do `what`, with what the program said about it.
    fn failed(&mut self, what: &str, error: &io::Error) -> Failure {
        let mut told = String::new();
        // Dead, it holds no write end, so this reads to an end; what it cannot tell is not told.
        let _ = self.child.kill().and_then(|()| self.stderr.read_to_string(&mut told));
        Failure::Relay(format!("it did not {what}: {error} {}", told.trim_end()))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Does nothing to a program that has been waited for.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::job::Workload;
    use crate::load::net;
    use nsplice_testkit::skip::require_tool;
    use std::net::{Ipv4Addr, SocketAddr};

    fn origin() -> TcpListener {
        net::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a listener")
    }

    fn refusal(program: &str) -> String {
        let refused = operation(Path::new(program), &origin()).expect_err("no relay");
        refused.to_string()
    }

    #[test]
    fn programs_that_do_not_relay_are_failures() {
        assert!(refusal("/nonexistent/socat").contains("cannot start /nonexistent/socat"));
        assert!(refusal("true").contains("it did not pass the first byte on: it closed its output"));
        let complaint = refusal("ls");
        assert!(complaint.contains("TCP4:localhost:"), "what it said is told: {complaint}");
    }

    #[test]
    fn children_are_what_is_measured() {
        let second = Duration::from_secs(1);
        let usage = Usage { wall: second, relay: None, own: second, others: Some(second * 3) };
        let usage = with_children(usage, second * 2);
        assert_eq!((usage.relay, usage.others), (Some(second * 2), Some(second)));
    }

    #[test]
    fn a_real_socat_is_measured() {
        let Some(program) = require_tool("a_real_socat_is_measured", "socat") else { return };
        let mut job = Job::new(Workload::Start);
        (job.window, job.warmup) = (Duration::ZERO, Duration::ZERO);
        let meter = Meter::of_nothing();
        let report = run(&job, &program, &origin(), &meter).expect("a measurement");
        assert!(report.figures[&Figure::Operations] >= 1.0);
        assert!(report.figures[&Figure::ResidentBytes] >= report.figures[&Figure::OwnBytes]);
    }
}
