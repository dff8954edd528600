//! Two ends talk to each other, and a peer does what it should not.

// A test may fail where it stands.
#![allow(clippy::unwrap_used)]

mod frames;
mod pieces;

use nsplice_websocket::{
    data_head, CloseStatus, ConnectionError, Event, NotSent, Socket, State, Takes, MOST_ANSWERED,
};
use proptest::prelude::*;

use frames::{frame, MASK};

/// An event that can be kept; parts of a message are joined.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Data(Vec<u8>),
    End,
    Pong(u32),
    Closed(Option<u16>, String),
}

/// Reads `bytes` in pieces of these lengths, over and over.
fn read(
    socket: &mut Socket,
    bytes: &[u8],
    pieces: &[usize],
) -> (Vec<Seen>, Option<ConnectionError>) {
    let mut seen = Vec::new();
    let error = pieces::read_in_pieces(bytes, pieces, |piece| {
        Ok(match socket.read(piece)? {
            None => false,
            Some(Event::Data { bytes, fin }) => {
                match seen.last_mut() {
                    Some(Seen::Data(joined)) => joined.extend_from_slice(bytes),
                    _ if bytes.is_empty() => {}
                    _ => seen.push(Seen::Data(bytes.to_vec())),
                }
                if fin {
                    seen.push(Seen::End);
                }
                true
            }
            Some(Event::Pong { ping }) => {
                seen.push(Seen::Pong(ping));
                true
            }
            Some(Event::Closed { status, reason }) => {
                seen.push(Seen::Closed(status.map(CloseStatus::number), reason));
                true
            }
        })
    });
    (seen, error)
}

fn read_all(socket: &mut Socket, bytes: &[u8]) -> Vec<Seen> {
    let (seen, error) = read(socket, bytes, &[]);
    assert_eq!(error, None);
    seen
}

fn sent(socket: &mut Socket) -> Vec<u8> {
    std::mem::take(socket.output())
}

fn pair() -> (Socket, Socket) {
    (Socket::client(Takes::Both, MASK), Socket::server(Takes::Both))
}

/// A frame of a server with less than 126 bytes.
fn plain(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, u8::try_from(payload.len()).unwrap()], payload].concat()
}

fn close(status: u16, reason: &[u8]) -> Vec<u8> {
    [&status.to_be_bytes()[..], reason].concat()
}

/// What a client sends, as the bytes of frames.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let payload = || proptest::collection::vec(any::<u8>(), 0..126);
    let control = prop_oneof![
        payload().prop_map(|it| frame(0x89, &it)),
        payload().prop_map(|it| frame(0x8a, &it)),
        Just(Vec::new()),
    ];
    let part = (payload(), control);
    let message = proptest::collection::vec(part, 1..4).prop_map(|parts| {
        let mut bytes = Vec::new();
        let last = parts.len() - 1;
        for (at, (payload, control)) in parts.into_iter().enumerate() {
            let opcode = if at == 0 { 2 } else { 0 };
            bytes.extend(frame(if at == last { 0x80 | opcode } else { opcode }, &payload));
            bytes.extend(control);
        }
        bytes
    });
    let end = prop_oneof![
        Just(Vec::new()),
        Just(frame(0x88, &close(1001, b"bye"))),
        Just(frame(0x80, b"")),
        Just(frame(0xc2, b"")),
        Just(frame(0x88, &[0])),
    ];
    (proptest::collection::vec(message, 0..12), end)
        .prop_map(|(messages, end)| [messages.concat(), end].concat())
}

proptest! {
    #[test]
    fn however_the_bytes_are_split_the_events_are_the_same(
        bytes in stream(),
        pieces in proptest::collection::vec(1..90usize, 1..20),
    ) {
        let (mut whole, mut split) = (Socket::server(Takes::Both), Socket::server(Takes::Both));
        let expected = read(&mut whole, &bytes, &[]);
        prop_assert_eq!(read(&mut split, &bytes, &pieces), expected);
        prop_assert_eq!(sent(&mut whole), sent(&mut split));
        prop_assert_eq!(whole.state(), split.state());
    }

    #[test]
    fn what_is_sent_arrives(
        messages in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..300),
                proptest::collection::vec(any::<u8>(), 65_500..65_600),
            ],
            1..8,
        ),
        pieces in proptest::collection::vec(1..5000usize, 1..20),
    ) {
        let (mut client, mut server) = pair();
        for (from, to) in [(0, 1), (1, 0)] {
            let mut expected = Vec::new();
            let ends = [&mut client, &mut server];
            for message in &messages {
                ends[from].send(message).unwrap();
                expected.extend((!message.is_empty()).then(|| Seen::Data(message.clone())));
                expected.push(Seen::End);
            }
            let ping = ends[from].ping().unwrap();
            let bytes = sent(ends[from]);
            prop_assert_eq!(read(ends[to], &bytes, &pieces), (expected, None));
            let bytes = sent(ends[to]);
            prop_assert_eq!(read_all(ends[from], &bytes), [Seen::Pong(ping)]);
        }
    }
}

/// The examples of section 5.7, read by a client or by a server.
#[test]
fn frames_of_the_rfc_are_understood() {
    let hello = [Seen::Data(b"Hello".to_vec()), Seen::End];
    let (mut client, mut server) = pair();
    assert_eq!(read_all(&mut client, &plain(0x81, b"Hello")), hello);
    let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(read_all(&mut server, &masked), hello);
    let parts = [plain(0x01, b"Hel"), plain(0x80, b"lo")].concat();
    assert_eq!(read_all(&mut client, &parts), hello);
    assert_eq!(read_all(&mut client, &plain(0x89, b"Hello")), []);
    let pong = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(sent(&mut client), pong);
    assert_eq!(read_all(&mut server, &pong), []);
}

#[test]
fn a_frame_of_two_to_the_forty_is_told_in_parts_and_not_kept() {
    let (_, mut server) = pair();
    let head = [&[0x82, 0xff][..], &(1u64 << 40).to_be_bytes(), &MASK].concat();
    assert_eq!(read_all(&mut server, &head), []);
    for round in 0..100u8 {
        let mut piece = vec![round; 4096 + usize::from(round % 5)];
        let at = piece.as_ptr();
        let Ok(Some(Event::Data { bytes, fin: false })) = server.read(&mut &mut piece[..]) else {
            panic!("a part was due");
        };
        // Unmasked where it stood.
        assert_eq!(bytes.as_ptr(), at);
    }
    assert!(server.output().is_empty());
}

#[test]
fn control_frames_may_come_within_a_message() {
    let (_, mut server) = pair();
    let bytes = [
        frame(0x02, b"a"),
        frame(0x89, b"?"),
        frame(0x00, b""),
        frame(0x8a, b"nobody asked"),
        frame(0x8a, &[0, 0, 0, 1]),
        frame(0x00, b"b"),
        frame(0x80, b""),
        frame(0x82, b""),
    ];
    assert_eq!(
        read_all(&mut server, &bytes.concat()),
        [Seen::Data(b"ab".to_vec()), Seen::End, Seen::End]
    );
    assert_eq!(sent(&mut server), plain(0x8a, b"?"));
}

#[test]
fn a_peer_that_breaks_the_protocol_is_told_and_heard_no_more() {
    use ConnectionError as E;
    let long = [&close(1000, b"")[..], &[0xff]].concat();
    for (bytes, error, status) in [
        (vec![0xc2, 0x80], E::Reserved, 1002),
        (vec![0x82, 0x01, b'a'], E::Unmasked, 1002),
        (frame(0x80, b"a"), E::NothingToContinue, 1002),
        ([frame(0x02, b"a"), frame(0x82, b"b")].concat(), E::Interrupted, 1002),
        (frame(0x88, &[3]), E::CloseTooShort, 1002),
        (frame(0x88, &long), E::CloseReason, 1007),
        (frame(0x81, b"text"), E::Text, 1003),
    ] {
        let mut server = Socket::server(Takes::Binary);
        let (_, found) = read(&mut server, &bytes, &[1]);
        assert_eq!((found, server.state()), (Some(error), State::Closed));
        let output = sent(&mut server);
        let reason = &error.to_string().into_bytes()[..];
        assert_eq!(output, plain(0x88, &close(status, reason)), "{error}");
        // It stays so, and nothing more is said.
        let mut more = frame(0x89, b"still there?");
        assert_eq!(server.read(&mut &mut more[..]), Err(error));
        assert_eq!(server.send(b"a"), Err(NotSent::Closed));
        assert_eq!(sent(&mut server), []);
    }
}

/// Section 7.4.
#[test]
fn a_close_frame_has_a_status_that_may_stand_there() {
    for status in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1014, 3000, 4999] {
        let (_, mut server) = pair();
        let bytes = frame(0x88, &close(status, "é".as_bytes()));
        assert_eq!(read_all(&mut server, &bytes), [Seen::Closed(Some(status), "é".into())]);
        assert_eq!(sent(&mut server), plain(0x88, &close(status, b"")));
    }
    for status in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        let (_, mut server) = pair();
        let (_, error) = read(&mut server, &frame(0x88, &close(status, b"")), &[]);
        assert_eq!(error, Some(ConnectionError::CloseStatus(status)));
    }
    let (_, mut server) = pair();
    assert_eq!(read_all(&mut server, &frame(0x88, b"")), [Seen::Closed(None, String::new())]);
    assert_eq!(sent(&mut server), plain(0x88, b""));
}

#[test]
fn either_end_closes_and_each_says_so_once() {
    let (mut client, mut server) = pair();
    server.close(CloseStatus::GOING_AWAY, "the node goes down");
    server.close(CloseStatus::NORMAL, "");
    assert_eq!(server.state(), State::Closing);
    assert_eq!(server.ping(), Err(NotSent::Closed));
    assert_eq!(server.begin_data(1), Err(NotSent::Closed));
    // What was on its way is passed over.
    client.send(b"late").unwrap();
    client.ping().unwrap();
    let bytes = sent(&mut server);
    assert_eq!(bytes, plain(0x88, &close(1001, b"the node goes down")));
    let closed = |reason: &str| [Seen::Closed(Some(1001), reason.to_owned())];
    assert_eq!(read_all(&mut client, &bytes), closed("the node goes down"));
    let bytes = sent(&mut client);
    assert_eq!(read_all(&mut server, &bytes), closed(""));
    assert_eq!((client.state(), server.state()), (State::Closed, State::Closed));
    // What follows is nobody's.
    assert_eq!(read_all(&mut server, &[0xff; 99]), []);
    assert_eq!((sent(&mut client), sent(&mut server)), (Vec::new(), Vec::new()));
}

#[test]
fn a_flood_of_pings_does_not_make_the_output_grow() {
    let (_, mut server) = pair();
    server.send(b"before").unwrap();
    let before = server.output().clone();
    for number in 0..10_000u32 {
        let payload = number.to_be_bytes().repeat(1 + usize::try_from(number % 31).unwrap());
        assert_eq!(read_all(&mut server, &frame(0x89, &payload)), []);
        assert!(server.output().len() <= before.len() + MOST_ANSWERED);
    }
    let last = 9_999u32.to_be_bytes().repeat(1 + 9_999 % 31);
    assert_eq!(sent(&mut server), [before, plain(0x8a, &last)].concat());
    // A client that reads gets each answer.
    for number in 0..10u8 {
        assert_eq!(read_all(&mut server, &frame(0x89, &[number])), []);
        assert_eq!(sent(&mut server), plain(0x8a, &[number]));
    }
}

#[test]
fn a_head_goes_before_data_that_is_not_copied() {
    let (mut client, mut server) = pair();
    for length in [0, 1, 125, 126, 65_535, 65_536, 300_000] {
        let data = vec![7; length];
        let head = server.begin_data(length).unwrap();
        assert_eq!(head, data_head(length));
        let mut bytes = head.to_vec();
        bytes.extend_from_slice(&data);
        server.send(&data).unwrap();
        assert_eq!(sent(&mut server), bytes);
        let expected: Vec<_> = (length > 0).then_some(Seen::Data(data)).into_iter().collect();
        assert_eq!(read_all(&mut client, &bytes), [expected, vec![Seen::End]].concat());
    }
    assert_eq!(client.begin_data(1), Err(NotSent::NotPlain));
}

#[test]
fn a_long_reason_is_cut_where_a_character_ends() {
    let (mut client, mut server) = pair();
    server.close(CloseStatus::INTERNAL_ERROR, &"é".repeat(100));
    let bytes = sent(&mut server);
    assert_eq!(read_all(&mut client, &bytes), [Seen::Closed(Some(1011), "é".repeat(61))]);
}
