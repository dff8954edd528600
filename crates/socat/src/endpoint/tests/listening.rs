//! Endpoints that listen.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};

use nsplice_testkit::{skip, wait_until};
use socket2::{Domain, SockRef, Socket, Type};

use crate::endpoint::testing::{spec, Bench, Opening};
use crate::endpoint::ACCEPT_TIMED_OUT;
use crate::endpoint::{failure_status, post};
use crate::language::flags::IpPreference;
use crate::language::Flags;

use super::{listen, listener, port_of, stream, try_listening, unix_stream, unnumbered, REFUSED};

fn accept(socket: impl AsFd) -> OwnedFd {
    let listener = SockRef::from(&socket).try_clone().unwrap();
    listener.set_nonblocking(false).unwrap();
    listener.accept().unwrap().0.into()
}

#[test]
fn abstract_names_meet() {
    let bench = Bench::new();
    let name = format!("nsplice-test-{}", std::process::id());
    let listening = listen(&bench, &format!("ABSTRACT-LISTEN:{name},fork"));
    assert!(listening.holds.is_empty());
    assert_eq!(bench.told()[0], format!("N listening on AF=1 \"\\0{name}\""));
    bench.open(&format!("ABSTRACT-CONNECT:{name}")).unwrap();
    let served = accept(&listening.socket);
    assert!(listening.post.admission.admits(served.as_fd()));
    assert_eq!(
        bench.told()[3],
        format!("N accepting connection from AF=1 \"<anon>\" on AF=1 \"\\0{name}\"")
    );
    assert_eq!(bench.told()[4], bench.told()[0], "it listens still");
    drop(listening);
    let told = bench.open(&format!("ABSTRACT:{name}")).unwrap_err();
    assert_eq!(told, format!("UNIX-CLIENT:{name}: {REFUSED}"));
}

#[test]
fn a_single_client_is_accepted_and_the_listener_closed() {
    let bench = Bench::new();
    let opening = bench.begin("TCP4-LISTEN:0,range=127.0.0.1/32");
    let port: u16 = bench.told()[0].rsplit_once(':').unwrap().1.parse().unwrap();
    assert_eq!(bench.told()[0], format!("N listening on AF=2 0.0.0.0:{port}"));
    let stranger = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    stranger.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    stranger.connect(&address.into()).unwrap();
    let stranger_port = stranger.local_addr().unwrap().as_socket().unwrap().port();
    let mut client = TcpStream::connect(address).unwrap();
    let mut served = stream(opening.wait().unwrap());
    client.write_all(b"x").unwrap();
    served.read_exact(&mut [0]).unwrap();
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    let told = bench.told();
    let from = format!("AF=2 127.0.0.2:{stranger_port}");
    assert_eq!(told[1], format!("N accepting connection from {from} on AF=2 127.0.0.1:{port}"));
    assert_eq!(told[2], format!("W refusing connection from {from} due to range option"));
    assert_eq!(told[3], told[0]);
    let from = format!("AF=2 {}", client.local_addr().unwrap());
    assert_eq!(told[4], format!("N accepting connection from {from} on AF=2 127.0.0.1:{port}"));
}

#[test]
fn waiting_for_a_client_can_have_a_limit() {
    let bench = Bench::new();
    let told = bench.open("TCP4-LISTEN:0,accept-timeout=0.05").unwrap_err();
    assert_eq!(told, ACCEPT_TIMED_OUT);
}

#[test]
fn a_listeners_file_lives_as_long_as_its_link() {
    let bench = Bench::new();
    let path = bench.path("s");
    let words = format!("UNIX-LISTEN:{},mode=600", path.display());
    let opening = bench.begin(&words);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let again = bench.open(&format!("UNIX-LISTEN:{},reuseaddr,unlink", path.display()));
    assert_eq!(again.unwrap_err(), format!("\"{}\" exists", path.display()));
    let mut client = UnixStream::connect(&path).unwrap();
    let open = opening.wait().unwrap();
    client.write_all(b"x").unwrap();
    unix_stream(&open).read_exact(&mut [0]).unwrap();
    assert!(path.exists());
    drop(open);
    assert!(!path.exists());
}

#[test]
fn a_stale_file_is_removed_only_if_that_was_asked_for() {
    let bench = Bench::new();
    let path = bench.path("s");
    drop(UnixListener::bind(&path).unwrap());
    let words = format!("UNIX-LISTEN:{},fork", path.display());
    let told = try_listening(&bench, &words).map(drop).unwrap_err();
    assert_eq!(told, format!("\"{}\" exists", path.display()));
    let words = format!("{words},unlink-early,unlink-close=0");
    let listening = listen(&bench, &words);
    assert!(listening.holds.is_empty());
    UnixStream::connect(&path).unwrap();
    drop(listening);
    assert!(path.exists(), "unlink-close=0 keeps it");
    let missing = bench.path("nosuch").join("s");
    let words = format!("UNIX-LISTEN:{}", missing.display());
    let (name, length) = (missing.display(), 2 + missing.as_os_str().len());
    assert_eq!(
        unnumbered(&bench.open(&words).unwrap_err()),
        format!("bind(N, {{AF=1 \"{name}\"}}, {length}): No such file or directory")
    );
}

#[test]
fn a_listener_for_many_has_its_checks_and_limits() {
    let bench = Bench::new();
    let words =
        "TCP4-LISTEN:0,fork,bind=127.0.0.1,max-children=3,accept-timeout=9,lowport,keepalive";
    let listening = listen(&bench, words);
    let port = port_of(&listening);
    assert_eq!(bench.told()[0], format!("N listening on AF=2 127.0.0.1:{port}"));
    assert_eq!(listening.post.max_children, Some(3));
    assert!(listening.post.limit.is_some());
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let served = accept(&listening.socket);
    assert!(SockRef::from(&served).keepalive().unwrap(), "inherited");
    assert!(SockRef::from(&served).tcp_nodelay().unwrap(), "inherited");
    assert!(!listening.post.admission.admits(served.as_fd()));
    let from = client.local_addr().unwrap();
    assert_eq!(
        bench.told()[2],
        format!("W refusing connection from AF=2 {from} due to lowport option")
    );
    assert!(post(&spec("TCP4-LISTEN:0"), &bench.context).unwrap().is_none());
    assert!(post(&spec("TCP4:h:1,fork"), &bench.context).unwrap().is_none());
}

#[test]
fn a_port_in_use_is_told_and_patience_ends_with_another_status() {
    let bench = Bench::new();
    let (_listener, port) = listener("0.0.0.0:0");
    let in_use = format!("bind(N, {{AF=2 0.0.0.0:{port}}}, 16): Address already in use");
    for (options, status) in [("fork", 1), ("fork,retry=1,interval=0.01", 255)] {
        let words = format!("TCP4-LISTEN:{port},{options}");
        let told = try_listening(&bench, &words).map(drop).unwrap_err();
        assert_eq!(unnumbered(&told), in_use);
        assert_eq!(failure_status(&spec(&words)), status);
    }
    let told = bench.open(&format!("TCP4-LISTEN:{port}")).unwrap_err();
    assert_eq!(unnumbered(&told), in_use);
    let told = "option max-children not allowed without option fork";
    assert_eq!(bench.fault("TCP4-LISTEN:0,max-children=1"), told);
}

#[test]
fn listeners_keep_to_their_version() {
    let bench = Bench::with(Flags { ip: IpPreference::V6, ..Flags::default() });
    let listening = listen(&bench, "TCP-LISTEN:0,fork");
    let port = port_of(&listening);
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    TcpStream::connect(("::1", port)).unwrap();
    let wildcard = "[0000:0000:0000:0000:0000:0000:0000:0000]";
    assert_eq!(bench.told()[0], format!("N listening on AF=10 {wildcard}:{port}"));
    let only = listen(&bench, "TCP6-LISTEN:0,fork,ipv6only,bind=::1");
    assert!(TcpStream::connect(("127.0.0.1", port_of(&only))).is_err());
    let bench = Bench::new();
    let told = bench.open("TCP-LISTEN:0,bind=127.0.0.1:33").unwrap_err();
    assert!(told.starts_with("getaddrinfo(\"127.0.0.1:33\", \"NULL\", {1,2,1,6}, {}): "), "{told}");
}

#[test]
fn a_listener_that_was_there_is_accepted_from() {
    let bench = Bench::new();
    let (listener, port) = listener("127.0.0.1:0");
    let number = listener.as_raw_fd();
    let opening = bench.begin(&format!("ACCEPT-FD:{number}"));
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let served = stream(opening.wait().unwrap());
    assert_eq!(served.peer_addr().unwrap(), client.local_addr().unwrap());
    let many = listen(&bench, &format!("ACCEPT-FD:{number},fork"));
    assert_eq!(port_of(&many), port);
    let told = bench.open(&format!("ACCEPT-FD:{}", client.as_raw_fd())).unwrap_err();
    assert!(told.ends_with("the socket does not listen"), "{told}");
}

#[test]
fn nothing_is_left_behind_by_an_opening_that_is_given_up() {
    let bench = Bench::new();
    let path = bench.path("s");
    let opening = bench.begin(&format!("UNIX-LISTEN:{}", path.display()));
    assert!(path.exists());
    drop(opening);
    assert!(!path.exists());
}

#[test]
fn a_sockets_file_gets_the_owners_that_are_asked_for() {
    let test = "a_sockets_file_gets_the_owners_that_are_asked_for";
    if !skip::require_root_or_userns(test) {
        return;
    }
    let bench = Bench::new();
    let path = bench.path("s");
    let words = format!("UNIX-LISTEN:{},fork,user=0,group=0,mode=640,umask=077", path.display());
    let _listening = listen(&bench, &words);
    let found = fs::metadata(&path).unwrap();
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o777), (0, 0, 0o640));
}

#[test]
fn a_name_to_listen_on_is_looked_up_without_waiting() {
    let bench = Bench::new();
    let opening = bench.begin("TCP4-LISTEN:0,bind=127.1,accept-timeout=0.05");
    assert!(opening.is_waiting() && bench.told().is_empty());
    assert_eq!(opening.wait().unwrap_err(), ACCEPT_TIMED_OUT);
    assert!(bench.told()[0].starts_with("N listening on AF=2 127.0.0.1:"), "{:?}", bench.told());
}

#[test]
fn a_listener_for_many_waits_for_its_port_and_for_a_name() {
    let bench = Bench::new();
    let (taken, port) = listener("127.0.0.1:0");
    let words = format!("TCP4-LISTEN:{port},fork,bind=127.1,forever,interval=0.01");
    let mut post = post(&spec(&words), &bench.context).unwrap().unwrap();
    let opening = Opening::of(post.opener.open(None));
    assert!(opening.is_waiting());
    drop(taken);
    opening.wait().unwrap();
    assert_eq!(bench.told(), [format!("N listening on AF=2 127.0.0.1:{port}")]);
}

#[test]
fn a_listener_for_many_gives_up_when_nobody_comes() {
    let bench = Bench::new();
    let mut posted = listen(&bench, "TCP4-LISTEN:0,fork,bind=127.0.0.1,accept-timeout=0.02");
    let mut limit = posted.post.limit.take().unwrap();
    assert!(!limit.is_over(), "it has not begun");
    limit.start(|| ());
    wait_until("the time to be over", || limit.is_over());
    assert_eq!(bench.told()[1], format!("W {ACCEPT_TIMED_OUT}"));
    let _client = TcpStream::connect(("127.0.0.1", port_of(&posted))).unwrap();
    assert!(posted.post.admission.admits(accept(&posted.socket).as_fd()));
}
