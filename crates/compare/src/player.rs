//! A player: one end of a link, client or server, that plays the part a behaviour gives it.
//!
//! Players block, with [`PATIENCE`] as the limit of every read and write, so a relay that hangs
//! ends in an answer, too. What they say and hear is the ramp of [`nsplice_trial`], checked byte by
//! byte. All they find out is a [`Fault`] with words for people.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nsplice_trial::{talk, Ending};
use socket2::Socket;

mod fault;
mod side;

pub(crate) use fault::Fault;
pub(crate) use side::Side;

/// The time that a player waits for anything.
const PATIENCE: Duration = Duration::from_secs(5);

/// One end of a link.
#[derive(Debug)]
pub(crate) struct Player {
    side: Side,
    stream: TcpStream,
}

impl Player {
    /// A client that connects to `address` from `socket`.
    ///
    /// # Errors
    /// When nobody lets it in.
    pub(crate) fn connect(socket: Socket, address: SocketAddr) -> Result<Self, Fault> {
        socket.connect_timeout(&address.into(), PATIENCE).map_err(Fault::Unconnected)?;
        Self::new(Side::Client, socket.into()).map_err(Fault::Unconnected)
    }

    /// A player for a connected `socket` whose other end is not the relay's.
    ///
    /// # Errors
    /// When it is not connected any more.
    pub(crate) fn connected(socket: Socket) -> io::Result<Self> {
        Self::new(Side::Client, socket.into())
    }

    /// The server of `client`, which has connected to the relay: the next that comes to `listener`,
    /// which does not block.
    ///
    /// # Errors
    /// When nobody comes, or when the client is told first that nobody will.
    pub(crate) fn accept(listener: &TcpListener, client: &Self) -> Result<Self, Fault> {
        let failed = |error: io::Error| Fault::Other(format!("cannot accept: {error}"));
        loop {
            match listener.accept() {
                Ok((stream, _)) => return Self::new(Side::Server, stream).map_err(failed),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    match wait(listener, client).map_err(failed)? {
                        Arrival::Server => {}
                        Arrival::Nobody => return Err(Fault::Unserved(PATIENCE)),
                        Arrival::End => return Err(client.otherwise("a link", client.ending())),
                    }
                }
                // Gone before it was accepted: not the one that is waited for.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }

    fn new(side: Side, stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { side, stream })
    }

    /// Sends `len` bytes of the ramp from `offset` on.
    ///
    /// # Errors
    /// When they are not taken.
    pub(crate) fn say(&self, offset: u64, len: u64) -> Result<(), Fault> {
        talk::say(&self.stream, offset, len).map_err(|cut| Fault::unsent(self.side, cut))
    }

    /// Hears `len` bytes of the ramp from `offset` on. `what` they are is for the report.
    ///
    /// # Errors
    /// When others come, or fewer.
    pub(crate) fn hear(&self, what: &'static str, offset: u64, len: u64) -> Result<(), Fault> {
        talk::hear(&self.stream, offset, len).map_err(|unheard| Fault::unheard(what, unheard))
    }

    /// Reads to the FIN.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn hear_all(&self) -> Result<Vec<u8>, Fault> {
        match self.hear_to_the_end() {
            (bytes, Ending::Fin) => Ok(bytes),
            (_, seen) => Err(self.otherwise("FIN", seen)),
        }
    }

    /// Reads to the end, and returns what came and how it ended.
    pub(crate) fn hear_to_the_end(&self) -> (Vec<u8>, Ending) {
        talk::hear_all(&self.stream)
    }

    /// Sends the ramp until nothing more is taken for half a second, or `limit` bytes are, and
    /// returns how many were.
    ///
    /// # Errors
    /// When the stream ends.
    pub(crate) fn say_until_stuck(&self, limit: u64) -> Result<u64, Fault> {
        talk::say_until_stuck(&self.stream, 0, limit).map_err(|cut| Fault::unsent(self.side, cut))
    }

    /// Sends the ramp until the stream ends, or `limit` bytes are taken, and returns how it did.
    pub(crate) fn say_to_the_end(&self, limit: u64) -> Ending {
        talk::say_to_the_end(&self.stream, limit)
    }

    /// Sends `byte` out of band.
    ///
    /// # Errors
    /// When it is not taken.
    pub(crate) fn say_urgently(&self, byte: u8) -> Result<(), Fault> {
        talk::say_urgently(&self.stream, byte)
            .map_err(|error| Fault::Other(format!("cannot send a byte out of band: {error}")))
    }

    /// Sends its FIN; hearing goes on.
    ///
    /// # Errors
    /// When the connection is no more.
    pub(crate) fn fin(&self) -> Result<(), Fault> {
        self.stream.shutdown(Shutdown::Write).map_err(|error| Fault::Unsent {
            who: self.side,
            after: 0,
            of: 0,
            by: Ending::of_write(error, &self.stream),
        })
    }

    /// Ends the connection by RST.
    pub(crate) fn reset(self) {
        // If it has no linger time any more, it has no connection either.
        let _ = talk::reset(self.stream);
    }

    /// Lets nobody wait for this end any longer.
    pub(crate) fn give_up(&self) {
        // It may have ended already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Returns what comes next, which should be an end.
    pub(crate) fn ending(&self) -> Ending {
        talk::ending(&self.stream)
    }

    /// Expects a FIN, and no byte before it.
    ///
    /// # Errors
    /// When something else comes.
    pub(crate) fn expect_fin(&self) -> Result<(), Fault> {
        match self.ending() {
            Ending::Fin => Ok(()),
            seen => Err(self.otherwise("FIN", seen)),
        }
    }

    /// Expects an RST, and no byte before it.
    ///
    /// # Errors
    /// When something else comes.
    pub(crate) fn expect_reset(&self) -> Result<(), Fault> {
        match self.ending() {
            Ending::Reset => Ok(()),
            seen => Err(self.otherwise("RST", seen)),
        }
    }

    /// The fault of seeing `seen` and not `expected`.
    pub(crate) fn otherwise(&self, expected: &'static str, seen: Ending) -> Fault {
        Fault::Otherwise { who: self.side, expected, seen }
    }
}

/// The arrival that ends the wait for a link.
enum Arrival {
    /// A connection to the server.
    Server,
    /// The end of the client's.
    End,
    /// Neither in time.
    Nobody,
}

fn wait(listener: &TcpListener, client: &Player) -> io::Result<Arrival> {
    let mut watched = [
        PollFd::new(listener.as_fd(), PollFlags::POLLIN),
        PollFd::new(client.stream.as_fd(), PollFlags::POLLIN),
    ];
    let timeout = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
    loop {
        match poll(&mut watched, timeout) {
            Ok(0) => return Ok(Arrival::Nobody),
            Ok(_) if watched[0].any().unwrap_or(false) => return Ok(Arrival::Server),
            Ok(_) => return Ok(Arrival::End),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
