//! The ends of streams, as one who reads or writes meets them.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::time::Duration;

/// The end of a stream, or the lack of one.
#[derive(Debug)]
pub enum Ending {
    /// By FIN.
    Fin,
    /// By RST.
    Reset,
    /// Not at all within this time, the stream's limit.
    Silence(Duration),
    /// It went on with these bytes.
    Bytes(Vec<u8>),
    /// Not at all within so many bytes.
    Never(u64),
    /// By something else.
    Other(io::Error),
}

impl Ending {
    /// Returns what the error of a read from `stream` means.
    pub fn of_read(error: io::Error, stream: &TcpStream) -> Self {
        Self::of(error, stream.read_timeout())
    }

    /// Returns what the error of a write to `stream` means.
    pub fn of_write(error: io::Error, stream: &TcpStream) -> Self {
        Self::of(error, stream.write_timeout())
    }

    fn of(error: io::Error, patience: io::Result<Option<Duration>>) -> Self {
        match error.kind() {
            ErrorKind::ConnectionReset => Self::Reset,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                Self::Silence(patience.ok().flatten().unwrap_or_default())
            }
            // Whoever writes to a connection whose FIN has come is told of the RST so.
            ErrorKind::BrokenPipe => Self::Fin,
            _ => Self::Other(error),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fin => f.write_str("FIN"),
            Self::Reset => f.write_str("RST"),
            Self::Silence(time) => write!(f, "nothing for {} s", time.as_secs_f32()),
            Self::Bytes(bytes) if bytes.len() == 1 => f.write_str("a byte more"),
            Self::Bytes(bytes) => write!(f, "{} bytes more", bytes.len()),
            Self::Never(bytes) => write!(f, "no end within {} MiB", bytes >> 20),
            Self::Other(error) => write!(f, "\"{error}\""),
        }
    }
}
