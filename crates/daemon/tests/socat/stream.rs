//! The streams around the program: connections to it, and its standard output and error.
//!
//! A thread per stream collects all that comes, so that whoever sends never waits for the play.

use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nsplice_testkit::PATIENCE;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::case::Place;
use crate::report::{Peer, StreamEnd};

/// How long a collector reads before it looks whether it is to stop.
const GLANCE: Duration = Duration::from_millis(20);

/// Clients that may wait at a listener of a play.
const BACKLOG: i32 = 64;

/// What has come so far.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    state: Mutex<Peer>,
    grown: Condvar,
}

impl Collected {
    /// Waits until `enough` says so, at most for `limit`; whether it did.
    pub(crate) fn wait(&self, limit: Duration, enough: impl Fn(&Peer) -> bool) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.grown.wait_timeout_while(state, limit, |state| !enough(state));
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        enough(&state)
    }

    /// All that came so far.
    pub(crate) fn so_far(&self) -> Peer {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets how the stream ended.
    pub(crate) fn end(&self, end: StreamEnd) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).end = end;
        self.grown.notify_all();
    }

    /// Reads `source` to its end, or until `stop`.
    fn collect(&self, mut source: impl Read, stop: &AtomicBool) {
        let mut block = vec![0; 64 * 1024];
        while !stop.load(Ordering::SeqCst) {
            match source.read(&mut block) {
                Ok(0) => return self.end(StreamEnd::Fin),
                Ok(read) => {
                    let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                    state.bytes.extend_from_slice(&block[..read]);
                    self.grown.notify_all();
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::Interrupted => {}
                    _ => return self.end(StreamEnd::Reset),
                },
            }
        }
    }
}

/// Collects what comes from `source` until it ends.
pub(crate) fn collect(source: impl Read + Send + 'static) -> Arc<Collected> {
    let collected = Arc::new(Collected::default());
    let of_thread = collected.clone();
    thread::spawn(move || of_thread.collect(source, &AtomicBool::new(false)));
    collected
}

/// A connection to the program.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Option<Arc<Socket>>,
    collected: Arc<Collected>,
    stop: Arc<AtomicBool>,
    collector: Option<JoinHandle<()>>,
}

impl Connection {
    fn new(socket: Socket) -> Self {
        socket.set_nonblocking(false).expect("a socket can block");
        socket.set_read_timeout(Some(GLANCE)).expect("a socket takes timeouts");
        socket.set_write_timeout(Some(PATIENCE)).expect("a socket takes timeouts");
        let socket = Arc::new(socket);
        let collected = Arc::new(Collected::default());
        let stop = Arc::new(AtomicBool::new(false));
        let collector = thread::spawn({
            let (socket, collected, stop) = (socket.clone(), collected.clone(), stop.clone());
            move || collected.collect(&*socket, &stop)
        });
        Self { socket: Some(socket), collected, stop, collector: Some(collector) }
    }

    /// Connects to `place`, or `None` while nobody listens.
    pub(crate) fn to(place: Place, directory: &Path) -> Option<Self> {
        let (domain, address) = address(place, directory);
        let socket = Socket::new(domain, Type::STREAM, None).expect("a socket");
        socket.connect(&address).ok().map(|()| Self::new(socket))
    }

    /// What has come so far.
    pub(crate) fn collected(&self) -> &Collected {
        &self.collected
    }

    /// Sends all of `bytes`. An error is the sender's to learn by reading.
    pub(crate) fn say(&self, mut bytes: &[u8]) {
        let Some(socket) = &self.socket else { return };
        while !bytes.is_empty() {
            match socket.send(bytes) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// Sends a FIN.
    pub(crate) fn fin(&self) {
        // Fails where the other side has reset the connection, which the collector tells.
        let _ = self.socket.as_ref().map(|socket| socket.shutdown(std::net::Shutdown::Write));
    }

    /// Sends an RST.
    pub(crate) fn reset(&mut self) {
        if let Some(socket) = &self.socket {
            // A Unix socket does not know what that is.
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
        self.close();
        self.collected.end(StreamEnd::Gone);
    }

    /// Closes it, with the collector.
    pub(crate) fn close(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(collector) = self.collector.take() {
            collector.join().expect("a collector does not panic");
        }
        self.socket = None;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

/// A socket of the play that listens.
#[derive(Debug)]
pub(crate) struct Listener(Socket);

impl Listener {
    /// Listens at `place`.
    pub(crate) fn at(place: Place, directory: &Path) -> Self {
        let (domain, address) = address(place, directory);
        let socket = Socket::new(domain, Type::STREAM, None).expect("a socket");
        socket.bind(&address).unwrap_or_else(|error| panic!("bind {place:?}: {error}"));
        socket.listen(BACKLOG).expect("listen");
        socket.set_nonblocking(true).expect("a socket can be non-blocking");
        Self(socket)
    }

    /// The next connection, if one waits.
    pub(crate) fn accept(&self) -> Option<Connection> {
        self.0.accept().ok().map(|(socket, _)| Connection::new(socket))
    }
}

fn address(place: Place, directory: &Path) -> (Domain, SockAddr) {
    match place {
        Place::Tcp(port) => (Domain::IPV4, SocketAddr::from(([127, 0, 0, 1], port)).into()),
        Place::Tcp6(port) => {
            (Domain::IPV6, SocketAddr::new(std::net::Ipv6Addr::LOCALHOST.into(), port).into())
        }
        Place::Unix(path) => {
            let path = directory.join(path);
            (Domain::UNIX, SockAddr::unix(path).expect("the path is short enough"))
        }
        Place::Abstract(name) => {
            let path = format!("\0{name}");
            (Domain::UNIX, SockAddr::unix(path).expect("the name is short enough"))
        }
    }
}
