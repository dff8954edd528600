//! A program that relays: what it tells, what it holds, how it ends.

use std::collections::HashSet;
use std::fs;
use std::net::{SocketAddr, TcpStream};

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use nsplice_testkit::peer::{connect_expecting_reset, connect_with_receive_buffer};
use nsplice_testkit::{wait_for, wait_until, waiting_at, Census, Program};
use tempfile::TempDir;

use crate::journal::End;
use crate::testbed::children_of;
use crate::{nsplice, Testbed};

/// Descriptors that idle pipes may take: a loop keeps up to eight pipes for the next bulk lane.
const SPARE_PIPES: usize = 16;

/// A program that relays.
#[derive(Debug)]
pub(crate) struct Relay<'a> {
    testbed: &'a Testbed,
    program: Program,
    pid: u32,
    address: SocketAddr,
    target: String,
    baseline: Census,
    _leash: Leash,
    _directory: Option<TempDir>,
}

impl<'a> Relay<'a> {
    /// `nsplice forward` to `port` of the container, with `words` added.
    #[track_caller]
    pub(crate) fn forward(testbed: &'a Testbed, port: u16, words: &str) -> Self {
        let reached = testbed.target_words();
        let line = format!("forward {reached} :{port} --address 127.0.0.1 {words}");
        let program = testbed.start(&mut nsplice(&line));
        let address = program.forwarded_address();
        Self::new(testbed, program, address, &testbed.target(), 1, None)
    }

    /// One that has told its address.
    #[track_caller]
    pub(crate) fn new(
        testbed: &'a Testbed,
        program: Program,
        address: SocketAddr,
        target: &str,
        loops: usize,
        directory: Option<TempDir>,
    ) -> Self {
        let pid = process_of(program.pid());
        // Addresses are told before the loops start.
        wait_until("the loops to run", || loops_of(pid) == loops);
        let baseline = Census::of(pid);
        let target = target.to_owned();
        let _leash = Leash(pid);
        Self { testbed, program, pid, address, target, baseline, _leash, _directory: directory }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Its thread of this name.
    pub(crate) fn thread(&self, name: &str) -> Option<u32> {
        threads_of(self.pid).find(|(_, own)| own == name).map(|(thread, _)| thread)
    }

    /// Whether all of it has been stopped by SIGSTOP, and nobody is about to go on.
    pub(crate) fn is_stopped(&self) -> bool {
        threads_of(self.pid).all(|(thread, _)| {
            // `t` is a thread that strace(1) holds, which lets nobody go on before SIGCONT.
            let stat = fs::read_to_string(format!("/proc/{}/task/{thread}/stat", self.pid));
            let stat = stat.unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['T', 't']))
        })
    }

    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    pub(crate) fn program_mut(&mut self) -> &mut Program {
        &mut self.program
    }

    /// What it held before its first link.
    pub(crate) fn baseline(&self) -> &Census {
        &self.baseline
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client.
    #[track_caller]
    pub(crate) fn connect(&self) -> TcpStream {
        self.testbed.connect(self.address)
    }

    /// A client that soon stops who sends to it.
    #[track_caller]
    pub(crate) fn connect_narrow(&self) -> TcpStream {
        let connected = || connect_with_receive_buffer(self.address, Some(16 * 1024));
        self.testbed.node().inside(connected)
    }

    /// A client that must be refused by RST.
    #[track_caller]
    pub(crate) fn connect_refused(&self) {
        self.testbed.node().inside(|| connect_expecting_reset(self.address));
    }

    /// Whether the address is listened on still.
    pub(crate) fn listens(&self) -> bool {
        self.waiting().is_some()
    }

    /// Clients in its queue, if it listens still. Nobody is disturbed by the question.
    pub(crate) fn waiting(&self) -> Option<usize> {
        self.testbed.node().inside(|| waiting_at(self.address))
    }

    /// Whether it holds more sockets than before its first link.
    pub(crate) fn is_serving(&self) -> bool {
        Census::of(self.pid).descriptors("socket") > self.baseline.descriptors("socket")
    }

    /// The ends of links so far.
    pub(crate) fn ends(&self) -> Vec<End> {
        End::all_of(&self.program.stderr())
    }

    /// Waits for the ends of `count` links.
    #[track_caller]
    pub(crate) fn expect_ends(&self, count: usize) -> Vec<End> {
        self.program.expect_stderr_lines("\"msg\":\"link ended\"", count);
        let ends = self.ends();
        let links: HashSet<_> = ends.iter().map(|end| &end.link).collect();
        assert_eq!(links.len(), ends.len(), "an identity was given twice: {ends:?}");
        ends
    }

    /// Waits for the end of the link of the client at `client`, which must be of this outcome.
    #[track_caller]
    pub(crate) fn expect_end(&self, client: SocketAddr, outcome: &str) -> End {
        let found = || self.ends().into_iter().find(|end| end.client == client);
        let end = wait_for("the link to end", found);
        assert_eq!(end.outcome, outcome, "{end:?}");
        assert_eq!(end.backend, self.testbed.backend.word());
        assert_eq!((end.target.as_str(), end.forward.as_str()), (self.target.as_str(), "case"));
        end
    }

    /// Waits for the end of the only link so far.
    #[track_caller]
    pub(crate) fn expect_only_end(&self, outcome: &str) -> End {
        let ends = self.expect_ends(1);
        assert_eq!(ends.len(), 1, "{ends:?}");
        self.expect_end(ends[0].client, outcome)
    }

    /// Waits until it holds what it held before its first link.
    #[track_caller]
    pub(crate) fn expect_restored(&self) {
        self.baseline.assert_restored_up_to("pipe", SPARE_PIPES);
    }

    /// The census, and the end that was asked for.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Program {
        self.expect_restored();
        self.signal(Signal::SIGTERM);
        self.expect_exit();
        self.program
    }

    /// Waits for it to end, which must be well.
    #[track_caller]
    pub(crate) fn expect_exit(&mut self) {
        let status = self.program.wait();
        assert_eq!(status.code(), Some(0), "{status}: {}", self.program);
    }

    /// Sends a signal to nsplice, whoever runs it.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).expect("process ids are positive");
        kill(Pid::from_raw(pid), signal).expect("send a signal");
    }
}

/// The process of nsplice, which is `pid` or has been started by it.
fn process_of(pid: u32) -> u32 {
    wait_for("the process of nsplice", || {
        [pid].into_iter().chain(children_of(pid)).find(|pid| is_nsplice(*pid))
    })
}

/// Whether this is a process of the program under test that has not ended.
fn is_nsplice(pid: u32) -> bool {
    let own = fs::canonicalize(env!("CARGO_BIN_EXE_nsplice")).expect("the program");
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == own)
}

/// Ends an nsplice that a failed case would leave behind: one that strace runs outlives it, and one
/// that std has started outlives its [`std::process::Child`].
#[derive(Debug)]
pub(crate) struct Leash(pub(crate) u32);

impl Drop for Leash {
    fn drop(&mut self) {
        if is_nsplice(self.0) {
            let pid = i32::try_from(self.0).expect("process ids are positive");
            // It may end at this moment by itself.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// How many loops run in a process.
fn loops_of(pid: u32) -> usize {
    threads_of(pid).filter(|(_, name)| name.starts_with("loop-")).count()
}

/// The threads of a process, with their names.
fn threads_of(pid: u32) -> impl Iterator<Item = (u32, String)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        Some((task.file_name().to_str()?.parse().ok()?, name.trim_end().to_owned()))
    })
}
