//! Openings in bursts: sockets made in advance, and targets that change meanwhile.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use nsplice_backend::Choice;
use nsplice_relay::OpenClass;
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::{wait_until, waiting_at, Census, Namespace, Server};

use crate::common::{self, counted, expect_echo, failure, opener, stream, targets, to};
use crate::own_namespace;

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

/// A process that moves is followed amid a burst as well, when sockets of where it was are ready.
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
