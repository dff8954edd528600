//! One end of a SPDY connection: bytes in, events and bytes out.
//!
//! Reading has four states. The head of a frame is gathered; then the payload of a control frame is
//! gathered as well, that of a data frame is passed on as it comes, and that of a frame that nobody
//! wants is skipped. Whatever goes wrong with a stream is answered by a reset of it, here; what goes
//! wrong with the connection ends it. What the owner sends is in `sending.rs`.

use crate::compression::{Inflater, Packer};
use crate::error::{ConnectionError, GoAwayStatus, ResetStatus};
use crate::event::Event;
use crate::frame::{kind, Head, FLAG_FIN, FLAG_UNIDIRECTIONAL, HEAD, VERSION};
use crate::headers::Headers;
use crate::limits::Limits;
use crate::streams::{Named, Open, Role, StreamId, Streams};

mod sending;

/// What the output grows by at most for each frame that is read, in bytes.
pub const MOST_ANSWERED: usize = HEAD + 8;

/// What is read next.
#[derive(Debug)]
enum Reading {
    Head {
        bytes: [u8; HEAD],
        have: usize,
    },
    Control {
        kind: u16,
        flags: u8,
        length: usize,
        payload: Vec<u8>,
    },
    Data {
        stream: StreamId,
        left: usize,
        fin: bool,
    },
    /// A payload that nobody wants.
    Skipping {
        left: usize,
    },
    /// Nothing any more.
    Over(ConnectionError),
}

const NEXT_HEAD: Reading = Reading::Head { bytes: [0; HEAD], have: 0 };

/// Whether streams may be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opens {
    Both,
    /// We have said `GOAWAY`: the peer's are refused.
    Ours,
    /// The peer has: it takes none of ours.
    Peers,
    Neither,
}

/// One end of a connection.
#[derive(Debug)]
pub struct Connection {
    role: Role,
    limits: Limits,
    reading: Reading,
    inflater: Inflater,
    packer: Packer,
    streams: Streams,
    opens: Opens,
    next_ping: u32,
    output: Vec<u8>,
}

impl Connection {
    /// The end of a server.
    pub fn server(limits: Limits) -> Self {
        Self::new(Role::Server, limits)
    }

    /// The end of a client.
    pub fn client(limits: Limits) -> Self {
        Self::new(Role::Client, limits)
    }

    fn new(role: Role, limits: Limits) -> Self {
        Self {
            role,
            limits,
            reading: NEXT_HEAD,
            inflater: Inflater::default(),
            packer: Packer::default(),
            streams: Streams::new(role),
            opens: Opens::Both,
            next_ping: role.first(),
            output: Vec::new(),
        }
    }

    /// What is to be sent to the peer, in order. The owner takes it out.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// How many streams are open.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Takes bytes of the peer's from the front of `input`, up to the next event; `None` when all of
    /// them have been taken.
    ///
    /// # Errors
    /// When the peer has broken the protocol so that nothing more can be read. A `GOAWAY` that says so
    /// is in the output by then, and every later call answers the same.
    pub fn read<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, ConnectionError> {
        let result = self.read_on(input);
        if let Err(error) = &result {
            if !matches!(self.reading, Reading::Over(_)) {
                self.go_away(error.status());
                self.reading = Reading::Over(error.clone());
            }
        }
        result
    }

    fn read_on<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, ConnectionError> {
        loop {
            match &mut self.reading {
                Reading::Over(error) => return Err(error.clone()),
                Reading::Head { bytes, have } => {
                    let taken = take(input, HEAD - *have);
                    bytes[*have..*have + taken.len()].copy_from_slice(taken);
                    *have += taken.len();
                    if *have < HEAD {
                        return Ok(None);
                    }
                    let head = Head::parse(*bytes);
                    if let Some(event) = self.begin_frame(head)? {
                        return Ok(Some(event));
                    }
                }
                Reading::Skipping { left } => {
                    *left -= take(input, *left).len();
                    if *left > 0 {
                        return Ok(None);
                    }
                    self.reading = NEXT_HEAD;
                }
                Reading::Data { stream, left, fin } => {
                    let stream = *stream;
                    let bytes = take(input, *left);
                    *left -= bytes.len();
                    let is_whole = *left == 0;
                    let fin = *fin && is_whole;
                    if is_whole {
                        self.reading = NEXT_HEAD;
                    } else if bytes.is_empty() {
                        return Ok(None);
                    }
                    // It may have been reset by us meanwhile.
                    if matches!(self.streams.named(stream), Named::Open(open) if open.receives) {
                        if fin {
                            self.streams.change(stream, |open| open.receives = false);
                        }
                        return Ok(Some(Event::Data { stream, bytes, fin }));
                    }
                }
                Reading::Control { kind, flags, length, payload } => {
                    payload.extend_from_slice(take(input, *length - payload.len()));
                    if payload.len() < *length {
                        return Ok(None);
                    }
                    let (kind, flags, payload) = (*kind, *flags, std::mem::take(payload));
                    self.reading = NEXT_HEAD;
                    if let Some(event) = self.control(kind, flags, &payload)? {
                        return Ok(Some(event));
                    }
                }
            }
        }
    }

    /// Begins with the payload of a frame. An event comes of one that is not even wanted.
    fn begin_frame(&mut self, head: Head) -> Result<Option<Event<'static>>, ConnectionError> {
        match head {
            Head::Control { version, .. } if version != VERSION => {
                Err(ConnectionError::Version(version))
            }
            Head::Control { kind, length, .. } if length > self.limits.control_frame => {
                Err(ConnectionError::FrameTooLong { kind, length, most: self.limits.control_frame })
            }
            Head::Control { kind, flags, length, .. } => {
                self.reading = Reading::Control { kind, flags, length, payload: Vec::new() };
                Ok(None)
            }
            Head::Data { stream, flags, length } => {
                self.reading = Reading::Skipping { left: length };
                match self.streams.named(stream) {
                    Named::Open(Open { receives: true, .. }) => {
                        let fin = flags & FLAG_FIN != 0;
                        if length > 0 || fin {
                            self.reading = Reading::Data { stream, left: length, fin };
                        }
                        Ok(None)
                    }
                    Named::Open(_) => {
                        Ok(self.break_off(stream, ResetStatus::STREAM_ALREADY_CLOSED))
                    }
                    // On its way when the stream was reset.
                    Named::Past => Ok(None),
                    Named::Never => Ok(self.break_off(stream, ResetStatus::INVALID_STREAM)),
                }
            }
        }
    }

    /// Resets a stream on which the peer has broken the protocol.
    fn break_off(&mut self, stream: StreamId, status: ResetStatus) -> Option<Event<'static>> {
        self.push_numbers(kind::RST_STREAM, &[stream.0, status.0]);
        self.streams.remove(stream).then_some(Event::Reset { stream, status })
    }

    fn control(
        &mut self,
        kind: u16,
        flags: u8,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        let malformed = ConnectionError::Malformed(kind);
        match kind {
            kind::SYN_STREAM => {
                let (head, block) = payload.split_first_chunk::<10>().ok_or(malformed)?;
                let [a, b, c, d, ..] = *head;
                self.syn_stream(number([a, b, c, d]), flags, block)
            }
            kind::SYN_REPLY | kind::HEADERS => {
                let (head, block) = payload.split_first_chunk().ok_or(malformed)?;
                self.headers(kind, number(*head), flags, block)
            }
            kind::RST_STREAM => {
                let [stream, status] = numbers(payload).ok_or(malformed)?;
                let (stream, status) = (StreamId(stream & StreamId::MOST), ResetStatus(status));
                Ok(self.streams.remove(stream).then_some(Event::Reset { stream, status }))
            }
            kind::PING => {
                let [ping] = numbers(payload).ok_or(malformed)?;
                if self.role.gives(ping) {
                    return Ok(Some(Event::Pong { ping }));
                }
                self.push_numbers(kind::PING, &[ping]);
                Ok(None)
            }
            kind::GOAWAY => {
                let [last, status] = numbers(payload).ok_or(malformed)?;
                self.opens = match self.opens {
                    Opens::Both | Opens::Peers => Opens::Peers,
                    Opens::Ours | Opens::Neither => Opens::Neither,
                };
                let last = StreamId(last & StreamId::MOST);
                Ok(Some(Event::GoAway { last, status: GoAwayStatus(status) }))
            }
            kind::SETTINGS => {
                let (count, settings) =
                    payload.split_first_chunk().ok_or_else(|| malformed.clone())?;
                let count = usize::try_from(u32::from_be_bytes(*count)).unwrap_or(usize::MAX);
                let is_whole = count.checked_mul(8) == Some(settings.len());
                is_whole.then_some(None).ok_or(malformed)
            }
            kind::WINDOW_UPDATE => numbers::<2>(payload).map(|_| None).ok_or(malformed),
            // Whoever does not know a type passes it over (section 2.2.1).
            _ => Ok(None),
        }
    }

    fn inflate(&mut self, block: &[u8]) -> Result<Headers, ConnectionError> {
        let inflated = self.inflater.inflate(block, self.limits.header_block)?;
        Headers::parse(&inflated, &self.limits)
    }

    fn syn_stream(
        &mut self,
        stream: StreamId,
        flags: u8,
        block: &[u8],
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        // Also for a stream that is refused: the next block is inflated with what this one leaves.
        let headers = self.inflate(block)?;
        if !self.streams.note_number(stream) {
            return Err(ConnectionError::StreamNumber(stream.0));
        }
        let takes = matches!(self.opens, Opens::Both | Opens::Peers);
        if !takes || self.streams.of_peer() >= self.limits.streams {
            return Ok(self.break_off(stream, ResetStatus::REFUSED_STREAM));
        }
        let (fin, unidirectional) = (flags & FLAG_FIN != 0, flags & FLAG_UNIDIRECTIONAL != 0);
        let open = Open { sends: !unidirectional, receives: !fin, unanswered: !unidirectional };
        self.streams.open_of_peer(stream, open);
        Ok(Some(Event::Opened { stream, headers, fin, unidirectional }))
    }

    /// `SYN_REPLY` and `HEADERS`.
    fn headers(
        &mut self,
        kind: u16,
        stream: StreamId,
        flags: u8,
        block: &[u8],
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        let headers = self.inflate(block)?;
        let fin = flags & FLAG_FIN != 0;
        let is_reply = kind == kind::SYN_REPLY;
        match self.streams.named(stream) {
            Named::Past => return Ok(None),
            Named::Never => return Ok(self.break_off(stream, ResetStatus::INVALID_STREAM)),
            Named::Open(open) if is_reply && !(open.unanswered && self.role.gives(stream.0)) => {
                return Ok(self.break_off(stream, ResetStatus::STREAM_IN_USE));
            }
            Named::Open(open) if !open.receives => {
                return Ok(self.break_off(stream, ResetStatus::STREAM_ALREADY_CLOSED));
            }
            Named::Open(_) => {}
        }
        self.streams.change(stream, |open| {
            open.unanswered &= !is_reply;
            open.receives &= !fin;
        });
        Ok(Some(if is_reply {
            Event::Replied { stream, headers, fin }
        } else {
            Event::Headers { stream, headers, fin }
        }))
    }
}

/// Takes up to `most` bytes from the front.
fn take<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(input.len().min(most));
    *input = rest;
    taken
}

fn number(bytes: [u8; 4]) -> StreamId {
    StreamId(u32::from_be_bytes(bytes) & StreamId::MOST)
}

/// The payload as so many numbers, and nothing else.
fn numbers<const COUNT: usize>(payload: &[u8]) -> Option<[u32; COUNT]> {
    let (words, rest) = payload.as_chunks::<4>();
    let words: &[[u8; 4]; COUNT] = words.try_into().ok().filter(|_| rest.is_empty())?;
    Some(words.map(u32::from_be_bytes))
}
