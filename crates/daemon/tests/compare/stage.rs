//! Stages between real namespaces.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use nsplice_backend::Target;
use nsplice_compare::{Birth, Scenery, Stage, StageError};
use nsplice_testkit::skip::require_root_or_userns;
use nsplice_testkit::{wait_until, Namespace};
use socket2::Domain;

use crate::{on_a_thread, scenery};

/// Connects from the side of `birth` and passes a word both ways.
fn talk(stage: &Stage, birth: Birth, address: SocketAddr) -> bool {
    let listener = stage.listen(address, 16).unwrap();
    listener.set_nonblocking(false).unwrap();
    let socket = stage.connect_socket(birth, Domain::for_address(address)).unwrap();
    socket.set_nonblocking(false).unwrap();
    if socket.connect(&address.into()).is_err() {
        return false;
    }
    let mut client = TcpStream::from(socket);
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(b"?").unwrap();
    let mut word = [0];
    server.read_exact(&mut word).unwrap();
    word == *b"?"
}

#[test]
fn two_namespaces_of_our_own() {
    if !require_root_or_userns("two_namespaces_of_our_own") {
        return;
    }
    on_a_thread(|| {
        let home = fs::read_link("/proc/thread-self/ns/net").unwrap();
        let stage = Stage::open(scenery(None)).unwrap();
        let node = fs::read_link("/proc/thread-self/ns/net").unwrap();
        let inside = stage.visit(Birth::Target, || fs::read_link("/proc/thread-self/ns/net"));
        let inside = inside.unwrap().unwrap();
        assert!(home != node && node != inside && home != inside);
        assert_eq!(stage.facts().namespace.as_deref(), inside.to_str());
        assert_eq!(stage.facts().target, None);
        assert!(stage.is_own());
        assert!(talk(&stage, Birth::Target, stage.origin()), "from inside");
        assert!(!talk(&stage, Birth::Node, stage.origin()), "from the node");
        let ipv6 = format!("[::1]:{}", stage.port()).parse().unwrap();
        assert!(talk(&stage, Birth::Target, ipv6), "over IPv6");
        // Both have room for many connections, as far as they may be told.
        let range = || fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
        if fs::OpenOptions::new().write(true).open("/proc/sys/net/ipv4/ip_local_port_range").is_ok()
        {
            assert_eq!(range(), stage.visit(Birth::Target, range).unwrap());
            assert!(range().starts_with("20000"), "{}", range());
        }
        // Loopback of the node is up as well.
        TcpStream::connect(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
            .unwrap();
    });
}

#[test]
fn a_twin_has_a_target_of_its_own_that_can_be_ended() {
    if !require_root_or_userns("a_twin_has_a_target_of_its_own_that_can_be_ended") {
        return;
    }
    on_a_thread(|| {
        let stage = Stage::open(scenery(None)).unwrap();
        let mut twin = stage.twin().unwrap();
        assert_ne!(stage.target(), twin.target());
        let Target::Pid(pid) = *twin.target() else { panic!("{}", twin.target()) };
        twin.end_target();
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        assert!(twin.listen(twin.origin(), 1).is_err());
        assert!(talk(&stage, Birth::Target, stage.origin()));
        let Target::Pid(pid) = *stage.target() else { panic!("{}", stage.target()) };
        drop(stage);
        wait_until("the holder to be gone", || !Path::new(&format!("/proc/{pid}")).exists());
    });
}

#[test]
fn a_target_of_the_users() {
    let Some(namespace) = Namespace::for_test("a_target_of_the_users") else { return };
    let home = fs::read_link("/proc/thread-self/ns/net").unwrap();
    let target = Target::Pid(namespace.pid());
    let stage = Stage::open(scenery(Some(target.clone()))).unwrap();
    assert_eq!(fs::read_link("/proc/thread-self/ns/net").unwrap(), home, "we have stayed");
    assert_eq!(stage.facts().target, Some(target.to_string()));
    assert_eq!(stage.facts().namespace, Some(format!("net:[{}]", namespace.identity().1)));
    assert!(talk(&stage, Birth::Target, stage.origin()));
    let taken = stage.listen(stage.origin(), 1).unwrap();
    let port = Some(taken.local_addr().unwrap().port());
    let refused = Stage::open(Scenery { port, ..scenery(Some(target)) }).map(drop);
    let words = refused.as_ref().unwrap_err().to_string();
    assert!(matches!(refused, Err(StageError::Port { .. })), "{words}");
    assert!(words.contains("name another port"), "{words}");
}

#[test]
fn a_target_that_is_not_there_is_told() {
    let words = |scenery| Stage::open(scenery).map(drop).unwrap_err().to_string();
    let gone = words(scenery(Some("netns//nonexistent/x".parse().unwrap())));
    assert!(gone.contains("does not exist"), "{gone}");
    if !require_root_or_userns("a_target_that_is_not_there_is_told") {
        return;
    }
    on_a_thread(move || {
        let broken = words(Scenery { program: "/nonexistent/nsplice".into(), ..scenery(None) });
        assert!(broken.contains("/nonexistent/nsplice"), "{broken}");
        let silent = words(Scenery { program: "true".into(), ..scenery(None) });
        assert!(silent.contains("did not start"), "{silent}");
    });
}
