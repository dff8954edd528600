//! gRPC over Unix sockets: a scripted server, and a client that is patient.
//!
//! A [`GrpcServer`] does to each call exactly what a test wants, also what no server should. What
//! is relied on here (frames and HPACK) is `nsplice-http2`.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nsplice_http2::{
    grpc, write_headers, Blocks, Client, Decoder, Encoder, ErrorCode, Field, Frame, Frames, Limits,
    Outcome, Request, Settings, StreamId, DEFAULT_HEADER_TABLE, DEFAULT_MAX_PAYLOAD, PREFACE,
};

use crate::wait::PATIENCE;

/// What a scripted server does to a call.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Answers with this message.
    Message(Vec<u8>),
    /// Answers with this status and its text.
    Status(u32, &'static str),
    /// Sends these bytes, whatever they are, and then nothing more.
    Bytes(Vec<u8>),
    /// Answers with this message, one byte at a time with a pause before each.
    Trickle(Vec<u8>, Duration),
    /// Announces a message of so many bytes, and sends zeros until nobody takes them.
    Endless(u32),
    /// Announces the end of the connection with this text and ends it.
    GoAway(&'static str),
    /// Says nothing.
    Silence,
    /// Closes the connection.
    HangUp,
}

/// A call that a scripted server has got: its method and its message.
pub type Call = (String, Vec<u8>);

/// A scripted server of gRPC. It ends when it is dropped.
#[derive(Debug)]
pub struct GrpcServer {
    path: PathBuf,
    calls: Arc<Mutex<Vec<Call>>>,
    over: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl GrpcServer {
    /// A server at the socket `path`, which is made, that does to each call what `script` says to
    /// its method and message.
    ///
    /// # Errors
    /// When there is no listening there.
    pub fn start(
        path: &Path,
        script: impl Fn(&str, &[u8]) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        let (calls, over) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let accepting = thread::spawn({
            let (script, calls, over) = (Arc::new(script), Arc::clone(&calls), Arc::clone(&over));
            move || {
                for stream in listener.incoming() {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    let (script, calls) = (Arc::clone(&script), Arc::clone(&calls));
                    // It ends with its client.
                    thread::spawn(move || {
                        let talk = |stream| Talk::new(stream)?.serve(&*script, &calls);
                        let _: io::Result<()> = stream.and_then(talk);
                    });
                }
            }
        });
        Ok(Self { path: path.to_owned(), calls, over, accepting: Some(accepting) })
    }

    /// The calls so far, in the order in which they came.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for GrpcServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = UnixStream::connect(&self.path);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// The answer with `message` on the stream `stream`, of a server that has said nothing before but
/// its settings.
pub fn answer(stream: StreamId, message: &[u8]) -> Vec<u8> {
    let prefix = grpc::prefix(message.len()).expect("a message that can be sent");
    let mut bytes = Vec::new();
    headers(&mut bytes, stream, &[(":status", "200"), CONTENT_TYPE], false);
    for part in [&prefix[..], message].concat().chunks(DEFAULT_MAX_PAYLOAD) {
        push(&mut bytes, Frame::Data { stream, bytes: part, end_stream: false });
    }
    headers(&mut bytes, stream, &[("grpc-status", "0")], true);
    bytes
}

const CONTENT_TYPE: (&str, &str) = ("content-type", "application/grpc");

fn headers(bytes: &mut Vec<u8>, stream: StreamId, list: &[(&str, &str)], end_stream: bool) {
    let list: Vec<_> = list.iter().map(|(name, value)| Field::new(*name, *value)).collect();
    // An encoder of its own for each: it keeps no table.
    let block = Encoder::new().encode(&list);
    write_headers(bytes, stream, &block, end_stream, DEFAULT_MAX_PAYLOAD);
}

fn push(bytes: &mut Vec<u8>, frame: Frame<'_>) {
    frame.write(bytes).expect("a frame that fits");
}

/// The server's end of a connection.
struct Talk {
    stream: UnixStream,
    frames: Frames,
    blocks: Blocks,
    decoder: Decoder,
    path: String,
    message: Vec<u8>,
}

impl Talk {
    fn new(mut stream: UnixStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut preface = [0; PREFACE.len()];
        stream.read_exact(&mut preface)?;
        assert_eq!(&preface, PREFACE, "a client of HTTP/2");
        Ok(Self {
            stream,
            frames: Frames::new(DEFAULT_MAX_PAYLOAD),
            blocks: Blocks::new(1 << 20, 100),
            decoder: Decoder::new(DEFAULT_HEADER_TABLE, 1 << 20),
            path: String::new(),
            message: Vec::new(),
        })
    }

    fn serve(
        mut self,
        script: &(impl Fn(&str, &[u8]) -> Reply + ?Sized),
        calls: &Mutex<Vec<Call>>,
    ) -> io::Result<()> {
        self.say(Frame::Settings(Settings::default()))?;
        let mut block = vec![0; 64 << 10];
        loop {
            let count = uninterrupted(|| self.stream.read(&mut block))?;
            let mut input = &block[..count];
            if input.is_empty() {
                return Ok(());
            }
            while let Some((head, payload)) = self.frames.read(&mut input).expect("frames") {
                let frame = Frame::parse(head, &payload).expect("a frame");
                if !self.take(frame)? {
                    continue;
                }
                let call = (std::mem::take(&mut self.path), std::mem::take(&mut self.message));
                let reply = script(&call.0, &call.1);
                calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
                if !self.reply(head.stream, reply)? {
                    return self.hang_up();
                }
            }
        }
    }

    /// Ends the connection so that the client sees an end: what it still sends is read, or else it would
    /// see a reset.
    fn hang_up(mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        io::copy(&mut self.stream, &mut io::sink()).map(drop)
    }

    /// Takes a frame. Whether a call is whole with it.
    fn take(&mut self, frame: Frame<'_>) -> io::Result<bool> {
        if let Some(block) = self.blocks.take(&frame).expect("a block") {
            let list = self.decoder.decode(&block.bytes).expect("a list");
            let path = list.iter().find(|field| field.name == b":path").expect("a path");
            self.path = String::from_utf8_lossy(&path.value).into_owned();
        }
        match frame {
            Frame::Data { bytes, end_stream, .. } => {
                self.message.extend_from_slice(bytes);
                if end_stream {
                    self.message.drain(..grpc::PREFIX.min(self.message.len()));
                }
                return Ok(end_stream);
            }
            Frame::Settings(_) => self.say(Frame::SettingsAck)?,
            Frame::Ping { ack: false, opaque } => self.say(Frame::Ping { ack: true, opaque })?,
            _ => {}
        }
        Ok(false)
    }

    /// Replies to a call. Whether there may be another.
    fn reply(&mut self, stream: StreamId, reply: Reply) -> io::Result<bool> {
        match reply {
            Reply::Message(message) => self.stream.write_all(&answer(stream, &message))?,
            Reply::Status(code, text) => {
                let (code, text) = (code.to_string(), grpc::percent_encoded(text));
                let status = [(":status", "200"), CONTENT_TYPE, ("grpc-status", &code)];
                let mut bytes = Vec::new();
                headers(
                    &mut bytes,
                    stream,
                    &[&status[..], &[("grpc-message", &text)]].concat(),
                    true,
                );
                self.stream.write_all(&bytes)?;
            }
            Reply::Bytes(bytes) => self.stream.write_all(&bytes)?,
            Reply::Trickle(message, pause) => {
                for byte in answer(stream, &message) {
                    thread::sleep(pause);
                    self.stream.write_all(&[byte])?;
                }
            }
            Reply::Endless(length) => {
                let prefix = [&[0][..], &length.to_be_bytes()].concat();
                let mut bytes = Vec::new();
                headers(&mut bytes, stream, &[(":status", "200"), CONTENT_TYPE], false);
                push(&mut bytes, Frame::Data { stream, bytes: &prefix, end_stream: false });
                self.stream.write_all(&bytes)?;
                let zeros = [0; DEFAULT_MAX_PAYLOAD];
                for _ in 0..=length / 16_384 {
                    self.say(Frame::Data { stream, bytes: &zeros, end_stream: false })?;
                }
            }
            Reply::GoAway(text) => {
                let (last, code) = (StreamId::CONNECTION, ErrorCode::ENHANCE_YOUR_CALM);
                self.say(Frame::GoAway { last, code, debug: text.as_bytes() })?;
                return Ok(false);
            }
            Reply::Silence => {}
            Reply::HangUp => return Ok(false),
        }
        Ok(true)
    }

    fn say(&mut self, frame: Frame<'_>) -> io::Result<()> {
        let mut bytes = Vec::new();
        push(&mut bytes, frame);
        self.stream.write_all(&bytes)
    }
}

/// Reads, whatever signals there are: a socket with a time limit ends by EINTR when its thread was
/// stopped, too (signal(7)).
fn uninterrupted(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

/// Calls `method` at the socket `path` on a connection of its own.
///
/// # Errors
/// When there is no connection, or it ends before the call does, or nothing comes within
/// [`PATIENCE`].
pub fn call(path: &Path, method: &str, message: &[u8]) -> io::Result<Outcome> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut client = Client::new(Limits::default());
    let request = Request { path: method, message, timeout: None };
    client.call(&request).map_err(io::Error::other)?;
    let mut block = vec![0; 64 << 10];
    loop {
        stream.write_all(client.output())?;
        client.output().clear();
        let count = uninterrupted(|| stream.read(&mut block))?;
        let mut input = &block[..count];
        if input.is_empty() {
            return Err(io::Error::other(client.closed()));
        }
        if let Some(outcome) = client.read(&mut input).map_err(io::Error::other)? {
            return Ok(outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_does_what_its_script_says() {
        let path = std::env::temp_dir().join(format!("nsplice-grpc-{}.sock", std::process::id()));
        let server = GrpcServer::start(&path, |method, message| match method {
            "/a/Echo" => Reply::Message(message.to_vec()),
            "/a/No" => Reply::Status(5, "not 100% there"),
            _ => Reply::HangUp,
        })
        .unwrap();
        let large = vec![7; 200_000];
        assert_eq!(call(&path, "/a/Echo", &large[..60_000]).unwrap(), Ok(large[..60_000].to_vec()));
        let no = call(&path, "/a/No", b"").unwrap().unwrap_err();
        assert_eq!(no.to_string(), "NOT_FOUND: not 100% there");
        assert!(call(&path, "/a/Bye", b"").is_err());
        let methods: Vec<_> = server.calls().into_iter().map(|(method, _)| method).collect();
        assert_eq!(methods, ["/a/Echo", "/a/No", "/a/Bye"]);
        drop(server);
        assert!(UnixStream::connect(&path).is_err());
        let _ = std::fs::remove_file(&path);
    }
}
