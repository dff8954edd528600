//! Openings and listeners with real sockets.

mod connecting;
mod listening;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use nsplice_relay::Hold;
use socket2::{Domain, SockRef, Socket, Type};

use super::testing::{spec, Bench, Open, Opening};
use super::{post, Post};

const REFUSED: &str = "Connection refused";

pub(super) fn listener(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind(address).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A port on which nobody listens, as long as what is returned lives.
pub(super) fn closed_port() -> (Socket, u16) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port();
    (socket, port)
}

pub(super) fn stream(open: Open) -> TcpStream {
    let stream = TcpStream::from(open.source);
    stream.set_nonblocking(false).unwrap();
    stream
}

pub(super) fn unix_stream(open: &Open) -> UnixStream {
    let stream = UnixStream::from(open.source.try_clone().unwrap());
    stream.set_nonblocking(false).unwrap();
    stream
}

/// Without the number of the descriptor, which differs.
pub(super) fn unnumbered(told: &str) -> String {
    let (before, rest) = told.split_once('(').unwrap();
    let rest = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
    format!("{before}(N{rest}")
}

/// A listener for many, open.
pub(super) struct Posted {
    pub(super) post: Post,
    pub(super) socket: OwnedFd,
    pub(super) holds: Vec<Box<dyn Hold>>,
}

pub(super) fn listen(bench: &Bench, words: &str) -> Posted {
    try_listening(bench, words).unwrap()
}

pub(super) fn try_listening(bench: &Bench, words: &str) -> Result<Posted, String> {
    let mut post = post(&spec(words), &bench.context).unwrap().unwrap();
    let Open { source: socket, holds, .. } = Opening::of(post.opener.open(None)).wait()?;
    Ok(Posted { post, socket, holds })
}

pub(super) fn port_of(listening: &Posted) -> u16 {
    SockRef::from(&listening.socket).local_addr().unwrap().as_socket().unwrap().port()
}
