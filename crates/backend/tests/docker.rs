//! Containers of Docker, told by a Unix socket that answers as dockerd does.

mod common;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use common::{counted, expect_echo, failure, pool, stream, to, Piped};
use nsplice_backend::{BackendError, Choice, Destination, ErrorKind, Options, Plan};
use nsplice_relay::{OpenClass, Progress, Upstream, Wake};
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::{listen, wait_until, Namespace, Server};

/// A dockerd with one container, `web`, whose process a test can exchange.
struct Dockerd {
    directory: tempfile::TempDir,
    pid: Arc<AtomicU32>,
    /// Held by a test for as long as nothing is to be answered.
    stuck: Arc<Mutex<()>>,
    asked: Arc<AtomicU32>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Dockerd {
    /// PID 0 means that the container is not running.
    fn start(pid: u32) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(directory.path().join("docker.sock")).expect("a socket");
        let pid = Arc::new(AtomicU32::new(pid));
        let stopped = Arc::new(AtomicBool::new(false));
        let (stuck, asked) = (Arc::new(Mutex::new(())), Arc::new(AtomicU32::new(0)));
        let (told, ended) = (Arc::clone(&pid), Arc::clone(&stopped));
        let (gate, count) = (Arc::clone(&stuck), Arc::clone(&asked));
        let thread = thread::spawn(move || {
            while let (Ok((stream, _)), false) = (listener.accept(), ended.load(Ordering::SeqCst)) {
                count.fetch_add(1, Ordering::SeqCst);
                drop(gate.lock());
                answer(stream, told.load(Ordering::SeqCst));
            }
        });
        Self { directory, pid, stuck, asked, stopped, thread: Some(thread) }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("docker.sock")
    }

    fn plan(&self, destination: &Destination, choice: Choice) -> Result<Plan, BackendError> {
        let docker_host = Some(format!("unix://{}", self.socket().display()));
        let options = Options { docker_host, ..Options::default() };
        Plan::prepare(destination, choice, &options, pool())
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(self.socket());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the scripted dockerd");
        }
    }
}

fn answer(mut stream: UnixStream, pid: u32) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
        request.push(byte[0]);
    }
    let is_web = ["web", "c0ffee"]
        .iter()
        .any(|name| request.starts_with(format!("GET /containers/{name}/json ").as_bytes()));
    let (status, body) = if is_web {
        let running = pid > 0;
        ("200 OK", format!(r#"{{"Id":"c0ffee","State":{{"Running":{running},"Pid":{pid}}}}}"#))
    } else {
        ("404 Not Found", r#"{"message":"No such container"}"#.to_owned())
    };
    let length = body.len();
    let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
}

#[test]
fn a_container_is_followed_through_a_restart() {
    counted(|| {
        let Some(mut namespace) = Namespace::for_test("a_container_is_followed") else { return };
        if require_tool("a_container_is_followed", "socat").is_none() {
            return;
        }
        let dockerd = Dockerd::start(namespace.pid());
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        let port = server.port();
        let plans = [Choice::Auto, Choice::External]
            .map(|choice| dockerd.plan(&to("docker/web", port), choice).unwrap());
        assert_eq!(plans[0].backend(), "setns");
        let identity = plans[0].identity().unwrap();
        assert_eq!((identity.device, identity.inode), namespace.identity());
        let [mut setns, mut external] = plans.each_ref().map(|plan| plan.opener().unwrap());
        let both_work = |setns: &mut dyn nsplice_relay::Opener,
                         external: &mut dyn nsplice_relay::Opener| {
            expect_echo(&stream(setns));
            let piped = Piped::open(external);
            piped.say("hello\n");
            assert_eq!(piped.line(), "hello");
        };
        both_work(setns.as_mut(), external.as_mut());
        drop(server);

        // Stopped: whoever asks is told so, and the loop does not wait for the answer.
        dockerd.pid.store(0, Ordering::SeqCst);
        namespace.remove();
        for opener in [&mut setns, &mut external] {
            assert!(matches!(opener.open(None).advance(Wake::START), Progress::Waiting));
            let error = failure(opener.as_mut());
            assert_eq!(error.class, OpenClass::TargetGone);
            assert_eq!(error.detail, "docker/web: container not running (c0ffee)");
        }

        // Started again: another process, another namespace, the same openers.
        namespace.restart().unwrap();
        dockerd.pid.store(namespace.pid(), Ordering::SeqCst);
        let address = format!("127.0.0.1:{port}");
        let _server = Server::in_namespace(&namespace, &address, common::echo);
        both_work(setns.as_mut(), external.as_mut());
        let known = setns.open(None).advance(Wake::START);
        assert!(matches!(known, Progress::Open(_)), "nobody is asked any more: {known:?}");
    });
}

/// A Docker that says nothing is asked once, for all links of all forwards, and nobody else waits.
#[test]
fn a_stuck_docker_holds_up_nobody_who_does_not_ask_it() {
    counted(|| {
        let Some(mut namespace) = Namespace::for_test("a_stuck_docker_holds_up") else { return };
        let dockerd = Dockerd::start(namespace.pid());
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        let port = server.port();
        let mut openers = [(); 2].map(|()| {
            dockerd.plan(&to("docker/web", port), Choice::Auto).unwrap().opener().unwrap()
        });
        drop(server);
        namespace.restart().unwrap();
        let _server = Server::in_namespace(&namespace, &format!("127.0.0.1:{port}"), common::echo);
        let silence = dockerd.stuck.lock().unwrap();
        let before = dockerd.asked.load(Ordering::SeqCst);
        let asked = || dockerd.asked.load(Ordering::SeqCst) - before;
        let mut waiting: Vec<_> = (0..20).map(|index| openers[index % 2].open(None)).collect();
        for attempt in &mut waiting {
            assert!(matches!(attempt.advance(Wake::START), Progress::Waiting));
        }
        wait_until("the question", || asked() == 1);
        let other = Server::start(listen("127.0.0.1:0"), common::echo);
        let mut named = common::opener(&to("tcp/127.1", other.port()), Choice::Dial);
        expect_echo(&stream(named.as_mut()));
        let wake = Wake { readable: true, ..Wake::START };
        assert!(waiting.iter_mut().all(|each| matches!(each.advance(wake), Progress::Pending)));
        dockerd.pid.store(namespace.pid(), Ordering::SeqCst);
        drop(silence);
        for attempt in &mut waiting {
            let opened = common::finish(attempt.as_mut());
            assert!(matches!(opened, Ok(Upstream::Stream(_))), "{opened:?}");
        }
        // Where it runs, and whether it still does.
        assert_eq!(asked(), 2);
    });
}

#[test]
fn what_docker_cannot_find_is_no_target() {
    counted(|| {
        let dockerd = Dockerd::start(0);
        for (name, words) in [
            ("web", "docker/web: container not running (c0ffee)"),
            ("other", "docker/other: no such container: other"),
        ] {
            let error = dockerd.plan(&to(format!("docker/{name}"), 80), Choice::Auto).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NoSuchTarget);
            assert_eq!(error.to_string(), words);
        }
    });
}
