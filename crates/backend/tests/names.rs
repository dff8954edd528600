//! Names whose look-up takes long, told by a resolver of the test's own.

mod common;

use std::collections::HashMap;
use std::fs;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use common::{again, counted, expect_echo, opener, role, stream, succeeds, to};
use nsplice_backend::Choice;
use nsplice_relay::{Attempt, OpenClass, Opener, Progress, Upstream, Wake};
use nsplice_testkit::skip::{require_root_or_userns, require_tool};
use nsplice_testkit::{listen, wait_until, Census, Server, PATIENCE};

/// A server of names at the address that [`alone_with_a_resolver`] writes down. It knows every name:
/// those that begin with `slow` it keeps waiting until it is told to answer, all others are here. Those
/// that begin with `dead` have an IPv6 address as well, from which nothing ever comes.
struct Resolver {
    socket: UdpSocket,
    state: Arc<Mutex<Asked>>,
}

#[derive(Default)]
struct Asked {
    /// How often, for IPv4.
    times: HashMap<String, usize>,
    held: Vec<(SocketAddr, Vec<u8>)>,
    open: bool,
}

impl Resolver {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:53").expect("nobody else is here");
        let state = Arc::new(Mutex::new(Asked::default()));
        let (server, shared) = (socket.try_clone().expect("a socket"), Arc::clone(&state));
        thread::spawn(move || {
            let mut block = [0; 512];
            while let Ok((length, asker)) = server.recv_from(&mut block) {
                let query = block[..length].to_vec();
                let mut asked = shared.lock().expect("no panic");
                let (name, kind) = question(&query);
                if kind == A {
                    *asked.times.entry(name.clone()).or_default() += 1;
                }
                if name.starts_with("slow") && !asked.open {
                    asked.held.push((asker, query));
                } else {
                    server.send_to(&answer(&query), asker).expect("it waits");
                }
            }
        });
        Self { socket, state }
    }

    /// How often `name` was asked for.
    fn times(&self, name: &str) -> usize {
        self.state.lock().expect("no panic").times.get(name).copied().unwrap_or_default()
    }

    /// Answers what has been kept waiting, and is never slow again.
    fn open(&self) {
        let mut asked = self.state.lock().expect("no panic");
        asked.open = true;
        for (asker, query) in asked.held.drain(..) {
            self.socket.send_to(&answer(&query), asker).expect("it waits");
        }
    }
}

/// The type of records with IPv4 addresses (RFC 1035, section 3.2.2).
const A: u16 = 1;

/// On a network where nobody is.
const DEAD: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

/// The name and the type that a query is for.
fn question(query: &[u8]) -> (String, u16) {
    let mut labels = Vec::new();
    let mut rest = &query[12..];
    while let Some((length, more)) = rest.split_first().filter(|(length, _)| **length > 0) {
        let (label, more) = more.split_at(usize::from(*length));
        labels.push(String::from_utf8(label.to_vec()).expect("a name"));
        rest = more;
    }
    (labels.join("."), u16::from_be_bytes([rest[1], rest[2]]))
}

/// 127.0.0.1, and for IPv6 a dead address or none.
fn answer(query: &[u8]) -> Vec<u8> {
    let (name, kind) = question(query);
    let question = 12 + name.len() + 2 + 4;
    let mut answer = query[..question].to_vec();
    let address = match kind {
        A => vec![127, 0, 0, 1],
        _ if name.starts_with("dead") => DEAD.octets().to_vec(),
        _ => Vec::new(),
    };
    let found = u8::from(!address.is_empty());
    answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, found, 0, 0, 0, 0]);
    if let Some(length) = u8::try_from(address.len()).ok().filter(|length| *length > 0) {
        // The name and the type of the question, for a minute.
        answer.extend([0xc0, 12, 0, u8::try_from(kind).expect("one of two"), 0, 1, 0, 0, 0, 60]);
        answer.extend([0, length]);
        answer.extend(address);
    }
    answer
}

/// Runs the test of the name `test` once more, where the resolver is its own.
fn alone_with_a_resolver(test: &str) {
    counted(|| {
        if !require_root_or_userns(test) || require_tool(test, "unshare").is_none() {
            return;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("resolv.conf");
        // Asked once, and waited for longer than the tests take.
        fs::write(&file, "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n").expect("a file");
        let script = format!(
            "set -e; ip link set lo up; ip link add quiet type veth peer name mute
             ip link set quiet up; ip link set mute up
             ip addr add 2001:db8::1/64 dev quiet nodad
             ip neigh add {DEAD} lladdr 02:00:00:00:00:02 dev quiet
             mount --bind {} /etc/resolv.conf; exec \"$0\" \"$@\"",
            file.display()
        );
        let mut command: Command =
            again(test, &["unshare", "--mount", "--net", "sh", "-c", &script], "resolver");
        succeeds(&mut command);
    });
}

/// Begins `count` openings, all of which wait for a look-up.
fn begin(opener: &mut dyn Opener, count: usize) -> Vec<Box<dyn Attempt>> {
    let mut attempts: Vec<_> = (0..count).map(|_| opener.open(None)).collect();
    for attempt in &mut attempts {
        assert!(matches!(attempt.advance(Wake::START), Progress::Waiting));
    }
    attempts
}

#[test]
fn a_slow_name_is_looked_up_once_and_holds_up_no_other() {
    const TEST: &str = "a_slow_name_is_looked_up_once_and_holds_up_no_other";
    const LINKS: usize = 40;
    if role().is_none() {
        return alone_with_a_resolver(TEST);
    }
    let resolver = Resolver::start();
    let server = Server::start(listen("127.0.0.1:0"), common::echo);
    // The same name for another forward is the same question.
    let mut slow = [(); 2].map(|()| opener(&to("tcp/slow.example", server.port()), Choice::Dial));
    let mut quick = opener(&to("tcp/quick.example", server.port()), Choice::Dial);
    let before = Census::own();
    let mut waiting: Vec<_> =
        slow.iter_mut().flat_map(|opener| begin(opener.as_mut(), LINKS / 2)).collect();
    wait_until("the question", || resolver.times("slow.example") == 1);
    expect_echo(&stream(quick.as_mut()));
    let is_pending = |attempt: &mut Box<dyn Attempt>| {
        let wake = Wake { readable: true, ..Wake::START };
        matches!(attempt.advance(wake), Progress::Pending)
    };
    assert!(waiting.iter_mut().all(is_pending), "the slow one's time is not over");

    // Nothing is kept for those who go, and whoever comes later joins those who wait.
    let gone = waiting.split_off(LINKS / 2);
    drop(gone);
    let pipes = Census::own().descriptors("pipe") - before.descriptors("pipe");
    assert_eq!(pipes, 2 * waiting.len());
    waiting.extend(begin(slow[1].as_mut(), 3));
    expect_echo(&stream(quick.as_mut()));
    assert_eq!(resolver.times("slow.example"), 1);
    resolver.open();
    for attempt in &mut waiting {
        let opened = common::finish(attempt.as_mut());
        assert!(matches!(opened, Ok(Upstream::Stream(_))), "{opened:?}");
    }
    assert_eq!(resolver.times("slow.example"), 1);
}

#[test]
fn links_that_go_leave_no_look_ups_behind() {
    const TEST: &str = "links_that_go_leave_no_look_ups_behind";
    if role().is_none() {
        return alone_with_a_resolver(TEST);
    }
    let resolver = Resolver::start();
    let server = Server::start(listen("127.0.0.1:0"), common::echo);
    let mut quick = opener(&to("tcp/quick.example", server.port()), Choice::Dial);
    for round in 0..5 {
        let name = format!("slow{round}.example");
        let mut slow = opener(&to(format!("tcp/{name}"), server.port()), Choice::Dial);
        // As many as come while a client tries again and again.
        for _ in 0..8 {
            let attempts = begin(slow.as_mut(), 8);
            wait_until("the question", || resolver.times(&name) == 1);
            drop(attempts);
        }
        expect_echo(&stream(quick.as_mut()));
        assert_eq!(resolver.times(&name), 1);
    }
    resolver.open();
    let mut slow = opener(&to("tcp/slow0.example", 9), Choice::Dial);
    assert_eq!(common::failure(slow.as_mut()).class, OpenClass::Refused);
}

#[test]
fn a_name_with_a_dead_ipv6_address_is_reached_by_ipv4() {
    const TEST: &str = "a_name_with_a_dead_ipv6_address_is_reached_by_ipv4";
    if role().is_none() {
        return alone_with_a_resolver(TEST);
    }
    let _resolver = Resolver::start();
    let server = Server::start(listen("127.0.0.1:0"), common::echo);
    let mut opener = opener(&to("tcp/dead.example", server.port()), Choice::Dial);
    let mut attempt = opener.open(None);
    assert!(matches!(attempt.advance(Wake::START), Progress::Waiting));
    let so_far = attempt.so_far();
    assert_eq!(so_far.as_deref(), Some("no answer to the lookup of dead.example"));
    drop(attempt);
    let stream = stream(opener.as_mut());
    assert_eq!(stream.peer_addr().unwrap(), server.address());
    expect_echo(&stream);

    // Where IPv4 refuses, the dead one has all the time there is; then both are told.
    let mut closed = common::opener(&to("tcp/dead.example", 9), Choice::Dial);
    let mut attempt = closed.open(None);
    let told = format!("[{DEAD}]:9: no answer; 127.0.0.1:9: Connection refused");
    let mut wake = Wake::START;
    while attempt.so_far().as_ref() != Some(&told) {
        let progress = attempt.advance(wake);
        assert!(matches!(progress, Progress::Waiting | Progress::Pending), "{progress:?}");
        let source = attempt.source().unwrap();
        let mut watched = [PollFd::new(source, PollFlags::POLLIN | PollFlags::POLLOUT)];
        let patience = PollTimeout::try_from(PATIENCE).unwrap();
        if attempt.so_far().as_ref() != Some(&told) {
            assert_eq!(poll(&mut watched, patience), Ok(1), "{:?}", attempt.so_far());
        }
        wake = watched[0].revents().unwrap_or(PollFlags::empty()).into();
    }
}
