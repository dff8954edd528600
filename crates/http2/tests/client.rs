//! A client against servers that answer rightly, oddly and wrongly. The servers are frames written
//! down.

use std::time::Duration;

use nsplice_http2::{
    grpc, write_headers, CallError, Client, ConnectionError, Decoder, Encoder, ErrorCode, Field,
    Frame, Frames, Head, HpackError, Kind, Limits, NotSent, Outcome, Priority, Request, Settings,
    StreamId, DEFAULT_HEADER_TABLE, ENABLE_PUSH, HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE, MOST_ANSWERED, PREFACE,
};
use proptest::prelude::*;

const PATH: &str = "/runtime.v1.RuntimeService/Version";
const FIRST: StreamId = StreamId(1);
const CONNECTION: StreamId = StreamId::CONNECTION;

fn request(message: &[u8]) -> Request<'_> {
    Request { path: PATH, message, timeout: None }
}

/// A client whose call is on its way.
fn calling() -> Client {
    calling_within(Limits::default())
}

fn calling_within(limits: Limits) -> Client {
    let mut client = Client::new(limits);
    client.call(&request(b"hi")).expect("a call");
    client.output().clear();
    client
}

/// What a server says.
#[derive(Default)]
struct Script {
    bytes: Vec<u8>,
    encoder: Encoder,
}

impl Script {
    /// One that has begun as it should.
    fn new() -> Self {
        Self::default().frame(Frame::Settings(Settings::default()))
    }

    fn frame(mut self, frame: Frame<'_>) -> Self {
        frame.write(&mut self.bytes).expect("a frame that fits");
        self
    }

    fn raw(mut self, head: Head, payload: &[u8]) -> Self {
        self.bytes.extend(head.bytes());
        self.bytes.extend(payload);
        self
    }

    fn settings(self, settings: &[(u16, u32)]) -> Self {
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

    fn headers(self, stream: StreamId, list: &[(&str, &str)], end_stream: bool) -> Self {
        self.headers_in(stream, list, end_stream, 16_384)
    }

    fn headers_in(
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

    fn begun(self, stream: StreamId) -> Self {
        self.headers(stream, &[(":status", "200"), ("content-type", "application/grpc")], false)
    }

    fn data(self, stream: StreamId, bytes: &[u8]) -> Self {
        self.frame(Frame::Data { stream, bytes, end_stream: false })
    }

    fn message(self, stream: StreamId, message: &[u8]) -> Self {
        let whole = [&grpc::prefix(message.len()).expect("a prefix")[..], message].concat();
        whole.chunks(16_384).fold(self, |script, part| script.data(stream, part))
    }

    fn ended(self, stream: StreamId) -> Self {
        self.headers(stream, &[("grpc-status", "0")], true)
    }

    fn answer(self, stream: StreamId, message: &[u8]) -> Self {
        self.begun(stream).message(stream, message).ended(stream)
    }
}

fn read(client: &mut Client, script: &Script) -> Result<Option<Outcome>, ConnectionError> {
    client.read(&mut &script.bytes[..])
}

/// How the call ends when the server says this.
fn outcome(script: Script) -> Outcome {
    read(&mut calling(), &script).expect("a connection").expect("an outcome")
}

/// How the connection ends; the peer is told so, and all that follows fails likewise.
fn broken(script: Script) -> ConnectionError {
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

/// What a client has sent.
#[derive(Debug, PartialEq, Eq)]
enum Sent {
    Data(StreamId, Vec<u8>, bool),
    Other(String),
}

fn sent(client: &mut Client) -> Vec<Sent> {
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

fn other(frame: Frame<'_>) -> Sent {
    Sent::Other(format!("{frame:?}"))
}

fn cancelled(stream: StreamId) -> Sent {
    other(Frame::Reset { stream, code: ErrorCode::CANCEL })
}

#[test]
fn a_call_is_what_a_server_expects() {
    let mut client = Client::new(Limits::default());
    let timeout = Some(Duration::from_millis(2500));
    client.call(&Request { path: PATH, message: b"hi", timeout }).unwrap();
    let bytes = std::mem::take(client.output());
    let mut input = bytes.strip_prefix(&PREFACE[..]).unwrap();
    let mut frames = Frames::new(16_384);
    let mut kinds = Vec::new();
    while let Some((head, payload)) = frames.read(&mut input).unwrap() {
        kinds.push(head.kind);
        match Frame::parse(head, &payload).unwrap() {
            Frame::Settings(settings) => {
                let settings: Vec<_> = settings.iter().collect();
                assert_eq!(settings, [(2, 0), (4, 1 << 20), (6, 64 << 10)]);
            }
            Frame::WindowUpdate { stream, increment } => {
                assert_eq!((stream, increment), (CONNECTION, (1 << 20) - 65_535));
            }
            Frame::Headers { stream, fragment, end_stream, end_headers, .. } => {
                assert_eq!((stream, end_stream, end_headers), (FIRST, false, true));
                let mut decoder = Decoder::new(DEFAULT_HEADER_TABLE, 1000);
                let list = decoder.decode(fragment).unwrap();
                let list: Vec<_> = list.iter().map(|field| format!("{field:?}")).collect();
                let agent = concat!("user-agent: nsplice/", env!("CARGO_PKG_VERSION"));
                let expected = [
                    ":method: POST",
                    ":scheme: http",
                    ":path: /runtime.v1.RuntimeService/Version",
                    ":authority: localhost",
                    "content-type: application/grpc",
                    "te: trailers",
                    agent,
                    "grpc-timeout: 2500m",
                ];
                assert_eq!(list, expected);
            }
            Frame::Data { stream, bytes, end_stream } => {
                assert_eq!((stream, bytes, end_stream), (FIRST, &b"\0\0\0\0\x02hi"[..], true));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(kinds, [Kind::SETTINGS, Kind::WINDOW_UPDATE, Kind::HEADERS, Kind::DATA]);
}

proptest! {
    #[test]
    fn however_the_answer_is_cut_it_is_the_same(
        message in proptest::collection::vec(any::<u8>(), 0..40_000),
        pieces in proptest::collection::vec(1usize..20_000, 1..6),
        most in 1usize..30,
    ) {
        let list = [(":status", "200"), ("content-type", "application/grpc+proto")];
        let script = Script::new().headers_in(FIRST, &list, false, most).message(FIRST, &message);
        let script = script.ended(FIRST);
        let limits = Limits { header_frames: 100, ..Limits::default() };
        let (mut client, mut rest) = (calling_within(limits), &script.bytes[..]);
        let mut pieces = pieces.iter().cycle();
        let outcome = loop {
            prop_assert!(!rest.is_empty());
            let length = pieces.next().map_or(1, |piece| rest.len().min(*piece));
            let (mut piece, later) = rest.split_at(length);
            rest = later;
            if let Some(outcome) = client.read(&mut piece).unwrap() {
                break outcome;
            }
        };
        prop_assert_eq!(outcome, Ok(message));
        prop_assert!(rest.is_empty());
    }
}

#[test]
fn calls_follow_each_other_on_one_connection() {
    let mut client = calling();
    assert_eq!(client.call(&request(b"")), Err(NotSent::Busy));
    let mut script = Script::new();
    for (number, stream) in [1, 3, 5].into_iter().map(StreamId).enumerate() {
        if number > 0 {
            client.call(&request(b"hi")).unwrap();
        }
        script = Script { bytes: Vec::new(), ..script }.answer(stream, b"there");
        if number == 0 {
            let settings = Script::new();
            assert_eq!(read(&mut client, &settings), Ok(None));
        }
        assert_eq!(read(&mut client, &script), Ok(Some(Ok(b"there".to_vec()))));
    }
}

#[test]
fn odd_answers_are_answers() {
    let hello = |script: Script| assert_eq!(outcome(script), Ok(b"hello".to_vec()));
    // Interim headers, frames of no meaning, a priority, empty data, a ping's answer, more
    // settings.
    let unknown = Head { length: 3, kind: Kind(200), flags: 0xff, stream: StreamId(90) };
    let script = Script::new()
        .frame(Frame::SettingsAck)
        .headers(FIRST, &[(":status", "103")], false)
        .raw(unknown, b"xyz")
        .frame(Frame::Priority { stream: StreamId(7), priority: Priority([0; 5]) })
        .begun(FIRST)
        .data(FIRST, b"")
        .frame(Frame::Ping { ack: true, opaque: [1; 8] })
        .settings(&[(77, 1), (ENABLE_PUSH, 0)])
        .data(FIRST, b"\0\0\0")
        .frame(Frame::WindowUpdate { stream: FIRST, increment: 1 })
        .data(FIRST, b"\0\x05hel")
        .data(FIRST, b"lo");
    hello(script.ended(FIRST));
    // Padding, of a whole frame too.
    let padded = |payload: &[u8]| {
        let length = payload.len();
        (Head { length, kind: Kind::DATA, flags: 8, stream: FIRST }, payload.to_vec())
    };
    let (head, payload) = padded(b"\x02\0\0\0\0\x05hello\0\0");
    let script = Script::new().begun(FIRST).raw(head, &payload);
    let (head, payload) = padded(b"\x03\0\0\0");
    hello(script.raw(head, &payload).ended(FIRST));
    // An announced end that comes in the middle; what it still does is this call.
    let (last, code, debug) = (FIRST, ErrorCode::NO_ERROR, &b"bye"[..]);
    let script = Script::new().begun(FIRST).frame(Frame::GoAway { last, code, debug });
    hello(script.message(FIRST, b"hello").ended(FIRST));
    // No message is none of 0 bytes.
    assert_eq!(outcome(Script::new().answer(FIRST, b"")), Ok(Vec::new()));
}

#[test]
fn a_server_that_says_no_is_understood() {
    let ok = [(":status", "200"), ("content-type", "application/grpc")];
    let no = [("grpc-status", "5"), ("grpc-message", "no such pod: 100%25 %e2%82%ac")];
    let words = "NOT_FOUND: no such pod: 100% \u{20ac}";
    let only_trailers = Script::new().headers(FIRST, &[&ok[..], &no].concat(), true);
    let trailers = Script::new().begun(FIRST).headers(FIRST, &no, true);
    let late = Script::new().begun(FIRST).message(FIRST, b"x").headers(FIRST, &no, true);
    for script in [only_trailers, trailers, late] {
        let error = outcome(script).unwrap_err();
        assert!(matches!(&error, CallError::Status(status) if status.code == 5), "{error:?}");
        assert_eq!(error.to_string(), words);
    }
    let reset = Frame::Reset { stream: FIRST, code: ErrorCode::REFUSED_STREAM };
    let refused = outcome(Script::new().frame(reset)).unwrap_err();
    assert_eq!(refused.to_string(), "the server reset the call: REFUSED_STREAM");
    let (last, code, debug) = (CONNECTION, ErrorCode::ENHANCE_YOUR_CALM, &b"too_many_pings"[..]);
    let mut client = calling();
    let script = Script::new().frame(Frame::GoAway { last, code, debug });
    let error = read(&mut client, &script).unwrap().unwrap().unwrap_err();
    let words = "the server did not take the call: GOAWAY ENHANCE_YOUR_CALM: too_many_pings";
    assert_eq!(error.to_string(), words);
    let error = client.call(&request(b"")).unwrap_err();
    assert!(matches!(error, NotSent::GoingAway(_)), "{error:?}");
    let words = "the connection was closed after GOAWAY ENHANCE_YOUR_CALM: too_many_pings";
    assert_eq!(client.closed().to_string(), words);
    assert_eq!(calling().closed(), ConnectionError::Closed);
}

#[test]
fn an_answer_that_is_none_of_grpc_fails_its_call_alone() {
    let ok = (":status", "200");
    let grpc = ("content-type", "application/grpc");
    let headers = |list: &[(&str, &str)], end| Script::new().headers(FIRST, list, end);
    let begun = || Script::new().begun(FIRST);
    let end_of_data = Frame::Data { stream: FIRST, bytes: b"", end_stream: true };
    let table = [
        (headers(&[(":status", "404"), grpc], false), "HTTP status 404"),
        (headers(&[(":status", "103")], true), "HTTP status 103"),
        (headers(&[grpc], false), "no HTTP status"),
        (headers(&[ok, ("content-type", "text/html")], false), "content type `text/html`"),
        (headers(&[ok], false), "content type ``"),
        (headers(&[ok, grpc], true), "no grpc-status"),
        (headers(&[ok, grpc, ("grpc-status", "0")], true), "no message"),
        (begun().headers(FIRST, &[("grpc-status", "0")], false), "headers in the middle"),
        (begun().headers(FIRST, &[ok, ("grpc-status", "0")], true), "pseudo-header"),
        (begun().frame(end_of_data), "ended without a status"),
        (begun().ended(FIRST), "no message"),
        (begun().data(FIRST, b"\0\0").ended(FIRST), "cut off"),
        (begun().data(FIRST, b"\0\0\0\0\x02a").ended(FIRST), "cut off"),
        (begun().data(FIRST, b"\0\0\0\0\x02abc"), "more than one message"),
        (begun().message(FIRST, b"a").message(FIRST, b"b"), "more than one message"),
        (begun().data(FIRST, b"\x01\0\0\0\x02ab"), "is compressed"),
        (begun().data(FIRST, b"\x02\0\0\0\x02ab"), "unknown flag"),
        (Script::new().data(FIRST, b"\0\0\0\0\0"), "before its headers"),
        (headers(&[ok, grpc, ("grpc-status", "1x")], true), "UNKNOWN"),
    ];
    for (script, words) in table {
        let mut client = calling();
        let error = read(&mut client, &script).unwrap().unwrap().unwrap_err();
        assert!(error.to_string().contains(words), "{words}: {error}");
        client.output().clear();
        client.call(&request(b"again")).unwrap();
        let second = Script { bytes: Vec::new(), ..script }.answer(StreamId(3), b"fine");
        assert_eq!(read(&mut client, &second), Ok(Some(Ok(b"fine".to_vec()))), "{words}");
    }
}

#[test]
fn an_answer_that_is_too_long_is_refused_before_it_comes() {
    let limits = Limits { answer: 1000, header_list: 300, ..Limits::default() };
    let mut client = calling_within(limits);
    let hundred_megabytes = [&grpc::prefix(100 << 20).unwrap()[..], b"x"].concat();
    let script = Script::new().begun(FIRST).data(FIRST, &hundred_megabytes);
    let error = read(&mut client, &script).unwrap().unwrap().unwrap_err();
    assert_eq!(error, CallError::TooLong { length: 100 << 20, most: 1000 });
    assert_eq!(sent(&mut client).last(), Some(&cancelled(FIRST)));
    // What is on its way all the same is given back on the connection, and to nobody else.
    let late = vec![0; 16_384];
    let script = (0..40).fold(Script::default(), |script, _| script.data(FIRST, &late));
    assert_eq!(read(&mut client, &script), Ok(None));
    let (stream, increment) = (CONNECTION, 32 * 16_384 + 6);
    assert_eq!(sent(&mut client), [other(Frame::WindowUpdate { stream, increment })]);
    // Headers that are too long, and an answer of the most there may be.
    client.call(&request(b"")).unwrap();
    client.output().clear();
    let (long, script) = ("x".repeat(300), Script::default());
    let script = script.headers(StreamId(3), &[(":status", "200"), ("long", &long)], false);
    let error = read(&mut client, &script).unwrap().unwrap().unwrap_err();
    assert_eq!(error, CallError::HeadersTooLong(300));
    assert_eq!(sent(&mut client), [cancelled(StreamId(3))]);
    client.call(&request(b"")).unwrap();
    let script = Script::default().answer(StreamId(5), &[7; 1000]);
    assert_eq!(read(&mut client, &script), Ok(Some(Ok(vec![7; 1000]))));
}

#[test]
fn a_call_that_is_cancelled_leaves_the_connection_usable() {
    let mut client = calling();
    client.cancel();
    assert_eq!(sent(&mut client), [cancelled(FIRST)]);
    client.cancel();
    assert!(client.output().is_empty());
    client.call(&request(b"")).unwrap();
    // The answer to the first, which was on its way: its headers count for the table of the second.
    let mut block = vec![0x40, 1, b'a', 1, b'b'];
    block.insert(0, 0x88);
    let headers = |stream, fragment, end_stream| Frame::Headers {
        stream,
        fragment,
        priority: None,
        end_stream,
        end_headers: true,
    };
    let reset = Frame::Reset { stream: FIRST, code: ErrorCode::CANCEL };
    let script = Script::new()
        .frame(headers(FIRST, &block, false))
        .message(FIRST, b"late")
        .frame(Frame::WindowUpdate { stream: FIRST, increment: 5 })
        .frame(reset);
    assert_eq!(read(&mut client, &script), Ok(None));
    let type_and_table = [&b"\x88\xbe\x0f\x10\x10"[..], b"application/grpc"].concat();
    let script = Script::default()
        .frame(headers(StreamId(3), &type_and_table, false))
        .message(StreamId(3), b"new")
        .frame(headers(StreamId(3), b"\x00\x0bgrpc-status\x010", true));
    assert_eq!(read(&mut client, &script), Ok(Some(Ok(b"new".to_vec()))));
}

#[test]
fn what_is_no_connection_ends_it() {
    use ConnectionError as Error;
    let hello = || Script::new();
    let data = |stream| Frame::Data { stream, bytes: b"x", end_stream: false };
    let headers = |end_headers| Frame::Headers {
        stream: FIRST,
        fragment: b"\x88",
        priority: None,
        end_stream: false,
        end_headers,
    };
    let continuation = |stream| Frame::Continuation { stream, fragment: b"", end_headers: true };
    let promise = Frame::PushPromise {
        stream: FIRST,
        promised: StreamId(2),
        fragment: b"\x88",
        end_headers: true,
    };
    let reset = |stream| Frame::Reset { stream, code: ErrorCode::CANCEL };
    let window = |stream, increment| Frame::WindowUpdate { stream, increment };
    let most = (1 << 31) - 1;
    let long = Head { length: 16_385, kind: Kind::DATA, flags: 0, stream: FIRST };
    let short_ping = Head { length: 7, kind: Kind::PING, flags: 0, stream: CONNECTION };
    let no_such = |kind, stream| Error::NoSuchStream { kind, stream: StreamId(stream) };
    let setting = |setting, value| Error::Setting { setting, value };
    let http = Script { bytes: b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), ..Script::default() };
    let table = [
        (http, Error::Http1),
        (Script::default().frame(data(FIRST)), Error::Preface(Kind::DATA)),
        (Script::default().frame(Frame::SettingsAck), Error::Preface(Kind::SETTINGS)),
        (
            hello().raw(long, b""),
            Error::FrameTooLong { kind: Kind::DATA, length: 16_385, most: 16_384 },
        ),
        // Blocks that are interrupted, or continue nothing.
        (hello().frame(headers(false)).frame(data(FIRST)), Error::BlockInterrupted(Kind::DATA)),
        (
            hello()
                .frame(headers(false))
                .raw(Head { length: 0, kind: Kind(99), flags: 0, stream: FIRST }, b""),
            Error::BlockInterrupted(Kind(99)),
        ),
        (
            hello().frame(headers(false)).frame(continuation(StreamId(3))),
            Error::ContinuesNothing(StreamId(3)),
        ),
        (hello().frame(continuation(FIRST)), Error::ContinuesNothing(FIRST)),
        // Streams that nobody has opened: later ones, the server's.
        (hello().frame(data(StreamId(3))), no_such(Kind::DATA, 3)),
        (hello().frame(data(StreamId(2))), no_such(Kind::DATA, 2)),
        (hello().begun(StreamId(3)), no_such(Kind::HEADERS, 3)),
        (hello().begun(StreamId(2)), no_such(Kind::HEADERS, 2)),
        (hello().frame(reset(StreamId(5))), no_such(Kind::RST_STREAM, 5)),
        (hello().frame(window(StreamId(5), 1)), no_such(Kind::WINDOW_UPDATE, 5)),
        (hello().frame(promise), Error::Push),
        // Windows that become too large.
        (hello().frame(window(CONNECTION, most)), Error::WindowOverflow(CONNECTION)),
        (hello().frame(window(FIRST, most)), Error::WindowOverflow(FIRST)),
        (
            hello().frame(window(FIRST, 1000)).settings(&[(INITIAL_WINDOW_SIZE, most)]),
            Error::WindowOverflow(FIRST),
        ),
        // Settings.
        (
            hello().settings(&[(INITIAL_WINDOW_SIZE, 1 << 31)]),
            setting(INITIAL_WINDOW_SIZE, 1 << 31),
        ),
        (hello().settings(&[(MAX_FRAME_SIZE, 16_383)]), setting(MAX_FRAME_SIZE, 16_383)),
        (hello().settings(&[(MAX_FRAME_SIZE, 1 << 24)]), setting(MAX_FRAME_SIZE, 1 << 24)),
        (hello().settings(&[(ENABLE_PUSH, 1)]), setting(ENABLE_PUSH, 1)),
        (hello().settings(&[(ENABLE_PUSH, 2)]), setting(ENABLE_PUSH, 2)),
    ];
    for (script, error) in table {
        assert_eq!(broken(script), error);
    }
    let error = broken(hello().raw(short_ping, &[0; 7]));
    assert_eq!(error.code(), ErrorCode::FRAME_SIZE_ERROR);
    let bad_block = Frame::Headers {
        stream: FIRST,
        fragment: b"\x80",
        priority: None,
        end_stream: false,
        end_headers: true,
    };
    let error = broken(hello().frame(bad_block));
    assert_eq!(error, Error::Hpack(HpackError::Index(0)));
    assert_eq!(error.code(), ErrorCode::COMPRESSION_ERROR);
    // A block of 17 frames, and one of more than 64 KiB.
    let flood = (0..17).fold(hello().frame(headers(false)), |script, _| {
        script.frame(Frame::Continuation { stream: FIRST, fragment: b"", end_headers: false })
    });
    assert_eq!(broken(flood), Error::BlockTooScattered(16));
    let part = vec![0; 16_000];
    let long = (0..5).fold(hello().frame(headers(false)), |script, _| {
        script.frame(Frame::Continuation { stream: FIRST, fragment: &part, end_headers: false })
    });
    assert_eq!(broken(long), Error::BlockTooLong(64 << 10));
}

#[test]
fn what_came_is_given_back_in_time() {
    let mut client = calling();
    let message = vec![1; 5 << 20];
    let script = Script::new().begun(FIRST).message(FIRST, &message).ended(FIRST);
    assert_eq!(read(&mut client, &script), Ok(Some(Ok(message))));
    let given = sent(&mut client)
        .iter()
        .filter(|sent| matches!(sent, Sent::Other(told) if told.contains("WindowUpdate")))
        .count();
    // 5 MiB in halves of 1 MiB, for the connection and for the call.
    assert!((18..=20).contains(&given), "{given}");
}

#[test]
fn a_request_waits_for_the_windows() {
    let message = vec![9; 200_000];
    let mut client = Client::new(Limits::default());
    client.call(&request(&message)).unwrap();
    let received = |client: &mut Client| {
        let (mut bytes, mut ended) = (0, false);
        for each in sent(client) {
            if let Sent::Data(stream, part, end_stream) = each {
                assert!(stream == FIRST && part.len() <= 16_384 && !ended);
                bytes += part.len();
                ended = end_stream;
            }
        }
        (bytes, ended)
    };
    let window =
        |stream, increment| Script::default().frame(Frame::WindowUpdate { stream, increment });
    assert_eq!(received(&mut client), (65_535, false));
    let settings = Script::default().settings(&[(INITIAL_WINDOW_SIZE, 100_000)]);
    let steps = [
        // The stream may send more, the connection not yet.
        (settings, (0, false)),
        (window(CONNECTION, 10_000), (10_000, false)),
        (window(CONNECTION, 1_000_000), (24_465, false)),
        // A smaller initial window takes from what is open, down to below nothing.
        (Script::default().settings(&[(INITIAL_WINDOW_SIZE, 50_000)]), (0, false)),
        (window(FIRST, 50_000), (0, false)),
        (window(FIRST, 1), (1, false)),
        (window(FIRST, 1 << 20), (100_004, true)),
    ];
    for (script, expected) in steps {
        assert_eq!(read(&mut client, &script), Ok(None));
        assert_eq!(received(&mut client), expected);
    }
    let script = Script::default().answer(FIRST, b"done");
    assert_eq!(read(&mut client, &script), Ok(Some(Ok(b"done".to_vec()))));
    assert!(client.output().is_empty());
}

#[test]
fn an_answer_before_the_end_of_the_request_cancels_the_rest() {
    let mut client = Client::new(Limits::default());
    client.call(&request(&[9; 200_000])).unwrap();
    client.output().clear();
    let script = Script::new().answer(FIRST, b"enough");
    assert_eq!(read(&mut client, &script), Ok(Some(Ok(b"enough".to_vec()))));
    assert_eq!(sent(&mut client), [other(Frame::SettingsAck), cancelled(FIRST)]);
}

#[test]
fn larger_frames_are_sent_where_the_server_takes_them() {
    let mut client = Client::new(Limits::default());
    let script = Script::default().settings(&[(MAX_FRAME_SIZE, 50_000), (HEADER_TABLE_SIZE, 0)]);
    assert_eq!(read(&mut client, &script), Ok(None));
    client.call(&request(&[9; 60_000])).unwrap();
    let parts: Vec<_> = sent(&mut client)
        .into_iter()
        .filter_map(|sent| match sent {
            Sent::Data(_, bytes, _) => Some(bytes.len()),
            Sent::Other(_) => None,
        })
        .collect();
    assert_eq!(parts, [50_000, 10_005]);
}

#[test]
fn pings_and_settings_are_answered_and_cost_no_more() {
    let mut client = calling();
    let opaque = *b"12345678";
    let count = 1000;
    let script = (0..count).fold(Script::new(), |script, _| {
        script.frame(Frame::Ping { ack: false, opaque }).settings(&[(INITIAL_WINDOW_SIZE, 7)])
    });
    assert_eq!(read(&mut client, &script), Ok(None));
    assert!(client.output().len() <= (2 * count + 1) * MOST_ANSWERED);
    let sent = sent(&mut client);
    assert_eq!(sent.len(), 2 * count + 1);
    assert_eq!(sent[1], other(Frame::Ping { ack: true, opaque }));
    assert_eq!(sent[2], other(Frame::SettingsAck));
}
