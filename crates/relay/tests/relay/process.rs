//! A loop in a process of its own, which can be stopped, starved of descriptors, traced and
//! measured without harm to the test.
//!
//! It is this test binary again, with one environment variable that says what to do. It says
//! `listening on ADDRESS`, then what its observer is told, runs until its standard input ends, and
//! leaves with its books on the last line.

use std::env;
use std::io::{stdin, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::sys::resource::{setrlimit, Resource};
use nix::sys::signal::Signal;
use nix::unistd::pipe2;
use nsplice_relay::{Forward, Limits, Settings};
use nsplice_testkit::census::{cpu_time, resident_memory};
use nsplice_testkit::{wait_until, Program};

use crate::bench::{listening, ANY_PORT};
use crate::openers::{connecting, forward};
use crate::running::Running;

/// Says what the process is to do: words of the form `NAME=VALUE`.
const ORDERS: &str = "NSPLICE_RELAY_TEST_PROCESS";

/// What the process is to do.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    target: SocketAddr,
    splice: bool,
    /// RLIMIT_NOFILE of the process.
    files: Option<u64>,
    /// Idle timeout in milliseconds.
    idle: Option<u64>,
    /// Make pipes until the kernel grants only crippled ones.
    hog_pipes: bool,
    user: Option<u32>,
    wrapper: Vec<String>,
}

/// The process.
#[derive(Debug)]
pub(crate) struct RelayProcess {
    program: Program,
    pub(crate) address: SocketAddr,
}

impl RelayProcess {
    /// Orders for a loop that connects to `target`.
    #[track_caller]
    pub(crate) fn to(target: &TcpListener) -> Orders {
        let target = target.local_addr().expect("a listener has an address");
        let (user, wrapper) = (None, Vec::new());
        Orders { target, splice: true, files: None, idle: None, hog_pipes: false, user, wrapper }
    }

    /// Sends it a signal.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        self.program.signal(signal);
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// The lines so far that contain `text`.
    pub(crate) fn lines(&self, text: &str) -> usize {
        self.program.stdout().iter().filter(|line| line.contains(text)).count()
    }

    /// Waits for a line that contains `text`.
    #[track_caller]
    pub(crate) fn wait_line(&self, text: &str) {
        self.program.expect_stdout(text);
    }

    /// Waits until `count` links have ended in the outcome `word`.
    #[track_caller]
    pub(crate) fn wait_ended(&self, word: &str, count: usize) {
        self.program.expect_stdout_lines(&format!("ended: {word}"), count);
    }

    /// Checks that it stays off the processor for `window`.
    #[track_caller]
    pub(crate) fn assert_at_rest(&self, window: Duration) {
        let before = cpu_time(self.pid());
        std::thread::sleep(window);
        let used = cpu_time(self.pid()) - before;
        // Counted in ticks of 10 ms; a loop that spins would use the whole window.
        assert!(used < window / 10, "used {used:?} of {window:?} with nothing to move");
    }

    /// Its resident memory, in bytes.
    #[track_caller]
    pub(crate) fn memory(&self) -> u64 {
        resident_memory(self.pid())
    }

    /// Lets it end, and checks that it does so well and with its books in order.
    #[track_caller]
    pub(crate) fn close(mut self) {
        drop(self.program.take_stdin());
        let status = self.program.wait();
        assert!(status.success(), "{status}: {}", self.program);
        self.program.expect_stdout("books in order");
    }
}

impl Orders {
    /// With splice(2) or without.
    pub(crate) fn splice(self, splice: bool) -> Self {
        Self { splice, ..self }
    }

    /// With at most `files` descriptors.
    pub(crate) fn files(self, files: u64) -> Self {
        Self { files: Some(files), ..self }
    }

    /// With an idle timeout.
    pub(crate) fn idle(self, milliseconds: u64) -> Self {
        Self { idle: Some(milliseconds), ..self }
    }

    /// In the name of `user` if we may, with as many pipes as such a user may have already taken.
    pub(crate) fn without_pipes_for(self, user: u32) -> Self {
        let user = nix::unistd::geteuid().is_root().then_some(user);
        Self { hog_pipes: true, user, ..self }
    }

    /// Under a program that starts programs, such as strace.
    pub(crate) fn under(self, wrapper: &[String]) -> Self {
        Self { wrapper: wrapper.to_vec(), ..self }
    }

    /// Starts the process and waits until it listens.
    #[track_caller]
    pub(crate) fn start(self) -> RelayProcess {
        let mut words = self.wrapper.clone();
        words.push(own_path().to_string_lossy().into_owned());
        words.extend(
            ["process::relay_process", "--exact", "--ignored", "--nocapture"].map(Into::into),
        );
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).env(ORDERS, self.to_words()).stdin(Stdio::piped());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let program = Program::spawn(&mut command);
        let line = program.expect_stdout("listening on ");
        let address = line.rsplit(' ').next().and_then(|word| word.parse().ok());
        RelayProcess { address: address.unwrap_or_else(|| panic!("no address: {line}")), program }
    }

    fn to_words(&self) -> String {
        let number = |number: Option<u64>| number.map_or(String::new(), |some| some.to_string());
        let Self { target, splice, hog_pipes, .. } = self;
        let (files, idle) = (number(self.files), number(self.idle));
        format!("target={target} splice={splice} hog_pipes={hog_pipes} files={files} idle={idle}")
    }

    fn of_words(words: &str) -> Option<Self> {
        let value = |name: &str| {
            let mut pairs = words.split(' ').filter_map(|word| word.split_once('='));
            pairs.find(|(each, _)| *each == name).map(|(_, value)| value)
        };
        Some(Self {
            target: value("target")?.parse().ok()?,
            splice: value("splice")? == "true",
            hog_pipes: value("hog_pipes")? == "true",
            files: value("files")?.parse().ok(),
            idle: value("idle")?.parse().ok(),
            user: None,
            wrapper: Vec::new(),
        })
    }
}

fn own_path() -> PathBuf {
    env::current_exe().expect("a test knows where it is")
}

#[test]
#[ignore = "no test of its own: the relay process that other tests start"]
fn relay_process() {
    let Ok(words) = env::var(ORDERS) else { return };
    let orders = Orders::of_words(&words).expect("orders that the other end has written");
    if let Some(files) = orders.files {
        setrlimit(Resource::RLIMIT_NOFILE, files, files).expect("set the limit of descriptors");
    }
    let hogged = orders.hog_pipes.then(hog_pipes);
    let settings = Settings { splice: orders.splice, ..Settings::default() };
    let idle_timeout = orders.idle.map(Duration::from_millis);
    let limits = Limits { idle_timeout, ..Limits::default() };
    let mut address = ANY_PORT;
    let relay = Running::start_aloud(settings, |relay| {
        let forward = Forward { limits, ..forward(connecting(orders.target)) };
        address = listening(relay, forward);
    });
    println!("listening on {address}");
    stdin().read_to_end(&mut Vec::new()).expect("read to the end of the standard input");
    relay.close();
    drop(hogged);
    println!("books in order");
}

/// Makes pipes until this user gets only crippled ones.
fn hog_pipes() -> Vec<impl Sized> {
    let mut pipes = Vec::new();
    loop {
        let pipe = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
        let size = fcntl(&pipe.0, FcntlArg::F_GETPIPE_SZ).expect("a pipe has a size");
        pipes.push(pipe);
        if size < 65_536 {
            println!("pipes of {size} bytes");
            return pipes;
        }
    }
}

/// Waits until all that was sent on `stream`, its FIN included, has been taken in by the kernel of
/// the other end, whose own FIN had come before: only then the connection has no peer any more.
#[track_caller]
pub(crate) fn wait_taken_in(stream: &std::net::TcpStream) {
    wait_until("the last acknowledgement", || stream.peer_addr().is_err());
}
