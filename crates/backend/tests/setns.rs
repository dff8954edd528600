//! The backend `setns` in real namespaces.

mod common;

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;

use common::{counted, expect_echo, failure, opener, plan, stream, targets, to};
use nix::sys::socket::{getsockopt, sockopt::TcpCongestion};
use nsplice_backend::{Choice, Destination, ErrorKind, Host};
use nsplice_relay::queues::{sizes, FAR, NEAR};
use nsplice_relay::{OpenClass, Progress, Wake};
use nsplice_testkit::skip::{require_root_or_userns, require_tool, unavailable};
use nsplice_testkit::{wait_for, wait_until, waiting_at, Census, Namespace, Server};
use socket2::{Domain, SockRef, Socket, Type};

fn own_namespace() -> String {
    fs::read_link("/proc/thread-self/ns/net").expect("a link").to_string_lossy().into_owned()
}

#[test]
fn localhost_of_the_namespace_is_reached_by_either_family() {
    counted(|| {
        let Some(namespace) = Namespace::for_test("localhost_is_reached") else { return };
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let server = Server::in_namespace(&namespace, address, common::echo);
            assert!(TcpStream::connect(server.address()).is_err(), "it is open at home as well");
            for target in targets(&namespace) {
                let home = own_namespace();
                let plan = plan(&to(&target, server.port()), Choice::Auto).unwrap();
                assert_eq!(plan.backend(), "setns");
                let identity = plan.identity().unwrap();
                assert_eq!((identity.device, identity.inode), namespace.identity());
                let mut opener = plan.opener().unwrap();
                for _ in 0..3 {
                    let stream = stream(opener.as_mut());
                    assert_eq!(stream.peer_addr().unwrap(), server.address());
                    expect_echo(&stream);
                }
                assert_eq!(own_namespace(), home);
            }
        }
    });
}

/// A listener that nobody accepts from, its queue full: who connects hears nothing.
#[test]
fn a_silent_ipv4_does_not_hold_up_ipv6() {
    counted(|| {
        let Some(namespace) = Namespace::for_test("a_silent_ipv4_does_not_hold_up") else { return };
        let server = Server::in_namespace(&namespace, "[::1]:0", common::echo);
        let _silent = namespace.inside(|| {
            let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let address = SocketAddr::from(([127, 0, 0, 1], server.port()));
            listener.bind(&address.into()).unwrap();
            listener.listen(0).unwrap();
            (listener, TcpStream::connect(address).unwrap())
        });
        for target in targets(&namespace) {
            let mut opener = opener(&to(&target, server.port()), Choice::Setns);
            let stream = stream(opener.as_mut());
            assert_eq!(stream.peer_addr().unwrap(), server.address());
            expect_echo(&stream);
        }
    });
}

#[test]
fn a_closed_port_is_refused_and_the_thread_is_home() {
    counted(|| {
        let Some(namespace) = Namespace::for_test("a_closed_port_is_refused") else { return };
        let home = own_namespace();
        for target in targets(&namespace) {
            let error = failure(opener(&to(&target, 9).clone(), Choice::Setns).as_mut());
            assert_eq!(error.class, OpenClass::Refused);
            assert_eq!(
                error.detail,
                format!(
                    "cannot connect to 127.0.0.1:9 in {target}: Connection refused; \
                     [::1]:9: Connection refused"
                )
            );
            assert_eq!(own_namespace(), home);
        }
    });
}

#[test]
fn an_address_inside_is_reached_with_the_options_of_a_far_peer() {
    counted(|| {
        let Some(namespace) = Namespace::for_test("an_address_inside_is_reached") else { return };
        quiet_network(&namespace);
        if let Err(error) = namespace.set_queue_sizes([4096, 64 << 20, 128 << 20]) {
            unavailable("an_address_inside_is_reached", error);
        }
        let target = format!("netns/{}", namespace.name());
        for (address, probed) in [("10.77.0.1:0", true), ("127.0.0.2:0", false)] {
            let server = Server::in_namespace(&namespace, address, common::echo);
            let host = Host::Address(server.address().ip());
            let destination = Destination { host, ..to(&target, server.port()) };
            let stream = stream(opener(&destination, Choice::Setns).as_mut());
            assert!(stream.nodelay().unwrap());
            assert_eq!(SockRef::from(&stream).keepalive().unwrap(), probed, "{address}");
            // Whatever the container says of its own sockets.
            let (asked, got) = (if probed { FAR } else { NEAR }, sizes(&stream).unwrap());
            assert!(got.receive <= asked.receive && got.send <= asked.send, "{address}: {got:?}");
            expect_echo(&stream);
        }
    });
}

/// Sockets for a burst are made together, one for each client that is there, more as they are taken,
/// and those that nobody came for do not stay.
#[test]
fn a_burst_has_a_socket_for_each_of_its_clients() {
    counted(|| {
        let Some(namespace) = Namespace::for_test("a_burst_has_a_socket") else { return };
        // Nobody accepts from it: the sockets of this process are those of its clients.
        let server = namespace.inside(|| TcpListener::bind("127.0.0.1:0").unwrap());
        let server = (server.local_addr().unwrap(), server);
        for target in targets(&namespace) {
            let mut opener = opener(&to(&target, server.0.port()), Choice::Setns);
            let front = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = front.local_addr().unwrap();
            let clients = [(); 3].map(|()| TcpStream::connect(address).unwrap());
            wait_until("all clients in the queue", || waiting_at(address) == Some(clients.len()));
            let first = front.accept().unwrap();
            let home = own_namespace();
            for (most, made) in [(16, 3), (2, 2)] {
                let before = Census::own();
                opener.begin_burst(front.as_fd(), most);
                let sockets = Census::own().descriptors("socket");
                assert_eq!(sockets, before.descriptors("socket") + made, "{target}");
                assert_eq!(own_namespace(), home);
                let streams: Vec<_> = (0..made).map(|_| stream(opener.as_mut())).collect();
                assert!(streams.iter().all(|stream| stream.peer_addr().unwrap() == server.0));
                let more = stream(opener.as_mut());
                assert_eq!(more.peer_addr().unwrap(), server.0);
                assert!(Census::own().descriptors("socket") > sockets + 1, "others are ready, too");
                assert_eq!(own_namespace(), home);
                drop((streams, more));
                opener.end_burst();
                before.assert_restored();
            }
            drop((clients, first));
        }
    });
}

/// For each socket that was made in advance it is asked where the target is.
#[test]
fn a_target_that_goes_amid_a_burst_is_gone() {
    counted(|| {
        let Some(mut namespace) = Namespace::for_test("a_target_that_goes") else { return };
        // It keeps the namespace alive when all that leads there is gone.
        let server = namespace.inside(|| TcpListener::bind("127.0.0.1:0").unwrap());
        let port = server.local_addr().unwrap().port();
        let front = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut openers =
            targets(&namespace).map(|target| opener(&to(target, port), Choice::Setns));
        for opener in &mut openers {
            opener.begin_burst(front.as_fd(), 16);
            assert_eq!(stream(opener.as_mut()).peer_addr().unwrap().port(), port);
        }
        namespace.remove_name();
        namespace.kill_holder();
        for opener in &mut openers {
            assert_eq!(failure(opener.as_mut()).class, OpenClass::TargetGone);
            opener.end_burst();
            assert_eq!(failure(opener.as_mut()).class, OpenClass::TargetGone);
        }
    });
}

/// A name that is given to another namespace amid a burst, when sockets of the old one are ready.
#[test]
fn a_path_that_switches_amid_a_burst_leads_to_the_new_namespace_at_once() {
    counted(|| {
        let Some(old) = Namespace::for_test("a_path_that_switches_amid_a_burst") else { return };
        let new = Namespace::new().unwrap();
        // Both are there all the time.
        let server = Server::in_namespace(&old, "127.0.0.1:0", |_| "old");
        let address = server.address().to_string();
        let other = Server::in_namespace(&new, &address, |_| "new");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("current");
        symlink(old.path(), &path).unwrap();
        let target = format!("netns/{}", path.display());
        let mut opener = opener(&to(target, server.port()), Choice::Setns);
        let front = TcpListener::bind("127.0.0.1:0").unwrap();
        opener.begin_burst(front.as_fd(), 16);
        drop(stream(opener.as_mut()));
        fs::remove_file(&path).unwrap();
        symlink(new.path(), &path).unwrap();
        for _ in 0..4 {
            drop(stream(opener.as_mut()));
        }
        opener.end_burst();
        wait_until("the clients of both", || (server.accepted(), other.accepted()) == (1, 4));
    });
}

/// No name is looked up for a process that is gone: the answer is about the process.
#[test]
fn a_process_that_is_gone_is_told_before_a_name_that_is_unknown() {
    counted(|| {
        let Some(mut namespace) = Namespace::for_test("a_process_is_told_first") else { return };
        let host = Host::Name("nowhere.invalid".to_owned());
        let target = format!("pid/{}", namespace.pid());
        let mut opener = opener(&Destination { host, ..to(target, 80) }, Choice::Setns);
        namespace.kill_holder();
        assert_eq!(failure(opener.as_mut()).class, OpenClass::TargetGone);
    });
}

#[test]
fn only_what_leads_beyond_the_loopback_is_paced() {
    const TEST: &str = "only_what_leads_beyond_the_loopback_is_paced";
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        if let Err(error) = namespace.set_congestion_control("bbr") {
            unavailable(TEST, format_args!("the kernel has no BBR for us: {error}"));
            return;
        }
        quiet_network(&namespace);
        let target = format!("netns/{}", namespace.name());
        for (address, control) in [("10.77.0.1:0", "bbr"), ("127.0.0.1:0", "reno")] {
            let server = Server::in_namespace(&namespace, address, common::echo);
            let host = Host::Address(server.address().ip());
            let mut opener =
                opener(&Destination { host, ..to(&target, server.port()) }, Choice::Setns);
            for _ in 0..2 {
                let has = getsockopt(&stream(opener.as_mut()), TcpCongestion).unwrap();
                assert_eq!(has, control, "{address}");
            }
        }
    });
}

/// Gives the namespace 10.77.0.1 on a network where nobody answers.
fn quiet_network(namespace: &Namespace) {
    namespace.run("ip", ["link", "add", "quiet", "type", "veth", "peer", "name", "mute"]);
    namespace.run("ip", ["addr", "add", "10.77.0.1/24", "dev", "quiet"]);
    namespace.run("ip", ["link", "set", "quiet", "up"]);
    namespace.run("ip", ["link", "set", "mute", "up"]);
    // Without it, ARP would find out that nobody is there.
    let nobody = ["neigh", "add", "10.77.0.2", "lladdr", "02:00:00:00:00:02", "dev", "quiet"];
    namespace.run("ip", nobody);
}

#[test]
fn a_dropped_attempt_takes_its_socket_with_it() {
    counted(|| {
        let Some(namespace) = Namespace::for_test("a_dropped_attempt") else { return };
        quiet_network(&namespace);
        let host = Host::Address("10.77.0.2".parse().unwrap());
        let destination = Destination { host, ..to(format!("pid/{}", namespace.pid()), 80) };
        let mut opener = opener(&destination, Choice::Setns);
        let before = Census::own();
        let mut attempt = opener.open(None);
        assert!(matches!(attempt.advance(Wake::START), Progress::Waiting));
        assert!(common::kind(attempt.source().unwrap()).starts_with("socket:"));
        let nothing = Wake { readable: true, ..Wake::START };
        assert!(matches!(attempt.advance(nothing), Progress::Pending));
        assert_eq!(Census::own().descriptors("socket"), before.descriptors("socket") + 1);
        drop(attempt);
        before.assert_restored();
    });
}

#[test]
fn routes_that_lead_nowhere_are_told_at_once() {
    counted(|| {
        let Some(namespace) = Namespace::for_test("routes_that_lead_nowhere") else { return };
        namespace.run("ip", ["route", "add", "unreachable", "10.78.1.0/24"]);
        namespace.run("ip", ["route", "add", "prohibit", "10.78.2.0/24"]);
        let table = [
            ("10.78.0.1", OpenClass::Unreachable, "Network is unreachable"),
            ("10.78.1.1", OpenClass::Unreachable, "No route to host"),
            ("10.78.2.1", OpenClass::Denied, "Permission denied"),
            ("2001:db8::1", OpenClass::Unreachable, "Network is unreachable"),
        ];
        for (address, class, words) in table {
            let host = Host::Address(address.parse().unwrap());
            let target = format!("netns/{}", namespace.name());
            let mut opener = opener(&Destination { host, ..to(&target, 80) }, Choice::Setns);
            let Progress::Failed(error) = opener.open(None).advance(Wake::START) else {
                panic!("{address} is waited for")
            };
            assert_eq!(error.class, class, "{error}");
            assert!(error.detail.contains(words) && error.detail.contains(&target), "{error}");
        }
    });
}

#[test]
fn a_namespace_out_of_local_ports_refuses_and_recovers() {
    counted(|| {
        let Some(namespace) = Namespace::for_test("out_of_local_ports") else { return };
        // Most clients of this one reset.
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", |stream| {
            std::io::copy(&mut &stream, &mut &stream).is_ok()
        });
        namespace.inside(|| {
            fs::write("/proc/sys/net/ipv4/ip_local_port_range", "20000 20003").unwrap();
        });
        let mut opener =
            opener(&to(format!("pid/{}", namespace.pid()), server.port()), Choice::Setns);
        let mut held: Vec<_> = (0..4).map(|_| stream(opener.as_mut())).collect();
        assert_eq!(failure(opener.as_mut()).class, OpenClass::Exhausted);
        // The side that resets leaves no TIME_WAIT behind.
        nsplice_testkit::talk::reset(held.pop().unwrap());
        expect_echo(&stream(opener.as_mut()));
        held.into_iter().for_each(nsplice_testkit::talk::reset);
    });
}

#[test]
fn what_is_no_network_namespace_is_no_target() {
    counted(|| {
        if !require_root_or_userns("what_is_no_network_namespace") {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let fifo = fifo.display().to_string();
        let table = [
            ("/etc/passwd", "is not a network namespace"),
            (fifo.as_str(), "is not a network namespace"),
            ("/proc/self/ns/mnt", "is not a network namespace"),
            ("/proc/self/ns", "is not a network namespace"),
            ("/run/netns/nsplice-no-such-name", "does not exist"),
            ("/etc/passwd/x", "does not exist"),
        ];
        for (path, words) in table {
            for choice in [Choice::Setns, Choice::Auto] {
                let error = plan(&to(format!("netns/{path}"), 80), choice).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NoSuchTarget, "{error}");
                assert!(error.to_string().contains(words), "{error}");
            }
        }
        let error = plan(&to("netns/nsplice-no-such-name", 80), Choice::Auto).unwrap_err();
        assert!(
            error.to_string().starts_with("netns/nsplice-no-such-name does not exist"),
            "{error}"
        );
    });
}

#[test]
fn a_process_that_is_gone_is_a_target_that_is_gone() {
    counted(|| {
        let Some(mut namespace) = Namespace::for_test("a_process_that_is_gone") else { return };
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        let target = format!("pid/{}", namespace.pid());
        let mut opener = opener(&to(&target, server.port()), Choice::Setns);
        expect_echo(&stream(opener.as_mut()));
        namespace.kill_holder();
        let error = failure(opener.as_mut());
        assert_eq!(error.class, OpenClass::TargetGone);
        assert_eq!(error.detail, format!("{target} is gone: its process has ended"));
        let error = plan(&to(&target, 80), Choice::Auto).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSuchTarget);
    });
}

#[test]
fn a_thread_is_not_taken_for_a_process() {
    counted(|| {
        let (told, heard) = channel();
        let (go, gate) = channel::<()>();
        let thread = std::thread::spawn(move || {
            told.send(nix::unistd::gettid()).unwrap();
            // Until the other end is dropped.
            let _ = gate.recv();
        });
        let target = format!("pid/{}", heard.recv().unwrap());
        let error = plan(&to(&target, 80), Choice::Auto).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSuchTarget);
        assert!(error.to_string().contains("is a thread"), "{error}");
        drop(go);
        thread.join().unwrap();
    });
}

#[test]
fn a_reused_pid_is_never_entered() {
    const TEST: &str = "a_reused_pid_is_never_entered";
    counted(|| {
        let Some(new) = Namespace::for_test(TEST) else { return };
        if !may_choose_pids() {
            unavailable(TEST, "this kernel gives no PID on request (ns_last_pid)");
            return;
        }
        let server = Server::in_namespace(&new, "127.0.0.1:0", common::echo);
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        let (mut openers, mut impostor) = wait_for("a PID to be given twice", || {
            let mut old = Namespace::new().unwrap();
            let pid = old.pid();
            let _ = fs::remove_file(&link);
            symlink(format!("/proc/{pid}/ns/net"), &link).unwrap();
            let targets = [
                format!("pid/{pid}"),
                format!("netns//proc/{pid}/ns/net"),
                format!("netns//proc/{pid}/task/{pid}/ns/net"),
                format!("netns//proc/self/root/proc/{pid}/ns/net"),
                format!("netns/{}", link.display()),
            ];
            let mut openers = Vec::new();
            for target in targets {
                for choice in [Choice::Setns, Choice::External] {
                    let opener = opener(&to(&target, server.port()), choice);
                    openers.push((target.clone(), opener));
                }
            }
            // Nobody serves there, but it is the right place.
            for (target, opener) in openers.iter_mut().step_by(2) {
                assert_eq!(failure(opener.as_mut()).class, OpenClass::Refused, "{target}");
            }
            old.kill_holder();
            Some((openers, impostor_of(pid, &new)?))
        });
        for (target, opener) in &mut openers {
            assert_eq!(failure(opener.as_mut()).class, OpenClass::TargetGone, "{target}");
        }
        assert_eq!(server.accepted(), 0);
        // A link that is made anew means whoever has the number now.
        fs::remove_file(&link).unwrap();
        symlink(format!("/proc/{}/ns/net", new.pid()), &link).unwrap();
        let (_, linked) = &mut openers[8];
        expect_echo(&stream(linked.as_mut()));
        drop(impostor.stdin.take());
        impostor.wait().unwrap();
    });
}

/// The number that was given last; the one after it is given next. Written back as it was, it tells
/// whether it may be written at all.
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

fn may_choose_pids() -> bool {
    fs::read(LAST_PID).is_ok_and(|last| fs::write(LAST_PID, last).is_ok())
}

/// A process inside `namespace` that has the number `pid`, which nobody had before. None if somebody
/// else was quicker, who may keep it.
fn impostor_of(pid: u32, namespace: &Namespace) -> Option<Child> {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped());
    // The thread that goes inside takes a number as well, and may have to skip one that is in use.
    (0..9).find_map(|attempt| {
        fs::write(LAST_PID, (pid - 1 - attempt % 3).to_string()).ok()?;
        let mut child = namespace.spawn(&mut command).expect("cat can be started");
        if child.id() == pid {
            return Some(child);
        }
        child.kill().expect("a child can be killed");
        child.wait().expect("a child can be waited for");
        None
    })
}

#[test]
fn a_path_is_followed_and_pins_nothing() {
    counted(|| {
        let Some(mut namespace) = Namespace::for_test("a_path_is_followed") else { return };
        let target = format!("netns/{}", namespace.name());
        let before = Census::own();
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", |_| "old");
        let mut opener = opener(&to(&target, server.port()), Choice::Setns);
        drop(stream(opener.as_mut()));
        assert_eq!(server.join(), ["old"]);
        let namespaces = Census::own().descriptors("net") - before.descriptors("net");
        assert_eq!(namespaces, 1, "home is the only namespace that is held");

        namespace.remove_name();
        let error = failure(opener.as_mut());
        assert_eq!(error.class, OpenClass::TargetGone);
        assert!(error.detail.starts_with(&format!("{target} does not exist")), "{error}");

        // Opening a FIFO that nobody writes to would hold the loop up.
        nix::unistd::mkfifo(&namespace.path(), nix::sys::stat::Mode::S_IRUSR).unwrap();
        let error = failure(opener.as_mut());
        fs::remove_file(namespace.path()).unwrap();
        assert_eq!(error.class, OpenClass::TargetGone);
        assert!(error.detail.contains("is not a network namespace"), "{error}");

        namespace.restart().unwrap();
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", |_| "new");
        // The old one's port was another; this opener's is the old one's.
        assert_eq!(failure(opener.as_mut()).class, OpenClass::Refused);
        let mut opener = common::opener(&to(&target, server.port()), Choice::Setns);
        drop(stream(opener.as_mut()));
        assert_eq!(server.join(), ["new"]);
    });
}

/// A process that moves is followed: its namespace is asked for at each opening.
#[test]
fn a_process_that_moves_is_followed() {
    counted(|| {
        let Some(namespace) = Namespace::for_test("a_process_that_moves") else { return };
        if require_tool("a_process_that_moves", "nsenter").is_none() {
            return;
        }
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        // Begins at home, and goes inside when it is told to.
        let script = format!("read go; exec nsenter --net={} cat", namespace.path().display());
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdin(Stdio::piped());
        let mut mover = command.spawn().unwrap();
        let mut opener = opener(&to(format!("pid/{}", mover.id()), server.port()), Choice::Setns);
        assert_eq!(failure(opener.as_mut()).class, OpenClass::Refused, "it is at home still");
        mover.stdin.as_ref().unwrap().write_all(b"go\n").unwrap();
        let inside = format!("net:[{}]", namespace.identity().1);
        let link = format!("/proc/{}/ns/net", mover.id());
        wait_until("the process to move", || {
            fs::read_link(&link).is_ok_and(|link| link == Path::new(&inside))
        });
        expect_echo(&stream(opener.as_mut()));
        drop(mover.stdin.take());
        mover.wait().unwrap();
    });
}

/// The same amid a burst, when sockets of the place of before are ready.
#[test]
fn a_process_that_moves_amid_a_burst_is_followed() {
    const TEST: &str = "a_process_that_moves_amid_a_burst";
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        if require_tool(TEST, "nsenter").is_none() {
            return;
        }
        let first = Namespace::new().unwrap();
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        let script = format!("read go; exec nsenter --net={} cat", namespace.path().display());
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdin(Stdio::piped());
        let mut mover = first.spawn(&mut command).unwrap();
        let mut opener = opener(&to(format!("pid/{}", mover.id()), server.port()), Choice::Setns);
        let front = TcpListener::bind("127.0.0.1:0").unwrap();
        opener.begin_burst(front.as_fd(), 16);
        assert_eq!(failure(opener.as_mut()).class, OpenClass::Refused, "it is elsewhere still");
        mover.stdin.as_ref().unwrap().write_all(b"go\n").unwrap();
        let link = format!("/proc/{}/ns/net", mover.id());
        let inside = fs::read_link(format!("/proc/{}/ns/net", namespace.pid())).unwrap();
        wait_until("the process to move", || fs::read_link(&link).is_ok_and(|at| at == inside));
        expect_echo(&stream(opener.as_mut()));
        opener.end_burst();
        drop(mover.stdin.take());
        mover.wait().unwrap();
    });
}
