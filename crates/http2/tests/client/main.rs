//! A client against servers that answer rightly, oddly and wrongly. The servers are frames written
//! down.

mod connection;
mod script;

use std::time::Duration;

use nsplice_http2::{
    grpc, CallError, Client, ConnectionError, Decoder, ErrorCode, Frame, Frames, Head, Kind,
    Limits, NotSent, Priority, Request, StreamId, DEFAULT_HEADER_TABLE, ENABLE_PUSH, PREFACE,
};
use proptest::prelude::*;

use script::{
    calling, calling_within, cancelled, other, outcome, read, request, sent, Script, CONNECTION,
    FIRST, PATH,
};

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
