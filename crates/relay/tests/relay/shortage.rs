//! Out of descriptors, out of pipes: degrade, pause, recover, and lose no client.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{channel, Sender};
use std::time::Duration;

use nix::sys::resource::{getrlimit, setrlimit, Resource};
use nsplice_relay::{Attempt, Forward, OpenClass, Opener, Outcome, Settings};
use nsplice_testkit::talk::{
    echo, expect_eof, expect_ramp, expect_reset, half_close, read_exactly, send_ramp,
};
use nsplice_testkit::{connect, knock, listen, skip, wait_until, Census, Server};

use crate::bench::{accept, listening, ANY_PORT};
use crate::openers::{connecting, failing, forward, leashed, Then};
use crate::process::RelayProcess;
use crate::running::Running;
use crate::scene::{at_once, scene};

/// Says one byte and waits for it to come back.
#[track_caller]
fn ping(mut stream: &TcpStream, byte: u8) {
    stream.write_all(&[byte]).expect("ping");
    assert_eq!(read_exactly(stream, 1), [byte]);
}

/// A server that echoes, and a listener's clone that names it.
fn echo_server() -> (Server<u64>, TcpListener) {
    let listener = listen("127.0.0.1:0");
    let named = listener.try_clone().expect("clone the listener");
    (Server::start(listener, echo), named)
}

#[test]
fn out_of_descriptors_accepting_pauses_and_no_client_is_lost() {
    const FILES: u64 = 64;
    const CLIENTS: usize = 100;
    scene(|| {
        let (server, named) = echo_server();
        let process = RelayProcess::to(&named).files(FILES).start();
        drop(named);
        let before = Census::of(process.pid());
        // Twice, because what was gone through once must have been restored.
        for round in 1..=2 {
            let clients: Vec<_> = (0..CLIENTS).map(|_| connect(process.address)).collect();
            for mut client in &clients {
                client.write_all(b"x").expect("speak from the backlog");
            }
            wait_until("the pause", || process.lines("AcceptPaused") >= round);
            // Those at the front of the queue are served, and go on being served.
            read_exactly(&clients[0], 1);
            for byte in 0..50 {
                ping(&clients[0], byte);
            }
            // The others wait, and nothing spins meanwhile.
            wait_until("the queue to be at rest", || server.running() >= 10);
            process.assert_at_rest(Duration::from_millis(1000));
            let mut served = clients.into_iter();
            half_close_and_drop(served.next().expect("the first client"));
            for client in served {
                read_exactly(&client, 1);
                ping(&client, 7);
                half_close_and_drop(client);
            }
            process.wait_ended("clean", round * CLIENTS);
            process.wait_line("AcceptResumed");
            before.assert_restored();
        }
        process.close();
        assert_eq!(server.join().len(), 2 * CLIENTS);
    });
}

fn half_close_and_drop(stream: TcpStream) {
    half_close(&stream);
    expect_eof(&stream);
}

#[test]
fn without_a_descriptor_to_spare_the_last_place_still_serves() {
    scene(|| {
        let (server, named) = echo_server();
        let process = RelayProcess::to(&named).files(40).start();
        drop(named);
        for round in 1..=3 {
            // The very edge of the limit is passed once, by one client or another.
            let mut clients = Vec::new();
            while process.lines("AcceptPaused") < round && clients.len() < 30 {
                let client = connect(process.address);
                (&client).write_all(b"x").expect("speak");
                wait_until("an answer or a pause", || {
                    is_answered(&client) || process.lines("AcceptPaused") >= round
                });
                clients.push(client);
            }
            assert!(process.lines("AcceptPaused") >= round, "the limit was never met");
            for client in clients {
                assert_eq!(read_exactly(&client, 1), b"x");
                half_close_and_drop(client);
            }
            wait_until("accepting again", || process.lines("AcceptResumed") >= round);
        }
        process.close();
        assert!(server.join().len() > 3);
    });
}

#[test]
fn a_gate_that_one_descriptor_is_missing_for_stays_shut() {
    const CLIENTS: usize = 40;
    scene(|| {
        // A link takes two: with one of two limits in a row it is accept(2) that finds none left,
        // and the reserve is full all the while.
        for files in [50, 51] {
            let (server, named) = echo_server();
            let process = RelayProcess::to(&named).files(files).start();
            drop(named);
            let clients: Vec<_> = (0..CLIENTS).map(|_| connect(process.address)).collect();
            for mut client in &clients {
                client.write_all(b"x").expect("speak from the backlog");
            }
            let mut served = clients.into_iter();
            for pauses in 1..=3 {
                wait_until("the pause", || process.lines("AcceptPaused") >= pauses);
                // It looks several times in this while, and nobody gives it what it lacks.
                process.assert_at_rest(Duration::from_millis(700));
                assert_eq!(process.lines("AcceptPaused"), pauses, "with {files} descriptors");
                assert_eq!(process.lines("AcceptResumed"), pauses - 1, "with {files} descriptors");
                // One link less is enough for one more.
                let client = served.next().expect("a client in a link");
                read_exactly(&client, 1);
                half_close_and_drop(client);
                wait_until("accepting again", || process.lines("AcceptResumed") >= pauses);
            }
            for client in served {
                assert_eq!(read_exactly(&client, 1), b"x");
                half_close_and_drop(client);
            }
            process.wait_ended("clean", CLIENTS);
            process.close();
            assert_eq!(server.join().len(), CLIENTS);
        }
    });
}

/// Whether there is something to read.
fn is_answered(client: &TcpStream) -> bool {
    client.set_nonblocking(true).expect("set O_NONBLOCK");
    let answered = client.peek(&mut [0]).is_ok();
    client.set_nonblocking(false).expect("clear O_NONBLOCK");
    answered
}

#[test]
fn a_storm_of_clients_loses_none() {
    const CLIENTS: u32 = 1500;
    const BYTES: u64 = 1000;
    if !raise_files(u64::from(CLIENTS) * 4 + 200) {
        skip!("a_storm_of_clients_loses_none", "RLIMIT_NOFILE is too low; raising it would help");
    }
    scene(|| {
        let upstream = listen("127.0.0.1:0");
        let target = upstream.local_addr().expect("an address");
        let mut clients = Vec::new();
        let mut address = ANY_PORT;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                upstream.set_nonblocking(true).expect("a listener can be non-blocking");
                for _ in 0..CLIENTS {
                    send_ramp(&accept(&upstream), 0, BYTES);
                }
            });
            let relay = Running::start(Settings::default(), |relay| {
                address = listening(relay, Forward { ..forward(connecting(target)) });
                // All of them are in the queue before the loop begins to run.
                clients.extend((0..CLIENTS).map(|_| connect(address)));
            });
            for client in &clients {
                expect_ramp(client, 0, BYTES);
                expect_eof(client);
            }
            clients.clear();
            wait_until("the end of all", || {
                relay.handle.counters().totals().ended_total() == u64::from(CLIENTS)
            });
            let totals = relay.close();
            assert_eq!(totals.ended_as(Outcome::Clean), u64::from(CLIENTS));
            assert_eq!((totals.rejected, totals.accept_pauses), (0, 0));
        });
    });
}

/// Raises the limit of descriptors; false if the hard limit is lower.
fn raise_files(wanted: u64) -> bool {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return false };
    soft >= wanted || (hard >= wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_ok())
}

/// Opens first in one way, then in another, and counts the descriptors of the reserve each time.
#[derive(Debug)]
struct TwoWays {
    ways: Vec<Box<dyn Opener>>,
    reserves: Sender<usize>,
}

impl Opener for TwoWays {
    fn backend(&self) -> &'static str {
        "test"
    }

    fn open(&mut self, downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        let own = std::fs::read_dir("/proc/self/fd").expect("our descriptors").flatten();
        let is_null = |path: PathBuf| path == Path::new("/dev/null");
        let held = own.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(is_null)).count();
        self.reserves.send(held).expect("the test waits for this");
        self.ways.pop().expect("no third try").open(downstream)
    }
}

#[test]
fn an_opening_that_has_waited_is_tried_again_from_the_reserve() {
    scene(|| {
        let upstream = listen("127.0.0.1:0");
        upstream.set_nonblocking(true).expect("a listener can be non-blocking");
        let target = upstream.local_addr().expect("an address");
        // A look-up, say, or a first address that has not answered; then there is no descriptor left.
        let (first, leash) = leashed(Then::Fails(OpenClass::Exhausted));
        let (reserves, counted) = channel();
        let exhausted = || failing(OpenClass::Exhausted);
        let ways = vec![exhausted(), exhausted(), connecting(target), first];
        let mut address = ANY_PORT;
        let relay = Running::start(Settings::default(), |relay| {
            address = listening(relay, forward(Box::new(TwoWays { ways, reserves })));
        });
        let client = connect(address);
        let full = counted.recv().expect("the first attempt");
        leash.release();
        let server = accept(&upstream);
        assert_eq!(
            counted.recv().expect("the second attempt") + 10,
            full,
            "the reserve was not let go"
        );
        at_once(|| send_ramp(&client, 0, 1000), || expect_ramp(&server, 0, 1000));
        drop((client, server));
        assert_eq!(relay.only_end().outcome, Outcome::Clean);
        // The reserve is back, and nobody is given a third try.
        let client = knock(address);
        assert_eq!((counted.recv(), counted.recv()), (Ok(full), Ok(full - 10)));
        expect_reset(&client);
        assert_eq!(relay.ended(2)[1].outcome, Outcome::OpenFailed(OpenClass::Exhausted));
        relay.close();
    });
}

#[test]
fn existing_links_move_while_a_storm_comes_in() {
    const CLIENTS: usize = 300;
    scene(|| {
        let (server, named) = echo_server();
        let target = named.local_addr().expect("an address");
        drop(named);
        let mut address = ANY_PORT;
        let relay = Running::start(Settings::default(), |relay| {
            address = listening(relay, forward(connecting(target)));
        });
        let old = connect(address);
        at_once(
            || (0..CLIENTS).for_each(|_| half_close_and_drop(connect(address))),
            || {
                while relay.accepted() < CLIENTS {
                    ping(&old, 1);
                }
            },
        );
        half_close_and_drop(old);
        assert_eq!(relay.ended(CLIENTS + 1).len(), CLIENTS + 1);
        assert_eq!(relay.close().ended_as(Outcome::Clean), CLIENTS as u64 + 1);
        server.join();
    });
}

#[test]
fn crippled_pipes_are_not_used_and_nothing_is_lost() {
    const TEST: &str = "crippled_pipes_are_not_used_and_nothing_is_lost";
    /// A user that is nobody else, because the limit is one for all processes of a user.
    const USER: u32 = 64_123;
    const BYTES: u64 = 16 << 20;
    // 16384 pages are 1024 pipes of the usual 16 pages, two descriptors each.
    if !raise_files(3000) {
        skip!(TEST, "RLIMIT_NOFILE is too low; raising it would help");
    }
    scene(|| {
        let listener = listen("127.0.0.1:0");
        listener.set_nonblocking(true).expect("a listener can be non-blocking");
        let process = RelayProcess::to(&listener).without_pipes_for(USER).start();
        process.wait_line("pipes of ");
        let (client, server) = (connect(process.address), accept(&listener));
        at_once(
            || at_once(|| send_ramp(&client, 0, BYTES), || expect_ramp(&client, 0, BYTES)),
            || at_once(|| send_ramp(&server, 0, BYTES), || expect_ramp(&server, 0, BYTES)),
        );
        drop((client, server));
        process.wait_ended("clean", 1);
        process.close();
    });
}
