//! Faults of the kernel, injected by strace into a loop in a process of its own: whatever a system
//! call answers, the ramp is exact both ways and the process lives.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, fs, process};

use nsplice_testkit::knock;
use nsplice_testkit::talk::{expect_eof, expect_ramp, expect_reset, half_close, send_ramp};
use nsplice_testkit::{connect, listen, skip};

use crate::bench::accept;
use crate::process::RelayProcess;
use crate::scene::{at_once, scene};

/// Enough for some dozens of splices of each lane.
const BULK: u64 = 12 << 20;

/// A loop under strace.
struct Traced {
    listener: TcpListener,
    process: RelayProcess,
    log: Log,
}

/// What strace writes; removed whatever happens.
struct Log(PathBuf);

impl Drop for Log {
    fn drop(&mut self) {
        // It is not there if strace did not start.
        let _ = fs::remove_file(&self.0);
    }
}

impl Traced {
    /// Starts it with these faults, each in strace's words: `CALL:error=ERRNO:when=FIRST+STEP`.
    /// `None`, and a line, where there is no strace.
    #[track_caller]
    fn with_faults(test: &str, faults: &[&str]) -> Option<Self> {
        let names = faults.iter().map(|fault| fault.split(':').next().unwrap_or(fault));
        let calls: Vec<_> = names.collect();
        let traced = ["trace=".to_owned() + &calls.join(",")];
        let injected = faults.iter().map(|fault| format!("inject={fault}"));
        Self::start(test, true, traced.into_iter().chain(injected))
    }

    #[track_caller]
    fn start(
        test: &str,
        splice: bool,
        expressions: impl IntoIterator<Item = String>,
    ) -> Option<Self> {
        let strace = skip::require_tool(test, "strace")?;
        let log = Log(env::temp_dir().join(format!("nsplice-{}.trace", process::id())));
        let mut wrapper = vec![strace.to_string_lossy().into_owned()];
        wrapper.extend(["-f", "-qq", "-e", "signal=none", "-o"].map(str::to_owned));
        wrapper.push(log.0.to_string_lossy().into_owned());
        for expression in expressions {
            wrapper.extend(["-e".to_owned(), expression]);
        }
        wrapper.push("--".to_owned());
        let listener = listen("127.0.0.1:0");
        listener.set_nonblocking(true).expect("a listener can be non-blocking");
        let process = RelayProcess::to(&listener).splice(splice).under(&wrapper).start();
        Some(Self { listener, process, log })
    }

    /// One link with a ramp both ways at once, and a clean end.
    #[track_caller]
    fn ramp_both_ways(&self, bytes: u64) {
        let (client, server) = (connect(self.process.address), accept(&self.listener));
        let lane = |from: &TcpStream, to: &TcpStream| {
            at_once(
                || {
                    send_ramp(from, 0, bytes);
                    half_close(from);
                },
                || {
                    expect_ramp(to, 0, bytes);
                    expect_eof(to);
                },
            );
        };
        at_once(|| lane(&client, &server), || lane(&server, &client));
    }

    /// Ends it, once `count` links have ended in the outcome `word`, and returns what strace saw.
    #[track_caller]
    fn close(self, word: &str, count: usize) -> String {
        self.process.wait_ended(word, count);
        self.process.close();
        fs::read_to_string(&self.log.0).expect("strace writes its file")
    }

    /// The same, and checks that faults were injected at all.
    #[track_caller]
    fn close_with_faults(self, word: &str, count: usize) {
        let calls = self.close(word, count);
        assert!(calls.contains("(INJECTED)"), "nothing was injected:\n{calls}");
    }
}

/// Plays bulk both ways under each of these sets of faults.
#[track_caller]
fn bulk_survives(test: &str, plans: &[&[&str]]) {
    scene(|| {
        for faults in plans {
            let Some(traced) = Traced::with_faults(test, faults) else { return };
            traced.ramp_both_ways(BULK);
            traced.close_with_faults("clean", 1);
        }
    });
}

#[test]
fn interrupted_calls_lose_and_double_nothing() {
    bulk_survives(
        "interrupted_calls_lose_and_double_nothing",
        &[
            &["splice:error=EINTR:when=1+3"],
            &["recvfrom:error=EINTR:when=1+2", "sendto:error=EINTR:when=1+2"],
            &["epoll_wait:error=EINTR:when=1+2"],
        ],
    );
}

#[test]
fn a_splice_that_is_refused_falls_back_to_copying() {
    let plans: Vec<String> = ["EINVAL", "ENOSYS", "EPERM"]
        .iter()
        // From the first call; from the first that would empty a pipe; from some later one.
        .flat_map(|error| {
            ["1+", "2+", "5+"].map(|when| format!("splice:error={error}:when={when}"))
        })
        .collect();
    let plans: Vec<_> = plans.iter().map(|plan| [plan.as_str()]).collect();
    let plans: Vec<&[&str]> = plans.iter().map(<[&str; 1]>::as_slice).collect();
    bulk_survives("a_splice_that_is_refused_falls_back_to_copying", &plans);
}

#[test]
fn a_splice_refused_now_and_then_costs_nothing_but_speed() {
    bulk_survives(
        "a_splice_refused_now_and_then_costs_nothing_but_speed",
        &[&["splice:error=EINVAL:when=2"], &["splice:error=EINVAL:when=3"]],
    );
}

#[test]
fn a_splice_that_finds_the_source_dry_is_not_believed() {
    const TEST: &str = "a_splice_that_finds_the_source_dry_is_not_believed";
    // The first splice of a loop is one out of a socket.
    bulk_survives(TEST, &[&["splice:error=EAGAIN:when=1"]]);
    scene(|| {
        let fault = "splice:error=EAGAIN:when=3+5";
        let Some(traced) = Traced::with_faults(TEST, &[fault]) else { return };
        let (client, server) = (connect(traced.process.address), accept(&traced.listener));
        let over = AtomicBool::new(false);
        // Some of these hit a splice into the socket. The kernel never says there that a socket is
        // full without telling later that it is not; the dribble makes up for that.
        let dribble = || {
            let mut count = 0;
            while !over.load(Ordering::Relaxed) {
                send_ramp(&server, count, 1);
                expect_ramp(&client, count, 1);
                count += 1;
            }
        };
        at_once(dribble, || {
            at_once(|| send_ramp(&client, 0, BULK), || expect_ramp(&server, 0, BULK));
            over.store(true, Ordering::Relaxed);
        });
        drop((client, server));
        traced.close_with_faults("clean", 1);
    });
}

#[test]
fn without_descriptors_for_pipes_everything_is_copied() {
    bulk_survives(
        "without_descriptors_for_pipes_everything_is_copied",
        &[&["pipe2:error=EMFILE:when=1+"], &["pipe2:error=ENFILE:when=1+2"]],
    );
}

#[test]
fn an_exhausted_accept_pauses_and_loses_no_client() {
    const TEST: &str = "an_exhausted_accept_pauses_and_loses_no_client";
    scene(|| {
        for error in ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"] {
            let fault = format!("accept4:error={error}:when=1+3");
            let Some(traced) = Traced::with_faults(TEST, &[&fault]) else { return };
            let clients: Vec<_> = (0..6).map(|_| connect(traced.process.address)).collect();
            for client in &clients {
                send_ramp(client, 0, 100);
            }
            for client in clients {
                expect_ramp(&accept(&traced.listener), 0, 100);
                drop(client);
            }
            traced.process.wait_line("AcceptPaused");
            traced.process.wait_line("AcceptResumed");
            traced.close_with_faults("clean", 6);
        }
    });
}

#[test]
fn a_client_lost_in_accept_is_skipped_and_told() {
    const TEST: &str = "a_client_lost_in_accept_is_skipped_and_told";
    scene(|| {
        for error in ["ECONNABORTED", "EPROTO", "EPERM", "EINTR"] {
            let fault = format!("accept4:error={error}:when=1+2");
            let Some(traced) = Traced::with_faults(TEST, &[&fault]) else { return };
            for _ in 0..3 {
                traced.ramp_both_ways(1000);
            }
            traced.process.wait_line("AcceptFailed");
            assert_eq!(traced.process.lines("AcceptPaused"), 0);
            traced.close_with_faults("clean", 3);
        }
    });
}

#[test]
fn an_upstream_socket_that_is_not_to_be_had_is_tried_again_from_the_reserve() {
    const TEST: &str = "an_upstream_socket_that_is_not_to_be_had";
    scene(|| {
        for error in ["ENOBUFS", "EMFILE"] {
            let fault = format!("socket:error={error}:when=2+2");
            let Some(traced) = Traced::with_faults(TEST, &[&fault]) else { return };
            for _ in 0..3 {
                traced.ramp_both_ways(1000);
            }
            traced.close_with_faults("clean", 3);
        }
    });
}

#[test]
fn an_upstream_without_a_free_port_is_told_by_reset() {
    const TEST: &str = "an_upstream_without_a_free_port_is_told_by_reset";
    scene(|| {
        let fault = "connect:error=EADDRNOTAVAIL:when=1+";
        let Some(traced) = Traced::with_faults(TEST, &[fault]) else { return };
        for _ in 0..3 {
            expect_reset(&knock(traced.process.address));
        }
        traced.close_with_faults("exhausted", 3);
    });
}

#[test]
fn bulk_is_spliced_and_messages_are_not() {
    const TEST: &str = "bulk_is_spliced_and_messages_are_not";
    const MESSAGE: u64 = 2000;
    scene(|| {
        for (splice, bytes) in [(true, BULK), (true, MESSAGE), (false, BULK)] {
            let trace = ["trace=splice".to_owned()];
            let Some(traced) = Traced::start(TEST, splice, trace) else { return };
            traced.ramp_both_ways(bytes);
            let spliced = traced.close("clean", 1).contains("splice(");
            assert_eq!(spliced, splice && bytes > MESSAGE, "splice={splice}, {bytes} bytes");
        }
    });
}
