//! The client's half of a request and its reply, as ping-pong, connect and idle use it.
//!
//! A client is *sending* while bytes of the request are left, then *awaiting* until the whole reply
//! has come. After the last byte of either it does not try the socket again: the origin sends
//! nothing unasked, so the only answer could be EAGAIN, and the next arrival brings its own edge.

use std::io;
use std::net::Shutdown;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest, Registry};

use super::dialer::Dialer;
use super::failure::Failure;
use super::net::{self, Bin, Movement};
use super::origin::client_token;

/// The progress of a client after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Something is outstanding.
    Waiting,
    /// The whole reply is here.
    Replied,
}

/// One connection to the relay.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    begun: Instant,
    size: usize,
    to_send: usize,
    to_receive: usize,
}

impl Client {
    /// Connects client number `index` and queues its first request of `size` bytes.
    ///
    /// # Errors
    /// When there is no socket to be had.
    pub(crate) fn connect(
        relay: &Dialer<'_>,
        index: usize,
        size: usize,
        registry: &Registry,
    ) -> Result<Self, Failure> {
        let (mut stream, begun) = relay.connect()?;
        registry
            .register(&mut stream, client_token(index), Interest::READABLE | Interest::WRITABLE)
            .map_err(|error| Failure::system("watch a connection to the relay", error))?;
        Ok(Self { stream, begun, size, to_send: size, to_receive: size })
    }

    /// Returns the moment at which it called connect(2).
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// Does what can be done after an event.
    ///
    /// # Errors
    /// When the connection ended, in whichever way, before its reply was whole.
    pub(crate) fn turn(&mut self, bin: &mut Bin) -> io::Result<Progress> {
        while self.to_send > 0 {
            match net::send(&self.stream, self.to_send)? {
                Movement::Moved(n) => self.to_send -= n,
                Movement::Blocked | Movement::Ended => return Ok(Progress::Waiting),
            }
            if self.to_send == 0 {
                return Ok(Progress::Waiting);
            }
        }
        while self.to_receive > 0 {
            match bin.discard(&self.stream)? {
                Movement::Moved(n) if n <= self.to_receive => self.to_receive -= n,
                Movement::Moved(_) => {
                    return Err(io::Error::other("the reply is longer than the request"))
                }
                Movement::Blocked => return Ok(Progress::Waiting),
                Movement::Ended => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the reply ended before its last byte",
                    ))
                }
            }
        }
        Ok(Progress::Replied)
    }

    /// Sends the next request; what does not fit now goes out with the next turn.
    ///
    /// # Errors
    /// When the connection has ended.
    pub(crate) fn ask_again(&mut self) -> io::Result<()> {
        self.to_send = self.size;
        self.to_receive = self.size;
        if let Movement::Moved(n) = net::send(&self.stream, self.to_send)? {
            self.to_send -= n;
        }
        Ok(())
    }

    /// Sends FIN.
    ///
    /// # Errors
    /// When the connection is gone already.
    pub(crate) fn close_write(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Has the other side sent its FIN?
    ///
    /// # Errors
    /// When it was a reset instead.
    pub(crate) fn has_ended(&self, bin: &mut Bin) -> io::Result<bool> {
        match bin.discard(&self.stream)? {
            Movement::Ended => Ok(true),
            Movement::Blocked => Ok(false),
            Movement::Moved(_) => Err(io::Error::other("bytes came after the reply")),
        }
    }
}
