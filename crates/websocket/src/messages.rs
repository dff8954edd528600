//! The messages of `v4.channel.k8s.io` and `v4.base64.channel.k8s.io`: a channel, and bytes.
//!
//! A message begins with the number of its channel, as a byte or as a character that is so many behind
//! `0`; then come the bytes, as they are or in base64. A message that comes in parts is told in parts.

use base64::prelude::{Engine, BASE64_STANDARD};

use crate::base64::{Base64, Malformed};
use crate::error::{CloseStatus, ConnectionError, NotSent};
use crate::event::Event;
use crate::frame::{FrameHead, Opcode};
use crate::socket::Socket;

/// How the messages of a connection are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Binary ones, of `v4.channel.k8s.io` or of a client that names no protocol.
    Binary,
    /// Text, of `v4.base64.channel.k8s.io`.
    Base64,
}

impl Coding {
    fn decoder(self) -> Decoder {
        match self {
            Self::Binary => Decoder::Plain,
            Self::Base64 => Decoder::Base64(Base64::NEW),
        }
    }

    /// The number of a channel as it stands before the bytes, and back.
    fn first(self) -> u8 {
        match self {
            Self::Binary => 0,
            Self::Base64 => b'0',
        }
    }
}

/// Decodes the bytes of a message.
#[derive(Debug, Clone, Copy)]
enum Decoder {
    Plain,
    Base64(Base64),
}

impl Decoder {
    /// Decodes a part of a message, the last one if it is `fin`, where it stands. Answers what is good of
    /// it, and whether all is.
    fn decode<'a>(
        &mut self,
        bytes: &'a mut [u8],
        fin: bool,
    ) -> (&'a mut [u8], Result<(), Malformed>) {
        match self {
            Self::Plain => (bytes, Ok(())),
            Self::Base64(base64) => {
                let (decoded, result) = base64.decode(bytes);
                let is_cut = fin && !base64.is_whole();
                (decoded, result.and(if is_cut { Err(Malformed) } else { Ok(()) }))
            }
        }
    }
}

/// What is read next of a message.
#[derive(Debug, Clone, Copy)]
enum Reading {
    Channel,
    Bytes {
        channel: u8,
        decoder: Decoder,
    },
    /// Nothing any more: what stood before this has been told.
    Broken(ConnectionError),
}

/// What has come from the peer.
#[derive(Debug)]
pub(crate) enum Told<'a> {
    /// Bytes of a message, at least one.
    Bytes {
        channel: u8,
        bytes: &'a mut [u8],
    },
    Pong {
        ping: u32,
    },
    Closed {
        status: Option<CloseStatus>,
        reason: String,
    },
}

/// A socket with messages for channels.
#[derive(Debug)]
pub(crate) struct Messages {
    pub(crate) socket: Socket,
    coding: Coding,
    reading: Reading,
}

impl Messages {
    pub(crate) fn new(socket: Socket, coding: Coding) -> Self {
        Self { socket, coding, reading: Reading::Channel }
    }

    /// Reads up to the next thing that is to be told.
    pub(crate) fn read<'a>(
        &mut self,
        input: &mut &'a mut [u8],
    ) -> Result<Option<Told<'a>>, ConnectionError> {
        loop {
            if let Reading::Broken(error) = self.reading {
                return Err(self.socket.fail(error));
            }
            let (bytes, fin) = match self.socket.read(input)? {
                None => return Ok(None),
                Some(Event::Data { bytes, fin }) => (bytes, fin),
                Some(Event::Pong { ping }) => return Ok(Some(Told::Pong { ping })),
                Some(Event::Closed { status, reason }) => {
                    return Ok(Some(Told::Closed { status, reason }));
                }
            };
            if let Some((channel, bytes)) = self.take_in(bytes, fin) {
                return Ok(Some(Told::Bytes { channel, bytes }));
            }
        }
    }

    /// Takes in a part of a message; answers the bytes in it, if there are any.
    fn take_in<'a>(&mut self, part: &'a mut [u8], fin: bool) -> Option<(u8, &'a mut [u8])> {
        let (channel, mut decoder, rest) = match self.reading {
            Reading::Bytes { channel, decoder } => (channel, decoder, part),
            Reading::Channel | Reading::Broken(_) => {
                // An empty message is nothing, as it is upstream.
                let (first, rest) = part.split_first_mut()?;
                (first.wrapping_sub(self.coding.first()), self.coding.decoder(), rest)
            }
        };
        let (bytes, result) = decoder.decode(rest, fin);
        self.reading = match result {
            Err(Malformed) => Reading::Broken(ConnectionError::Base64(channel)),
            Ok(()) if fin => Reading::Channel,
            Ok(()) => Reading::Bytes { channel, decoder },
        };
        (!bytes.is_empty()).then_some((channel, bytes))
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, channel: u8, bytes: &[u8]) -> Result<(), NotSent> {
        let first = channel.wrapping_add(self.coding.first());
        match self.coding {
            Coding::Binary => self.socket.send_message(Opcode::Binary, 1 + bytes.len(), |room| {
                if let Some((front, rest)) = room.split_first_mut() {
                    *front = first;
                    rest.copy_from_slice(bytes);
                }
            }),
            Coding::Base64 => {
                let length = bytes.len().div_ceil(3) * 4;
                self.socket.send_message(Opcode::Text, 1 + length, |room| {
                    if let Some((front, rest)) = room.split_first_mut() {
                        *front = first;
                        let written = BASE64_STANDARD.encode_slice(bytes, rest);
                        debug_assert_eq!(written, Ok(length));
                    }
                })
            }
        }
    }

    /// Begins a message whose bytes the caller sends behind all of the output.
    pub(crate) fn begin_data(&mut self, channel: u8, length: usize) -> Result<FrameHead, NotSent> {
        match self.coding {
            Coding::Binary => Ok(self.socket.begin_data(1 + length)?.with(channel)),
            Coding::Base64 => Err(NotSent::NotPlain),
        }
    }
}
