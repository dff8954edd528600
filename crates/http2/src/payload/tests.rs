use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// Reads the only frame in `bytes`.
fn parse(bytes: &[u8]) -> Result<Frame<'_>, FrameError> {
    let (head, payload) = bytes.split_first_chunk().unwrap();
    let head = Head::parse(*head);
    assert_eq!(head.length, payload.len());
    Frame::parse(head, payload)
}

fn written(frame: Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.write(&mut bytes).unwrap();
    bytes
}

/// A frame of these numbers, whatever they make.
fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    push(&mut bytes, kind, flags, StreamId(stream), &[payload]).unwrap();
    bytes
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        which in 0..12,
        (a, b) in (1..=StreamId::MOST, 1..=StreamId::MOST),
        (x, y, with) in any::<(bool, bool, bool)>(),
        bytes in vec(any::<u8>(), 0..40),
        opaque in any::<[u8; 8]>(),
        settings in vec(any::<[u8; 6]>(), 0..5),
    ) {
        let (stream, fragment, code) = (StreamId(a), &bytes[..], ErrorCode(b));
        let [p, q, r, s, t, ..] = opaque;
        let priority = Priority([p, q, r, s, t]);
        let frame = match which {
            0 => Frame::Data { stream, bytes: &bytes, end_stream: x },
            1 => {
                let priority = with.then_some(priority);
                Frame::Headers { stream, fragment, priority, end_stream: x, end_headers: y }
            }
            2 => Frame::Priority { stream, priority },
            3 => Frame::Reset { stream, code },
            4 => Frame::Settings(Settings(&settings)),
            5 => Frame::SettingsAck,
            6 => Frame::PushPromise { stream, promised: StreamId(b), fragment, end_headers: x },
            7 => Frame::Ping { ack: x, opaque },
            8 => Frame::GoAway { last: stream, code, debug: &bytes },
            9 => Frame::WindowUpdate { stream, increment: b },
            10 => Frame::Continuation { stream, fragment, end_headers: x },
            _ => {
                let (kind, flags) = (Kind(10 + p % 200), q);
                let head = Head { length: bytes.len(), kind, flags, stream };
                Frame::Unknown { head, payload: &bytes }
            }
        };
        let bytes = written(frame);
        prop_assert_eq!(parse(&bytes), Ok(frame));
    }

    #[test]
    fn whatever_comes_is_read_or_refused(
        (kind, flags, stream) in (0u8..12, any::<u8>(), 0..4u32),
        payload in vec(any::<u8>(), 0..20),
    ) {
        let _ = parse(&frame(Kind(kind), flags, stream, &payload));
    }

    #[test]
    fn padding_is_taken_off(padding in 0u8..=255, bytes in vec(any::<u8>(), 0..40)) {
        let payload = [&[padding][..], &bytes, &vec![0; usize::from(padding)]].concat();
        let data = frame(Kind::DATA, flag::PADDED, 1, &payload);
        let read = Frame::Data { stream: StreamId(1), bytes: &bytes, end_stream: false };
        prop_assert_eq!(parse(&data), Ok(read));
        let prioritised = [&[padding, 1, 2, 3, 4, 5][..], &payload[1..]].concat();
        let flags = flag::PADDED | flag::PRIORITY | flag::END_HEADERS;
        let headers = frame(Kind::HEADERS, flags, 1, &prioritised);
        let read = Frame::Headers {
            stream: StreamId(1),
            fragment: &bytes,
            priority: Some(Priority([1, 2, 3, 4, 5])),
            end_stream: false,
            end_headers: true,
        };
        prop_assert_eq!(parse(&headers), Ok(read));
    }
}

#[test]
fn what_the_rfc_forbids_is_refused_with_its_code() {
    use ErrorCode as Code;
    let (size, protocol) = (Code::FRAME_SIZE_ERROR, Code::PROTOCOL_ERROR);
    let long = |length: u8, padding: u8| [&[padding][..], &vec![0; length.into()]].concat();
    // The type, its flags, the stream, the payload, what is told, and of which stream.
    let table = [
        // Of which stream a frame is (6.1 to 6.10).
        (Kind::DATA, 0, 0, vec![1], protocol, 0),
        (Kind::HEADERS, 0, 0, vec![], protocol, 0),
        (Kind::PRIORITY, 0, 0, vec![0; 5], protocol, 0),
        (Kind::RST_STREAM, 0, 0, vec![0; 4], protocol, 0),
        (Kind::PUSH_PROMISE, 0, 0, vec![0; 4], protocol, 0),
        (Kind::CONTINUATION, 0, 0, vec![], protocol, 0),
        (Kind::SETTINGS, 0, 1, vec![], protocol, 0),
        (Kind::PING, 0, 1, vec![0; 8], protocol, 0),
        (Kind::GOAWAY, 0, 1, vec![0; 8], protocol, 0),
        // Padding (6.1, 6.2, 6.6).
        (Kind::DATA, flag::PADDED, 1, vec![], size, 0),
        (Kind::DATA, flag::PADDED, 1, long(3, 4), protocol, 0),
        (Kind::HEADERS, flag::PADDED, 1, long(0, 1), protocol, 0),
        (Kind::PUSH_PROMISE, flag::PADDED, 1, long(4, 5), protocol, 0),
        // Priority: of the stream alone where it is a frame of its own (6.3).
        (Kind::HEADERS, flag::PRIORITY, 1, vec![0; 4], size, 0),
        (Kind::HEADERS, flag::PRIORITY | flag::PADDED, 1, long(6, 2), size, 0),
        (Kind::PRIORITY, 0, 3, vec![0; 4], size, 3),
        (Kind::PRIORITY, 0, 3, vec![0; 6], size, 3),
        // Lengths (6.4 to 6.9).
        (Kind::RST_STREAM, 0, 1, vec![0; 3], size, 0),
        (Kind::RST_STREAM, 0, 1, vec![0; 5], size, 0),
        (Kind::SETTINGS, 0, 0, vec![0; 7], size, 0),
        (Kind::SETTINGS, flag::ACK, 0, vec![0; 6], size, 0),
        (Kind::PUSH_PROMISE, 0, 1, vec![0; 3], size, 0),
        (Kind::PING, 0, 0, vec![0; 7], size, 0),
        (Kind::PING, flag::ACK, 0, vec![0; 9], size, 0),
        (Kind::GOAWAY, 0, 0, vec![0; 7], size, 0),
        (Kind::WINDOW_UPDATE, 0, 0, vec![0; 3], size, 0),
        (Kind::WINDOW_UPDATE, 0, 1, vec![0; 5], size, 0),
        // An increment of nothing; the reserved bit does not count (6.9).
        (Kind::WINDOW_UPDATE, 0, 0, vec![0; 4], protocol, 0),
        (Kind::WINDOW_UPDATE, 0, 5, vec![0x80, 0, 0, 0], protocol, 5),
    ];
    for (kind, flags, stream, payload, code, concerns) in table {
        let bytes = frame(kind, flags, stream, &payload);
        let error = parse(&bytes).unwrap_err();
        assert_eq!((error.kind, error.code, error.concerns), (kind, code, StreamId(concerns)));
        assert!(error.to_string().starts_with(&format!("a malformed {kind} frame: ")), "{error}");
    }
}

#[test]
fn what_is_odd_and_allowed_is_read() {
    let empty = Frame::Data { stream: StreamId(1), bytes: &[], end_stream: true };
    assert_eq!(parse(&frame(Kind::DATA, flag::END_STREAM, 1, &[])), Ok(empty));
    let padding_only = frame(Kind::DATA, flag::PADDED | flag::END_STREAM, 1, &[3, 0, 0, 0]);
    assert_eq!(parse(&padding_only), Ok(empty));
    // Flags that a type does not have are ignored (4.1).
    let ping = Frame::Ping { ack: false, opaque: [7; 8] };
    assert_eq!(parse(&frame(Kind::PING, 0xfe, 0, &[7; 8])), Ok(ping));
    let fragment = Frame::Continuation { stream: StreamId(1), fragment: &[9], end_headers: false };
    assert_eq!(parse(&frame(Kind::CONTINUATION, 0xfb, 1, &[9])), Ok(fragment));
}

#[test]
fn a_payload_that_does_not_fit_is_not_written() {
    let bytes = vec![0; MAX_PAYLOAD + 1];
    let frame = |bytes| Frame::Data { stream: StreamId(1), bytes, end_stream: true };
    let mut out = Vec::new();
    assert_eq!(frame(&bytes).write(&mut out), Err(PayloadTooLong(MAX_PAYLOAD + 1)));
    assert!(out.is_empty());
    frame(&bytes[1..]).write(&mut out).unwrap();
    assert_eq!(out.len(), 9 + MAX_PAYLOAD);
}
