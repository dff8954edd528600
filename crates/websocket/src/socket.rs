//! One end of a WebSocket connection: bytes in, parts of messages and bytes out.
//!
//! Reading has four states. The head of a frame is gathered, and the payload of a control frame, which
//! has 125 bytes at most; that of a message is unmasked where it stands and passed on as it comes.
//! After the peer's close frame nothing is read. What the owner sends is in `sending.rs`.

use crate::error::{CloseStatus, ConnectionError};
use crate::event::Event;
use crate::frame::{Head, HeadReader, Opcode, Sender, MAX_CONTROL};
use crate::mask::Mask;
use crate::output::Output;

mod sending;

/// What reading adds to the output at most while the owner takes nothing out, in bytes, whatever the
/// peer sends: an answer to its last ping, and a close frame, each with the longest payload.
pub const MOST_ANSWERED: usize = 2 * (2 + 4 + MAX_CONTROL);

/// Which messages are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Binary ones; one of text ends the connection.
    Binary,
    /// Text as well. Its bytes are told as they are, and not checked to be UTF-8.
    Both,
}

/// How far the close handshake is (RFC 6455 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Both ends may send.
    Open,
    /// Our close frame has been put into the output, the peer's is due. What else comes is passed over.
    Closing,
    /// Nothing is read or sent any more: the peer's close frame has come, or it has broken the protocol.
    Closed,
}

/// Who sends with which masks.
#[derive(Debug, Clone, Copy)]
enum Role {
    Server,
    Client { mask: Mask },
}

impl Role {
    fn peer(self) -> Sender {
        match self {
            Self::Server => Sender::Client,
            Self::Client { .. } => Sender::Server,
        }
    }
}

/// What is read next.
#[derive(Debug)]
enum Reading {
    Head(HeadReader),
    Control {
        opcode: Opcode,
        mask: Option<Mask>,
        length: usize,
        payload: Vec<u8>,
    },
    Data {
        mask: Option<Mask>,
        left: u64,
        /// The message ends with this frame.
        fin: bool,
    },
    /// Nothing any more: the peer has closed.
    Closed,
    /// Nothing any more: the peer has broken the protocol.
    Failed(ConnectionError),
}

const NEXT_HEAD: Reading = Reading::Head(HeadReader::NEW);

/// Whether a message has begun that more frames belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Between,
    Within,
}

/// Whether our close frame has been put into the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sends {
    Frames,
    Nothing,
}

/// One end of a connection, after the handshake.
#[derive(Debug)]
pub struct Socket {
    role: Role,
    takes: Takes,
    reading: Reading,
    message: Message,
    sends: Sends,
    next_ping: u32,
    output: Output,
}

impl Socket {
    /// The end of a server.
    pub fn server(takes: Takes) -> Self {
        Self::new(Role::Server, takes)
    }

    /// The end of a client, for tests and for loads: each frame has the same `mask`, while one that
    /// talks through proxies that it does not trust has to take unpredictable ones (RFC 6455 section 10.3).
    pub fn client(takes: Takes, mask: [u8; 4]) -> Self {
        Self::new(Role::Client { mask: Mask(mask) }, takes)
    }

    fn new(role: Role, takes: Takes) -> Self {
        Self {
            role,
            takes,
            reading: NEXT_HEAD,
            message: Message::Between,
            sends: Sends::Frames,
            next_ping: 1,
            output: Output::default(),
        }
    }

    /// What is to be sent to the peer, in order. The owner takes it from the front, and adds nothing.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output.bytes
    }

    /// How far the close handshake is.
    pub fn state(&self) -> State {
        match (&self.reading, self.sends) {
            (Reading::Closed | Reading::Failed(_), _) => State::Closed,
            (_, Sends::Nothing) => State::Closing,
            (_, Sends::Frames) => State::Open,
        }
    }

    /// Takes bytes of the peer's from the front of `input`, up to the next event; `None` when all of
    /// them have been taken. Data is unmasked where it stands in `input`.
    ///
    /// # Errors
    /// When the peer has broken the protocol. A close frame that says so is in the output by then, and
    /// every later call answers the same.
    pub fn read<'a>(
        &mut self,
        input: &mut &'a mut [u8],
    ) -> Result<Option<Event<'a>>, ConnectionError> {
        self.read_on(input).map_err(|error| self.fail(error))
    }

    /// Ends the connection because of what the peer has done, if it has not ended before.
    pub(crate) fn fail(&mut self, error: ConnectionError) -> ConnectionError {
        if !matches!(self.reading, Reading::Failed(_)) {
            self.close(error.status(), &error.to_string());
            self.reading = Reading::Failed(error);
        }
        error
    }

    fn read_on<'a>(
        &mut self,
        input: &mut &'a mut [u8],
    ) -> Result<Option<Event<'a>>, ConnectionError> {
        loop {
            match &mut self.reading {
                Reading::Failed(error) => return Err(*error),
                Reading::Closed => {
                    *input = &mut [];
                    return Ok(None);
                }
                Reading::Head(reader) => {
                    reader.take(take(input, reader.missing()), self.role.peer())?;
                    if reader.missing() > 0 {
                        if input.is_empty() {
                            return Ok(None);
                        }
                        // Its start is there, and says how long the whole is.
                        continue;
                    }
                    let head = reader.head()?;
                    self.begin_frame(head)?;
                }
                Reading::Data { mask, left, fin } => {
                    let bytes = take(input, usize::try_from(*left).unwrap_or(usize::MAX));
                    if let Some(mask) = mask {
                        mask.apply(bytes);
                    }
                    *left -= bytes.len() as u64;
                    let is_whole = *left == 0;
                    let fin = *fin && is_whole;
                    if is_whole {
                        self.reading = NEXT_HEAD;
                    } else if bytes.is_empty() {
                        return Ok(None);
                    }
                    if self.sends == Sends::Frames && (fin || !bytes.is_empty()) {
                        return Ok(Some(Event::Data { bytes, fin }));
                    }
                }
                Reading::Control { opcode, mask, length, payload } => {
                    payload.extend_from_slice(take(input, *length - payload.len()));
                    if payload.len() < *length {
                        return Ok(None);
                    }
                    let (opcode, mut payload) = (*opcode, std::mem::take(payload));
                    if let Some(mask) = mask {
                        mask.apply(&mut payload);
                    }
                    self.reading = NEXT_HEAD;
                    if let Some(event) = self.control(opcode, &payload)? {
                        return Ok(Some(event));
                    }
                }
            }
        }
    }

    fn begin_frame(&mut self, head: Head) -> Result<(), ConnectionError> {
        let Head { fin, opcode, mask, length } = head;
        match (opcode, self.message) {
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => {
                // A longer one is refused with the head.
                let length = usize::try_from(length).unwrap_or(MAX_CONTROL).min(MAX_CONTROL);
                self.reading = Reading::Control { opcode, mask, length, payload: Vec::new() };
                return Ok(());
            }
            (Opcode::Continuation, Message::Between) => {
                return Err(ConnectionError::NothingToContinue);
            }
            (Opcode::Text | Opcode::Binary, Message::Within) => {
                return Err(ConnectionError::Interrupted);
            }
            (Opcode::Text, Message::Between) if self.takes == Takes::Binary => {
                return Err(ConnectionError::Text);
            }
            (Opcode::Continuation, Message::Within)
            | (Opcode::Text | Opcode::Binary, Message::Between) => {}
        }
        self.message = if fin { Message::Between } else { Message::Within };
        self.reading = Reading::Data { mask, left: length, fin };
        Ok(())
    }

    fn control(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        match opcode {
            Opcode::Ping => {
                self.answer(payload);
                Ok(None)
            }
            Opcode::Pong => {
                // One that nobody has asked for is allowed, and means nothing (section 5.5.3).
                let ping = payload.try_into().ok().map(u32::from_be_bytes);
                let ping = ping.filter(|ping| (1..self.next_ping).contains(ping));
                Ok(ping.map(|ping| Event::Pong { ping }))
            }
            _ => {
                let (status, reason) = close_payload(payload)?;
                // The answer says the same (section 5.5.1).
                self.close_with(status, "");
                self.reading = Reading::Closed;
                Ok(Some(Event::Closed { status, reason }))
            }
        }
    }
}

/// What a close frame says.
fn close_payload(payload: &[u8]) -> Result<(Option<CloseStatus>, String), ConnectionError> {
    let Some((number, reason)) = payload.split_first_chunk() else {
        let empty = payload.is_empty().then(|| (None, String::new()));
        return empty.ok_or(ConnectionError::CloseTooShort);
    };
    let number = u16::from_be_bytes(*number);
    let status = CloseStatus::received(number).ok_or(ConnectionError::CloseStatus(number))?;
    let reason = std::str::from_utf8(reason).map_err(|_| ConnectionError::CloseReason)?;
    Ok((Some(status), reason.to_owned()))
}

/// Takes up to `most` bytes from the front.
fn take<'a>(input: &mut &'a mut [u8], most: usize) -> &'a mut [u8] {
    let all = std::mem::take(input);
    let (taken, rest) = all.split_at_mut(all.len().min(most));
    *input = rest;
    taken
}
