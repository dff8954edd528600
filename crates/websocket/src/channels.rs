//! A server's end of `v4.channel.k8s.io` or `v4.base64.channel.k8s.io` for `portforward`.
//!
//! Each port has two channels and one connection to the pod, which the owner opens at once. The server's
//! first message on either channel is the port, two bytes, the low one first; a client sends none.
//! What else comes is told as it comes. What is for a channel that there is not, for an error channel or
//! for a port that has ended is passed over, as it is upstream.
//!
//! A channel cannot be closed. So there is no half-close, and that the pod has ended the connection of
//! one port can be told only when those of all have ended, by closing; until then the client waits. Text
//! on the error channel ([`Channels::report`]) is what a client takes as the end of one port: that of
//! Python closes its local socket then, that of Rust ends the port with an error.

use crate::error::{CloseStatus, ConnectionError, NotSent};
use crate::event::ChannelEvent;
use crate::frame::FrameHead;
use crate::messages::{Coding, Messages, Told};
use crate::ports::{Channel, Ports};
use crate::socket::{Socket, State, Takes};

/// Whether a port's connection to the pod goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    Open,
    Ended,
}

/// The channels of a connection, after the handshake.
#[derive(Debug)]
pub struct Channels {
    messages: Messages,
    /// In the order of their channels.
    ports: Vec<Port>,
}

impl Channels {
    /// The end of a server; what tells the client the ports is in the output by then.
    pub fn server(ports: &Ports, coding: Coding) -> Self {
        let mut messages = Messages::new(Socket::server(Takes::Both), coding);
        for (channel, port) in ports.iter() {
            for number in [channel.number(), channel.error()] {
                let sent = messages.send(number, &port.to_le_bytes());
                debug_assert_eq!(sent, Ok(()), "a new connection is open");
            }
        }
        Self { messages, ports: vec![Port::Open; ports.count()] }
    }

    /// What is to be sent to the client, in order. The owner takes it from the front, and adds nothing.
    pub fn output(&mut self) -> &mut Vec<u8> {
        self.messages.socket.output()
    }

    /// How far the close handshake is.
    pub fn state(&self) -> State {
        self.messages.socket.state()
    }

    /// Takes bytes of the client's from the front of `input`, up to the next event; `None` when all of
    /// them have been taken. Data is unmasked and decoded where it stands in `input`.
    ///
    /// # Errors
    /// When the client has broken the protocol. A close frame that says so is in the output by then, and
    /// every later call answers the same.
    pub fn read<'a>(
        &mut self,
        input: &mut &'a mut [u8],
    ) -> Result<Option<ChannelEvent<'a>>, ConnectionError> {
        while let Some(told) = self.messages.read(input)? {
            match told {
                Told::Bytes { channel: number, bytes } => {
                    let channel = Channel::of(number);
                    if number == channel.number() && self.is_open(channel) {
                        return Ok(Some(ChannelEvent::Data { channel, bytes }));
                    }
                }
                Told::Pong { ping } => return Ok(Some(ChannelEvent::Pong { ping })),
                Told::Closed { status, reason } => {
                    return Ok(Some(ChannelEvent::Closed { status, reason }));
                }
            }
        }
        Ok(None)
    }

    /// Sends bytes from a port.
    ///
    /// # Errors
    /// When the port has ended, or the connection is closed for sending.
    pub fn send(&mut self, channel: Channel, bytes: &[u8]) -> Result<(), NotSent> {
        self.check_open(channel)?;
        self.messages.send(channel.number(), bytes)
    }

    /// Begins a message with bytes from a port that the caller sends behind all of the output: this
    /// head and `length` bytes, with nothing in between. For whoever writes both with one call and no copy.
    ///
    /// # Errors
    /// When the port has ended, the connection is closed for sending, or its messages are base64.
    pub fn begin_data(&mut self, channel: Channel, length: usize) -> Result<FrameHead, NotSent> {
        self.check_open(channel)?;
        self.messages.begin_data(channel.number(), length)
    }

    /// Tells the client what is wrong with a port, on its error channel. It goes on until [`Channels::end`].
    ///
    /// # Errors
    /// When the port has ended, or the connection is closed for sending.
    pub fn report(&mut self, channel: Channel, text: &str) -> Result<(), NotSent> {
        self.check_open(channel)?;
        self.messages.send(channel.error(), text.as_bytes())
    }

    /// Ends a port, because its connection to the pod has ended or has never come about. With the last
    /// one the connection is closed.
    pub fn end(&mut self, channel: Channel) {
        if let Some(port) = self.ports.get_mut(channel.place()) {
            *port = Port::Ended;
        }
        if self.ports.iter().all(|port| *port == Port::Ended) {
            self.close(CloseStatus::NORMAL, "");
        }
    }

    /// How many ports have not ended.
    pub fn open(&self) -> usize {
        self.ports.iter().filter(|port| **port == Port::Open).count()
    }

    /// Asks the client for an answer; the number is what [`ChannelEvent::Pong`] will say.
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

    fn is_open(&self, channel: Channel) -> bool {
        self.ports.get(channel.place()) == Some(&Port::Open)
    }

    fn check_open(&self, channel: Channel) -> Result<(), NotSent> {
        self.is_open(channel).then_some(()).ok_or(NotSent::Closed)
    }
}
