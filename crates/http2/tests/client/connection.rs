//! The connection of a client: what ends it, its windows, and what it answers.

use nsplice_http2::{
    Client, ConnectionError, ErrorCode, Frame, Head, HpackError, Kind, Limits, StreamId,
    ENABLE_PUSH, HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MOST_ANSWERED,
};

use crate::script::{
    broken, calling, cancelled, other, read, request, sent, Script, Sent, CONNECTION, FIRST,
};

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
