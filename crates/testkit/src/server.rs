//! Scripted servers: they do to each connection exactly what a test wants.
//!
//! A [`Server`] accepts on a thread of its own and runs a script, a closure, for each connection on
//! another one. What the scripts return, and the panics of those that failed, come back from
//! [`Server::join`].

use std::any::Any;
use std::collections::BTreeMap;
use std::io::{self, PipeReader, PipeWriter};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use crate::namespace::Namespace;
use crate::peer::{listen, patient};
use crate::wait::{wait_until, PATIENCE};

/// The end of a script: what it returned, or how it panicked.
type End<T> = thread::Result<T>;

/// A server that runs a script for each connection.
#[derive(Debug)]
pub struct Server<T> {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    finished: Arc<AtomicUsize>,
    received: usize,
    /// In a mutex so that a server can be shared between threads.
    ends: Mutex<Receiver<(usize, End<T>)>>,
    /// Its end tells the acceptor to stop.
    stop: Option<PipeWriter>,
    acceptor: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Server<T> {
    /// Serves the connections that come to `listener`.
    ///
    /// # Panics
    /// If the system has no pipe left.
    #[track_caller]
    pub fn start(
        listener: TcpListener,
        script: impl Fn(TcpStream) -> T + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("a listener has an address");
        listener.set_nonblocking(true).expect("a listener can be non-blocking");
        let (stopped, stop) = io::pipe().expect("a pipe");
        let (sender, ends) = channel();
        let accepted = Arc::new(AtomicUsize::new(0));
        let finished = Arc::new(AtomicUsize::new(0));
        let acceptor = Acceptor {
            listener,
            stopped,
            script: Arc::new(script),
            accepted: accepted.clone(),
            finished: finished.clone(),
            sender,
        };
        let acceptor = Some(thread::spawn(move || acceptor.run()));
        Self {
            address,
            accepted,
            finished,
            received: 0,
            ends: Mutex::new(ends),
            stop: Some(stop),
            acceptor,
        }
    }

    /// Listens on `address` inside `namespace` and serves what comes there.
    ///
    /// # Panics
    /// If that is not possible.
    #[track_caller]
    pub fn in_namespace(
        namespace: &Namespace,
        address: &str,
        script: impl Fn(TcpStream) -> T + Send + Sync + 'static,
    ) -> Self {
        Self::start(namespace.inside(|| listen(address)), script)
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port of that.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Counts the connections that it has accepted so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Counts its scripts that have not ended.
    pub fn running(&self) -> usize {
        // In this order: a script that begins in between is one too many, never one too few.
        let finished = self.finished.load(Ordering::SeqCst);
        self.accepted() - finished
    }

    /// Waits until it has accepted `count` connections.
    ///
    /// # Panics
    /// If they do not come within [`PATIENCE`].
    #[track_caller]
    pub fn wait_accepted(&self, count: usize) {
        wait_until(&format!("{count} connections"), || self.accepted() >= count);
    }

    /// Waits for the next script to end and returns what it returned.
    ///
    /// # Panics
    /// If none ends within [`PATIENCE`], or as the script did.
    #[track_caller]
    pub fn next_end(&mut self) -> T {
        self.receive().1.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Stops accepting, once all who wait are served, and returns what the scripts that are not yet
    /// asked for return, in the order of their connections.
    ///
    /// # Panics
    /// If a script does not end within [`PATIENCE`], or as the first script that did.
    #[track_caller]
    pub fn join(mut self) -> Vec<T> {
        self.stop_accepting();
        let mut ends = BTreeMap::new();
        while self.received < self.accepted() {
            let (index, end) = self.receive();
            ends.insert(index, end);
        }
        ends.into_values().map(|end| end.unwrap_or_else(|panic| resume_unwind(panic))).collect()
    }

    #[track_caller]
    fn receive(&mut self) -> (usize, End<T>) {
        let ends = self.ends.get_mut().unwrap_or_else(PoisonError::into_inner);
        let end = match ends.recv_timeout(PATIENCE) {
            Ok(end) => end,
            Err(RecvTimeoutError::Timeout) => panic!(
                "no script of the server on {} ended within {} s ({} accepted, {} ended)",
                self.address,
                PATIENCE.as_secs(),
                self.accepted(),
                self.received
            ),
            Err(RecvTimeoutError::Disconnected) => panic!("the server has stopped"),
        };
        self.received += 1;
        end
    }
}

impl<T> Server<T> {
    fn stop_accepting(&mut self) {
        self.stop = None;
        if let Some(acceptor) = self.acceptor.take() {
            if acceptor.join().is_err() && !thread::panicking() {
                panic!("the server on {} could not accept", self.address);
            }
        }
    }
}

impl<T> Drop for Server<T> {
    /// A script that failed fails the test also when nobody asks for its end.
    fn drop(&mut self) {
        self.stop_accepting();
        let ends = self.ends.get_mut().unwrap_or_else(PoisonError::into_inner);
        let failed: Option<Box<dyn Any + Send>> = ends.try_iter().find_map(|(_, end)| end.err());
        if let Some(panic) = failed.filter(|_| !thread::panicking()) {
            resume_unwind(panic);
        }
    }
}

struct Acceptor<T, S> {
    listener: TcpListener,
    stopped: PipeReader,
    script: Arc<S>,
    accepted: Arc<AtomicUsize>,
    finished: Arc<AtomicUsize>,
    sender: Sender<(usize, End<T>)>,
}

impl<T, S> Acceptor<T, S>
where
    T: Send + 'static,
    S: Fn(TcpStream) -> T + Send + Sync + 'static,
{
    fn run(self) {
        let mut stopping = false;
        while !stopping {
            stopping = self.wait();
            // Also when stopping: who has connected before is served.
            self.accept_all();
        }
    }

    /// Waits for clients; true when it is time to stop.
    fn wait(&self) -> bool {
        let mut fds = [
            PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.stopped.as_fd(), PollFlags::POLLIN),
        ];
        poll(&mut fds, PollTimeout::NONE).expect("poll");
        fds[1].any().unwrap_or(true)
    }

    fn accept_all(&self) {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => self.serve(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The client has reset before it was accepted.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => panic!("accept: {error}"),
            }
        }
    }

    fn serve(&self, stream: TcpStream) {
        let index = self.accepted.fetch_add(1, Ordering::SeqCst);
        let (script, sender) = (self.script.clone(), self.sender.clone());
        let finished = self.finished.clone();
        thread::spawn(move || {
            let end = catch_unwind(AssertUnwindSafe(|| script(patient(stream))));
            // Nobody listens when the test is over already.
            let _ = sender.send((index, end));
            finished.fetch_add(1, Ordering::SeqCst);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::{connect, connect_expecting_reset};
    use crate::talk::{echo, expect_eof, half_close, read_exactly, read_to_eof, reset};
    use std::io::Write;

    #[test]
    fn scripts_run_per_connection_and_return_in_order() {
        let server = Server::start(listen("127.0.0.1:0"), |stream| read_to_eof(&stream));
        for word in ["one", "two", "three"] {
            connect(server.address()).write_all(word.as_bytes()).unwrap();
        }
        assert_eq!(server.join(), [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
    }

    #[test]
    fn a_failing_script_fails_the_test() {
        let server = Server::start(listen("[::1]:0"), |_| -> () { panic!("as scripted") });
        connect(server.address());
        let panic = catch_unwind(AssertUnwindSafe(|| server.join())).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"as scripted"));

        let server = Server::start(listen("127.0.0.1:0"), |_| -> () { panic!("as scripted") });
        expect_eof(&connect(server.address()));
        // The server is only told of the panic after the socket is closed by it.
        wait_until("the script to end", || server.running() == 0);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(server))).is_err());
    }

    #[test]
    fn a_reset_is_expected_whenever_it_comes() {
        let server = Server::start(listen("127.0.0.1:0"), reset);
        for _ in 0..100 {
            connect_expecting_reset(server.address());
        }
        assert_eq!(server.join().len(), 100);
        let server = Server::start(listen("127.0.0.1:0"), drop);
        let expecting = AssertUnwindSafe(|| connect_expecting_reset(server.address()));
        assert!(catch_unwind(expecting).is_err());
    }

    #[test]
    fn a_server_inside_is_reached_from_inside_only() {
        let Some(namespace) = Namespace::for_test("a_server_inside_is_reached_from_inside") else {
            return;
        };
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", echo);
        assert!(TcpStream::connect(server.address()).is_err());
        let client = namespace.inside(|| connect(server.address()));
        (&client).write_all(b"hello").unwrap();
        assert_eq!(read_exactly(&client, 5), b"hello");
        half_close(&client);
        expect_eof(&client);
        assert_eq!(server.join(), [5]);
    }
}
