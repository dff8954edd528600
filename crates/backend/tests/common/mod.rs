//! What the tests of the backends share: a loop of one attempt, a child that can be read, a test
//! that starts itself again in another role, and the census around each of them.

#![allow(dead_code, reason = "each test binary uses a part of it")]

mod container;

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Instant;

use nix::errno::Errno;
use nix::unistd::{read, write};
use nsplice_backend::{BackendError, Choice, Destination, Host, Options, Plan, Template};
use nsplice_relay::open::{drive, Driven};
use nsplice_relay::{Attempt, Child, OpenError, Opener, Upstream, Verdict};
use nsplice_sys::Pool;
use nsplice_testkit::census::alone;
use nsplice_testkit::wait::poll_for;
use nsplice_testkit::{wait_for, Census, Namespace, PATIENCE};

#[allow(unused_imports, reason = "each test binary uses a part of it")]
pub(crate) use container::Container;

/// Runs `test` while no other counted test of this binary runs, and expects that this process holds
/// afterwards what it held before.
#[track_caller]
pub(crate) fn counted(test: impl FnOnce()) {
    let _alone = alone();
    let before = Census::own();
    test();
    before.assert_restored();
}

/// `localhost:PORT` in `target`.
pub(crate) fn to(target: impl ToString, port: u16) -> Destination {
    let target = target.to_string().parse().expect("a target");
    Destination { target, host: Host::Localhost, port }
}

/// Both ways to a namespace: by its path and by the process inside.
pub(crate) fn targets(namespace: &Namespace) -> [String; 2] {
    [format!("netns/{}", namespace.name()), format!("pid/{}", namespace.pid())]
}

/// The threads of all plans.
pub(crate) fn pool() -> &'static Pool {
    static POOL: LazyLock<Pool> = LazyLock::new(Pool::on_demand);
    &POOL
}

pub(crate) fn plan(destination: &Destination, choice: Choice) -> Result<Plan, BackendError> {
    Plan::prepare(destination, choice, &Options::default(), pool())
}

/// An opener for `destination`, which must be possible.
#[track_caller]
pub(crate) fn opener(destination: &Destination, choice: Choice) -> Box<dyn Opener> {
    let plan = plan(destination, choice).unwrap_or_else(|error| panic!("{error}"));
    plan.opener().expect("an opener")
}

/// An opener that runs `command` for `destination`.
#[track_caller]
pub(crate) fn commander(destination: &Destination, command: &str) -> Box<dyn Opener> {
    let command = Some(Template::parse(command).expect("a command"));
    let options = Options { command, ..Options::default() };
    let plan = Plan::prepare(destination, Choice::External, &options, pool());
    plan.unwrap_or_else(|error| panic!("{error}")).opener().expect("an opener")
}

/// Opens one upstream as a loop would.
pub(crate) fn open(opener: &mut dyn Opener) -> Result<Upstream, OpenError> {
    finish(opener.open(None).as_mut())
}

/// Drives `attempt` to its end.
#[track_caller]
pub(crate) fn finish(attempt: &mut dyn Attempt) -> Result<Upstream, OpenError> {
    match drive(attempt, Some(Instant::now() + PATIENCE), None) {
        Driven::Open(upstream) => Ok(upstream),
        Driven::Failed(error) => Err(error),
        Driven::TimedOut | Driven::Stopped => panic!("{attempt:?} waits for ever"),
    }
}

/// Opens a stream, which must be possible, and makes it block.
#[track_caller]
pub(crate) fn stream(opener: &mut dyn Opener) -> TcpStream {
    match open(opener) {
        Ok(Upstream::Stream(socket)) => {
            let stream = TcpStream::from(socket);
            stream.set_nonblocking(false).expect("a socket");
            nsplice_testkit::peer::patient(stream)
        }
        other => panic!("not a stream: {other:?}"),
    }
}

/// Opens a stream, which must fail.
#[track_caller]
pub(crate) fn failure(opener: &mut dyn Opener) -> OpenError {
    open(opener).expect_err("it opens")
}

/// A program behind an upstream, read as a relay would.
#[derive(Debug)]
pub(crate) struct Piped {
    pub(crate) input: Option<OwnedFd>,
    pub(crate) output: OwnedFd,
    pub(crate) child: Box<dyn Child>,
}

impl Piped {
    #[track_caller]
    pub(crate) fn open(opener: &mut dyn Opener) -> Self {
        match open(opener) {
            Ok(Upstream::Piped { input, output, child }) => {
                Self { input: Some(input), output, child }
            }
            other => panic!("not a program: {other:?}"),
        }
    }

    /// Writes to the program's standard input.
    #[track_caller]
    pub(crate) fn say(&self, words: &str) {
        let input = self.input.as_ref().expect("the input is open");
        assert_eq!(write(input, words.as_bytes()), Ok(words.len()));
    }

    /// The next line of its standard output.
    #[track_caller]
    pub(crate) fn line(&self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            match self.next(1) {
                Some(bytes) => line.extend(bytes),
                None => panic!("ended with {:?}", String::from_utf8_lossy(&line)),
            }
        }
        String::from_utf8(line).expect("text").trim_end().to_owned()
    }

    /// Reads its standard output to the end.
    #[track_caller]
    pub(crate) fn rest(&self) -> String {
        let mut all = Vec::new();
        while let Some(bytes) = self.next(4096) {
            all.extend(bytes);
        }
        String::from_utf8(all).expect("text")
    }

    /// Waits for its end, and takes away what it says meanwhile.
    #[track_caller]
    pub(crate) fn verdict(&mut self) -> Verdict {
        wait_for("the program to end", || {
            while self.child.absorb_diagnostics() {}
            self.child.verdict()
        })
    }

    fn next(&self, most: usize) -> Option<Vec<u8>> {
        let mut block = vec![0; most];
        let count = poll_for(PATIENCE, || match read(&self.output, &mut block) {
            Err(Errno::EAGAIN) => None,
            answer => Some(answer.expect("a pipe")),
        })
        .expect("the program says something");
        block.truncate(count);
        (count > 0).then_some(block)
    }
}

/// The failure that a verdict tells.
#[track_caller]
pub(crate) fn failed(verdict: Verdict) -> OpenError {
    match verdict {
        Verdict::Failure(error) => error,
        Verdict::Success => panic!("success"),
    }
}

/// Whether the process `pid` exists, as a zombie perhaps.
pub(crate) fn exists(pid: &str) -> bool {
    std::path::Path::new("/proc").join(pid).exists()
}

/// Whether the process `pid` exists and has not ended. An orphan that has ended is a zombie until
/// init comes to it, and not every container has an init that does.
pub(crate) fn runs(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains("(zombie)"))
}

/// The role that this test has been started in by [`again`], with its arguments.
pub(crate) fn role() -> Option<Vec<String>> {
    let words = std::env::var(ROLE).ok()?;
    Some(words.split(' ').map(str::to_owned).collect())
}

/// A command that runs `test` of this binary once more, behind the words of `wrapper`, with a role.
/// What it prints comes among the lines of the test harness.
pub(crate) fn again(test: &str, wrapper: &[&str], role: &str) -> Command {
    let ourselves = std::env::current_exe().expect("a test binary");
    let mut words = wrapper.iter().copied();
    let mut command = match words.next() {
        None => Command::new(&ourselves),
        Some(first) => {
            let mut command = Command::new(first);
            command.args(words).arg(&ourselves);
            command
        }
    };
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(ROLE, role);
    command
}

/// Runs `command` to its end, which must be a good one, and returns what it printed.
#[track_caller]
pub(crate) fn succeeds(command: &mut Command) -> String {
    let output = command.output().expect("a program that can be started");
    let told = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{command:?}: {}\n{told}", output.status);
    told
}

/// Reads and gives back until the other side's FIN.
pub(crate) fn echo(stream: TcpStream) {
    let mut reader = &stream;
    io::copy(&mut reader, &mut &stream).expect("an echo");
}

/// Sends a word both ways over `stream`, and its FIN.
#[track_caller]
pub(crate) fn expect_echo(stream: &TcpStream) {
    use std::io::Write;
    (&mut &*stream).write_all(b"hello").expect("a stream");
    nsplice_testkit::talk::half_close(stream);
    assert_eq!(nsplice_testkit::talk::read_to_eof(stream), b"hello");
}

/// Which kind of descriptor `fd` is.
pub(crate) fn kind(fd: impl AsFd) -> String {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    std::fs::read_link(path).expect("an open descriptor").to_string_lossy().into_owned()
}

const ROLE: &str = "NSPLICE_TEST_ROLE";
