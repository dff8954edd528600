//! Look-ups at servers that answer by a script, over real sockets of the loopback interface.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use simple_dns::rdata::{RData, A, AAAA};
use simple_dns::{Packet, PacketFlag, ResourceRecord, CLASS, QTYPE, RCODE, TYPE};
use socket2::{Domain, Socket, Type};

use super::*;

/// Long beyond every answer, and short of a test that hangs.
const LONG: Duration = Duration::from_secs(30);

struct Here;

impl Sockets for Here {
    fn socket(&self, domain: Domain, kind: Type) -> io::Result<Socket> {
        Socket::new(domain, kind, None)
    }
}

/// The answer of a server by its script.
#[derive(Debug, Clone)]
enum Answer {
    Addresses(Vec<IpAddr>),
    Code(RCODE),
    /// The reply says that it is cut.
    Cut,
    /// A reply with another id before the true one.
    Forged(Ipv4Addr, Ipv4Addr),
    Silence,
}

type Script = fn(&str, TYPE, bool) -> Answer;

/// A server that answers on one port over UDP and TCP, and remembers what it was asked. It lives as
/// long as the process.
fn server(script: Script) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let (datagrams, listener) = loop {
        let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
        // The number may be taken for TCP.
        if let Ok(listener) = TcpListener::bind(datagrams.local_addr().unwrap()) {
            break (datagrams, listener);
        }
    };
    let (address, asked) = (datagrams.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let log = Arc::clone(&asked);
    thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok((len, client)) = datagrams.recv_from(&mut bytes) {
            for reply in replies(&bytes[..len], script, false, &log) {
                datagrams.send_to(&reply, client).unwrap();
            }
        }
    });
    let log = Arc::clone(&asked);
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut len = [0; 2];
            client.read_exact(&mut len).unwrap();
            let mut bytes = vec![0; u16::from_be_bytes(len).into()];
            client.read_exact(&mut bytes).unwrap();
            for reply in replies(&bytes, script, true, &log) {
                let len = u16::try_from(reply.len()).unwrap().to_be_bytes();
                // In two pieces: a stream keeps no boundaries.
                client.write_all(&[len.as_slice(), &reply[..5]].concat()).unwrap();
                client.write_all(&reply[5..]).unwrap();
            }
        }
    });
    (address, asked)
}

fn replies(question: &[u8], script: Script, tcp: bool, log: &Mutex<Vec<String>>) -> Vec<Vec<u8>> {
    let packet = Packet::parse(question).unwrap();
    let name = packet.questions[0].qname.to_string();
    let QTYPE::TYPE(kind) = packet.questions[0].qtype else { panic!("no kind") };
    log.lock().unwrap().push(format!("{kind:?} {name}{}", if tcp { " tcp" } else { "" }));
    let reply = |add: &dyn Fn(&mut Packet<'_>)| {
        let mut reply = Packet::parse(question).unwrap().into_reply();
        reply.set_flags(PacketFlag::RESPONSE);
        add(&mut reply);
        reply.build_bytes_vec().unwrap()
    };
    let of = |addresses: &[IpAddr]| {
        reply(&|packet| {
            let name = packet.questions[0].qname.clone();
            for address in addresses {
                let data = match address {
                    IpAddr::V4(v4) => RData::A(A::from(*v4)),
                    IpAddr::V6(v6) => RData::AAAA(AAAA::from(*v6)),
                };
                packet.answers.push(ResourceRecord::new(name.clone(), CLASS::IN, 5, data));
            }
        })
    };
    match script(&name, kind, tcp) {
        Answer::Addresses(addresses) => vec![of(&addresses)],
        Answer::Code(code) => vec![reply(&|packet| *packet.rcode_mut() = code)],
        Answer::Cut => vec![reply(&|packet| packet.set_flags(PacketFlag::TRUNCATION))],
        Answer::Forged(forged, real) => {
            let mut stray = of(&[forged.into()]);
            stray[0] ^= 0xff;
            vec![stray, of(&[real.into()])]
        }
        Answer::Silence => Vec::new(),
    }
}

fn names(servers: &[SocketAddr], conf: &str) -> Names {
    let mut names = Names { conf: ResolvConf::parse(conf.as_bytes()), ..Names::default() };
    names.conf.servers = servers.to_vec();
    names
}

fn look_up(names: &Names, name: &str) -> Result<Found, Unresolved> {
    names.look_up(name, &Here, Instant::now() + LONG)
}

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

const NOT_FOUND: Answer = Answer::Code(RCODE::NameError);

#[test]
fn the_search_list_is_gone_through_until_a_name_is_there() {
    let (address, asked) = server(|name, kind, _| match (name, kind) {
        ("db.svc.local", TYPE::A) => Answer::Addresses(vec![v4(9)]),
        ("db.svc.local", _) => Answer::Addresses(vec![]),
        _ => NOT_FOUND,
    });
    let names = names(&[address], "search ns.svc.local svc.local local\noptions ndots:5");
    let found = look_up(&names, "db").unwrap();
    assert_eq!(found.addresses, [v4(9)]);
    let name = "db.svc.local".to_owned();
    assert_eq!(found.origin, Origin::Server { server: address, name });
    assert_eq!(found.asked.len(), 2);
    let mut asked = asked.lock().unwrap().clone();
    asked.sort();
    let all = ["A db.ns.svc.local", "A db.svc.local", "AAAA db.ns.svc.local", "AAAA db.svc.local"];
    assert_eq!(asked, all);
}

#[test]
fn what_a_name_lacks_is_told_apart() {
    let (address, _) = server(|name, _, _| match name {
        "empty.local" => Answer::Addresses(vec![]),
        "broken.local" => Answer::Code(RCODE::ServerFailure),
        _ => NOT_FOUND,
    });
    let names = names(&[address], "search local");
    let reason = |name: &str| look_up(&names, name).unwrap_err();
    assert_eq!(reason("none").reason, Reason::NoSuchName);
    assert_eq!(reason("empty").reason, Reason::NoAddress);
    assert_eq!(reason("broken").reason, Reason::Failed);
    assert_eq!(reason("a..b").reason, Reason::NotAName);
    let told = reason("none").to_string();
    let expected = format!(
        "no such name: none.local at {address}: no such name; none at {address}: no such name"
    );
    assert_eq!(told, expected);
}

#[test]
fn a_server_that_fails_or_is_not_there_is_followed_by_the_next() {
    let (failing, _) = server(|_, _, _| Answer::Code(RCODE::Refused));
    let (good, _) = server(|_, kind, _| match kind {
        TYPE::A => Answer::Addresses(vec![v4(7)]),
        _ => Answer::Addresses(vec![]),
    });
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let found = look_up(&names(&[nobody, failing, good], ""), "db").unwrap();
    assert_eq!(found.addresses, [v4(7)]);
    let refused = nsplice_sys::describe(&nix::errno::Errno::ECONNREFUSED.into());
    let said: Vec<_> = found.asked.iter().map(|asked| asked.said.to_string()).collect();
    assert_eq!(said, [refused.as_str(), "the server failed (Refused)", "found"]);
}

/// Not even where all the time that there is would be the first one's.
#[test]
fn silent_servers_leave_the_next_one_its_share_of_the_time() {
    let (silent, _) = server(|_, _, _| Answer::Silence);
    let (good, _) = server(|_, _, _| Answer::Addresses(vec![v4(7)]));
    let names = names(&[silent, silent, good], "options timeout:30 no-aaaa");
    let found = names.look_up("db", &Here, Instant::now() + Duration::from_secs(3)).unwrap();
    assert_eq!(found.addresses, [v4(7)]);
    assert_eq!(found.asked.len(), 3);
}

#[test]
fn where_a_name_was_looked_for_is_told() {
    let mut names = Names::default();
    let none = "no hosts file and 127.0.0.1, because there is no resolv.conf";
    assert_eq!(names.searched(), none);
    names.hosts_path = Some("/proc/7/root/etc/hosts".into());
    names.conf_path = Some("/etc/netns/blue/resolv.conf".into());
    let both = "/proc/7/root/etc/hosts and the name servers of /etc/netns/blue/resolv.conf";
    assert_eq!(names.searched(), both);
}

#[test]
fn one_kind_of_address_is_enough() {
    let (address, _) = server(|_, kind, _| match kind {
        TYPE::AAAA => Answer::Addresses(vec![Ipv6Addr::LOCALHOST.into()]),
        _ => Answer::Code(RCODE::ServerFailure),
    });
    let found = look_up(&names(&[address], ""), "db").unwrap();
    assert_eq!(found.addresses, [IpAddr::from(Ipv6Addr::LOCALHOST)]);
}

#[test]
fn a_reply_that_does_not_fit_is_fetched_over_tcp() {
    let (address, asked) = server(|_, kind, tcp| match (kind, tcp) {
        (TYPE::A, false) => Answer::Cut,
        (TYPE::A, true) => Answer::Addresses((1..=40).map(v4).collect()),
        _ => Answer::Addresses(vec![]),
    });
    let found = look_up(&names(&[address], ""), "db").unwrap();
    assert_eq!(found.addresses.len(), 40);
    assert!(asked.lock().unwrap().contains(&"A db tcp".to_owned()));
}

#[test]
fn use_vc_asks_over_tcp_only() {
    let (address, asked) = server(|_, _, _| Answer::Addresses(vec![v4(3)]));
    look_up(&names(&[address], "options use-vc no-aaaa"), "db").unwrap();
    assert_eq!(*asked.lock().unwrap(), ["A db tcp"]);
}

/// Neither a server that takes no connections nor one that takes them and says nothing.
#[test]
fn no_server_over_tcp_takes_longer_than_it_may() {
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap();
    // The one place of its queue is taken, so what comes now is not answered.
    let first = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    first.connect(&address).unwrap();
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    for server in [address.as_socket().unwrap(), mute.local_addr().unwrap()] {
        let names = names(&[server], "options use-vc no-aaaa timeout:30");
        let began = Instant::now();
        let error = names.look_up("db", &Here, began + Duration::from_millis(300)).unwrap_err();
        assert_eq!(
            (error.reason, &error.asked[0].said),
            (Reason::Silent, &Said::Silence),
            "{error}"
        );
        assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
    }
}

#[test]
fn a_forged_reply_is_passed_over() {
    let (address, _) = server(|_, kind, _| match kind {
        TYPE::A => Answer::Forged([6, 6, 6, 6].into(), [127, 0, 0, 5].into()),
        _ => Answer::Addresses(vec![]),
    });
    assert_eq!(look_up(&names(&[address], ""), "db").unwrap().addresses, [v4(5)]);
}

#[test]
fn silence_ends_with_the_time_that_is_given() {
    let (address, _) = server(|_, _, _| Answer::Silence);
    let names = names(&[address], "search a.example b.example\noptions timeout:30 attempts:5");
    let began = Instant::now();
    let error = names.look_up("db", &Here, began + Duration::from_millis(300)).unwrap_err();
    assert_eq!(error.reason, Reason::Silent);
    // Its own time would be minutes.
    assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
    assert!(
        error.to_string().starts_with("no name server answers: db.a.example at 127"),
        "{error}"
    );
}

#[test]
fn the_hosts_file_and_addresses_ask_nobody() {
    let mut names = names(&["127.0.0.1:1".parse().unwrap()], "");
    names.hosts = Hosts::parse(b"10.0.0.7 db\n");
    assert_eq!(look_up(&names, "DB").unwrap().addresses, [IpAddr::from([10, 0, 0, 7])]);
    assert_eq!(look_up(&names, "::1").unwrap().origin, Origin::Literal);
    let localhost = look_up(&names, "web.localhost").unwrap();
    assert_eq!(localhost.addresses, [v4(1), Ipv6Addr::LOCALHOST.into()]);
}

#[test]
fn addresses_without_a_route_come_last() {
    struct Ipv4Only;
    impl Sockets for Ipv4Only {
        fn socket(&self, domain: Domain, kind: Type) -> io::Result<Socket> {
            if domain == Domain::IPV6 {
                return Err(nix::errno::Errno::EAFNOSUPPORT.into());
            }
            Socket::new(domain, kind, None)
        }
    }
    let both = vec!["2001:db8::1".parse().unwrap(), v4(1)];
    assert_eq!(arrange(both.clone(), &Ipv4Only), [v4(1), both[0]]);
    let loopback = vec![v4(1), Ipv6Addr::LOCALHOST.into()];
    assert_eq!(arrange(loopback, &Here)[0], IpAddr::from(Ipv6Addr::LOCALHOST));
}
