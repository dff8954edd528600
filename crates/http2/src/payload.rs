//! Frames with their payloads (RFC 9113, section 6): read from bytes that are whole, written to a
//! buffer.

use crate::error::{ErrorCode, FrameError, PayloadTooLong};
use crate::frame::{flag, Head, Kind, StreamId, MAX_PAYLOAD};
use crate::settings::Settings;

/// A priority, as it is sent (section 6.3). It means nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priority(pub [u8; 5]);

/// A frame. Padding is left out: what flow control counts is [`Head::length`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Bytes of a message.
    Data {
        /// The stream.
        stream: StreamId,
        /// The bytes.
        bytes: &'a [u8],
        /// Whether nothing follows.
        end_stream: bool,
    },
    /// The first part of a header block.
    Headers {
        /// The stream.
        stream: StreamId,
        /// The part of the block.
        fragment: &'a [u8],
        /// A priority, if there is one.
        priority: Option<Priority>,
        /// Whether nothing follows but the rest of the block.
        end_stream: bool,
        /// Whether the block is whole.
        end_headers: bool,
    },
    /// A priority.
    Priority {
        /// The stream.
        stream: StreamId,
        /// The priority.
        priority: Priority,
    },
    /// The end of a stream.
    Reset {
        /// The stream.
        stream: StreamId,
        /// Why.
        code: ErrorCode,
    },
    /// How the sender wants to be spoken to.
    Settings(Settings<'a>),
    /// The acknowledgement of settings.
    SettingsAck,
    /// The first part of the header block of a stream that is going to be opened.
    PushPromise {
        /// The stream that it belongs to.
        stream: StreamId,
        /// The stream that is going to be opened.
        promised: StreamId,
        /// The part of the block.
        fragment: &'a [u8],
        /// Whether the block is whole.
        end_headers: bool,
    },
    /// A ping, or the answer to one.
    Ping {
        /// Whether it is an answer.
        ack: bool,
        /// What the answer repeats.
        opaque: [u8; 8],
    },
    /// The announced end of the connection.
    GoAway {
        /// The last stream of the receiver's that something was or will be done for.
        last: StreamId,
        /// Why.
        code: ErrorCode,
        /// Text for people.
        debug: &'a [u8],
    },
    /// More may be sent.
    WindowUpdate {
        /// The stream, or the connection.
        stream: StreamId,
        /// How many bytes more; never 0 in a frame that was read.
        increment: u32,
    },
    /// A further part of a header block.
    Continuation {
        /// The stream.
        stream: StreamId,
        /// The part of the block.
        fragment: &'a [u8],
        /// Whether the block is whole.
        end_headers: bool,
    },
    /// A frame of a type that RFC 9113 does not have, to be ignored or passed on.
    Unknown {
        /// The head.
        head: Head,
        /// The payload.
        payload: &'a [u8],
    },
}

impl<'a> Frame<'a> {
    /// Reads the frame with this head and its whole payload.
    ///
    /// # Errors
    /// When the payload, or the stream, is not what the type asks for.
    pub fn parse(head: Head, payload: &'a [u8]) -> Result<Self, FrameError> {
        let stream = head.stream;
        let end_stream = head.has(flag::END_STREAM);
        let end_headers = head.has(flag::END_HEADERS);
        check_stream(head)?;
        Ok(match head.kind {
            Kind::DATA => Self::Data { stream, bytes: unpadded(head, payload)?, end_stream },
            Kind::HEADERS => {
                let mut fragment = unpadded(head, payload)?;
                let mut priority = None;
                if head.has(flag::PRIORITY) {
                    let (first, rest) = fragment
                        .split_first_chunk()
                        .ok_or_else(|| wrong_length(head, "there is no room for its priority"))?;
                    (priority, fragment) = (Some(Priority(*first)), rest);
                }
                Self::Headers { stream, fragment, priority, end_stream, end_headers }
            }
            Kind::PRIORITY => {
                let concerns = stream;
                let wrong = FrameError { concerns, ..wrong_length(head, "it is not 5 bytes long") };
                Self::Priority {
                    stream,
                    priority: Priority(payload.try_into().map_err(|_| wrong)?),
                }
            }
            Kind::RST_STREAM => Self::Reset { stream, code: ErrorCode(number(head, payload)?) },
            Kind::SETTINGS if head.has(flag::ACK) => {
                if !payload.is_empty() {
                    return Err(wrong_length(head, "an acknowledgement has a payload"));
                }
                Self::SettingsAck
            }
            Kind::SETTINGS => match payload.as_chunks() {
                (settings, []) => Self::Settings(Settings(settings)),
                _ => return Err(wrong_length(head, "its length is not a multiple of 6")),
            },
            Kind::PUSH_PROMISE => {
                let (promised, fragment) = unpadded(head, payload)?
                    .split_first_chunk()
                    .ok_or_else(|| wrong_length(head, "there is no room for a stream"))?;
                Self::PushPromise {
                    stream,
                    promised: StreamId::of(*promised),
                    fragment,
                    end_headers,
                }
            }
            Kind::PING => {
                let wrong = wrong_length(head, "it is not 8 bytes long");
                let opaque = payload.try_into().map_err(|_| wrong)?;
                Self::Ping { ack: head.has(flag::ACK), opaque }
            }
            Kind::GOAWAY => {
                let (numbers, debug) = payload
                    .split_first_chunk::<8>()
                    .ok_or_else(|| wrong_length(head, "it is shorter than 8 bytes"))?;
                let [a, b, c, d, e, f, g, h] = *numbers;
                let code = ErrorCode(u32::from_be_bytes([e, f, g, h]));
                Self::GoAway { last: StreamId::of([a, b, c, d]), code, debug }
            }
            Kind::WINDOW_UPDATE => {
                let increment = number(head, payload)? & StreamId::MOST;
                if increment == 0 {
                    let concerns = stream;
                    return Err(FrameError { concerns, ..malformed(head, "it opens no window") });
                }
                Self::WindowUpdate { stream, increment }
            }
            Kind::CONTINUATION => Self::Continuation { stream, fragment: payload, end_headers },
            _ => Self::Unknown { head, payload },
        })
    }

    /// Appends the frame to `out`.
    ///
    /// # Errors
    /// When its payload is longer than [`MAX_PAYLOAD`]. Nothing is appended then.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), PayloadTooLong> {
        let end = |end_stream| if end_stream { flag::END_STREAM } else { 0 };
        let whole = |end_headers| if end_headers { flag::END_HEADERS } else { 0 };
        let ack = |ack| if ack { flag::ACK } else { 0 };
        let connection = StreamId::CONNECTION;
        match *self {
            Self::Data { stream, bytes, end_stream } => {
                push(out, Kind::DATA, end(end_stream), stream, &[bytes])
            }
            Self::Headers { stream, fragment, priority, end_stream, end_headers } => {
                let flags = end(end_stream) | whole(end_headers);
                match priority {
                    None => push(out, Kind::HEADERS, flags, stream, &[fragment]),
                    Some(Priority(priority)) => {
                        let flags = flags | flag::PRIORITY;
                        push(out, Kind::HEADERS, flags, stream, &[&priority, fragment])
                    }
                }
            }
            Self::Priority { stream, priority: Priority(priority) } => {
                push(out, Kind::PRIORITY, 0, stream, &[&priority])
            }
            Self::Reset { stream, code: ErrorCode(code) } => {
                push(out, Kind::RST_STREAM, 0, stream, &[&code.to_be_bytes()])
            }
            Self::Settings(Settings(settings)) => {
                push(out, Kind::SETTINGS, 0, connection, &[settings.as_flattened()])
            }
            Self::SettingsAck => push(out, Kind::SETTINGS, flag::ACK, connection, &[]),
            Self::PushPromise { stream, promised, fragment, end_headers } => {
                let promised = promised.0.to_be_bytes();
                let flags = whole(end_headers);
                push(out, Kind::PUSH_PROMISE, flags, stream, &[&promised, fragment])
            }
            Self::Ping { ack: is_answer, opaque } => {
                push(out, Kind::PING, ack(is_answer), connection, &[&opaque])
            }
            Self::GoAway { last, code, debug } => {
                let (last, code) = (last.0.to_be_bytes(), code.0.to_be_bytes());
                push(out, Kind::GOAWAY, 0, connection, &[&last, &code, debug])
            }
            Self::WindowUpdate { stream, increment } => {
                push(out, Kind::WINDOW_UPDATE, 0, stream, &[&increment.to_be_bytes()])
            }
            Self::Continuation { stream, fragment, end_headers } => {
                push(out, Kind::CONTINUATION, whole(end_headers), stream, &[fragment])
            }
            Self::Unknown { head, payload } => {
                push(out, head.kind, head.flags, head.stream, &[payload])
            }
        }
    }
}

fn push(
    out: &mut Vec<u8>,
    kind: Kind,
    flags: u8,
    stream: StreamId,
    pieces: &[&[u8]],
) -> Result<(), PayloadTooLong> {
    let length = pieces.iter().map(|piece| piece.len()).sum();
    if length > MAX_PAYLOAD {
        return Err(PayloadTooLong(length));
    }
    out.extend_from_slice(&Head { length, kind, flags, stream }.bytes());
    pieces.iter().for_each(|piece| out.extend_from_slice(piece));
    Ok(())
}

/// Which types are of a stream, and which of the connection.
fn check_stream(head: Head) -> Result<(), FrameError> {
    let is_of_connection = head.stream == StreamId::CONNECTION;
    match head.kind {
        Kind::SETTINGS | Kind::PING | Kind::GOAWAY if !is_of_connection => {
            Err(malformed(head, "it is of a stream"))
        }
        Kind::DATA
        | Kind::HEADERS
        | Kind::PRIORITY
        | Kind::RST_STREAM
        | Kind::PUSH_PROMISE
        | Kind::CONTINUATION
            if is_of_connection =>
        {
            Err(malformed(head, "it is of no stream"))
        }
        _ => Ok(()),
    }
}

/// The payload without its padding.
fn unpadded(head: Head, payload: &[u8]) -> Result<&[u8], FrameError> {
    if !head.has(flag::PADDED) {
        return Ok(payload);
    }
    let (padding, rest) = payload
        .split_first()
        .ok_or_else(|| wrong_length(head, "there is no room for its padding"))?;
    rest.len()
        .checked_sub(usize::from(*padding))
        .and_then(|length| rest.get(..length))
        .ok_or_else(|| malformed(head, "its padding is longer than its payload"))
}

fn number(head: Head, payload: &[u8]) -> Result<u32, FrameError> {
    let wrong = wrong_length(head, "it is not 4 bytes long");
    payload.try_into().map(u32::from_be_bytes).map_err(|_| wrong)
}

fn malformed(head: Head, what: &'static str) -> FrameError {
    let code = ErrorCode::PROTOCOL_ERROR;
    FrameError { kind: head.kind, what, code, concerns: StreamId::CONNECTION }
}

fn wrong_length(head: Head, what: &'static str) -> FrameError {
    FrameError { code: ErrorCode::FRAME_SIZE_ERROR, ..malformed(head, what) }
}

#[cfg(test)]
mod tests;
