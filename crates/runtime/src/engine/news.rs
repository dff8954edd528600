//! What an engine says by itself: that a container has been given another name, or been started.
//!
//! That a process lives does not tell that its container still goes by its name, and only its engine does.
//! So the engine of a container that is held for long is listened to, by one thread for each engine: over
//! one connection, on which it says nothing while no container is started or renamed. Whoever held
//! something looks again when names have changed. They count as changed, too, when a connection begins and
//! ends, for what happened in between was not heard.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use httparse::{Status, EMPTY_HEADER};
use nsplice_sys::lock;
use serde::Deserialize;
use socket2::{Domain, SockAddr, Socket, Type};

use super::{percent_encoded, Engine};
use crate::root::Root;

/// What has been heard so far.
#[derive(Debug, Default)]
pub(crate) struct News {
    names: AtomicU64,
    starts: AtomicU64,
}

impl News {
    /// How often names have changed, for all that was heard.
    pub(crate) fn names(&self) -> u64 {
        self.names.load(Ordering::Acquire)
    }

    /// How often containers were started.
    pub(crate) fn starts(&self) -> u64 {
        self.starts.load(Ordering::Acquire)
    }

    fn add(&self, event: Event) {
        let count = match event {
            Event::Start => &self.starts,
            Event::Name => &self.names,
        };
        count.fetch_add(1, Ordering::AcqRel);
    }
}

/// What matters of what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// A container was started.
    Start,
    /// One has another name, or something was said that is not understood.
    Name,
}

/// One line of what an engine says.
#[derive(Debug, Deserialize)]
struct Said {
    #[serde(rename = "Action", alias = "status")]
    action: String,
}

impl Event {
    /// The event that `line` tells of; `None` for an empty one.
    fn of(line: &[u8]) -> Option<Self> {
        if line.trim_ascii().is_empty() {
            return None;
        }
        let said: Option<Said> = serde_json::from_slice(line).ok();
        Some(match said.is_some_and(|said| said.action == "start") {
            true => Self::Start,
            false => Self::Name,
        })
    }
}

/// Somebody who listens to an engine until this is dropped.
#[derive(Debug)]
pub(crate) struct Follower {
    news: Arc<News>,
    line: Arc<Line>,
    wanted: Option<Sender<()>>,
}

/// The connection, while there is one.
type Line = Mutex<Option<UnixStream>>;

impl Follower {
    /// Begins to listen to `engine`, whose socket is below `root`.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub(crate) fn start(engine: &Engine, root: &Arc<Root>) -> io::Result<Self> {
        let (news, line) = (Arc::<News>::default(), Arc::<Line>::default());
        let (wanted, over) = channel();
        let listening = Listening {
            engine: engine.clone(),
            root: Arc::clone(root),
            news: Arc::clone(&news),
            line: Arc::clone(&line),
            over,
        };
        thread::Builder::new().name("news".to_owned()).spawn(move || listening.go_on())?;
        Ok(Self { news, line, wanted: Some(wanted) })
    }

    /// What it hears.
    pub(crate) fn news(&self) -> &Arc<News> {
        &self.news
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Told before the connection ends, so that no other one is made.
        self.wanted = None;
        if let Some(stream) = &*lock(&self.line) {
            // One that has ended by itself is no matter.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// What the thread has.
struct Listening {
    engine: Engine,
    root: Arc<Root>,
    news: Arc<News>,
    line: Arc<Line>,
    over: Receiver<()>,
}

impl Listening {
    fn go_on(self) {
        let mut pause = PAUSES[0];
        loop {
            let began = self.news.names();
            // Why nothing is heard is told to those who ask.
            let _ = self.hear();
            *lock(&self.line) = None;
            if self.news.names() != began {
                // It was connected: what it does not say from now on is missed.
                self.news.add(Event::Name);
                pause = PAUSES[0];
            }
            if self.over.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            pause = PAUSES[1].min(pause * 2);
        }
    }

    /// Connects, and hears until the connection ends.
    fn hear(&self) -> io::Result<()> {
        let (held, way) = self.engine.way(&self.root).map_err(io::Error::other)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // connect(2) waits for a place in the backlog, as long as this says.
        socket.set_write_timeout(Some(self.engine.within))?;
        socket.connect(&SockAddr::unix(way)?)?;
        drop(held);
        let mut stream = UnixStream::from(socket);
        *lock(&self.line) = Some(stream.try_clone()?);
        if self.over.try_recv() == Err(TryRecvError::Disconnected) {
            return Ok(());
        }
        // HTTP/1.0 has no chunks: what comes after the head are the lines.
        let filters = r#"{"type":["container"],"event":["rename","start"]}"#;
        let request = format!(
            "GET /events?filters={} HTTP/1.0\r\nHost: docker\r\n\r\n",
            percent_encoded(filters)
        );
        stream.write_all(request.as_bytes())?;
        let mut received = Vec::new();
        let mut block = [0; 4 << 10];
        let mut is_head = true;
        loop {
            let count = match stream.read(&mut block) {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                count => count?,
            };
            received.extend_from_slice(block.get(..count).unwrap_or_default());
            if is_head {
                let Some(length) = head(&received)? else { continue };
                received.drain(..length);
                is_head = false;
                // It hears from now on; what was before it began may have been missed.
                self.news.add(Event::Name);
            }
            while let Some(end) = received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = received.drain(..=end).collect();
                Event::of(&line).into_iter().for_each(|event| self.news.add(event));
            }
            if received.len() > MOST {
                return Err(ErrorKind::InvalidData.into());
            }
        }
    }
}

/// The length of a good answer's head; `None` if there must be more.
fn head(received: &[u8]) -> io::Result<Option<usize>> {
    let mut headers = [EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    match head.parse(received).map_err(io::Error::other)? {
        Status::Complete(length) if head.code == Some(200) => Ok(Some(length)),
        Status::Complete(_) => Err(ErrorKind::Unsupported.into()),
        Status::Partial if received.len() > MOST => Err(ErrorKind::InvalidData.into()),
        Status::Partial => Ok(None),
    }
}

/// The times between the end of a connection and the next try, at first and at last.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// A line, or a head: both have some hundred bytes, more where a container has many labels.
const MOST: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    use crate::engine::{Flavour, Standing};

    #[test]
    fn what_is_not_understood_may_be_a_name() {
        let table = [
            (r#"{"status":"start","Type":"container"}"#, Some(Event::Start)),
            (r#"{"Type":"container","Action":"start"}"#, Some(Event::Start)),
            (r#"{"Type":"container","Action":"rename"}"#, Some(Event::Name)),
            (r#"{"Type":"#, Some(Event::Name)),
            ("start", Some(Event::Name)),
            (" \r\n", None),
        ];
        for (line, event) in table {
            assert_eq!(Event::of(line.as_bytes()), event, "{line}");
        }
    }

    fn wait_for(what: &str, is_so: impl Fn() -> bool) {
        let since = std::time::Instant::now();
        while !is_so() {
            assert!(since.elapsed() < Duration::from_secs(20), "{what}");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn names_change_by_what_is_said_and_by_what_may_have_been_missed() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let engine = Engine::at(Flavour::Docker, Standing::Named, socket);
        let follower = Follower::start(&engine, &Arc::new(Root::own().unwrap())).unwrap();
        let news = Arc::clone(follower.news());
        let accept = || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                assert_eq!(stream.read(&mut byte).unwrap(), 1);
                request.push(byte[0]);
            }
            stream.write_all(b"HTTP/1.0 200 OK\r\nX: y\r\n\r\n").unwrap();
            stream
        };
        let mut stream = accept();
        wait_for("the beginning", || news.names() == 1);
        let said = "{\"Action\":\"start\"}\n{\"Action\":\"rename\"}\n{\"Action\":\"sta";
        stream.write_all(said.as_bytes()).unwrap();
        wait_for("both", || (news.names(), news.starts()) == (2, 1));
        stream.write_all(b"rt\"}\n").unwrap();
        wait_for("what came in pieces", || news.starts() == 2);
        drop(stream);
        wait_for("the end", || news.names() == 3);
        // It is connected to again, and let go in the end.
        let mut stream = accept();
        wait_for("the next beginning", || news.names() == 4);
        drop(follower);
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        wait_for("the thread to end", || Arc::strong_count(&news) == 1);
    }
}
