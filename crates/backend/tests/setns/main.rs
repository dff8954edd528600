//! The backend `setns` in real namespaces.

#[path = "../common/mod.rs"]
mod common;

mod bursts;
mod identities;

use std::fs;
use std::net::{SocketAddr, TcpStream};

use common::{counted, expect_echo, failure, opener, plan, stream, targets, to};
use nix::sys::socket::{getsockopt, sockopt::TcpCongestion};
use nsplice_backend::{Choice, Destination, Host};
use nsplice_relay::queues::{sizes, FAR, NEAR};
use nsplice_relay::{OpenClass, Progress, Wake};
use nsplice_testkit::skip::unavailable;
use nsplice_testkit::{Census, Namespace, Server};
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
