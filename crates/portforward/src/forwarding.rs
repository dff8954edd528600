//! Connections of a client to the ports of one pod, over SPDY.
//!
//! A connection is a pair of streams and one link. It has three states: its first stream waits for the
//! other (`pairs.rs`), it is linked, and it is over. When its link ends, both streams are ended by FIN,
//! whether it failed or not: client-go ends the session when it reads anything from an error stream, or
//! when that is reset, and one connection's failure is not the others'. What a link failed of is in its
//! record. Only a pod that is gone is told there, as no other connection will do better.
//!
//! What still comes for a connection that is over is thrown away.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nsplice_relay::{
    Ending, Life, Limits, NewStream, OpenClass, Ops, Outbox, Outcome, Received, Side,
    StreamId as Name,
};
use nsplice_spdy::{data_header, Connection, Event, GoAwayStatus, Headers, ResetStatus, StreamId};

use crate::carriage::Carriage;
use crate::pairs::{Claim, Kind, Meeting, Pairs};
use crate::pods::{Pod, Way};

/// The time after which a client that forwards nothing is taken for one that forgot to leave (that of
/// Kubernetes' own servers). Pings are nothing.
pub(crate) const IDLE: Duration = Duration::from_secs(4 * 60 * 60);

/// Streams that a client may have open: two for each connection, and some that are on their way out.
const STREAMS: usize = 10_000;

/// Bytes of answers that are gathered before they go to the outbox.
const GATHERED: usize = 16 << 10;

/// A DATA frame of so many bytes is long enough. With what one call adds it is far below the most that a
/// frame can have.
const LONG_FRAME: usize = 256 << 10;

/// A client's connections to the ports of a pod.
#[derive(Debug)]
pub(crate) struct Forwarding {
    pod: Arc<dyn Pod>,
    limits: Limits,
    connection: Connection,
    carriage: Box<dyn Carriage>,
    pairs: Pairs,
    /// The connections that are linked, by their data streams.
    linked: HashMap<StreamId, Linked>,
    /// When a connection has begun or ended.
    active: Instant,
    /// The stream of the DATA frame that was carried last, and the bytes in it; `None` if it was another.
    last: Option<(StreamId, usize)>,
}

/// A connection with a link.
#[derive(Debug, Clone, Copy)]
struct Linked {
    error: StreamId,
    port: u16,
}

impl Forwarding {
    pub(crate) fn new(
        pod: Arc<dyn Pod>,
        limits: Limits,
        carriage: Box<dyn Carriage>,
        now: Instant,
    ) -> Self {
        let bounds = nsplice_spdy::Limits { streams: STREAMS, ..nsplice_spdy::Limits::default() };
        Self {
            pod,
            limits,
            connection: Connection::server(bounds),
            carriage,
            pairs: Pairs::default(),
            linked: HashMap::new(),
            active: now,
            last: None,
        }
    }

    /// Takes in bytes of SPDY.
    pub(crate) fn receive(&mut self, mut bytes: &[u8], ops: &mut Ops<'_>) -> Life {
        loop {
            match self.connection.read(&mut bytes) {
                Ok(None) => break,
                Ok(Some(event)) => self.take(event, ops),
                Err(error) => {
                    self.flush(&mut ops.out());
                    let why = format!("the client has broken the protocol: {error}");
                    return Life::Over(Outcome::Failed(Side::Downstream), Some(why));
                }
            }
            if self.connection.output().len() > GATHERED {
                self.flush(&mut ops.out());
            }
        }
        self.flush(&mut ops.out());
        Life::Goes
    }

    fn take(&mut self, event: Event<'_>, ops: &mut Ops<'_>) {
        match event {
            Event::Opened { stream, headers, fin, unidirectional } => {
                if unidirectional {
                    self.connection.reset(stream, ResetStatus::PROTOCOL_ERROR);
                } else {
                    self.begin(stream, &headers, fin, ops);
                }
            }
            Event::Data { stream, bytes, fin } => {
                if self.linked.contains_key(&stream) {
                    self.pass_on(stream, bytes, fin, ops);
                } else if self.pairs.is_data(stream) {
                    // It was not accepted yet, and nobody would take them.
                    self.pairs.forget(stream);
                    self.connection.reset(stream, ResetStatus::PROTOCOL_ERROR);
                }
            }
            Event::Reset { stream, status } => {
                self.pairs.forget(stream);
                if self.linked.contains_key(&stream) {
                    let why = format!("the client has reset the stream (status {})", status.0);
                    ops.reset(Name(stream.0), why);
                }
            }
            Event::Replied { .. }
            | Event::Headers { .. }
            | Event::Pong { .. }
            | Event::GoAway { .. } => {}
        }
    }

    /// A stream has come. An error stream is accepted at once; a data stream when it has its partner,
    /// because bytes that come before have nowhere to go.
    fn begin(&mut self, stream: StreamId, headers: &Headers, fin: bool, ops: &mut Ops<'_>) {
        let Some(claim) = Claim::read(stream, headers) else {
            self.connection.reset(stream, ResetStatus::PROTOCOL_ERROR);
            return;
        };
        let (kind, port) = (claim.kind, claim.port);
        match self.pairs.meet(stream, claim, ops.now()) {
            Meeting::Wrong => self.connection.reset(stream, ResetStatus::PROTOCOL_ERROR),
            Meeting::Full => self.connection.reset(stream, ResetStatus::REFUSED_STREAM),
            Meeting::Waits if kind == Kind::Error => self.accept(stream),
            // Its end would have nobody to be passed on to.
            Meeting::Waits if fin => {
                self.pairs.forget(stream);
                self.connection.reset(stream, ResetStatus::PROTOCOL_ERROR);
            }
            Meeting::Waits => {}
            Meeting::Pair { data, error } => {
                self.accept(data);
                self.accept(error);
                self.link(data, Linked { error, port }, ops);
                if fin && data == stream {
                    ops.end(Name(data.0));
                }
            }
        }
    }

    /// Replies to a stream; to one that has been replied to, nothing.
    fn accept(&mut self, stream: StreamId) {
        let _: Result<(), _> = self.connection.reply(stream, &[], false);
    }

    fn link(&mut self, data: StreamId, linked: Linked, ops: &mut Ops<'_>) {
        let Way { opener, labels } = self.pod.port(linked.port);
        let (labels, limits) = (Some(labels), self.limits.clone());
        self.active = ops.now();
        // One that is not opened has been counted and told.
        match ops.open(Name(data.0), NewStream { opener, labels, limits, credit: None }) {
            Ok(()) => drop(self.linked.insert(data, linked)),
            Err(_) => self.end_both(data, linked),
        }
    }

    fn pass_on(&mut self, stream: StreamId, bytes: &[u8], fin: bool, ops: &mut Ops<'_>) {
        let name = Name(stream.0);
        match ops.receive(name, bytes) {
            Received::Queued if fin => ops.end(name),
            Received::Overflow => {
                // There is no flow control, so only a reset stops it.
                self.connection.reset(stream, ResetStatus::FLOW_CONTROL_ERROR);
                if let Some(linked) = self.linked.remove(&stream) {
                    self.end_one(linked.error);
                }
            }
            Received::Queued | Received::Late | Received::Unknown => {}
        }
    }

    /// Ends what is sent on a stream; of one that is not open, nothing.
    fn end_one(&mut self, stream: StreamId) {
        let _: Result<(), _> = self.connection.send(stream, &[], true);
    }

    /// Ends both streams of a connection.
    fn end_both(&mut self, data: StreamId, linked: Linked) {
        self.end_one(data);
        self.end_one(linked.error);
    }

    /// Sends bytes of a connection to the client: in the frame that was sent last, where that was of the
    /// same connection and still waits. A client has work with each frame, and one of kubectl's takes twice
    /// the bytes in frames of 256 KiB that it takes in those of 32.
    pub(crate) fn send(&mut self, stream: Name, bytes: &[u8], out: &mut Outbox<'_>) {
        self.flush(out);
        // A stream that the client has reset takes nothing more.
        let stream = StreamId(stream.0);
        let Ok(head) = self.connection.begin_data(stream, bytes.len(), false) else { return };
        let last = self.last.filter(|(last, length)| *last == stream && *length < LONG_FRAME);
        if let Some((_, length)) = last {
            let longer = length + bytes.len();
            let head = data_header(stream, longer, false);
            if self.carriage.extend(head.len() + length, &head, bytes, out) {
                self.last = Some((stream, longer));
                return;
            }
        }
        self.carriage.carry([&head, bytes], out);
        self.last = Some((stream, bytes.len()));
    }

    /// The pod has ended what it sends on a connection.
    pub(crate) fn finish(&mut self, stream: Name, out: &mut Outbox<'_>) {
        let data = StreamId(stream.0);
        if let Some(linked) = self.linked.get(&data) {
            // Both at once: clients of old close their socket for the second.
            self.end_both(data, *linked);
        }
        self.flush(out);
    }

    /// The link of a connection is over.
    pub(crate) fn close(&mut self, stream: Name, ending: Ending<'_>, out: &mut Outbox<'_>) {
        let data = StreamId(stream.0);
        let Some(linked) = self.linked.remove(&data) else { return };
        if let Ending::Aborted { outcome: Outcome::OpenFailed(OpenClass::TargetGone), detail } =
            ending
        {
            let view = self.pod.view();
            let why = detail.unwrap_or("it is gone");
            let text = format!(
                "error forwarding port {} to pod {}, uid {}: {why}",
                linked.port, view.name, view.uid
            );
            let _: Result<(), _> = self.connection.send(linked.error, text.as_bytes(), false);
        }
        self.end_both(data, linked);
        self.flush(out);
    }

    /// The loop drains: no stream is taken any more.
    pub(crate) fn drain(&mut self, out: &mut Outbox<'_>) {
        self.connection.go_away(GoAwayStatus::OK);
        self.flush(out);
    }

    /// When [`Forwarding::expire`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let idle = self.linked.is_empty().then(|| self.active + IDLE);
        self.pairs.deadline().into_iter().chain(idle).min()
    }

    /// Streams that have waited too long are given up, and so is a client that does nothing.
    pub(crate) fn expire(&mut self, ops: &mut Ops<'_>) -> Life {
        let now = ops.now();
        while let Some((stream, alone)) = self.pairs.overdue(now) {
            match alone.kind {
                Kind::Error => self.end_one(stream),
                Kind::Data => self.connection.reset(stream, ResetStatus::CANCEL),
            }
        }
        let is_idle = self.linked.is_empty() && self.active + IDLE <= now;
        if is_idle {
            self.connection.go_away(GoAwayStatus::OK);
        }
        self.flush(&mut ops.out());
        if is_idle {
            let why = "the client has forwarded nothing for four hours";
            return Life::Over(Outcome::Clean, Some(why.to_owned()));
        }
        Life::Goes
    }

    /// Sends what the connection has to say.
    fn flush(&mut self, out: &mut Outbox<'_>) {
        let output = self.connection.output();
        if !output.is_empty() {
            self.carriage.carry([output, &[]], out);
            output.clear();
            self.last = None;
        }
    }
}
