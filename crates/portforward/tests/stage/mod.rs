//! A loop that serves pods of this machine: their ports are those of 127.0.0.1.

// Not every program of tests needs all of it.
#![allow(dead_code)]

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nsplice_backend::{Choice, Destination, Host, Options, Plan};
use nsplice_portforward::{
    Api, Asked, NoPod, Phase, Pod, PodName, PodView, Pods, PortForward, Way,
};
use nsplice_relay::{
    listen, Attempt, Clock, EndpointService, Handle, Labels, Limits, ListenOptions, Observer,
    OpenClass, OpenError, Opener, Outcome, Places, Progress, Record, Relay, SessionLimits,
    SessionRecord, Settings, Wake,
};
use nsplice_sys::Pool;
use nsplice_testkit::wait_until;

/// The node: it has the pod `default/web`, which may be gone, and `default/done`, which has ended.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) is_gone: Arc<AtomicBool>,
    /// Answers do not come.
    pub(crate) is_silent: AtomicBool,
}

#[derive(Debug)]
struct Local {
    view: PodView,
    is_gone: Arc<AtomicBool>,
    pool: Pool,
}

#[derive(Debug)]
struct Told<T>(Option<Result<T, NoPod>>);

impl<T: std::fmt::Debug + Send> Asked<T> for Told<T> {
    fn take(&mut self) -> Option<Result<T, NoPod>> {
        self.0.take()
    }
}

fn view(name: &str, phase: Phase) -> PodView {
    PodView {
        namespace: "default".to_owned(),
        name: name.to_owned(),
        uid: "0f-1".to_owned(),
        containers: vec![("app".to_owned(), phase)],
        phase,
        addresses: Vec::new(),
        created: None,
    }
}

impl Pods for Node {
    fn find(&self, name: &PodName) -> Box<dyn Asked<Arc<dyn Pod>>> {
        if self.is_silent.load(Ordering::SeqCst) {
            return Box::new(Told(None));
        }
        let phase = match (name.namespace.as_str(), name.name.as_str()) {
            ("default", "web") => Phase::Running,
            ("default", "done") => Phase::Stopped,
            _ => return Box::new(Told::<Arc<dyn Pod>>(Some(Err(NoPod::Unknown(String::new()))))),
        };
        let is_gone = Arc::clone(&self.is_gone);
        let view = view(&name.name, phase);
        let pool = Pool::on_demand();
        Box::new(Told::<Arc<dyn Pod>>(Some(Ok(Arc::new(Local { view, is_gone, pool })))))
    }

    fn list(&self, namespace: Option<&str>) -> Box<dyn Asked<Vec<PodView>>> {
        let mut all = vec![view("web", Phase::Running), view("done", Phase::Stopped)];
        all.retain(|view| namespace.is_none_or(|namespace| view.namespace == namespace));
        Box::new(Told(Some(Ok(all))))
    }
}

impl Pod for Local {
    fn view(&self) -> &PodView {
        &self.view
    }

    fn port(&self, port: u16) -> Way {
        let labels = Arc::new(Labels::new("test", format!("pod/default/web {port}")));
        if self.is_gone.load(Ordering::SeqCst) {
            return Way { opener: Box::new(Gone), labels };
        }
        let target = "tcp/127.0.0.1".parse().expect("a target");
        let destination = Destination { target, host: Host::default(), port };
        let plan = Plan::prepare(&destination, Choice::Auto, &Options::default(), &self.pool);
        let opener = plan.and_then(|plan| plan.opener()).expect("a plain dial is always possible");
        Way { opener, labels }
    }
}

/// Opens nothing: the pod is gone.
#[derive(Debug)]
struct Gone;

impl Opener for Gone {
    fn backend(&self) -> &'static str {
        "test"
    }

    fn open(&mut self, _: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        Box::new(Self)
    }

    fn queues(&self) -> usize {
        0
    }
}

impl Attempt for Gone {
    fn advance(&mut self, _: Wake) -> Progress {
        Progress::Failed(OpenError::new(OpenClass::TargetGone, "pod/default/web is not running"))
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// What a loop has told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book(Arc<Mutex<Ends>>);

#[derive(Debug, Default)]
struct Ends {
    links: Vec<(Outcome, Option<String>)>,
    sessions: Vec<(Outcome, Option<String>)>,
}

impl Observer for Book {
    fn ended(&mut self, record: &Record<'_>) {
        let ended = (record.outcome, record.detail.map(str::to_owned));
        self.0.lock().unwrap().links.push(ended);
    }

    fn session_ended(&mut self, record: &SessionRecord<'_>) {
        let ended = (record.outcome, record.detail.map(str::to_owned));
        self.0.lock().unwrap().sessions.push(ended);
    }
}

/// A loop that serves a node.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) node: Arc<Node>,
    pub(crate) clock: Clock,
    handle: Handle,
    book: Book,
    thread: Option<JoinHandle<()>>,
}

impl Stage {
    /// A loop with the usual bounds and an API.
    pub(crate) fn new() -> Self {
        Self::with(SessionLimits::default(), Clock::default())
    }

    /// The same with these bounds and this clock.
    pub(crate) fn with(session: SessionLimits, clock: Clock) -> Self {
        let (node, book) = (Arc::new(Node::default()), Book::default());
        let settings = Settings { clock: clock.clone(), ..Settings::default() };
        let (mut relay, handle) =
            Relay::new(settings, Box::new(book.clone())).expect("make a loop");
        let any_port = "127.0.0.1:0".parse().expect("an address");
        let listener = listen(any_port, ListenOptions::default()).expect("listen");
        let address = listener.local_addr().expect("a listener has an address");
        let endpoint = PortForward {
            pods: Arc::<Node>::clone(&node),
            api: Api::On,
            limits: Limits::default(),
            clock: clock.clone(),
        };
        let service = EndpointService {
            labels: Arc::new(Labels::new("test", "pods")),
            endpoint: Box::new(endpoint),
            admission: None,
            session,
            sessions: Arc::new(Places::unlimited()),
            places: Arc::new(Places::unlimited()),
            counters: Arc::default(),
        };
        relay.add_service(service, vec![listener]).expect("add the endpoint");
        let thread = thread::spawn(move || relay.run().expect("the loop ends without an error"));
        Self { address, node, clock, handle, book, thread: Some(thread) }
    }

    /// Waits for the ends of so many links: how each ended.
    #[track_caller]
    pub(crate) fn links_ended(&self, count: usize) -> Vec<Outcome> {
        let ended = || self.book.0.lock().unwrap().links.clone();
        wait_until(&format!("the end of {count} links"), || ended().len() >= count);
        ended().into_iter().map(|(outcome, _)| outcome).collect()
    }

    /// Waits for the ends of so many sessions: how each ended, and why.
    #[track_caller]
    pub(crate) fn sessions_ended(&self, count: usize) -> Vec<(Outcome, Option<String>)> {
        let ended = || self.book.0.lock().unwrap().sessions.clone();
        wait_until(&format!("the end of {count} sessions"), || ended().len() >= count);
        ended()
    }

    /// Moves the clock on, and waits until what is due by then is done.
    #[track_caller]
    pub(crate) fn advance(&self, time: Duration) {
        self.clock.advance(time);
        for _ in 0..2 {
            let _ = self.handle.links().expect("ask the loop").wait();
        }
    }

    /// The number of sessions that are alive.
    pub(crate) fn sessions(&self) -> usize {
        self.handle.sessions().expect("ask the loop").wait().unwrap_or_default().len()
    }

    /// Stops the loop and checks its books.
    #[track_caller]
    pub(crate) fn close(mut self) {
        self.handle.stop().expect("tell the loop to stop");
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(()))), "the loop has panicked");
        let totals = self.handle.counters().totals();
        assert_eq!(totals.opened, totals.ended_total(), "links: {totals:?}");
        assert_eq!(totals.sessions_opened, totals.sessions_ended, "sessions: {totals:?}");
        let told = self.book.0.lock().unwrap();
        assert_eq!(told.links.len() as u64, totals.opened, "links that were told");
        assert_eq!(told.sessions.len() as u64, totals.sessions_opened, "sessions that were told");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            if self.handle.stop().is_ok() {
                let _ = thread.join();
            }
        }
    }
}
