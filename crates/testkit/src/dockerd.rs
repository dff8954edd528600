//! A Docker that says what a test wants: of each container its name, its ID and its PID.
//!
//! It answers on a Unix socket as dockerd does when a container is inspected. Who listens to its events
//! hears what the test says.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use tempfile::TempDir;

/// A Docker that is played.
#[derive(Debug)]
pub struct Dockerd {
    directory: TempDir,
    played: Arc<Played>,
    thread: Option<JoinHandle<()>>,
}

/// What it says.
#[derive(Debug, Default)]
struct Played {
    containers: Mutex<Vec<Container>>,
    /// Held by a test for as long as nothing is to be answered.
    stuck: Mutex<()>,
    asked: AtomicUsize,
    hearers: Mutex<Vec<UnixStream>>,
    stopped: AtomicBool,
}

#[derive(Debug, Clone)]
struct Container {
    name: String,
    id: String,
    pid: u32,
}

impl Dockerd {
    /// One without containers.
    ///
    /// # Panics
    /// If there can be no socket.
    #[track_caller]
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(directory.path().join(SOCKET)).expect("a socket");
        let played = Arc::new(Played::default());
        let playing = Arc::clone(&played);
        let thread = thread::spawn(move || {
            thread::scope(|scope| {
                while let (Ok((stream, _)), false) =
                    (listener.accept(), playing.stopped.load(Ordering::SeqCst))
                {
                    scope.spawn(|| playing.answer(stream));
                }
            });
        });
        Self { directory, played, thread: Some(thread) }
    }

    /// Has a container that is called `name` and has the ID `id` run as the process `pid`; 0 means that it
    /// does not run. Whoever had the name or the ID is no more.
    pub fn runs(&self, name: &str, id: &str, pid: u32) {
        let mut containers = lock(&self.played.containers);
        containers.retain(|one| one.name != name && one.id != id);
        containers.push(Container { name: name.to_owned(), id: id.to_owned(), pid });
    }

    /// Says `line` to all who listen to its events.
    pub fn say(&self, line: &str) {
        // Who has gone does not hear it.
        lock(&self.played.hearers).retain_mut(|each| writeln!(each, "{line}").is_ok());
    }

    /// How many listen to its events.
    pub fn hearers(&self) -> usize {
        lock(&self.played.hearers).len()
    }

    /// How often it was asked about containers.
    pub fn asked(&self) -> usize {
        self.played.asked.load(Ordering::SeqCst)
    }

    /// While this is held nothing is answered.
    pub fn silence(&self) -> MutexGuard<'_, ()> {
        lock(&self.played.stuck)
    }

    /// Its directory, which has nothing else in it and may stand in for the root of a machine.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where its socket is, in the form of `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join(SOCKET)
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        self.played.stopped.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(self.socket());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Played {
    fn answer(&self, mut stream: UnixStream) {
        let Some(path) = path_asked_for(&mut stream) else { return };
        if path.starts_with("/events") {
            // Listening begins with the head, as with a real one.
            let mut hearers = lock(&self.hearers);
            if write!(stream, "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n").is_ok() {
                hearers.push(stream);
            }
            return;
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        drop(lock(&self.stuck));
        let name = path.strip_prefix("/containers/").and_then(|rest| rest.strip_suffix("/json"));
        let containers = lock(&self.containers);
        let found = containers.iter().find(|one| Some(one.name.as_str()) == name);
        let found = found.or_else(|| containers.iter().find(|one| Some(one.id.as_str()) == name));
        let (status, body) = match found {
            Some(Container { name, id, pid }) => {
                let state = format!(r#"{{"Running":{},"Pid":{pid}}}"#, *pid > 0);
                let body = format!(r#"{{"Id":"{id}","Name":"/{name}","State":{state}}}"#);
                ("200 OK", body)
            }
            None if path.starts_with("/containers/json") => ("200 OK", "[]".to_owned()),
            None => ("404 Not Found", r#"{"message":"No such container"}"#.to_owned()),
        };
        let length = body.len();
        // Who asks may be gone by now.
        let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
    }
}

/// The path of a GET, once all of it has come.
fn path_asked_for(stream: &mut UnixStream) -> Option<String> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => request.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => return None,
        }
    }
    let request = String::from_utf8(request).ok()?;
    Some(request.strip_prefix("GET ")?.split(' ').next()?.to_owned())
}

/// A test that has failed has more to say than who was in the middle of it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const SOCKET: &str = "docker.sock";
