//! A client that speaks HTTP and then SPDY, as much as a test wants.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use nsplice_spdy::{Connection, Event, GoAwayStatus, Limits, ResetStatus, StreamId};
use nsplice_testkit::connect;

/// The head of a request to forward ports of `default/web`.
pub(crate) const UPGRADE: &str =
    "POST /api/v1/namespaces/default/pods/web/portforward HTTP/1.1\r\n\
    Host: test\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
    X-Stream-Protocol-Version: portforward.k8s.io\r\nContent-Length: 0\r\n\r\n";

/// What has come on a stream.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) is_accepted: bool,
    pub(crate) bytes: Vec<u8>,
    pub(crate) has_ended: bool,
    pub(crate) reset: Option<ResetStatus>,
}

/// The frame that comes.
#[derive(Debug)]
enum Frame {
    Head(Vec<u8>),
    Rest(usize),
}

impl Frame {
    /// Takes bytes, and returns the length of the longest frame that begins in them.
    fn take(&mut self, mut bytes: &[u8]) -> usize {
        let mut longest = 0;
        while !bytes.is_empty() {
            match self {
                Self::Head(head) => {
                    head.push(bytes[0]);
                    bytes = &bytes[1..];
                    if let [_, _, _, _, _, a, b, c] = *head.as_slice() {
                        let length = u32::from_be_bytes([0, a, b, c]) as usize;
                        longest = longest.max(length);
                        *self = Self::Rest(length);
                    }
                }
                Self::Rest(0) => *self = Self::Head(Vec::new()),
                Self::Rest(left) => {
                    let taken = bytes.len().min(*left);
                    *left -= taken;
                    bytes = &bytes[taken..];
                }
            }
        }
        longest
    }
}

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    pub(crate) spdy: Connection,
    came: HashMap<StreamId, Came>,
    pub(crate) went_away: Option<GoAwayStatus>,
    /// Bytes of the longest frame that has come.
    pub(crate) longest: usize,
    /// Bytes of a frame that are still to come, or its head as far as it has.
    frame: Frame,
    /// The socket has ended.
    is_over: bool,
    requests: u32,
}

/// Sends a request and reads the answer: its first line, and the rest.
#[track_caller]
pub(crate) fn ask(mut socket: &TcpStream, request: &str) -> (String, String) {
    socket.write_all(request.as_bytes()).expect("send a request");
    answer(socket)
}

/// Reads an answer, up to the end of its body.
#[track_caller]
pub(crate) fn answer(mut socket: &TcpStream) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).expect("read a head");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("a head is text");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
    socket.read_exact(&mut body).expect("read a body");
    let (first, rest) = head.split_once("\r\n").expect("a head has a line");
    (first.to_owned(), format!("{rest}{}", String::from_utf8_lossy(&body)))
}

impl Client {
    /// A client whose connection was upgraded.
    #[track_caller]
    pub(crate) fn upgraded(address: SocketAddr) -> Self {
        let socket = connect(address);
        let (first, rest) = ask(&socket, UPGRADE);
        assert_eq!(first, "HTTP/1.1 101 Switching Protocols", "{rest}");
        assert!(rest.contains("X-Stream-Protocol-Version: portforward.k8s.io"), "{rest}");
        let spdy = Connection::client(Limits { streams: 10, ..Limits::default() });
        let came = HashMap::new();
        let frame = Frame::Head(Vec::new());
        let (longest, went_away) = (0, None);
        Self { socket, spdy, came, went_away, longest, frame, is_over: false, requests: 0 }
    }

    /// Opens a stream with these headers.
    pub(crate) fn open(&mut self, headers: &[(&str, &str)]) -> StreamId {
        let stream = self.spdy.open(headers, false).expect("open a stream");
        self.flush();
        stream
    }

    /// Opens a connection to a port as kubectl does: the error stream, its end, and when that is
    /// accepted the data stream.
    #[track_caller]
    pub(crate) fn forward(&mut self, port: u16) -> (StreamId, StreamId) {
        let (port, request) = (port.to_string(), self.requests.to_string());
        self.requests += 1;
        let headers =
            |kind| [("streamtype", kind), ("port", port.as_str()), ("requestid", request.as_str())];
        let error = self.open(&headers("error"));
        self.wait(error, "to be accepted", |came| came.is_accepted);
        self.finish(error);
        let data = self.open(&headers("data"));
        self.wait(data, "to be accepted", |came| came.is_accepted);
        (data, error)
    }

    /// Sends bytes on a stream.
    pub(crate) fn send(&mut self, stream: StreamId, bytes: &[u8]) {
        self.spdy.send(stream, bytes, false).expect("send on a stream");
        self.flush();
    }

    /// Sends no more on a stream.
    pub(crate) fn finish(&mut self, stream: StreamId) {
        self.spdy.send(stream, &[], true).expect("end a stream");
        self.flush();
    }

    /// Resets a stream.
    pub(crate) fn reset(&mut self, stream: StreamId) {
        self.spdy.reset(stream, ResetStatus::CANCEL);
        self.flush();
    }

    fn flush(&mut self) {
        self.socket.write_all(self.spdy.output()).expect("send to the server");
        self.spdy.output().clear();
    }

    /// What has come on a stream so far.
    pub(crate) fn came(&self, stream: StreamId) -> Came {
        self.came.get(&stream).cloned().unwrap_or_default()
    }

    /// Reads until what has come on a stream is as wanted.
    #[track_caller]
    pub(crate) fn wait(
        &mut self,
        stream: StreamId,
        what: &str,
        is_it: impl Fn(&Came) -> bool,
    ) -> Came {
        while !is_it(&self.came(stream)) {
            assert!(self.read(), "the connection has ended; waited for stream {stream} {what}");
        }
        self.came(stream)
    }

    /// Reads until both streams of a connection have ended: the bytes of both.
    #[track_caller]
    pub(crate) fn wait_ended(&mut self, (data, error): (StreamId, StreamId)) -> (Vec<u8>, Vec<u8>) {
        let data = self.wait(data, "to end", |came| came.has_ended);
        let error = self.wait(error, "to end", |came| came.has_ended);
        assert_eq!((data.reset, error.reset), (None, None), "nothing is reset");
        (data.bytes, error.bytes)
    }

    /// Reads to the end of the connection.
    #[track_caller]
    pub(crate) fn wait_over(&mut self) {
        while self.read() {}
    }

    /// Reads once; false at the end of the connection.
    #[track_caller]
    fn read(&mut self) -> bool {
        let mut buffer = vec![0; 64 << 10];
        let read = match self.socket.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("nothing comes from the server: {error}"),
        };
        let mut bytes = &buffer[..read];
        self.longest = self.longest.max(self.frame.take(bytes));
        while let Some(event) =
            self.spdy.read(&mut bytes).expect("the server keeps to the protocol")
        {
            match event {
                Event::Replied { stream, .. } => {
                    self.came.entry(stream).or_default().is_accepted = true;
                }
                Event::Data { stream, bytes, fin } => {
                    let came = self.came.entry(stream).or_default();
                    came.bytes.extend_from_slice(bytes);
                    came.has_ended |= fin;
                }
                Event::Reset { stream, status } => {
                    self.came.entry(stream).or_default().reset = Some(status);
                }
                Event::GoAway { status, .. } => self.went_away = Some(status),
                Event::Opened { .. } | Event::Headers { .. } | Event::Pong { .. } => {}
            }
        }
        self.is_over |= read == 0;
        !self.is_over
    }
}
