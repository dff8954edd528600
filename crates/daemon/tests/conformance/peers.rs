//! What the peers of these cases say to each other, beyond the scripts of the testkit.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use nsplice_testkit::peer::patient;
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::talk::{half_close, read_exactly};
use nsplice_testkit::{Namespace, Server};
use socket2::{Domain, Socket, Type};

/// Who a client is in the log.
pub(crate) fn name_of(client: &TcpStream) -> SocketAddr {
    client.local_addr().expect("a connected socket has an address")
}

/// Sends a byte and waits for it to come back.
#[track_caller]
pub(crate) fn ping(mut client: &TcpStream) {
    client.write_all(b"?").expect("send a byte");
    assert_eq!(read_exactly(client, 1), b"?");
}

/// Ends a link from the client's side and waits for the FIN of the other.
#[track_caller]
pub(crate) fn hang_up(client: &TcpStream) {
    half_close(client);
    nsplice_testkit::talk::expect_eof(client);
}

/// Sends back what comes until the stream ends, in whatever way.
#[allow(clippy::needless_pass_by_value)]
pub(crate) fn echo_to_any_end(stream: TcpStream) {
    // Both a FIN and a reset are ends here.
    let _ = std::io::copy(&mut &stream, &mut &stream);
}

/// Reads to the end, and tells whether it was a reset.
pub(crate) fn read_to_any_end(mut stream: &TcpStream) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let was_reset = match stream.read_to_end(&mut bytes) {
        Ok(_) => false,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => true,
        Err(error) => panic!("expected an end after {} bytes: {error}", bytes.len()),
    };
    (bytes, was_reset)
}

/// A port whose accept queue is full: who connects to it is neither let in nor refused.
#[derive(Debug)]
pub(crate) struct Full {
    listener: TcpListener,
    _first: TcpStream,
}

impl Full {
    /// One of 127.0.0.1 in `namespace`.
    pub(crate) fn new(namespace: &Namespace) -> Self {
        namespace.inside(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
            // A queue of length 0 has room for one.
            socket.listen(0).expect("listen");
            let listener = TcpListener::from(socket);
            let address = listener.local_addr().expect("an address");
            let first = TcpStream::connect(address).expect("the one that fills the queue");
            Self { listener, _first: patient(first) }
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().expect("an address").port()
    }

    /// Lets those who wait in, and runs `script` for each but the one that filled the queue.
    pub(crate) fn serve<T: Send + 'static>(
        self,
        script: impl Fn(TcpStream) -> T + Send + Sync + 'static,
    ) -> Server<T> {
        drop(self.listener.accept().expect("the one that fills the queue"));
        Server::start(self.listener, script)
    }
}

/// A port of `namespace` that a firewall drops everything for, SYNs too: who connects to it hears
/// nothing. `None`, and a line, where there is no firewall to be had.
pub(crate) fn dropped_port(test: &str, namespace: &Namespace) -> Option<u16> {
    require_tool(test, "nft")?;
    let port = free_port(namespace);
    namespace.run("nft", ["add table inet cut"]);
    namespace.run("nft", ["add chain inet cut in { type filter hook input priority 0; }"]);
    namespace.run("nft", [format!("add rule inet cut in tcp dport {port} drop")]);
    Some(port)
}

/// A port of the namespace's 127.0.0.1 that was free just now. Nobody else is in there.
pub(crate) fn free_port(namespace: &Namespace) -> u16 {
    let bound = namespace.inside(|| TcpListener::bind("127.0.0.1:0")).expect("a free port");
    bound.local_addr().expect("an address").port()
}
