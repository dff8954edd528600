//! Sockets of scripted peers: they listen, connect, and wait no longer than [`PATIENCE`].
//!
//! All of them are blocking, with that as the limit of every read and write: a peer that hangs fails
//! its test with a message.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, Protocol, Socket, Type};

use crate::talk::expect_reset;
use crate::wait::PATIENCE;

/// Connections that may wait to be accepted by a scripted peer.
const BACKLOG: i32 = 1024;

/// Listens on `address`, such as `127.0.0.1:0`, with an accept queue for a thousand clients.
///
/// # Panics
/// If that is not possible.
#[track_caller]
pub fn listen(address: &str) -> TcpListener {
    listen_with_receive_buffer(address, None)
}

/// The same with a receive buffer of `bytes` (the kernel doubles them) for each connection, so that
/// a peer that does not read stops its sender soon.
///
/// # Panics
/// If that is not possible.
#[track_caller]
pub fn listen_with_receive_buffer(address: &str, bytes: Option<usize>) -> TcpListener {
    let address: SocketAddr = address.parse().expect("an address");
    let made = || -> io::Result<TcpListener> {
        let socket = stream_socket(address, bytes)?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    made().unwrap_or_else(|error| panic!("listen on {address}: {error}"))
}

/// Connects to `address` and sets the limits of reading and writing.
///
/// # Panics
/// If that is not possible within [`PATIENCE`].
#[track_caller]
pub fn connect(address: SocketAddr) -> TcpStream {
    connect_with_receive_buffer(address, None)
}

/// The same with a receive buffer of `bytes` (the kernel doubles them), so that a client that does
/// not read stops its sender soon.
///
/// # Panics
/// If that is not possible within [`PATIENCE`].
#[track_caller]
pub fn connect_with_receive_buffer(address: SocketAddr, bytes: Option<usize>) -> TcpStream {
    let made = || -> io::Result<TcpStream> {
        let socket = stream_socket(address, bytes)?;
        socket.connect_timeout(&address.into(), PATIENCE)?;
        Ok(socket.into())
    };
    let stream = made().unwrap_or_else(|error| panic!("connect to {address}: {error}"));
    patient(stream)
}

/// A client of somebody who may reset it at once: that, and a refusal, is left to its first read.
///
/// connect(2) that waits for the handshake also meets a reset which comes before it is woken up, and
/// then takes away what has arrived before that (`__inet_stream_connect` disconnects).
///
/// # Panics
/// If there is no socket to be had.
#[track_caller]
pub fn knock(address: SocketAddr) -> TcpStream {
    let socket = stream_socket(address, None).expect("a socket");
    socket.set_nonblocking(true).expect("set O_NONBLOCK");
    // Answered by EINPROGRESS; how it went on is told by the first read or write.
    let _ = socket.connect(&address.into());
    socket.set_nonblocking(false).expect("clear O_NONBLOCK");
    patient(socket.into())
}

/// Connects to `address` and expects an RST.
///
/// # Panics
/// If anything else comes.
#[track_caller]
pub fn connect_expecting_reset(address: SocketAddr) {
    expect_reset(&knock(address));
}

/// Limits reads and writes to [`PATIENCE`].
#[track_caller]
pub fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes timeouts");
    stream.set_write_timeout(Some(PATIENCE)).expect("a socket takes timeouts");
    stream
}

fn stream_socket(address: SocketAddr, receive_buffer: Option<usize>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Before listening or connecting: the window scale is settled in the handshake.
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    Ok(socket)
}
