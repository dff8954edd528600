//! The cost of opening an upstream, by itself: from asking a backend for one to the first byte of
//! a server that speaks first.
//!
//! There is no relay in between. The backend's opener is driven without a loop ([`drive`]), one
//! opening after the other, each ended before the next begins, so what is measured is what a link
//! through that backend waits and pays before any byte of its own moves. The yardstick is a connect
//! made inside the target.
//!
//! CPU is that of this thread and of the children it has waited for. On loopback both ends of a
//! handshake run on the back of the one that connects, for every row alike.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::resource::UsageWho;
use nix::unistd::{pipe2, read};
use nsplice_backend::{Choice, Destination, Host, Options, Plan, Target};
use nsplice_relay::open::{drive, Driven};
use nsplice_relay::{Opener, Upstream};
use nsplice_sys::Pool;

use crate::load::failure::Failure;
use crate::load::latency::Latencies;
use crate::load::meter::cpu_of;
use crate::load::report::Measurement;
use crate::stage::{Birth, Listening, Stage};
use crate::subject::DIRECT;

/// The name of the workload.
pub(crate) const WORKLOAD: &str = "open alone";

/// The time after which an opening counts as failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Clients that the server lets wait.
const BACKLOG: i32 = 128;

/// A way to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// A connect made inside: the yardstick.
    Direct,
    /// A backend.
    Backend(Choice),
}

impl Way {
    /// The name of its subject.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => DIRECT,
            Self::Backend(choice) => choice.as_str(),
        }
    }

    /// The side it begins on. The connects of `direct` and `dial` are plain, and so begin inside.
    fn birth(self) -> Birth {
        match self {
            Self::Direct | Self::Backend(Choice::Dial) => Birth::Target,
            Self::Backend(_) => Birth::Node,
        }
    }

    /// The destination that it leads to.
    fn destination(self, stage: &Stage) -> Destination {
        let target = match self.birth() {
            Birth::Node => stage.target().clone(),
            Birth::Target => Target::Tcp("localhost".to_owned()),
        };
        Destination { target, host: Host::Localhost, port: stage.port() }
    }
}

/// Opens one upstream after the other for as long as `window`, as round number `round`.
///
/// # Errors
/// When the backend is not to be had here, when an opening fails, when the target is gone.
pub(crate) fn measure(
    way: Way,
    stage: &Stage,
    options: &Options,
    window: Duration,
    round: u32,
) -> Result<Measurement, Failure> {
    let listener = stage
        .listen(stage.origin(), BACKLOG)
        .map_err(|error| Failure::system(format!("listen inside {}", stage.target()), error))?;
    let server = Server::start(listener)?;
    let measured = stage
        .visit(way.birth(), || run(way, stage, options, window))
        .map_err(|error| Failure::system(format!("enter {}", stage.target()), error))?;
    drop(server);
    let (latencies, cpu, wall) = measured?;
    let mut report = Measurement::of_thread(way.name(), WORKLOAD, round, wall);
    report.openings(latencies, cpu);
    Ok(report)
}

/// Durations, the CPU time of all of them, and how long it took.
type Run = (Latencies, Duration, Duration);

fn run(way: Way, stage: &Stage, options: &Options, window: Duration) -> Result<Run, Failure> {
    let mut opener = match way {
        Way::Direct => None,
        Way::Backend(choice) => Some(prepare(&way.destination(stage), choice, options)?),
    };
    let mut once = || match &mut opener {
        None => connect(stage.origin()),
        Some(opener) => open(opener.as_mut()),
    };
    // The first one finds caches cold, and for some backends starts threads.
    once()?;
    let mut latencies = Latencies::default();
    let (before, start) = (used()?, Instant::now());
    while latencies.count() == 0 || start.elapsed() < window {
        latencies.add(once()?);
    }
    let cpu = used()?.saturating_sub(before);
    Ok((latencies, cpu, start.elapsed()))
}

fn prepare(
    destination: &Destination,
    choice: Choice,
    options: &Options,
) -> Result<Box<dyn Opener>, Failure> {
    // Threads that are needed begin where the openings do, which may be inside the target.
    Plan::prepare(destination, choice, options, &Pool::on_demand())
        .and_then(|plan| plan.opener())
        .map_err(|error| Failure::Relay(error.to_string()))
}

/// CPU time of this thread and of its children that have been waited for.
fn used() -> Result<Duration, Failure> {
    Ok(cpu_of(UsageWho::RUSAGE_THREAD)? + cpu_of(UsageWho::RUSAGE_CHILDREN)?)
}

/// One plain connect, up to the first byte.
fn connect(origin: SocketAddr) -> Result<Duration, Failure> {
    let start = Instant::now();
    let first_byte = || -> io::Result<Duration> {
        let mut stream = TcpStream::connect_timeout(&origin, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.read_exact(&mut [0])?;
        Ok(start.elapsed())
    };
    first_byte().map_err(|error| Failure::system(format!("connect to {origin}"), error))
}

/// One opening, up to the first byte, and its end.
fn open(opener: &mut dyn Opener) -> Result<Duration, Failure> {
    let start = Instant::now();
    let deadline = Some(start + PATIENCE);
    let upstream = match drive(opener.open(None).as_mut(), deadline, None) {
        Driven::Open(upstream) => upstream,
        Driven::Failed(error) => return Err(Failure::Relay(error.detail)),
        Driven::TimedOut | Driven::Stopped => {
            let error = io::Error::from(io::ErrorKind::TimedOut);
            return Err(Failure::system("wait for an opening", error));
        }
    };
    let failed =
        |error: io::Error| Failure::system(format!("open through {}", opener.backend()), error);
    first_byte(upstream, start).map_err(failed)
}

/// Waits for the first byte and ends the upstream; a child is waited for.
fn first_byte(upstream: Upstream, start: Instant) -> io::Result<Duration> {
    match upstream {
        Upstream::Stream(socket) => byte_of(&socket, start),
        Upstream::Pair { source, sink: _sink } => byte_of(&source, start),
        Upstream::Held { upstream, hold: _hold } => first_byte(*upstream, start),
        Upstream::Piped { input, output, mut child } => {
            let took = byte_of(&output, start)?;
            drop((input, output));
            child.terminate();
            wait_for(child.exit_source(), PollFlags::POLLIN)?;
            child.verdict();
            Ok(took)
        }
    }
}

fn byte_of(source: &OwnedFd, start: Instant) -> io::Result<Duration> {
    wait_for(source.as_fd(), PollFlags::POLLIN)?;
    match read(source, &mut [0])? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(start.elapsed()),
    }
}

fn wait_for(source: std::os::fd::BorrowedFd<'_>, flags: PollFlags) -> io::Result<PollFlags> {
    let mut sources = [PollFd::new(source, flags)];
    let timeout = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
    match poll(&mut sources, timeout)? {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(sources[0].revents().unwrap_or(PollFlags::empty())),
    }
}

/// A server that says one byte to each client and closes. It ends when this goes out of scope.
#[derive(Debug)]
struct Server {
    /// Closed as the word to go.
    word: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(listener: Listening) -> Result<Self, Failure> {
        let (heard, word) = pipe2(nix::fcntl::OFlag::O_CLOEXEC)
            .map_err(|error| Failure::system("make a pipe", io::Error::from(error)))?;
        let thread = thread::Builder::new()
            .name("server".to_owned())
            .spawn(move || serve(&listener, &heard))
            .map_err(|error| Failure::system("start a thread", error))?;
        Ok(Self { word: Some(word), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.word = None;
        // It cannot panic; waiting for it frees the port.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(listener: &Listening, word: &OwnedFd) {
    loop {
        let mut sources = [
            PollFd::new(listener.as_fd(), PollFlags::POLLIN),
            PollFd::new(word.as_fd(), PollFlags::POLLIN),
        ];
        let waited = poll(&mut sources, PollTimeout::NONE);
        if waited.is_err() || sources[1].any() == Some(true) {
            return;
        }
        while let Ok((mut client, _)) = listener.accept() {
            // A client that is gone already will be missed by the other side.
            let _ = client.write_all(b"!");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Scenery;
    use nsplice_backend::Template;

    fn stage() -> Stage {
        let scenery = Scenery {
            target: Some(Target::Tcp("127.0.0.1".to_owned())),
            port: None,
            program: "/nonexistent".into(),
            options: Options::default(),
        };
        Stage::open(scenery).expect("no namespace is needed for this one")
    }

    fn measured(way: Way) -> Result<Measurement, Failure> {
        measure(way, &stage(), &Options::default(), Duration::ZERO, 3)
    }

    #[test]
    fn plain_connects_are_measured() {
        for way in [Way::Direct, Way::Backend(Choice::Dial)] {
            let report = measured(way).expect("a measurement");
            assert_eq!((report.subject.as_str(), report.round), (way.name(), 3));
            assert!(!report.latencies.is_empty());
        }
    }

    #[test]
    fn the_port_is_free_again() {
        let stage = stage();
        for round in 1..4 {
            measure(Way::Direct, &stage, &Options::default(), Duration::ZERO, round)
                .expect("a measurement");
        }
    }

    #[test]
    fn children_are_waited_for() {
        let Some(_) = nsplice_testkit::skip::require_tool("children_are_waited_for", "socat")
        else {
            return;
        };
        let options = Options {
            command: Some(Template::parse("socat - TCP4:{address}:{port}").expect("a template")),
            ..Options::default()
        };
        let way = Way::Backend(Choice::External);
        let report = measure(way, &stage(), &options, Duration::ZERO, 1).expect("a measurement");
        assert!(report.figures.values().all(|figure| *figure > 0.0), "{report:?}");
    }

    #[test]
    fn a_backend_that_does_not_fit_is_a_failure() {
        let failure = measured(Way::Backend(Choice::Setns)).expect_err("tcp has no namespace");
        assert!(failure.to_string().contains("setns"), "{failure}");
    }
}
