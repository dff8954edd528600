//! A connection on which nothing takes longer than it may: to a Unix socket, or to a name server.
//!
//! One deadline holds for connecting and all reading and writing, however small the pieces are in
//! which a peer takes or gives its bytes.

use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

/// A connection, and until when it may be used.
#[derive(Debug)]
pub struct Wire {
    socket: Socket,
    deadline: Instant,
    within: Duration,
}

/// Why nothing more is read or written.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Nobody listens there, or we may not connect.
    #[error("{}", nsplice_sys::describe(.0))]
    Connect(io::Error),
    /// The connection failed later.
    #[error("the connection failed: {}", nsplice_sys::describe(.0))]
    Io(io::Error),
    /// The time was over first.
    #[error("no response within {} ms", .0.as_millis())]
    TimedOut(Duration),
}

impl Wire {
    /// Connects to the socket at `path`. All that is done with the connection has to be done
    /// `within` this time.
    ///
    /// # Errors
    /// When it cannot be connected to, or not in time: on a Unix socket connect(2) waits for a
    /// place in the backlog, as long as the send timeout says.
    pub fn connect(path: &Path, within: Duration) -> Result<Self, WireError> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(WireError::Connect)?;
        Self::over(socket, &SockAddr::unix(path).map_err(WireError::Connect)?, within)
    }

    /// The same over a stream socket of any kind that blocks.
    ///
    /// # Errors
    /// As those of [`Self::connect`].
    pub(crate) fn over(
        socket: Socket,
        address: &SockAddr,
        within: Duration,
    ) -> Result<Self, WireError> {
        let wire = Self { socket, deadline: Instant::now() + within, within };
        loop {
            wire.socket.set_write_timeout(Some(wire.left()?)).map_err(WireError::Connect)?;
            match wire.socket.connect(address) {
                Ok(()) => return Ok(wire),
                // Over TCP the second call waits for what the first one has begun.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_late(&error) => return Err(WireError::TimedOut(within)),
                Err(error) => return Err(WireError::Connect(error)),
            }
        }
    }

    /// How much time is left.
    ///
    /// # Errors
    /// When none is.
    pub fn left(&self) -> Result<Duration, WireError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        // The kernel takes no time at all for no limit at all.
        if left < Duration::from_micros(1) {
            return Err(WireError::TimedOut(self.within));
        }
        Ok(left)
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// When the connection fails, or the time is over.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), WireError> {
        while !bytes.is_empty() {
            self.socket.set_write_timeout(Some(self.left()?)).map_err(WireError::Io)?;
            let count = self.done(|socket| socket.send_with_flags(bytes, libc::MSG_NOSIGNAL))?;
            bytes = bytes.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Reads up to as many bytes as fit into `block`; 0 when the peer has ended.
    ///
    /// # Errors
    /// When the connection fails, or the time is over.
    pub fn read(&mut self, block: &mut [u8]) -> Result<usize, WireError> {
        self.socket.set_read_timeout(Some(self.left()?)).map_err(WireError::Io)?;
        self.done(|socket| socket.read(block))
    }

    /// Fills `block`.
    ///
    /// # Errors
    /// The same, and when the peer ends before.
    pub(crate) fn fill(&mut self, block: &mut [u8]) -> Result<(), WireError> {
        let mut filled = 0;
        while filled < block.len() {
            match self.read(&mut block[filled..])? {
                0 => return Err(WireError::Io(io::ErrorKind::UnexpectedEof.into())),
                count => filled += count,
            }
        }
        Ok(())
    }

    fn done(
        &mut self,
        mut step: impl FnMut(&mut Socket) -> io::Result<usize>,
    ) -> Result<usize, WireError> {
        loop {
            match step(&mut self.socket) {
                Ok(count) => return Ok(count),
                // The time that is left is looked at in the next turn.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    self.left().map(drop)?
                }
                Err(error) if is_late(&error) => return Err(WireError::TimedOut(self.within)),
                Err(error) => return Err(WireError::Io(error)),
            }
        }
    }
}

/// Returns whether a time-out of the socket was over; of connect(2) over TCP that is EINPROGRESS
/// (SO_SNDTIMEO of socket(7)).
fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
        || error.raw_os_error() == Some(libc::EINPROGRESS)
}
