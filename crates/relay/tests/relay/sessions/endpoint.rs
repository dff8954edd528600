//! The protocol of [`nsplice_testkit::mux`] as an endpoint, and a loop that serves it.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nsplice_relay::{
    listen as relay_listen, Attempt, Client, Clock, Ending, Endpoint, EndpointService, Found,
    Labels, Life, Limits, ListenOptions, NewStream, OpenClass, Opener, Ops, Outbox, Outcome,
    Places, Progress, Reason, Relay, Session, SessionLimits, Settings, Side, StreamId, Totals,
    Wake,
};
use nsplice_testkit::mux::{
    Decoder, Header, MuxClient, Piece, BYE, FIN, GRANT, OPEN, OPENED, PING, RESET,
};
use nsplice_testkit::peer::listen_with_receive_buffer;

use crate::admission::LookedUp;
use crate::bench::{accept, ANY_PORT};
use crate::openers::{by, connecting, connecting_attempt, failing};
use crate::running::{Ended, Running};

/// A frame that is longer than this is none of the protocol's.
const LONGEST: usize = 16 << 20;

/// What a client may open a stream to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    Listener(SocketAddr),
    Fails(OpenClass),
    /// It neither opens nor fails.
    Never,
    /// A look-up finds out that it is a container called `web`, and leads there.
    LookedUp(SocketAddr),
}

/// An attempt that never comes to an end.
#[derive(Debug)]
struct Waiting;

impl Attempt for Waiting {
    fn advance(&mut self, _: Wake) -> Progress {
        Progress::Waiting
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl Target {
    fn opener(self) -> Box<dyn Opener> {
        match self {
            Self::Listener(address) => connecting(address),
            Self::Fails(class) => failing(class),
            Self::Never => by(|| Waiting),
            Self::LookedUp(address) => by(move || {
                let found = Found { container: Some("web".into()), ..Found::default() };
                LookedUp { found: Some(Arc::new(found)), then: connecting_attempt(address) }
            }),
        }
    }
}

/// How an endpoint of a test is set up.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) session: SessionLimits,
    pub(crate) sessions: u32,
    pub(crate) links: Limits,
    pub(crate) places: u32,
    pub(crate) clock: Clock,
    /// A session that says nothing but answers to pings for this long is ended by the protocol.
    pub(crate) quiet: Option<Duration>,
    /// Pings are so far apart.
    pub(crate) pings: Option<Duration>,
    /// So many bytes of a stream are sent, and then a ping with its number, whose answer lets others be
    /// sent.
    pub(crate) pace: Option<u64>,
    /// Receive buffer of the upstream's sockets, in bytes.
    pub(crate) narrow: Option<usize>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            session: SessionLimits::default(),
            sessions: u32::MAX,
            links: Limits::default(),
            places: u32::MAX,
            clock: Clock::default(),
            quiet: None,
            pings: None,
            pace: None,
            narrow: None,
        }
    }
}

/// Makes sessions.
#[derive(Debug)]
struct MuxEndpoint {
    targets: Arc<[Target]>,
    setup: Setup,
}

impl Endpoint for MuxEndpoint {
    fn accept(&mut self, _: &Client) -> Result<Box<dyn Session>, Reason> {
        let now = self.setup.clock.now();
        let begun = |time: Option<Duration>| time.map(|time| (time, now + time));
        Ok(Box::new(MuxSession {
            targets: Arc::clone(&self.targets),
            limits: self.setup.links.clone(),
            decoder: Decoder::default(),
            words: Vec::new(),
            quiet: begun(self.setup.quiet),
            pings: begun(self.setup.pings),
            pace: self.setup.pace,
            sent: HashMap::new(),
        }))
    }
}

/// The server's side of the protocol.
#[derive(Debug)]
struct MuxSession {
    targets: Arc<[Target]>,
    limits: Limits,
    decoder: Decoder,
    /// Bytes of a frame that are not a stream's.
    words: Vec<u8>,
    quiet: Option<(Duration, Instant)>,
    pings: Option<(Duration, Instant)>,
    pace: Option<u64>,
    /// Bytes of each stream since its last ping.
    sent: HashMap<StreamId, u64>,
}

fn broken(why: &str) -> Life {
    Life::Over(Outcome::Failed(Side::Downstream), Some(why.to_owned()))
}

impl MuxSession {
    fn take(&mut self, piece: Piece<'_>, ops: &mut Ops<'_>) -> Result<(), Life> {
        let Piece { header: Header { len, stream, flags }, bytes, is_last } = piece;
        let id = StreamId(stream);
        if let (Some((quiet, until)), true) = (&mut self.quiet, flags != PING) {
            *until = ops.now() + *quiet;
        }
        if len > LONGEST {
            return Err(broken("a frame is too long"));
        }
        if flags & !FIN == 0 {
            ops.receive(id, bytes);
            if is_last && flags == FIN {
                ops.end(id);
            }
            return Ok(());
        }
        self.words.extend_from_slice(bytes);
        if !is_last {
            return Ok(());
        }
        let words = std::mem::take(&mut self.words);
        match (flags, words.as_slice()) {
            (OPEN, [target, credit @ ..]) => {
                let Some(target) = self.targets.get(usize::from(*target)) else {
                    return Err(broken("no such target"));
                };
                let credit = credit.try_into().ok().map(u32::from_be_bytes).map(u64::from);
                let credit = credit.or(self.pace);
                let (opener, limits) = (target.opener(), self.limits.clone());
                if let Err(error) = ops.open(id, NewStream { opener, limits, credit, labels: None })
                {
                    put(&mut ops.out(), stream, RESET, error.to_string().as_bytes());
                }
            }
            (GRANT, &[a, b, c, d]) => ops.grant(id, u32::from_be_bytes([a, b, c, d]).into()),
            (PING, []) => ops.grant(id, self.pace.unwrap_or_default()),
            (RESET, reason) => ops.reset(id, String::from_utf8_lossy(reason)),
            _ => return Err(broken("a frame makes no sense")),
        }
        Ok(())
    }
}

fn put(out: &mut Outbox<'_>, stream: u32, flags: u8, bytes: &[u8]) {
    out.push(&Header { len: bytes.len(), stream, flags }.encode());
    out.push(bytes);
}

impl Session for MuxSession {
    fn receive(&mut self, mut bytes: &[u8], ops: &mut Ops<'_>) -> Life {
        while let Some(piece) = self.decoder.piece(&mut bytes) {
            if let Err(over) = self.take(piece, ops) {
                return over;
            }
        }
        Life::Goes
    }

    fn opened(&mut self, stream: StreamId, out: &mut Outbox<'_>) {
        put(out, stream.0, OPENED, &[]);
    }

    fn send(&mut self, stream: StreamId, bytes: &[u8], out: &mut Outbox<'_>) {
        put(out, stream.0, 0, bytes);
        let sent = self.sent.entry(stream).or_default();
        *sent += bytes.len() as u64;
        if self.pace.is_some_and(|pace| *sent >= pace) {
            *sent = 0;
            put(out, stream.0, PING, &[]);
        }
    }

    fn finish(&mut self, stream: StreamId, out: &mut Outbox<'_>) {
        put(out, stream.0, FIN, &[]);
    }

    fn close(&mut self, stream: StreamId, ending: Ending<'_>, out: &mut Outbox<'_>) {
        self.sent.remove(&stream);
        if let Ending::Aborted { outcome, detail } = ending {
            let reason = format!("{outcome}: {}", detail.unwrap_or_default());
            put(out, stream.0, RESET, reason.as_bytes());
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.quiet.into_iter().chain(self.pings).map(|(_, until)| until).min()
    }

    fn expire(&mut self, ops: &mut Ops<'_>) -> Life {
        let now = ops.now();
        if let Some((apart, next)) = self.pings.as_mut().filter(|(_, next)| *next <= now) {
            *next = now + *apart;
            put(&mut ops.out(), 0, PING, &[]);
        }
        if self.quiet.is_none_or(|(_, until)| until > now) {
            return Life::Goes;
        }
        put(&mut ops.out(), 0, BYE, b"too quiet");
        Life::Over(Outcome::Clean, Some("too quiet".to_owned()))
    }

    fn drain(&mut self, out: &mut Outbox<'_>) {
        put(out, 0, BYE, &[]);
    }
}

/// An endpoint that speaks the protocol and leads to `target`.
pub(crate) fn endpoint(target: SocketAddr, setup: Setup) -> EndpointService {
    let refuses = Target::Fails(OpenClass::Refused);
    let targets = [Target::Listener(target), refuses, Target::Never, Target::LookedUp(target)];
    EndpointService {
        labels: Arc::new(Labels::new("mux", "test")),
        admission: None,
        session: setup.session,
        sessions: Arc::new(Places::new(setup.sessions)),
        places: Arc::new(Places::new(setup.places)),
        counters: Arc::default(),
        endpoint: Box::new(MuxEndpoint { targets: Arc::from(targets), setup }),
    }
}

/// A loop that serves the protocol, and a listener that is target 0. Target 1 refuses.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) relay: Running,
    pub(crate) address: SocketAddr,
    upstream: TcpListener,
}

/// The target that refuses.
pub(crate) const REFUSES: u8 = 1;

/// The target that never opens.
pub(crate) const NEVER: u8 = 2;

/// The target that is looked up.
pub(crate) const LOOKED_UP: u8 = 3;

impl Hub {
    /// A loop with the default bounds.
    #[track_caller]
    pub(crate) fn new() -> Self {
        Self::with(Setup::default())
    }

    /// A loop with an endpoint that is set up like this.
    #[track_caller]
    pub(crate) fn with(setup: Setup) -> Self {
        Self::equipped(setup, |_, _| {})
    }

    /// The same, with more in the loop.
    #[track_caller]
    pub(crate) fn equipped(setup: Setup, equip: impl FnOnce(&mut Relay, SocketAddr)) -> Self {
        let upstream = listen_with_receive_buffer("127.0.0.1:0", setup.narrow);
        upstream.set_nonblocking(true).expect("a listener can be non-blocking");
        let target = upstream.local_addr().expect("a listener has an address");
        let mut address = ANY_PORT;
        let settings = Settings { clock: setup.clock.clone(), ..Settings::default() };
        let relay = Running::start(settings, |relay| {
            let listener = relay_listen(ANY_PORT, ListenOptions::default()).expect("listen");
            address = listener.local_addr().expect("a listener has an address");
            let service = endpoint(target, setup);
            relay.add_service(service, vec![listener]).expect("add the endpoint");
            equip(relay, target);
        });
        Self { relay, address, upstream }
    }

    /// Where the connections to target 0 arrive.
    pub(crate) fn target(&self) -> SocketAddr {
        self.upstream.local_addr().expect("a listener has an address")
    }

    /// A client.
    #[track_caller]
    pub(crate) fn client(&self) -> MuxClient {
        MuxClient::connect(self.address)
    }

    /// The next connection that the loop opens.
    #[track_caller]
    pub(crate) fn server(&self) -> TcpStream {
        accept(&self.upstream)
    }

    /// Opens a stream, and returns its server.
    #[track_caller]
    pub(crate) fn stream(&self, client: &MuxClient, stream: u32) -> TcpStream {
        client.open(stream, 0);
        self.server()
    }

    /// Waits for the end of the only link, then ends the loop and checks its books.
    #[track_caller]
    pub(crate) fn only_end(self) -> Ended {
        let ended = self.relay.only_end();
        self.close();
        ended
    }

    /// Ends the loop and checks its books, those of its sessions too.
    #[track_caller]
    pub(crate) fn close(self) -> Totals {
        let totals = self.relay.close();
        assert_eq!(totals.sessions_opened, totals.sessions_ended, "sessions that have not ended");
        totals
    }
}
