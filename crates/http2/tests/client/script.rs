//! A server as a script, and what its client sends and makes of it.

use nsplice_http2::{
    grpc, write_headers, Client, ConnectionError, Encoder, ErrorCode, Field, Frame, Frames, Head,
    Kind, Limits, NotSent, Outcome, Request, Settings, StreamId, PREFACE,
};

pub(crate) const PATH: &str = "/runtime.v1.RuntimeService/Version";
pub(crate) const FIRST: StreamId = StreamId(1);
pub(crate) const CONNECTION: StreamId = StreamId::CONNECTION;

pub(crate) fn request(message: &[u8]) -> Request<'_> {
    Request { path: PATH, message, timeout: None }
}

/// A client whose call is on its way.
pub(crate) fn calling() -> Client {
    calling_within(Limits::default())
}

pub(crate) fn calling_within(limits: Limits) -> Client {
    let mut client = Client::new(limits);
    client.call(&request(b"hi")).expect("a call");
    client.output().clear();
    client
}

/// The words of a server, as frames written down.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) bytes: Vec<u8>,
    pub(crate) encoder: Encoder,
}

impl Script {
    /// One that has begun as it should.
    pub(crate) fn new() -> Self {
        Self::default().frame(Frame::Settings(Settings::default()))
    }

    pub(crate) fn frame(mut self, frame: Frame<'_>) -> Self {
        frame.write(&mut self.bytes).expect("a frame that fits");
        self
    }

    pub(crate) fn raw(mut self, head: Head, payload: &[u8]) -> Self {
        self.bytes.extend(head.bytes());
        self.bytes.extend(payload);
        self
    }

    pub(crate) fn settings(self, settings: &[(u16, u32)]) -> Self {
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(setting, value)| {
                [&setting.to_be_bytes()[..], &value.to_be_bytes()].concat()
            })
            .collect();
        let head =
            Head { length: payload.len(), kind: Kind::SETTINGS, flags: 0, stream: CONNECTION };
        self.raw(head, &payload)
    }

    pub(crate) fn headers(self, stream: StreamId, list: &[(&str, &str)], end_stream: bool) -> Self {
        self.headers_in(stream, list, end_stream, 16_384)
    }

    pub(crate) fn headers_in(
        mut self,
        stream: StreamId,
        list: &[(&str, &str)],
        end_stream: bool,
        most: usize,
    ) -> Self {
        let list: Vec<_> = list.iter().map(|(name, value)| Field::new(*name, *value)).collect();
        let block = self.encoder.encode(&list);
        write_headers(&mut self.bytes, stream, &block, end_stream, most);
        self
    }

    pub(crate) fn begun(self, stream: StreamId) -> Self {
        self.headers(stream, &[(":status", "200"), ("content-type", "application/grpc")], false)
    }

    pub(crate) fn data(self, stream: StreamId, bytes: &[u8]) -> Self {
        self.frame(Frame::Data { stream, bytes, end_stream: false })
    }

    pub(crate) fn message(self, stream: StreamId, message: &[u8]) -> Self {
        let whole = [&grpc::prefix(message.len()).expect("a prefix")[..], message].concat();
        whole.chunks(16_384).fold(self, |script, part| script.data(stream, part))
    }

    pub(crate) fn ended(self, stream: StreamId) -> Self {
        self.headers(stream, &[("grpc-status", "0")], true)
    }

    pub(crate) fn answer(self, stream: StreamId, message: &[u8]) -> Self {
        self.begun(stream).message(stream, message).ended(stream)
    }
}

pub(crate) fn read(
    client: &mut Client,
    script: &Script,
) -> Result<Option<Outcome>, ConnectionError> {
    client.read(&mut &script.bytes[..])
}

/// The end of a call to a server that says this.
pub(crate) fn outcome(script: Script) -> Outcome {
    read(&mut calling(), &script).expect("a connection").expect("an outcome")
}

/// The end of the connection; the peer is told so, and all that follows fails likewise.
pub(crate) fn broken(script: Script) -> ConnectionError {
    let mut client = calling();
    let error = read(&mut client, &script).expect_err("the end of it");
    let told = sent(&mut client);
    let (last, code) = (CONNECTION, error.code());
    let Some(Sent::Other(told)) = told.last() else { panic!("{told:?}") };
    assert_eq!(*told, format!("{:?}", Frame::GoAway { last, code, debug: &[] }));
    assert_eq!(client.read(&mut &b"x"[..]), Err(error.clone()));
    assert_eq!(client.call(&request(b"")), Err(NotSent::Over(error.clone())));
    assert!(client.output().is_empty());
    error
}

/// A frame that a client has sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Data(StreamId, Vec<u8>, bool),
    Other(String),
}

pub(crate) fn sent(client: &mut Client) -> Vec<Sent> {
    let bytes = std::mem::take(client.output());
    let (mut frames, mut seen) = (Frames::new(1 << 20), Vec::new());
    let mut input = bytes.strip_prefix(&PREFACE[..]).unwrap_or(&bytes);
    while let Some((head, payload)) = frames.read(&mut input).expect("frames") {
        seen.push(match Frame::parse(head, &payload).expect("a frame") {
            Frame::Data { stream, bytes, end_stream } => {
                Sent::Data(stream, bytes.to_vec(), end_stream)
            }
            other => Sent::Other(format!("{other:?}")),
        });
    }
    seen
}

pub(crate) fn other(frame: Frame<'_>) -> Sent {
    Sent::Other(format!("{frame:?}"))
}

pub(crate) fn cancelled(stream: StreamId) -> Sent {
    other(Frame::Reset { stream, code: ErrorCode::CANCEL })
}
