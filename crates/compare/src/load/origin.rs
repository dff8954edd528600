//! The origin of every workload but bulk: for each `size` bytes received it sends `size` bytes.
//!
//! Edges: a connection is read until it blocks only when it must be. A client has one request
//! outstanding, so once that is whole nothing more can be waiting, and the confirming read that
//! says EAGAIN is saved; the next request brings a new edge. FIN is answered by close, at once.

use std::io;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

use super::failure::Failure;
use super::net::{self, Bin, Movement};

/// The listener's token; connections use the odd tokens after it, which leaves the even ones to
/// clients.
pub(crate) const LISTENER: Token = Token(0);

/// The token of a workload's client number `index`.
pub(crate) fn client_token(index: usize) -> Token {
    Token(index * 2 + 2)
}

/// Whose token this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The origin's listener.
    Listener,
    /// The client of this index.
    Client(usize),
    /// The origin's connection of this index.
    Origin(usize),
}

impl From<Token> for Side {
    fn from(token: Token) -> Self {
        match token.0 {
            0 => Self::Listener,
            t if t % 2 == 0 => Self::Client(t / 2 - 1),
            t => Self::Origin(t / 2),
        }
    }
}

/// The origin with its connections.
#[derive(Debug)]
pub(crate) struct Origin {
    listener: TcpListener,
    size: usize,
    links: Vec<Option<Link>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Link {
    stream: TcpStream,
    /// Bytes of the present request that have come.
    received: usize,
    /// Bytes of replies that are still to be sent.
    owed: usize,
}

impl Origin {
    /// Registers `listener` as one that answers requests of `size` bytes.
    ///
    /// # Errors
    /// When epoll refuses it.
    pub(crate) fn new(
        listener: std::net::TcpListener,
        size: usize,
        registry: &Registry,
    ) -> Result<Self, Failure> {
        let mut listener = TcpListener::from_std(listener);
        registry
            .register(&mut listener, LISTENER, Interest::READABLE)
            .map_err(|error| Failure::system("watch the origin's listener", error))?;
        Ok(Self { listener, size, links: Vec::new(), free: Vec::new() })
    }

    /// Accepts all that wait.
    ///
    /// # Errors
    /// When the system is out of descriptors.
    pub(crate) fn accept(&mut self, registry: &Registry) -> Result<(), Failure> {
        while let Some(mut stream) = net::accept(&self.listener)? {
            let index = self.free.pop().unwrap_or_else(|| {
                self.links.push(None);
                self.links.len() - 1
            });
            registry
                .register(
                    &mut stream,
                    Token(index * 2 + 1),
                    Interest::READABLE | Interest::WRITABLE,
                )
                .map_err(|error| Failure::system("watch a connection of the origin", error))?;
            self.links[index] = Some(Link { stream, received: 0, owed: 0 });
        }
        Ok(())
    }

    /// Connections that are open now.
    pub(crate) fn open(&self) -> usize {
        self.links.len() - self.free.len()
    }

    /// Something happened on connection `index`. One that ended, well or not, is closed: the
    /// client's side tells whether it should have.
    pub(crate) fn turn(&mut self, index: usize, bin: &mut Bin) {
        let Some(Some(link)) = self.links.get_mut(index) else {
            // The event is of an earlier connection with this number, closed in the same batch.
            return;
        };
        match link.turn(self.size, bin) {
            Ok(Movement::Moved(_) | Movement::Blocked) => {}
            Ok(Movement::Ended) | Err(_) => {
                self.links[index] = None;
                self.free.push(index);
            }
        }
    }
}

impl Link {
    fn turn(&mut self, size: usize, bin: &mut Bin) -> io::Result<Movement> {
        loop {
            // Replies first: a client that is owed one sends nothing, so its socket has nothing to
            // read.
            while self.owed > 0 {
                match net::send(&self.stream, self.owed)? {
                    Movement::Moved(n) => self.owed -= n,
                    other => return Ok(other),
                }
            }
            match bin.discard(&self.stream)? {
                Movement::Moved(n) => self.received += n,
                other => return Ok(other),
            }
            if self.received >= size {
                self.received -= size;
                self.owed += size;
                if let Movement::Moved(n) = net::send(&self.stream, self.owed)? {
                    self.owed -= n;
                }
                if self.owed == 0 {
                    return Ok(Movement::Blocked);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_tell_sides_apart() {
        assert_eq!(Side::from(LISTENER), Side::Listener);
        for index in [0, 1, 7] {
            assert_eq!(Side::from(client_token(index)), Side::Client(index));
            assert_eq!(Side::from(Token(index * 2 + 1)), Side::Origin(index));
        }
    }
}
