//! How many system calls a message, a link and a megabyte of bulk cost the loop: numbers that are
//! not to creep up. What each of them is for is told in `crates/relay/DESIGN.md`.
//!
//! strace(1) writes down every call of the loop's thread. Each number is the difference between a
//! long run and a short one, so that neither the start nor the end of the program is in it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;

use nix::sys::signal::Signal;
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::talk::{echo, expect_ramp, half_close, ramp_sink, read_to_eof, send_ramp};
use nsplice_testkit::{wait_until, Dockerd};

use crate::peers::{hang_up, ping};
use crate::{cases, Daemon, Relay, Testbed};

cases! {
    calls_of_a_message on setns no_splice;
    calls_of_a_link on setns dial;
    calls_of_a_link_by_name on setns;
    calls_of_a_burst on setns;
    calls_of_bulk on setns;
}

const MIB: u64 = 1 << 20;

/// Calls of the loop's thread by their names.
#[derive(Debug, Default)]
struct Calls(BTreeMap<String, usize>);

impl Calls {
    /// What a daemon that forwards to `port` calls while `work` is done with it, or `None` without strace.
    fn during(
        name: &str,
        testbed: &Testbed,
        port: u16,
        work: impl FnOnce(&Relay<'_>),
    ) -> Option<Self> {
        Self::of(name, testbed, testbed.daemon(port), work)
    }

    /// What `daemon` under strace calls while `work` is done with it, or `None` without strace.
    fn of(
        name: &str,
        testbed: &Testbed,
        daemon: Daemon<'_>,
        work: impl FnOnce(&Relay<'_>),
    ) -> Option<Self> {
        require_tool(name, "strace")?;
        // A default that paces costs one call more for each link. Where this may not be changed it is
        // seldom one.
        for namespace in [testbed.node(), testbed.container()] {
            let _ = namespace.set_congestion_control("reno");
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let trace = directory.path().join("trace").display().to_string();
        let strace = ["strace", "-f", "-qq", "-e", "signal=none", "-s", "0", "-o", &trace];
        let relay = daemon.under(&strace).start();
        let thread = relay.thread("loop-0").expect("the loop's thread").to_string();
        work(&relay);
        relay.finish();
        let text = fs::read_to_string(trace).expect("strace writes its file");
        let mut calls = Self::default();
        for line in text.lines() {
            let Some((task, call)) = line.split_once(char::is_whitespace) else { continue };
            let Some((name, _)) = call.trim_start().split_once('(') else { continue };
            // A call that another thread's has interrupted has a second line, "<... NAME resumed>".
            let begins = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            // In debug builds std asks fcntl(2) whether a descriptor that it closes is open.
            if begins && task == thread && name != "fcntl" {
                *calls.0.entry(name.to_owned()).or_default() += 1;
            }
        }
        Some(calls)
    }

    /// Calls of the name `name`.
    fn count(&self, name: &str) -> usize {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Calls in all but those that wake the log's thread: how often that sleeps depends on how busy
    /// the machine is.
    fn total(&self) -> usize {
        self.0.values().sum::<usize>() - self.wakings()
    }

    /// Calls that wake the log's thread.
    fn wakings(&self) -> usize {
        self.count("futex")
    }

    /// For each of `count` units, what these calls are more than those of a `shorter` run.
    #[track_caller]
    fn expect_at_most(&self, most: f64, shorter: &Self, count: u32) {
        let more = self.total().saturating_sub(shorter.total());
        let each = f64::from(u32::try_from(more).expect("some thousands")) / f64::from(count);
        assert!(each > 0.0, "nothing was seen: {self}");
        assert!(each <= most, "{each:.2} calls each, not {most}; {self} without {shorter}");
        // A link has two lines at most.
        let wakings = self.wakings().saturating_sub(shorter.wakings());
        let most_wakings = 2 * usize::try_from(count).expect("some hundreds");
        assert!(wakings <= most_wakings, "{wakings} wakings of the log; {self} without {shorter}");
        eprintln!("{each:.2} calls each (at most {most}): {self} without {shorter}");
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, count)) in self.0.iter().enumerate() {
            write!(f, "{}{name} {count}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// One wake-up, one read and one write for each way of a request and its answer.
fn calls_of_a_message(testbed: &Testbed) {
    const LONG: u64 = 600;
    const SHORT: u64 = 100;
    let server = testbed.serve(echo);
    let calls = |count: u64| {
        Calls::during("calls_of_a_message", testbed, server.port(), |relay| {
            let client = relay.connect();
            for index in 0..count {
                send_ramp(&client, index * 1024, 1024);
                expect_ramp(&client, index * 1024, 1024);
            }
        })
    };
    let (Some(long), Some(short)) = (calls(LONG), calls(SHORT)) else { return };
    long.expect_at_most(6.1, &short, u32::try_from(LONG - SHORT).expect("small"));
}

/// Links one after the other, and how many fewer there are in a short run.
const LINKS: u32 = 220;
const FEW_LINKS: u32 = 20;

/// A link with one request and its answer, and an end that the client begins; `count` times.
fn links(relay: &Relay<'_>, count: u32) {
    for _ in 0..count {
        let client = relay.connect();
        send_ramp(&client, 0, 64);
        expect_ramp(&client, 0, 64);
        half_close(&client);
        assert!(read_to_eof(&client).is_empty());
    }
}

fn calls_of_a_link(testbed: &Testbed) {
    let server = testbed.serve(echo);
    let calls = |count: u32| {
        Calls::during("calls_of_a_link", testbed, server.port(), |relay| links(relay, count))
    };
    let (Some(long), Some(short)) = (calls(LINKS), calls(FEW_LINKS)) else { return };
    // In, and home.
    let entering = if testbed.backend.word() == "setns" { 2.0 } else { 0.0 };
    long.expect_at_most(24.0 + entering, &short, LINKS - FEW_LINKS);
}

/// Through a name: nobody is asked, and of each kind of call there are no more than through a path but for
/// the one that tells whether the container's process lives.
fn calls_of_a_link_by_name(testbed: &Testbed) {
    const NAME: &str = "calls_of_a_link_by_name";
    let server = testbed.serve(echo);
    let path = format!("netns/{}", testbed.container().name());
    let calls = |target: &str, count: u32| {
        // One each, so that nobody knows more than this daemon has asked.
        let dockerd = Dockerd::start();
        dockerd.runs("web", "c0ffee", testbed.container().pid());
        let daemon = testbed.daemon(server.port()).target(target);
        let daemon = daemon.variable("DOCKER_HOST", &dockerd.host());
        let calls = Calls::of(NAME, testbed, daemon, |relay| links(relay, count))?;
        // At the start, and when its events are listened to: where it runs, and whether it still does.
        assert!(dockerd.asked() <= 4, "{} questions", dockerd.asked());
        Some(calls)
    };
    let Some(by_path) = calls(&path, LINKS) else { return };
    let by_path = [by_path, calls(&path, FEW_LINKS).expect("strace is there")];
    let by_name =
        [LINKS, FEW_LINKS].map(|count| calls("docker/web", count).expect("strace is there"));
    let [long, short] = &by_name;
    long.expect_at_most(24.0 + 2.0 + 1.0, short, LINKS - FEW_LINKS);
    let links = f64::from(LINKS - FEW_LINKS);
    let each = |[long, short]: &[Calls; 2], name: &str| {
        let more = long.count(name).saturating_sub(short.count(name));
        f64::from(u32::try_from(more).expect("some thousands")) / links
    };
    // How often a loop wakes is not the name's.
    for name in long.0.keys().filter(|name| !["futex", "epoll_wait"].contains(&name.as_str())) {
        let alive = if name == "poll" { 1.0 } else { 0.0 };
        let (name_costs, path_costs) = (each(&by_name, name), each(&by_path, name));
        assert!(name_costs <= path_costs + alive + 0.1, "{name}: {name_costs} and {path_costs}");
    }
}

/// Sixteen clients that come at once are accepted in one turn, and their sockets made in one visit
/// to the namespace, or in a few where not all are in the queue yet. For each it is asked where the
/// target is.
fn calls_of_a_burst(testbed: &Testbed) {
    const CLIENTS: usize = 16;
    let server = testbed.serve(echo);
    let calls = Calls::during("calls_of_a_burst", testbed, server.port(), |relay| {
        relay.signal(Signal::SIGSTOP);
        wait_until("the loop to stand still", || relay.is_stopped());
        let clients: Vec<_> = (0..CLIENTS).map(|_| relay.connect()).collect();
        wait_until("all clients in the queue", || relay.waiting() == Some(CLIENTS));
        relay.signal(Signal::SIGCONT);
        for client in &clients {
            ping(client);
        }
        for client in &clients {
            hang_up(client);
        }
    });
    let Some(calls) = calls else { return };
    assert!((2..=CLIENTS / 2).contains(&calls.count("setns")), "{calls}");
    let asked: usize = ["newfstatat", "stat", "statx"].map(|name| calls.count(name)).iter().sum();
    assert!((CLIENTS / 2..=2 * CLIENTS).contains(&asked), "{calls}");
    // The last finds nobody, before the listener is closed.
    assert_eq!(calls.count("accept4"), CLIENTS + 1, "{calls}");
}

/// One wake-up, two splices and one question for each MiB, once the burst is long. There is room for
/// a machine so busy that the burst is not fast all the time.
fn calls_of_bulk(testbed: &Testbed) {
    const LONG: u32 = 640;
    const SHORT: u32 = 128;
    let mut server = testbed.serve(ramp_sink);
    let mut calls = |mebibytes: u32| {
        let calls = Calls::during("calls_of_bulk", testbed, server.port(), |relay| {
            let client = relay.connect();
            send_ramp(&client, 0, u64::from(mebibytes) * MIB);
            half_close(&client);
            assert!(read_to_eof(&client).is_empty());
        })?;
        assert_eq!(server.next_end(), u64::from(mebibytes) * MIB);
        Some(calls)
    };
    let (Some(long), Some(short)) = (calls(LONG), calls(SHORT)) else { return };
    long.expect_at_most(12.0, &short, LONG - SHORT);
}
