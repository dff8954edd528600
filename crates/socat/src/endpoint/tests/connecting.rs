//! Endpoints that connect.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::time::Duration;

use nsplice_testkit::{skip, Namespace};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::endpoint::testing::Bench;
use crate::language::flags::IpPreference;
use crate::language::Flags;

use super::{closed_port, listen, listener, port_of, stream, unix_stream, unnumbered, REFUSED};

#[test]
fn tcp_connects_and_tells_both_ends() {
    let bench = Bench::new();
    let (listener, port) = listener("127.0.0.1:0");
    let mut client = stream(bench.open(&format!("TCP4:localhost:{port}")).unwrap());
    let (mut served, peer) = listener.accept().unwrap();
    client.write_all(b"x").unwrap();
    let mut byte = [0];
    served.read_exact(&mut byte).unwrap();
    assert!(client.nodelay().unwrap(), "what was not asked for is quick");
    let expected = [
        format!("N opening connection to AF=2 127.0.0.1:{port}"),
        format!("N successfully connected from local address AF=2 127.0.0.1:{}", peer.port()),
    ];
    assert_eq!(bench.told(), expected);
}

#[test]
fn a_refusal_is_told_as_the_call() {
    let bench = Bench::new();
    let (_socket, port) = closed_port();
    let told = bench.open(&format!("TCP4:127.0.0.1:{port}")).unwrap_err();
    let expected = format!("connect(N, AF=2 127.0.0.1:{port}, 16): {REFUSED}");
    assert_eq!(unnumbered(&told), expected);
}

#[test]
fn a_name_without_version_is_tried_at_all_its_addresses() {
    let bench = Bench::new();
    let (six, port) = listener("[::1]:0");
    bench.open(&format!("TCP:localhost:{port}")).unwrap();
    six.accept().unwrap();
    let refused = bench.open(&format!("TCP4:localhost:{port}")).unwrap_err();
    assert!(refused.ends_with(REFUSED), "a version is strict: {refused}");
    drop(six);
    let told = bench.open(&format!("TCP:localhost:{port}")).unwrap_err();
    let expected = format!("connect(N, AF=2 127.0.0.1:{port}, 16): {REFUSED}");
    assert_eq!(unnumbered(&told), expected, "the first failure is the one that is told");
}

#[test]
fn a_flag_restricts_a_name_and_no_address() {
    let bench = Bench::with(Flags { ip: IpPreference::V6, ..Flags::default() });
    let (four, port) = listener("127.0.0.1:0");
    let refused = bench.open(&format!("TCP:localhost:{port}")).unwrap_err();
    assert!(refused.contains("AF=10 [") && refused.ends_with(REFUSED), "{refused}");
    bench.open(&format!("TCP:127.0.0.1:{port}")).unwrap();
    four.accept().unwrap();
    assert!(bench.open(&format!("TCP:localhost:{port},pf=ip6")).is_err());
}

#[test]
fn a_name_that_nobody_knows_is_told_in_socats_words() {
    let bench = Bench::new();
    let told = bench.open("TCP4:nosuch.invalid:80").unwrap_err();
    let start = "getaddrinfo(\"nosuch.invalid\", \"NULL\", {1,2,1,6}, {}): ";
    assert!(told.starts_with(start), "{told}");
    let told = bench.open("TCP6:127.0.0.1:80").unwrap_err();
    let words = "Address family for hostname not supported";
    assert_eq!(told, format!("getaddrinfo(\"127.0.0.1\", \"NULL\", {{1,10,1,6}}, {{}}): {words}"));
    assert_eq!(bench.fault("TCP4:localhost:99999"), "port \"99999\" is out of range (0..65535)");
    assert_eq!(bench.fault("TCP4:localhost:80,pf=foo"), "unknown protocol family \"foo\"");
}

#[test]
fn the_local_side_can_be_chosen() {
    let bench = Bench::new();
    let (listener, port) = listener("127.0.0.1:0");
    let (reserved, wanted) = closed_port();
    drop(reserved);
    for option in [format!("bind=127.0.0.1:{wanted}"), format!("sourceport={wanted}")] {
        let open = bench.open(&format!("TCP4:127.0.0.1:{port},{option},reuseaddr")).unwrap();
        let (_served, peer) = listener.accept().unwrap();
        assert_eq!(peer, SocketAddr::from(([127, 0, 0, 1], wanted)), "{option}");
        // A reset leaves nothing behind that would hold the port.
        SockRef::from(&open).set_linger(Some(Duration::ZERO)).unwrap();
    }
    let open = bench.open(&format!("TCP:localhost:{port},bind=127.0.0.2")).unwrap();
    let (_served, peer) = listener.accept().unwrap();
    assert_eq!(peer.ip().to_string(), "127.0.0.2");
    drop(open);
    let told = bench.open(&format!("TCP4:127.0.0.1:{port},bind=192.0.2.77")).unwrap_err();
    let expected = "bind(N, {AF=2 192.0.2.77:0}, 16): Cannot assign requested address";
    assert_eq!(unnumbered(&told), expected);
}

#[test]
fn a_low_port_is_low() {
    if !skip::require_root_or_userns("a_low_port_is_low") {
        return;
    }
    let bench = Bench::new();
    let (listener, port) = listener("127.0.0.1:0");
    let _open = bench.open(&format!("TCP4:127.0.0.1:{port},lowport")).unwrap();
    let (_served, peer) = listener.accept().unwrap();
    assert!((640..1024).contains(&peer.port()), "{peer}");
}

/// A listener of 127.0.0.1 whose queue is full: who connects hears nothing.
fn full(port: u16) -> (SocketAddr, Socket, TcpStream) {
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let queued = TcpStream::connect(address).unwrap();
    (address, full, queued)
}

#[test]
fn a_silent_address_does_not_hold_up_the_next() {
    let bench = Bench::new();
    let (six, port) = listener("[::1]:0");
    let (address, _full, _queued) = full(port);
    for options in ["", ",connect-timeout=60", ",bind=:0"] {
        let opened = stream(bench.open(&format!("TCP:localhost:{port}{options}")).unwrap());
        assert_eq!(opened.peer_addr().unwrap(), six.local_addr().unwrap(), "{options}");
        six.accept().unwrap();
    }
    let tried = format!("N opening connection to AF=2 {address}");
    assert_eq!(bench.told()[0], tried);
}

/// The next one fails before the first has used up its time.
#[test]
fn the_first_address_is_the_one_that_is_told() {
    let bench = Bench::new();
    let (address, _full, _queued) = full(0);
    let words = format!("TCP:localhost:{},connect-timeout=1", address.port());
    let told = bench.open(&words).unwrap_err();
    assert_eq!(told, format!("connecting to AF=2 {address}: Connection timed out"));
}

#[test]
fn connecting_has_a_time_limit_if_one_was_asked_for() {
    let bench = Bench::new();
    let (address, _full, _queued) = full(0);
    let told = bench.open(&format!("TCP4:{address},connect-timeout=0.05")).unwrap_err();
    assert_eq!(told, format!("connecting to AF=2 {address}: Connection timed out"));
}

#[test]
fn what_fails_is_tried_again_with_patience() {
    let bench = Bench::new();
    let path = bench.path("late");
    let name = path.display();
    let told = bench.open(&format!("UNIX-CONNECT:{name},retry=2,interval=0.01")).unwrap_err();
    let length = 2 + path.as_os_str().len();
    let missing = "No such file or directory";
    assert_eq!(told, format!("connect(, AF=1 \"{name}\", {length}): {missing}"));
    assert_eq!(bench.told(), [format!("N opening connection to AF=1 \"{name}\"")], "told once");
    let opening = bench.begin(&format!("UNIX-CONNECT:{name},forever,interval=0.01"));
    assert!(opening.is_waiting());
    let listener = UnixListener::bind(&path).unwrap();
    opening.wait().unwrap();
    listener.accept().unwrap();
}

#[test]
fn a_full_queue_is_waited_for() {
    let bench = Bench::new();
    let path = bench.path("full");
    let full = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    full.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    full.listen(0).unwrap();
    let words = format!("UNIX-CONNECT:{}", path.display());
    let queued = bench.open(&words).unwrap();
    let opening = bench.begin(&words);
    assert!(opening.is_waiting());
    full.accept().unwrap();
    drop(queued);
    opening.wait().unwrap();
}

#[test]
fn a_unix_client_takes_any_type_of_socket() {
    let bench = Bench::new();
    let (stream_path, datagram_path) = (bench.path("s"), bench.path("d"));
    let stream = UnixListener::bind(&stream_path).unwrap();
    let datagram = UnixDatagram::bind(&datagram_path).unwrap();
    bench.open(&format!("UNIX-CLIENT:{}", stream_path.display())).unwrap();
    stream.accept().unwrap();
    let open = bench.open(&format!("UNIX:{}", datagram_path.display())).unwrap();
    nix::unistd::write(&open, b"x").unwrap();
    let mut bytes = [0; 8];
    assert_eq!(datagram.recv(&mut bytes).unwrap(), 1);
    drop(stream);
    let dead = format!("UNIX-CLIENT:{}", stream_path.display());
    assert_eq!(bench.open(&dead).unwrap_err(), format!("{dead}: {REFUSED}"));
    let told = bench.open(&format!("UNIX-CONNECT:{}", datagram_path.display())).unwrap_err();
    assert!(told.ends_with("Protocol wrong type for socket"), "{told}");
}

#[test]
fn a_clients_own_socket_file_goes_with_its_link() {
    let bench = Bench::new();
    let (path, own) = (bench.path("s"), bench.path("own"));
    let _listener = UnixListener::bind(&path).unwrap();
    let words = format!("UNIX-CONNECT:{},bind={}", path.display(), own.display());
    let open = bench.open(&words).unwrap();
    assert!(own.exists());
    assert_eq!(
        bench.told()[1],
        format!("N successfully connected from local address AF=1 \"{}\"", own.display())
    );
    drop(open);
    assert!(!own.exists());
}

#[test]
fn a_clients_own_socket_file_has_the_mode_that_was_asked_for_and_may_stay() {
    let bench = Bench::new();
    let (path, own) = (bench.path("s"), bench.path("own"));
    let _listener = UnixListener::bind(&path).unwrap();
    let (path, named) = (path.display(), own.display());
    let open = bench.open(&format!("UNIX-CONNECT:{path},bind={named},mode=400,unlink-close=0"));
    assert_eq!(own.metadata().unwrap().permissions().mode() & 0o777, 0o400);
    drop(open.unwrap());
    assert!(own.exists());
}

#[test]
fn options_are_set_on_the_socket_or_told() {
    let bench = Bench::new();
    let (listener, port) = listener("127.0.0.1:0");
    let words = format!(
        "TCP4:127.0.0.1:{port},keepalive,keepidle=7,keepcnt=3,nodelay=0,sndbuf=9999,linger=2,ttl=9,\
         setsockopt-int=1:9:0"
    );
    let client = bench.open(&words).unwrap();
    let socket = SockRef::from(&client);
    assert!(!socket.keepalive().unwrap(), "set last, when it was connected");
    assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(7));
    assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    assert!(!socket.tcp_nodelay().unwrap());
    assert_eq!(socket.send_buffer_size().unwrap(), 2 * 9999, "the kernel doubles it");
    assert_eq!(socket.linger().unwrap(), Some(Duration::from_secs(2)));
    assert_eq!(socket.ttl_v4().unwrap(), 9);
    for (option, told) in [
        ("ttl=1000", "setsockopt(N, 0, 2, {1000}, 4): Invalid argument"),
        ("keepidle=0", "setsockopt(N, 6, 4, {0}, 4): Invalid argument"),
        ("interface=nodev", "setsockopt(N, 1, 25, \"nodev\", 6): No such device"),
        ("setsockopt-int=1:999:1", "setsockopt(N, 1, 999, {1}, 4): Protocol not available"),
    ] {
        let failed = bench.open(&format!("TCP4:127.0.0.1:{port},{option}")).unwrap_err();
        assert_eq!(unnumbered(&failed), told);
    }
    drop(listener);
}

#[test]
fn two_addresses_make_one() {
    let bench = Bench::new();
    let (from, to) = (bench.path("from"), bench.path("to"));
    let (source, sink) = (UnixListener::bind(&from).unwrap(), UnixListener::bind(&to).unwrap());
    let words = format!("UNIX-CONNECT:{}!!UNIX-CONNECT:{}", from.display(), to.display());
    let open = bench.open(&words).unwrap();
    let (mut source, _) = source.accept().unwrap();
    let (mut sink, _) = sink.accept().unwrap();
    source.write_all(b"in").unwrap();
    unix_stream(&open).read_exact(&mut [0; 2]).unwrap();
    nix::unistd::write(open.sink.as_ref().unwrap(), b"out").unwrap();
    drop(open);
    let mut got = Vec::new();
    sink.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"out");
}

#[test]
fn sockets_are_born_in_the_namespace_that_is_named() {
    let Some(namespace) = Namespace::for_test("sockets_are_born_in_the_namespace_that_is_named")
    else {
        return;
    };
    let bench = Bench::new();
    let listener = namespace.inside(|| TcpListener::bind("127.0.0.1:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    let by_path = namespace.path().display().to_string();
    let by_process = namespace.pid().to_string();
    for value in [namespace.name(), &by_path, &by_process] {
        bench.open(&format!("TCP4:127.0.0.1:{port},netns={value}")).unwrap();
        listener.accept().unwrap();
        let listening = listen(&bench, &format!("TCP4-LISTEN:0,fork,netns={value}"));
        let there = ("127.0.0.1", port_of(&listening));
        namespace.inside(move || TcpStream::connect(there).unwrap());
    }
    assert!(bench.open(&format!("TCP4:127.0.0.1:{port}")).is_err(), "nobody listens here");
    let told = bench.fault("TCP4:127.0.0.1:1,netns=nosuch");
    let missing = "open(\"/run/netns/nosuch\"): No such file or directory";
    assert_eq!(told, format!("netns \"nosuch\": {missing}"));
}

#[test]
fn vsock_addresses_are_numbers() {
    let bench = Bench::new();
    assert_eq!(bench.fault("VSOCK-CONNECT:x:5"), "sockaddr_vm - garbage in cid: \"x\"");
    assert_eq!(bench.fault("VSOCK-CONNECT:1:x"), "sockaddr_vm - garbage in port: \"x\"");
    assert_eq!(bench.fault("VSOCK-LISTEN:x"), "sockaddr_vm - garbage in port: \"x\"");
}

#[test]
fn a_name_is_looked_up_without_waiting() {
    let bench = Bench::new();
    let (listener, port) = listener("127.0.0.1:0");
    // No address as Rust reads them, and a name that every resolver knows.
    let opening = bench.begin(&format!("TCP4:127.1:{port}"));
    assert!(opening.is_waiting() && bench.told().is_empty());
    opening.wait().unwrap();
    listener.accept().unwrap();
}
