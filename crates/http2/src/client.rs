//! A client of gRPC on one connection: bytes in, bytes and the answer out.
//!
//! One call runs at a time, of one message each way. A call that failed for itself (a status, a
//! reset, an answer that is too long) leaves the connection usable; what is wrong with the
//! connection ends it, with a `GOAWAY` in the output that says so. What comes late for a call that
//! is over is counted for flow control and headers, as it has to be, and dropped.

use crate::blocks::{write_headers, Block, Blocks};
use crate::client::answer::Answer;
use crate::error::{ConnectionError, ErrorCode, Farewell};
use crate::frame::{Head, StreamId, DEFAULT_MAX_PAYLOAD};
use crate::grpc;
use crate::hpack::{Decoder, Encoder, HpackError};
use crate::payload::Frame;
use crate::reader::Frames;
use crate::settings::{
    Announced, Settings, DEFAULT_HEADER_TABLE, ENABLE_PUSH, HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE,
    MAX_HEADER_LIST_SIZE,
};
use crate::window::{ReceiveWindow, SendWindow, INITIAL_WINDOW};

mod answer;
mod failure;
mod limits;
mod request;

pub use failure::{CallError, NotSent, Outcome};
pub use limits::Limits;
pub use request::Request;

/// What a client sends before its first frame (RFC 9113, section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the output grows by at most for each frame that is read, in bytes, beside what is left of
/// the request: two `WINDOW_UPDATE` and a reset, or a `PING` and a `GOAWAY`.
pub const MOST_ANSWERED: usize = 40;

#[derive(Debug)]
enum Life {
    /// The peer has yet to send its `SETTINGS`, which come first.
    Fresh,
    Open,
    /// The peer has announced the end: it answers the call that runs, or has said that it does not.
    Leaving(Farewell),
    Over(ConnectionError),
}

#[derive(Debug)]
struct Call {
    stream: StreamId,
    /// What is left of the request.
    unsent: Vec<u8>,
    send: SendWindow,
    receive: ReceiveWindow,
    answer: Answer,
}

/// The client's end of a connection.
#[derive(Debug)]
pub struct Client {
    limits: Limits,
    life: Life,
    frames: Frames,
    blocks: Blocks,
    decoder: Decoder,
    encoder: Encoder,
    announced: Announced,
    send: SendWindow,
    receive: ReceiveWindow,
    /// Smaller odd numbers have been used.
    next: StreamId,
    call: Option<Call>,
    output: Vec<u8>,
}

impl Client {
    /// A new connection. Its preface is in the output.
    pub fn new(limits: Limits) -> Self {
        let window = limits.window.max(INITIAL_WINDOW);
        let mut client = Self {
            limits: Limits { window, ..limits },
            life: Life::Fresh,
            frames: Frames::new(DEFAULT_MAX_PAYLOAD),
            blocks: Blocks::new(limits.header_block, limits.header_frames),
            decoder: Decoder::new(DEFAULT_HEADER_TABLE, limits.header_list),
            encoder: Encoder::new(),
            announced: Announced::default(),
            send: SendWindow::new(INITIAL_WINDOW),
            receive: ReceiveWindow::new(window),
            next: StreamId(1),
            call: None,
            output: PREFACE.to_vec(),
        };
        let list = u32::try_from(limits.header_list).unwrap_or(u32::MAX);
        let settings =
            [(ENABLE_PUSH, 0), (INITIAL_WINDOW_SIZE, window), (MAX_HEADER_LIST_SIZE, list)].map(
                |(setting, value)| {
                    let ([a, b], [c, d, e, f]) = (setting.to_be_bytes(), value.to_be_bytes());
                    [a, b, c, d, e, f]
                },
            );
        client.put(Frame::Settings(Settings(&settings)));
        if let increment @ 1.. = window - INITIAL_WINDOW {
            client.put(Frame::WindowUpdate { stream: StreamId::CONNECTION, increment });
        }
        client
    }

    /// What is to be sent to the server, in order. The owner takes it out.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Begins a call. It may be begun before the server has said anything.
    ///
    /// # Errors
    /// When another call runs, or the connection takes no further one. Nothing is sent then.
    pub fn call(&mut self, request: &Request<'_>) -> Result<(), NotSent> {
        match &self.life {
            _ if self.call.is_some() => return Err(NotSent::Busy),
            Life::Over(error) => return Err(NotSent::Over(error.clone())),
            Life::Leaving(farewell) => return Err(NotSent::GoingAway(farewell.clone())),
            Life::Fresh | Life::Open => {}
        }
        let length = request.message.len();
        let prefix = grpc::prefix(length).ok_or(NotSent::TooLong(length))?;
        let stream = self.next;
        self.next = StreamId(stream.0.checked_add(2).ok_or(NotSent::Exhausted)?);
        if stream.0 > StreamId::MOST {
            return Err(NotSent::Exhausted);
        }
        let block = self.encoder.encode(&request.headers());
        write_headers(&mut self.output, stream, &block, false, self.announced.max_payload);
        self.call = Some(Call {
            stream,
            unsent: [&prefix, request.message].concat(),
            send: SendWindow::new(self.announced.initial_window),
            receive: ReceiveWindow::new(self.limits.window),
            answer: Answer::new(self.limits.answer),
        });
        self.send_on();
        Ok(())
    }

    /// Ends the call that runs, if one does. The server is told.
    pub fn cancel(&mut self) {
        if let Some(call) = self.call.take() {
            self.put(Frame::Reset { stream: call.stream, code: ErrorCode::CANCEL });
        }
    }

    /// Takes bytes of the server's from the front of `input`, up to the end of the call; `None`
    /// when all of them have been taken and it goes on.
    ///
    /// # Errors
    /// When the connection is over, and with it the call. A `GOAWAY` that says so is in the output,
    /// and every later call answers the same.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Outcome>, ConnectionError> {
        if let Life::Over(error) = &self.life {
            return Err(error.clone());
        }
        let result = self.read_on(input);
        if let Err(error) = &result {
            self.put(Frame::GoAway { last: StreamId::CONNECTION, code: error.code(), debug: &[] });
            self.end(error);
        }
        result
    }

    /// Notes that the server has closed the connection, and returns what that means.
    pub fn closed(&mut self) -> ConnectionError {
        let error = match &self.life {
            Life::Over(error) => error.clone(),
            Life::Leaving(farewell) => ConnectionError::ClosedAfter(farewell.clone()),
            Life::Fresh | Life::Open => ConnectionError::Closed,
        };
        self.end(&error);
        error
    }

    fn end(&mut self, error: &ConnectionError) {
        self.call = None;
        self.life = Life::Over(error.clone());
    }

    fn read_on(&mut self, input: &mut &[u8]) -> Result<Option<Outcome>, ConnectionError> {
        loop {
            let frame = self.frames.read(input).map_err(|error| match error {
                ConnectionError::FrameTooLong { length: HTTP_1, .. }
                    if matches!(self.life, Life::Fresh) =>
                {
                    ConnectionError::Http1
                }
                error => error,
            });
            let Some((head, payload)) = frame? else { return Ok(None) };
            self.blocks.admit(head)?;
            let frame = Frame::parse(head, &payload)?;
            if matches!(self.life, Life::Fresh) {
                if !matches!(frame, Frame::Settings(_)) {
                    return Err(ConnectionError::Preface(head.kind));
                }
                self.life = Life::Open;
            }
            if let Some(outcome) = self.take(head, frame)? {
                return Ok(Some(outcome));
            }
        }
    }

    fn take(&mut self, head: Head, frame: Frame<'_>) -> Result<Option<Outcome>, ConnectionError> {
        match frame {
            Frame::Data { bytes, end_stream, .. } => return self.data(head, bytes, end_stream),
            Frame::Headers { .. } | Frame::Continuation { .. } => {
                self.is_of_call(head)?;
                if let Some(block) = self.blocks.take(&frame)? {
                    return self.block(head, &block);
                }
            }
            Frame::Reset { code, .. } => {
                if self.is_of_call(head)? {
                    self.call = None;
                    return Ok(Some(Err(CallError::Reset(code))));
                }
            }
            Frame::Settings(settings) => self.settings(settings)?,
            Frame::Ping { ack: false, opaque } => self.put(Frame::Ping { ack: true, opaque }),
            Frame::GoAway { last, code, debug } => return Ok(self.go_away(last, code, debug)),
            Frame::WindowUpdate { stream: StreamId::CONNECTION, increment } => {
                let overflow = ConnectionError::WindowOverflow(StreamId::CONNECTION);
                self.send.widen(increment).map_err(|_| overflow)?;
                self.send_on();
            }
            Frame::WindowUpdate { stream, increment } => {
                if self.is_of_call(head)? {
                    let overflow = ConnectionError::WindowOverflow(stream);
                    if let Some(call) = &mut self.call {
                        call.send.widen(increment).map_err(|_| overflow)?;
                    }
                    self.send_on();
                }
            }
            Frame::PushPromise { .. } => return Err(ConnectionError::Push),
            Frame::Ping { ack: true, .. }
            | Frame::SettingsAck
            | Frame::Priority { .. }
            | Frame::Unknown { .. } => {}
        }
        Ok(None)
    }

    /// Whether a frame is for the call that runs; one for a call that is over is not.
    fn is_of_call(&self, head: Head) -> Result<bool, ConnectionError> {
        let stream = head.stream;
        if stream >= self.next || stream.0.is_multiple_of(2) {
            return Err(ConnectionError::NoSuchStream { kind: head.kind, stream });
        }
        Ok(self.call.as_ref().is_some_and(|call| call.stream == stream))
    }

    fn data(
        &mut self,
        head: Head,
        bytes: &[u8],
        end_stream: bool,
    ) -> Result<Option<Outcome>, ConnectionError> {
        let (stream, length) = (head.stream, head.length);
        let is_of_call = self.is_of_call(head)?;
        let exceeded = |_| ConnectionError::WindowExceeded(StreamId::CONNECTION);
        self.receive.received(length).map_err(exceeded)?;
        if let Some(increment) = self.receive.increment() {
            self.put(Frame::WindowUpdate { stream: StreamId::CONNECTION, increment });
        }
        let Some(call) = self.call.as_mut().filter(|_| is_of_call) else { return Ok(None) };
        let exceeded = |_| ConnectionError::WindowExceeded(stream);
        call.receive.received(length).map_err(exceeded)?;
        if let Err(error) = call.answer.data(bytes) {
            return Ok(self.finish(Err(error), end_stream));
        }
        if end_stream {
            return Ok(self.finish(Err(CallError::Malformed("it ended without a status")), true));
        }
        if let Some(increment) = call.receive.increment() {
            self.put(Frame::WindowUpdate { stream, increment });
        }
        Ok(None)
    }

    fn block(&mut self, head: Head, block: &Block) -> Result<Option<Outcome>, ConnectionError> {
        // Also one that nobody waits for: the next is decoded with what it leaves.
        let list = match self.decoder.decode(&block.bytes) {
            Err(HpackError::ListTooLong(most)) => Err(CallError::HeadersTooLong(most)),
            list => Ok(list?),
        };
        if !self.is_of_call(head)? {
            return Ok(None);
        }
        let Some(call) = &mut self.call else { return Ok(None) };
        let outcome = match list {
            Ok(list) => call.answer.headers(&list, block.end_stream),
            Err(error) => Some(Err(error)),
        };
        Ok(outcome.and_then(|outcome| self.finish(outcome, block.end_stream)))
    }

    fn settings(&mut self, settings: Settings<'_>) -> Result<(), ConnectionError> {
        // A server promises pushes, it takes none (RFC 9113, section 6.5.2).
        if settings.iter().any(|pair| pair == (ENABLE_PUSH, 1)) {
            return Err(ConnectionError::Setting { setting: ENABLE_PUSH, value: 1 });
        }
        let before = self.announced;
        self.announced = before.after(settings)?;
        if let Some(call) = &mut self.call {
            let overflow = ConnectionError::WindowOverflow(call.stream);
            call.send
                .rebase(before.initial_window, self.announced.initial_window)
                .map_err(|_| overflow)?;
        }
        if settings.iter().any(|(setting, _)| setting == HEADER_TABLE_SIZE) {
            self.encoder.table_size_announced();
        }
        self.put(Frame::SettingsAck);
        self.send_on();
        Ok(())
    }

    fn go_away(&mut self, last: StreamId, code: ErrorCode, debug: &[u8]) -> Option<Outcome> {
        let farewell = Farewell::new(code, debug);
        self.life = Life::Leaving(farewell.clone());
        if self.call.as_ref().is_some_and(|call| call.stream > last) {
            self.call = None;
            return Some(Err(CallError::GoneAway(farewell)));
        }
        None
    }

    /// Ends the call. The server is told where it, or we, have something left to send.
    fn finish(&mut self, outcome: Outcome, server_is_done: bool) -> Option<Outcome> {
        let call = self.call.take()?;
        if !server_is_done || !call.unsent.is_empty() {
            self.put(Frame::Reset { stream: call.stream, code: ErrorCode::CANCEL });
        }
        Some(outcome)
    }

    /// Sends as much of the request as the server's windows allow.
    fn send_on(&mut self) {
        let Some(call) = &mut self.call else { return };
        let mut sent = 0;
        while let Some(rest) = call.unsent.get(sent..).filter(|rest| !rest.is_empty()) {
            let most = self.send.open().min(call.send.open()).min(self.announced.max_payload);
            let part = rest.get(..most).unwrap_or(rest);
            if part.is_empty() {
                break;
            }
            let end_stream = part.len() == rest.len();
            let data = Frame::Data { stream: call.stream, bytes: part, end_stream };
            // It is no longer than the server takes.
            let _ = data.write(&mut self.output);
            self.send.sent(part.len());
            call.send.sent(part.len());
            sent += part.len();
        }
        call.unsent.drain(..sent);
    }

    /// Puts a frame of a fixed size, or of a text that was cut, into the output.
    fn put(&mut self, frame: Frame<'_>) {
        // It fits into a frame.
        let _ = frame.write(&mut self.output);
    }
}

/// What the length of a frame is when the first bytes are `HTT`, of `HTTP/1.1 400 Bad Request`.
const HTTP_1: usize = 0x48_54_54;
