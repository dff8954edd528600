//! A client's end of the channels, for tests and for loads.

use crate::error::{CloseStatus, ConnectionError, NotSent};
use crate::messages::{Coding, Messages, Told};
use crate::ports::{Channel, Ports};
use crate::socket::{Socket, State, Takes};

/// What has come from the server on a [`ChannelsClient`].
#[derive(Debug, PartialEq, Eq)]
pub enum ClientEvent<'a> {
    /// Bytes from a port, at least one.
    Data {
        /// The channel that it has.
        channel: Channel,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// A part of what is wrong with a port.
    Report {
        /// The channel that it has.
        channel: Channel,
        /// The text.
        text: &'a [u8],
    },
    /// The server has answered to a ping of ours.
    Pong {
        /// What [`ChannelsClient::ping`] has answered.
        ping: u32,
    },
    /// The server has closed the connection.
    Closed {
        /// Why, if it says so.
        status: Option<CloseStatus>,
        /// Why in words.
        reason: String,
    },
}

/// How much of its port the server has said on a channel.
#[derive(Debug, Clone, Copy)]
enum Said {
    Nothing,
    Low(u8),
    Port,
}

/// The end of a client.
#[derive(Debug)]
pub struct ChannelsClient {
    messages: Messages,
    /// For each channel by its number, its port and how much of it has been said.
    channels: Vec<(u16, Said)>,
}

impl ChannelsClient {
    /// A client that has asked for these ports; each frame has the same `mask` ([`Socket::client`]).
    pub fn new(ports: &Ports, coding: Coding, mask: [u8; 4]) -> Self {
        let channels = ports.iter().flat_map(|(_, port)| [(port, Said::Nothing); 2]).collect();
        Self { messages: Messages::new(Socket::client(Takes::Both, mask), coding), channels }
    }

    /// What is to be sent to the server, in order. The owner takes it from the front, and adds nothing.
    pub fn output(&mut self) -> &mut Vec<u8> {
        self.messages.socket.output()
    }

    /// How far the close handshake is.
    pub fn state(&self) -> State {
        self.messages.socket.state()
    }

    /// Takes bytes of the server's from the front of `input`, up to the next event; `None` when all of
    /// them have been taken.
    ///
    /// # Errors
    /// When the server has broken the protocol, or says another port than it was asked for.
    pub fn read<'a>(
        &mut self,
        input: &mut &'a mut [u8],
    ) -> Result<Option<ClientEvent<'a>>, ConnectionError> {
        while let Some(told) = self.messages.read(input)? {
            match told {
                Told::Bytes { channel, bytes } => {
                    let event = self.take_in(channel, bytes);
                    if let Some(event) = event.map_err(|error| self.messages.socket.fail(error))? {
                        return Ok(Some(event));
                    }
                }
                Told::Pong { ping } => return Ok(Some(ClientEvent::Pong { ping })),
                Told::Closed { status, reason } => {
                    return Ok(Some(ClientEvent::Closed { status, reason }));
                }
            }
        }
        Ok(None)
    }

    /// Sends bytes to a port.
    ///
    /// # Errors
    /// When the connection is closed for sending.
    pub fn send(&mut self, channel: Channel, bytes: &[u8]) -> Result<(), NotSent> {
        self.messages.send(channel.number(), bytes)
    }

    /// Asks the server for an answer; the number is what [`ClientEvent::Pong`] will say.
    ///
    /// # Errors
    /// When the connection is closed for sending.
    pub fn ping(&mut self) -> Result<u32, NotSent> {
        self.messages.socket.ping()
    }

    /// Closes the connection, if it is open, as [`Socket::close`] does.
    pub fn close(&mut self, status: CloseStatus, reason: &str) {
        self.messages.socket.close(status, reason);
    }

    /// What the server has said on a channel, behind its port.
    fn take_in<'a>(
        &mut self,
        number: u8,
        mut bytes: &'a [u8],
    ) -> Result<Option<ClientEvent<'a>>, ConnectionError> {
        let Some((asked, said)) = self.channels.get_mut(usize::from(number)) else {
            return Ok(None);
        };
        while let (Said::Nothing | Said::Low(_), [first, rest @ ..]) = (*said, bytes) {
            bytes = rest;
            *said = match *said {
                Said::Low(low) => {
                    let port = u16::from_le_bytes([low, *first]);
                    if port != *asked {
                        return Err(ConnectionError::Port { channel: number, port, asked: *asked });
                    }
                    Said::Port
                }
                Said::Nothing | Said::Port => Said::Low(*first),
            };
        }
        let channel = Channel::of(number);
        Ok(match bytes {
            [] => None,
            _ if number == channel.number() => Some(ClientEvent::Data { channel, bytes }),
            text => Some(ClientEvent::Report { channel, text }),
        })
    }
}
