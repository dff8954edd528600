//! The policies a forward can have instead of TCP's own: gentle ends, one way only, filters, clients
//! that wait, ends that are not believed; and listeners of other families.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use nsplice_relay::{
    Answers, Attempt, Belief, Downstream, Endings, Filter, Filters, Finish, Forward, Lanes, Limit,
    Limits, LinkPolicy, Outcome, Pass, Places, Progress, Settings, Side, Upstream, Wake, WhenFull,
};
use nsplice_testkit::talk::{
    echo, expect_eof, expect_ramp, half_close, read_exactly, read_to_eof, reset, send_ramp,
    send_until_stuck,
};
use nsplice_testkit::{connect, listen, ramp, Server};

use crate::bench::{accept, listening, ANY_PORT};
use crate::openers::{by, connecting, forward};
use crate::running::Running;
use crate::scene::{in_both_modes, scene};

/// A loop with one forward of this policy, and the listener it relays to.
struct PolicyBench {
    relay: Running,
    address: SocketAddr,
    upstream: TcpListener,
}

impl PolicyBench {
    #[track_caller]
    fn new(settings: Settings, policy: LinkPolicy, limits: Limits, places: Places) -> Self {
        let upstream = listen("127.0.0.1:0");
        upstream.set_nonblocking(true).expect("a listener can be non-blocking");
        let opener = connecting(upstream.local_addr().expect("a listener has an address"));
        let (policy, places) = (Arc::new(policy), Arc::new(places));
        let forward = Forward { limits, places, policy, ..forward(opener) };
        let mut address = ANY_PORT;
        let relay = Running::start(settings, |relay| address = listening(relay, forward));
        Self { relay, address, upstream }
    }

    #[track_caller]
    fn with(settings: Settings, policy: LinkPolicy) -> Self {
        Self::new(settings, policy, Limits::default(), Places::unlimited())
    }

    #[track_caller]
    fn link(&self) -> (TcpStream, TcpStream) {
        (connect(self.address), accept(&self.upstream))
    }
}

fn gentle() -> LinkPolicy {
    LinkPolicy { endings: Endings::Gentle(Answers::Both), ..LinkPolicy::default() }
}

#[test]
fn a_reset_is_a_gentle_end_and_the_other_way_goes_on() {
    in_both_modes(|settings| {
        let bench = PolicyBench::with(settings, gentle());
        let (client, server) = bench.link();
        send_ramp(&server, 0, 1000);
        expect_ramp(&client, 0, 1000);
        reset(server);
        expect_eof(&client);
        drop(client);
        // Writing to who has reset fails, and that ends the link; with nothing to write, both ends
        // are ends like any other.
        assert_eq!(bench.relay.only_end().outcome, Outcome::Clean);
        bench.relay.close();
    });
}

#[test]
fn a_gentle_link_that_lingers_ends_in_fin() {
    in_both_modes(|settings| {
        let limits = Limits { linger: Some(Duration::from_millis(50)), ..Limits::default() };
        let bench = PolicyBench::new(settings, gentle(), limits, Places::unlimited());
        let (client, server) = bench.link();
        half_close(&client);
        expect_eof(&server);
        expect_eof(&client);
        assert_eq!(bench.relay.only_end().outcome, Outcome::Expired(Limit::Linger));
        drop(server);
        bench.relay.close();
    });
}

#[test]
fn a_full_sink_is_no_silence_for_a_gentle_link() {
    in_both_modes(|settings| {
        let linger = Duration::from_millis(20);
        let limits = Limits { linger: Some(linger), ..Limits::default() };
        let bench = PolicyBench::new(settings, gentle(), limits, Places::unlimited());
        let (client, server) = bench.link();
        half_close(&client);
        expect_eof(&server);
        let sent = send_until_stuck(&server, 0);
        // Many times the linger time: what is asserted is that none of it counts.
        std::thread::sleep(linger * 20);
        drop(server);
        expect_ramp(&client, 0, sent);
        expect_eof(&client);
        assert_eq!(bench.relay.only_end().outcome, Outcome::Clean);
        bench.relay.close();
    });
}

/// As a caller with an ioctl would count them; here the peer's own count is good enough: once it
/// has read everything, nothing is left.
fn nothing_left(_: BorrowedFd<'_>) -> usize {
    0
}

#[test]
fn one_way_delivers_everything_past_a_peer_that_speaks() {
    in_both_modes(|settings| {
        let lanes = Lanes::From { side: Side::Downstream, unacknowledged: nothing_left };
        let bench = PolicyBench::with(settings, LinkPolicy { lanes, ..gentle() });
        let (client, server) = bench.link();
        send_ramp(&server, 0, 100_000);
        let sender = std::thread::spawn(move || {
            send_ramp(&client, 0, 3 << 20);
            half_close(&client);
            client
        });
        expect_ramp(&server, 0, 3 << 20);
        expect_eof(&server);
        let client = sender.join().expect("the sender");
        assert!(read_to_eof(&client).is_empty(), "nothing goes the other way");
        let ended = bench.relay.only_end();
        assert_eq!((ended.outcome, ended.down.read), (Outcome::Clean, 0));
        bench.relay.close();
    });
}

/// Doubles each byte forth and ends at `!`.
#[derive(Debug)]
struct Doubling;

impl Filter for Doubling {
    fn block(&self) -> usize {
        7
    }

    fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Pass {
        assert!(bytes.len() <= 7, "a block is no larger than was asked for");
        for byte in bytes {
            if *byte == b'!' {
                return Pass::End;
            }
            out.extend([*byte, *byte]);
        }
        Pass::More
    }
}

#[derive(Debug)]
struct Forth;

impl Filters for Forth {
    fn lane(&self, from: Side) -> Option<Box<dyn Filter>> {
        (from == Side::Downstream).then(|| Box::new(Doubling) as Box<dyn Filter>)
    }
}

#[test]
fn a_filter_changes_and_ends_one_lane_and_leaves_the_other_alone() {
    in_both_modes(|settings| {
        let bench =
            PolicyBench::with(settings, LinkPolicy { filters: Some(Box::new(Forth)), ..gentle() });
        let (mut client, server) = bench.link();
        client.write_all(b"hello, world").expect("send");
        assert_eq!(read_exactly(&server, 24), b"hheelllloo,,  wwoorrlldd");
        client.write_all(b"ok!never").expect("send");
        assert_eq!(read_to_eof(&server), b"ookk");
        send_ramp(&server, 0, 1 << 20);
        drop(server);
        expect_ramp(&client, 0, 1 << 20);
        expect_eof(&client);
        assert_eq!(bench.relay.only_end().up.written, 28);
        bench.relay.close();
    });
}

/// Lets the upstream speak and go before it is given what has been read for it.
#[derive(Debug)]
struct Parting(UnixStream);

impl Filter for Parting {
    fn block(&self) -> usize {
        100
    }

    fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Pass {
        self.0.write_all(b"last words").expect("there is room");
        self.0.shutdown(std::net::Shutdown::Both).expect("shut down");
        out.extend(bytes);
        Pass::More
    }
}

#[derive(Debug)]
struct PartingForth(UnixStream);

impl Filters for PartingForth {
    fn lane(&self, from: Side) -> Option<Box<dyn Filter>> {
        let peer = self.0.try_clone().expect("a copy");
        (from == Side::Downstream).then(|| Box::new(Parting(peer)) as Box<dyn Filter>)
    }
}

/// An upstream that is there already.
#[derive(Debug)]
struct Given(OwnedFd);

impl Attempt for Given {
    fn advance(&mut self, _: Wake) -> Progress {
        Progress::Open(Upstream::Stream(self.0.try_clone().expect("a copy")))
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// No event has told of them when the write fails: they came after the last ones.
#[test]
fn the_last_words_of_a_side_that_cannot_be_written_to_are_delivered() {
    in_both_modes(|settings| {
        let (near, far) = UnixStream::pair().expect("a pair");
        near.set_nonblocking(true).expect("a socket can be non-blocking");
        let filters: Box<dyn Filters> = Box::new(PartingForth(far));
        let policy = LinkPolicy { filters: Some(filters), ..gentle() };
        let forward = Forward {
            policy: Arc::new(policy),
            ..forward(by(move || Given(near.try_clone().expect("a copy").into())))
        };
        let mut address = ANY_PORT;
        let relay = Running::start(settings, |relay| address = listening(relay, forward));
        let mut client = connect(address);
        client.write_all(b"x").expect("send");
        assert_eq!(read_to_eof(&client), b"last words");
        assert_eq!(relay.only_end().outcome, Outcome::Reset(Side::Upstream));
        relay.close();
    });
}

#[test]
fn a_client_without_a_place_waits_for_one() {
    scene(|| {
        let policy = LinkPolicy { when_full: WhenFull::Wait, ..gentle() };
        let bench =
            PolicyBench::new(Settings::default(), policy, Limits::default(), Places::new(1));
        let (first, first_server) = bench.link();
        let second = connect(bench.address);
        send_ramp(&second, 0, 10);
        bench.relay.assert_at_rest(Duration::from_millis(200));
        assert_eq!(bench.relay.accepted(), 1);
        drop((first, first_server));
        let second_server = accept(&bench.upstream);
        expect_ramp(&second_server, 0, 10);
        drop((second, second_server));
        bench.relay.ended(2);
        bench.relay.close();
    });
}

#[test]
fn an_end_that_is_not_believed_is_asked_again() {
    scene(|| {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let upstream = listen("127.0.0.1:0");
        upstream.set_nonblocking(true).expect("a listener can be non-blocking");
        let policy = LinkPolicy { ends: [Belief::Ignored, Belief::Believed], ..gentle() };
        let source = OwnedFd::from(File::open(file.path()).expect("open it for reading"));
        let sink = OwnedFd::from(File::options().write(true).open("/dev/null").expect("null"));
        let opener = connecting(upstream.local_addr().expect("an address"));
        let relay = Running::start(Settings::default(), |relay| {
            let forward = Forward { policy: Arc::new(policy), ..forward(opener) };
            relay.adopt(Downstream::Pair { source, sink }, forward).expect("adopt");
        });
        let server = accept(&upstream);
        let mut writer = File::options().append(true).open(file.path()).expect("open it again");
        for part in 0..3 {
            writer.write_all(&ramp::bytes(753)).expect("grow");
            // 753 is three times the ramp, so each part begins where the last one ended.
            expect_ramp(&server, part * 753, 753);
        }
        drop(server);
        assert_eq!(relay.handle.counters().totals().ended_total(), 0, "no end was seen");
        relay.close();
    });
}

/// What is written after one look and before the next is not lost by an end in between.
#[test]
fn a_last_look_is_taken_before_the_end() {
    scene(|| {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let upstream = listen("127.0.0.1:0");
        upstream.set_nonblocking(true).expect("a listener can be non-blocking");
        let policy = LinkPolicy { ends: [Belief::Ignored, Belief::Believed], ..gentle() };
        let limits = Limits { linger: Some(Duration::from_millis(50)), ..Limits::default() };
        let source = OwnedFd::from(File::open(file.path()).expect("open it for reading"));
        let sink = OwnedFd::from(File::options().write(true).open("/dev/null").expect("null"));
        let opener = connecting(upstream.local_addr().expect("an address"));
        let mut writer = File::options().append(true).open(file.path()).expect("open it again");
        writer.write_all(&ramp::bytes(753)).expect("grow");
        let relay = Running::start(Settings::default(), |relay| {
            let forward = Forward { policy: Arc::new(policy), limits, ..forward(opener) };
            relay.adopt(Downstream::Pair { source, sink }, forward).expect("adopt");
        });
        let server = accept(&upstream);
        expect_ramp(&server, 0, 753);
        writer.write_all(&ramp::bytes(753)).expect("grow");
        half_close(&server);
        expect_ramp(&server, 753, 753);
        expect_eof(&server);
        assert_eq!(relay.only_end().outcome, Outcome::Expired(Limit::Linger));
        relay.close();
    });
}

#[test]
fn a_side_that_is_not_to_be_finished_gets_its_end_with_the_link() {
    in_both_modes(|settings| {
        let finishes = [Finish::Nothing, Finish::Nothing];
        let bench = PolicyBench::with(settings, LinkPolicy { finishes, ..gentle() });
        let (client, server) = bench.link();
        send_ramp(&client, 0, 10);
        expect_ramp(&server, 0, 10);
        half_close(&client);
        // Still flowing the other way, and no FIN has come this way.
        send_ramp(&server, 0, 10);
        expect_ramp(&client, 0, 10);
        server.set_nonblocking(true).expect("non-blocking");
        let nothing = (&server).read(&mut [0]).expect_err("no FIN yet");
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
        server.set_nonblocking(false).expect("blocking");
        half_close(&server);
        expect_eof(&server);
        expect_eof(&client);
        assert_eq!(bench.relay.only_end().outcome, Outcome::Clean);
        bench.relay.close();
    });
}

#[test]
fn a_unix_listener_is_served_like_any_other() {
    in_both_modes(|settings| {
        let server = Server::start(listen("127.0.0.1:0"), echo);
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("socket");
        let listener = OwnedFd::from(UnixListener::bind(&path).expect("listen"));
        let opener = connecting(server.address());
        let relay = Running::start(settings, |relay| {
            relay.add_service(forward(opener), [listener]).expect("add the forward");
        });
        let mut client = UnixStream::connect(&path).expect("connect");
        let bytes = ramp::bytes(1 << 20);
        let copy = client.try_clone().expect("a copy");
        let sent = bytes.clone();
        let sender = std::thread::spawn(move || {
            (&copy).write_all(&sent).expect("send");
            copy.shutdown(std::net::Shutdown::Write).expect("the end");
        });
        let mut got = Vec::new();
        client.read_to_end(&mut got).expect("read");
        sender.join().expect("the sender");
        assert!(got == bytes, "the echo is the ramp");
        assert_eq!(relay.only_end().outcome, Outcome::Clean);
        relay.close();
        server.join();
    });
}
