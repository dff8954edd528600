//! A small protocol that carries many streams over one connection, and a scripted client of it.
//!
//! A frame is a length (4 bytes), the number of a stream (4 bytes), flags (1 byte), all big-endian,
//! and so many bytes. What they are the flags say: nothing else than bytes of the stream where there
//! is no other flag than [`FIN`].

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;

use nix::poll::{poll, PollFd, PollFlags};

use crate::peer::connect;

/// The client opens the stream; the first byte says to which target, and if four more follow they
/// are the credit that it begins with.
pub const OPEN: u8 = 1;

/// The sender sends no more on the stream after these bytes.
pub const FIN: u8 = 2;

/// The sender aborts the stream; the bytes are the reason.
pub const RESET: u8 = 4;

/// The server says that the upstream is open.
pub const OPENED: u8 = 8;

/// The client lets the server send more on the stream: a number of four bytes.
pub const GRANT: u8 = 16;

/// The server opens no more streams.
pub const BYE: u8 = 32;

/// The server wants to know that the client has come as far as this, and the client sends it back.
pub const PING: u8 = 64;

/// Length of what stands before the bytes of a frame.
pub const HEADER: usize = 9;

/// The header, which stands before the bytes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The number of bytes that follow.
    pub len: usize,
    /// The number of the stream.
    pub stream: u32,
    /// The kind of the bytes.
    pub flags: u8,
}

impl Header {
    /// As it is on the wire.
    pub fn encode(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let len = u32::try_from(self.len).expect("a frame is shorter than that");
        bytes[..4].copy_from_slice(&len.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.stream.to_be_bytes());
        bytes[8] = self.flags;
        bytes
    }

    /// From the wire.
    pub fn decode(bytes: [u8; HEADER]) -> Self {
        let number = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Self { len: number(0) as usize, stream: number(4), flags: bytes[8] }
    }
}

/// A part of a frame: its bytes come in as many pieces as it pleases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The frame's.
    pub header: Header,
    /// These of its bytes.
    pub bytes: &'a [u8],
    /// True if they are the last ones.
    pub is_last: bool,
}

/// Takes frames out of a stream of bytes that was cut anywhere. It keeps nothing but a header.
#[derive(Debug, Default)]
pub struct Decoder {
    head: Vec<u8>,
    body: Option<(Header, usize)>,
}

impl Decoder {
    /// The next piece of a frame that is in `bytes`, which is cut down to what follows it.
    pub fn piece<'a>(&mut self, bytes: &mut &'a [u8]) -> Option<Piece<'a>> {
        let (header, left) = match self.body {
            Some(body) => body,
            None => {
                let (head, rest) = bytes.split_at(bytes.len().min(HEADER - self.head.len()));
                self.head.extend_from_slice(head);
                *bytes = rest;
                let header = Header::decode(self.head.as_slice().try_into().ok()?);
                self.head.clear();
                self.body = Some((header, header.len));
                (header, header.len)
            }
        };
        if bytes.is_empty() && left > 0 {
            return None;
        }
        let (body, rest) = bytes.split_at(bytes.len().min(left));
        *bytes = rest;
        let is_last = body.len() == left;
        self.body = (!is_last).then_some((header, left - body.len()));
        Some(Piece { header, bytes: body, is_last })
    }
}

/// A whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The number of its stream.
    pub stream: u32,
    /// The kind of its bytes.
    pub flags: u8,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A client that carries many streams over one connection.
#[derive(Debug)]
pub struct MuxClient {
    /// The connection.
    pub socket: TcpStream,
}

impl MuxClient {
    /// Connects to `address`.
    ///
    /// # Panics
    /// If that is not possible.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(connect(address))
    }

    /// A client on this connection.
    ///
    /// # Panics
    /// If it takes no options.
    #[track_caller]
    pub fn over(socket: TcpStream) -> Self {
        socket.set_nodelay(true).expect("set TCP_NODELAY");
        Self { socket }
    }

    /// Sends a frame.
    ///
    /// # Panics
    /// If the connection takes it not.
    #[track_caller]
    pub fn send_frame(&self, stream: u32, flags: u8, bytes: &[u8]) {
        let sent = self.try_send(stream, flags, bytes);
        sent.unwrap_or_else(|error| panic!("send a frame of stream {stream}: {error}"));
    }

    /// Sends a frame, or says why that failed.
    ///
    /// # Errors
    /// When the connection is gone, or takes nothing.
    pub fn try_send(&self, stream: u32, flags: u8, bytes: &[u8]) -> io::Result<()> {
        let header = Header { len: bytes.len(), stream, flags }.encode();
        (&self.socket).write_all(&[&header, bytes].concat())
    }

    /// Opens a stream to a target.
    #[track_caller]
    pub fn open(&self, stream: u32, target: u8) {
        self.send_frame(stream, OPEN, &[target]);
    }

    /// The same; the server may send only so many bytes.
    #[track_caller]
    pub fn open_with_credit(&self, stream: u32, target: u8, credit: u32) {
        let bytes = [&[target], credit.to_be_bytes().as_slice()].concat();
        self.send_frame(stream, OPEN, &bytes);
    }

    /// Lets the server send more on a stream.
    #[track_caller]
    pub fn grant(&self, stream: u32, bytes: u32) {
        self.send_frame(stream, GRANT, &bytes.to_be_bytes());
    }

    /// Answers a [`PING`].
    #[track_caller]
    pub fn pong(&self, stream: u32) {
        self.send_frame(stream, PING, &[]);
    }

    /// Sends bytes on a stream.
    #[track_caller]
    pub fn send(&self, stream: u32, bytes: &[u8]) {
        self.send_frame(stream, 0, bytes);
    }

    /// Sends no more on a stream.
    #[track_caller]
    pub fn finish(&self, stream: u32) {
        self.send_frame(stream, FIN, &[]);
    }

    /// Aborts a stream.
    #[track_caller]
    pub fn reset(&self, stream: u32, reason: &str) {
        self.send_frame(stream, RESET, reason.as_bytes());
    }

    /// Sends no more at all.
    ///
    /// # Panics
    /// If the connection is gone.
    #[track_caller]
    pub fn half_close(&self) {
        self.socket.shutdown(Shutdown::Write).expect("send a FIN");
    }

    /// The server's frames.
    pub fn inbox(&self) -> Inbox<'_> {
        let bytes = vec![0; 256 * 1024];
        Inbox { socket: &self.socket, decoder: Decoder::default(), bytes, from: 0, to: 0 }
    }
}

/// Tells whether the connection takes something, or does so within half a second: the kernel offers a moved
/// window at once.
pub fn has_room(socket: &TcpStream) -> bool {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    poll(&mut fds, 500u16) == Ok(1)
}

/// Frames that the server sends.
#[derive(Debug)]
pub struct Inbox<'a> {
    socket: &'a TcpStream,
    decoder: Decoder,
    bytes: Vec<u8>,
    from: usize,
    to: usize,
}

impl Inbox<'_> {
    /// The next frame, or `None` if the server has ended the connection between two.
    ///
    /// # Panics
    /// If nothing comes, the connection is reset, or ends within a frame.
    #[track_caller]
    pub fn frame(&mut self) -> Option<Frame> {
        let next = self.try_frame();
        next.unwrap_or_else(|error| panic!("wait for a frame: {error}"))
    }

    /// The same, and an error instead of a panic.
    ///
    /// # Errors
    /// As [`Inbox::frame`] panics.
    pub fn try_frame(&mut self) -> io::Result<Option<Frame>> {
        let mut whole = Vec::new();
        loop {
            let mut rest = &self.bytes[self.from..self.to];
            let piece = self.decoder.piece(&mut rest);
            self.from = self.to - rest.len();
            if let Some(Piece { header, bytes, is_last }) = piece {
                whole.extend_from_slice(bytes);
                if is_last {
                    let Header { stream, flags, .. } = header;
                    return Ok(Some(Frame { stream, flags, bytes: whole }));
                }
                continue;
            }
            (self.from, self.to) = (0, 0);
            match self.socket.read(&mut self.bytes) {
                Ok(0) if whole.is_empty() => return Ok(None),
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.to = read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next frame, which must be of this stream and have these flags; its bytes.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn expect(&mut self, stream: u32, flags: u8) -> Vec<u8> {
        let Some(frame) = self.frame() else { panic!("expected a frame, got the end") };
        assert_eq!((frame.stream, frame.flags), (stream, flags), "got {:?}", shown(&frame));
        frame.bytes
    }

    /// The bytes of a stream up to their end, however they are cut. No other stream may have any.
    ///
    /// # Panics
    /// If anything else comes.
    #[track_caller]
    pub fn expect_whole(&mut self, stream: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let Some(frame) = self.frame() else { panic!("the connection has ended before") };
            let is_of_stream = frame.stream == stream && frame.flags & !FIN == 0;
            assert!(is_of_stream, "expected bytes of {stream}, got {:?}", shown(&frame));
            bytes.extend(frame.bytes);
            if frame.flags == FIN {
                return bytes;
            }
        }
    }
}

fn shown(frame: &Frame) -> String {
    let text = String::from_utf8_lossy(&frame.bytes[..frame.bytes.len().min(80)]);
    format!("stream {}, flags {}, {} bytes: {text}", frame.stream, frame.flags, frame.bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_however_they_are_cut() {
        let mut wire = Vec::new();
        for (len, stream, flags) in [(0, 7, FIN), (5, 1, 0), (1, 2, OPEN), (300, 3, RESET)] {
            wire.extend(Header { len, stream, flags }.encode());
            wire.extend(crate::ramp::bytes(len));
        }
        for cut in 1..wire.len() {
            let (mut decoder, mut got) = (Decoder::default(), Vec::new());
            for mut chunk in wire.chunks(cut) {
                while let Some(piece) = decoder.piece(&mut chunk) {
                    if piece.is_last {
                        got.push((piece.header.len, piece.header.stream, piece.header.flags));
                    }
                }
            }
            assert_eq!(got, [(0, 7, FIN), (5, 1, 0), (1, 2, OPEN), (300, 3, RESET)]);
        }
    }
}
