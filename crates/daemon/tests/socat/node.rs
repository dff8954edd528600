//! Clients of a listener of ours that is in a namespace of its own.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use nsplice_testkit::peer::patient;
use nsplice_testkit::talk::{expect_eof, half_close, read_exactly};
use nsplice_testkit::wait::wait_for;
use nsplice_testkit::Namespace;

/// The port of the listener.
pub(crate) const FRONT: u16 = 7000;

/// Where it listens.
pub(crate) fn front() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], FRONT))
}

/// Connects once somebody listens.
#[track_caller]
pub(crate) fn client(node: &Namespace) -> TcpStream {
    node.inside(|| patient(wait_for("a listener", || TcpStream::connect(front()).ok())))
}

/// Sends and gets back four bytes.
#[track_caller]
pub(crate) fn ping(mut stream: &TcpStream) {
    stream.write_all(b"ping").expect("send");
    assert_eq!(read_exactly(stream, 4), b"ping");
}

/// Ends, and expects the other side to.
#[track_caller]
pub(crate) fn hang_up(stream: &TcpStream) {
    half_close(stream);
    expect_eof(stream);
}
