//! Two ends talk to each other, and a peer does what it should not.

use nsplice_spdy::{
    data_header, Connection, ConnectionError, Event, GoAwayStatus, Limits, NotSent, ResetStatus,
    StreamId,
};
use proptest::prelude::*;

/// An event that can be kept; parts of a data frame are joined.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Data(StreamId, Vec<u8>),
    End(StreamId),
    Other(String),
}

/// Reads `bytes` in pieces of these lengths, over and over.
fn read(
    connection: &mut Connection,
    bytes: &[u8],
    pieces: &[usize],
) -> (Vec<Seen>, Option<ConnectionError>) {
    let (mut seen, mut rest) = (Vec::new(), bytes);
    let mut pieces = pieces.iter().copied().cycle();
    while !rest.is_empty() {
        let length = pieces.next().map_or(rest.len(), |piece| piece.clamp(1, rest.len()));
        let (mut piece, later) = rest.split_at(length);
        rest = later;
        loop {
            let event = match connection.read(&mut piece) {
                Ok(None) => break,
                Ok(Some(event)) => event,
                Err(error) => return (seen, Some(error)),
            };
            match event {
                Event::Data { stream, bytes, fin } => {
                    match seen.last_mut() {
                        Some(Seen::Data(last, joined)) if *last == stream => {
                            joined.extend_from_slice(bytes);
                        }
                        _ if bytes.is_empty() => {}
                        _ => seen.push(Seen::Data(stream, bytes.to_vec())),
                    }
                    if fin {
                        seen.push(Seen::End(stream));
                    }
                }
                other => seen.push(Seen::Other(format!("{other:?}"))),
            }
        }
        assert!(piece.is_empty(), "bytes were left");
    }
    (seen, None)
}

fn read_all(connection: &mut Connection, bytes: &[u8]) -> Vec<Seen> {
    let (seen, error) = read(connection, bytes, &[]);
    assert_eq!(error, None);
    seen
}

fn sent(connection: &mut Connection) -> Vec<u8> {
    std::mem::take(connection.output())
}

/// A client with a stream that is open, and its server.
fn pair() -> (Connection, Connection, StreamId) {
    let mut client = Connection::client(Limits::default());
    let mut server = Connection::server(Limits::default());
    let stream = client.open(&[("port", "80")], false).expect("a stream");
    read_all(&mut server, &sent(&mut client));
    server.reply(stream, &[], false).expect("an answer");
    read_all(&mut client, &sent(&mut server));
    (client, server, stream)
}

/// What one end does.
#[derive(Debug, Clone)]
enum Deed {
    Open(Vec<(String, String)>, bool),
    Send(prop::sample::Index, Vec<u8>, bool),
    Reset(prop::sample::Index),
    Ping,
}

fn deed() -> impl Strategy<Value = Deed> {
    let headers = proptest::collection::btree_map("[a-z]{1,6}", "[ -~]{0,12}", 0..5);
    prop_oneof![
        2 => (headers, prop::bool::weighted(0.2))
            .prop_map(|(headers, fin)| Deed::Open(headers.into_iter().collect(), fin)),
        6 => (
            any::<prop::sample::Index>(),
            proptest::collection::vec(any::<u8>(), 0..400),
            prop::bool::weighted(0.2)
        )
            .prop_map(|(of, bytes, fin)| Deed::Send(of, bytes, fin)),
        1 => any::<prop::sample::Index>().prop_map(Deed::Reset),
        1 => Just(Deed::Ping),
    ]
}

/// Lets a client do all that, and answers the bytes it has sent.
fn play(deeds: Vec<Deed>) -> Vec<u8> {
    let mut client = Connection::client(Limits::default());
    let mut streams = Vec::new();
    for deed in deeds {
        match deed {
            Deed::Open(headers, fin) => {
                let headers: Vec<_> =
                    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                streams.push(client.open(&headers, fin).expect("a stream"));
            }
            Deed::Send(of, bytes, fin) if !streams.is_empty() => {
                // It may have ended.
                let _ = client.send(*of.get(&streams), &bytes, fin);
            }
            Deed::Reset(of) if !streams.is_empty() => {
                client.reset(*of.get(&streams), ResetStatus::CANCEL);
            }
            Deed::Ping => drop(client.ping()),
            Deed::Send(..) | Deed::Reset(_) => {}
        }
    }
    sent(&mut client)
}

proptest! {
    #[test]
    fn however_the_bytes_are_split_the_events_are_the_same(
        deeds in proptest::collection::vec(deed(), 1..40),
        pieces in proptest::collection::vec(1..90usize, 1..20),
    ) {
        let bytes = play(deeds);
        let (mut whole, mut split) =
            (Connection::server(Limits::default()), Connection::server(Limits::default()));
        let expected = read(&mut whole, &bytes, &[]);
        prop_assert_eq!(expected.1.clone(), None);
        prop_assert_eq!(read(&mut split, &bytes, &pieces), expected);
        prop_assert_eq!(sent(&mut whole), sent(&mut split));
    }

    #[test]
    fn broken_bytes_are_split_without_a_difference_too(
        deeds in proptest::collection::vec(deed(), 1..20),
        broken in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        pieces in proptest::collection::vec(1..90usize, 1..20),
    ) {
        let mut bytes = play(deeds);
        prop_assume!(!bytes.is_empty());
        for (at, byte) in broken {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let (mut whole, mut split) =
            (Connection::server(Limits::default()), Connection::server(Limits::default()));
        prop_assert_eq!(read(&mut whole, &bytes, &[]), read(&mut split, &bytes, &pieces));
        prop_assert_eq!(sent(&mut whole), sent(&mut split));
    }

    #[test]
    fn what_is_sent_arrives(
        up in proptest::collection::vec(any::<u8>(), 1..70_000),
        down in proptest::collection::vec(any::<u8>(), 1..70_000),
    ) {
        let (mut client, mut server, stream) = pair();
        client.send(stream, &up, true).unwrap();
        server.send(stream, &down, true).unwrap();
        let heard = read_all(&mut server, &sent(&mut client));
        prop_assert_eq!(heard, vec![Seen::Data(stream, up), Seen::End(stream)]);
        let heard = read_all(&mut client, &sent(&mut server));
        prop_assert_eq!(heard, vec![Seen::Data(stream, down), Seen::End(stream)]);
        prop_assert_eq!((client.streams(), server.streams()), (0, 0));
    }
}

#[test]
fn each_direction_ends_by_itself() {
    let (mut client, mut server, stream) = pair();
    client.send(stream, b"", true).unwrap();
    assert_eq!(client.send(stream, b"more", false), Err(NotSent::Closed));
    assert_eq!(read_all(&mut server, &sent(&mut client)), [Seen::End(stream)]);
    server.send(stream, b"late", false).unwrap();
    let late = Seen::Data(stream, b"late".to_vec());
    assert_eq!(read_all(&mut client, &sent(&mut server)), [late]);
    server.send(stream, b"", true).unwrap();
    assert_eq!(read_all(&mut client, &sent(&mut server)), [Seen::End(stream)]);
    assert_eq!((client.streams(), server.streams()), (0, 0));
}

#[test]
fn pings_are_answered_and_told_apart() {
    let (mut client, mut server, _) = pair();
    let ping = client.ping();
    assert!(read_all(&mut server, &sent(&mut client)).is_empty());
    let pong = Seen::Other(format!("{:?}", Event::Pong { ping }));
    assert_eq!(read_all(&mut client, &sent(&mut server)), [pong]);
    assert_eq!((client.ping(), server.ping(), server.ping()), (ping + 2, 2, 4));
}

#[test]
fn data_for_a_stream_that_was_reset_is_passed_over() {
    let (mut client, mut server, stream) = pair();
    // Half of a frame is there when the stream is reset.
    client.send(stream, &[7; 100], false).unwrap();
    let frames = sent(&mut client);
    read_all(&mut server, &frames[..50]);
    server.reset(stream, ResetStatus::CANCEL);
    assert!(read_all(&mut server, &frames[50..]).is_empty());
    client.send(stream, b"more", true).unwrap();
    assert!(read_all(&mut server, &sent(&mut client)).is_empty());
    let reset = Event::Reset { stream, status: ResetStatus::CANCEL };
    let told = read_all(&mut client, &sent(&mut server));
    assert_eq!(told, [Seen::Other(format!("{reset:?}"))]);
    assert_eq!(server.reply(stream, &[], false), Err(NotSent::Closed));
}

#[test]
fn a_stream_beyond_the_limit_is_refused_and_the_others_go_on() {
    let limits = Limits { streams: 2, ..Limits::default() };
    let (mut client, mut server) =
        (Connection::client(Limits::default()), Connection::server(limits));
    let streams: Vec<_> = (0..3).map(|_| client.open(&[("a", "b")], false).unwrap()).collect();
    assert_eq!(read_all(&mut server, &sent(&mut client)).len(), 2);
    let reset = Event::Reset { stream: streams[2], status: ResetStatus::REFUSED_STREAM };
    let told = read_all(&mut client, &sent(&mut server));
    assert_eq!(told, [Seen::Other(format!("{reset:?}"))]);
    server.reset(streams[0], ResetStatus::CANCEL);
    client.open(&[], false).unwrap();
    assert_eq!(read_all(&mut server, &sent(&mut client)).len(), 1, "a place was free again");
}

#[test]
fn after_a_goaway_streams_go_on_and_no_new_one_comes() {
    let (mut client, mut server, stream) = pair();
    server.go_away(GoAwayStatus::OK);
    let refused = client.open(&[], false).unwrap();
    assert!(read_all(&mut server, &sent(&mut client)).is_empty());
    let goaway = Event::GoAway { last: stream, status: GoAwayStatus::OK };
    let reset = Event::Reset { stream: refused, status: ResetStatus::REFUSED_STREAM };
    let told = read_all(&mut client, &sent(&mut server));
    assert_eq!(told, [goaway, reset].map(|event| Seen::Other(format!("{event:?}"))));
    assert_eq!(client.open(&[], false), Err(NotSent::GoingAway));
    client.send(stream, b"on", false).unwrap();
    assert_eq!(read_all(&mut server, &sent(&mut client)), [Seen::Data(stream, b"on".to_vec())]);
}

/// A control frame.
fn control(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let [.., a, b, c] = (payload.len() as u64).to_be_bytes();
    [&[0x80, 3, 0, kind, flags, a, b, c], payload].concat()
}

#[test]
fn what_ends_a_connection_is_told_once_and_stays() {
    let too_long = [0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff];
    let table: [(&str, Vec<u8>); 9] = [
        ("another version", vec![0x80, 2, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1]),
        ("a control frame of 16 MiB", too_long.to_vec()),
        ("a ping of five bytes", control(6, 0, &[0; 5])),
        ("a stream without a header block", control(1, 0, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0])),
        ("a header block that is not zlib", control(1, 0, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9, 9])),
        ("a stream cut short", control(1, 0, &[0; 9])),
        ("settings that are not there", control(4, 0, &[0xff; 4])),
        ("a reset without a status", control(3, 0, &[0, 0, 0, 1])),
        ("a goaway of SPDY/2", control(7, 0, &[0; 4])),
    ];
    for (name, bytes) in table {
        let mut server = Connection::server(Limits::default());
        let (seen, error) = read(&mut server, &bytes, &[]);
        assert!(seen.is_empty() && error.is_some(), "{name}: {seen:?}");
        assert_eq!(sent(&mut server), control(7, 0, &[0, 0, 0, 0, 0, 0, 0, 1]), "{name}");
        assert_eq!(read(&mut server, b"more", &[]).1, error, "{name}");
        assert!(sent(&mut server).is_empty(), "{name}");
        assert_eq!(server.open(&[], false), Err(NotSent::GoingAway), "{name}");
    }
}

#[test]
fn what_is_wrong_with_a_stream_ends_that_stream() {
    let (mut client, mut server, stream) = pair();
    let other = client.open(&[], false).unwrap();
    client.send(stream, b"", true).unwrap();
    read_all(&mut server, &sent(&mut client));
    // Data after the end.
    let after = [&data_header(stream, 3, false)[..], b"abc"].concat();
    let reset = Event::Reset { stream, status: ResetStatus::STREAM_ALREADY_CLOSED };
    assert_eq!(read_all(&mut server, &after), [Seen::Other(format!("{reset:?}"))]);
    // Data for a stream that never was.
    let never = [&data_header(StreamId(99), 3, true)[..], b"abc"].concat();
    assert!(read_all(&mut server, &never).is_empty());
    // A second reply.
    let mut twin = Connection::client(Limits::default());
    let mine = twin.open(&[], false).unwrap();
    let mut answering = Connection::server(Limits::default());
    read_all(&mut answering, &sent(&mut twin));
    answering.reply(mine, &[], false).unwrap();
    let reply = sent(&mut answering);
    assert_eq!(read_all(&mut twin, &reply).len(), 1);
    assert_eq!(answering.reply(mine, &[], false), Err(NotSent::Closed));
    // The other stream is none the worse.
    client.send(other, b"fine", false).unwrap();
    assert_eq!(read_all(&mut server, &sent(&mut client)), [Seen::Data(other, b"fine".to_vec())]);
}

#[test]
fn a_number_of_a_stream_is_used_once() {
    let mut client = Connection::client(Limits::default());
    client.open(&[], false).unwrap();
    let first = sent(&mut client);
    let mut server = Connection::server(Limits::default());
    read_all(&mut server, &first);
    client.open(&[], false).unwrap();
    let mut again = sent(&mut client);
    again[11] = 1;
    let (_, error) = read(&mut server, &again, &[]);
    assert_eq!(error, Some(ConnectionError::StreamNumber(1)));
}

#[test]
fn settings_windows_and_unknown_frames_change_nothing() {
    let (mut client, mut server, stream) = pair();
    let settings = control(4, 0, &[0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 9]);
    let window = control(9, 0, &[0, 0, 0, 1, 0, 0, 1, 0]);
    let unknown = control(77, 3, b"whatever");
    assert!(read_all(&mut server, &[settings, window, unknown].concat()).is_empty());
    assert!(sent(&mut server).is_empty());
    client.send(stream, b"x", false).unwrap();
    assert_eq!(read_all(&mut server, &sent(&mut client)).len(), 1);
}

/// What kubectl sends when it opens a connection, and what it is answered.
#[test]
fn a_forwarded_connection_as_kubectl_makes_it() {
    let (mut client, mut server) =
        (Connection::client(Limits::default()), Connection::server(Limits::default()));
    let headers = |kind| [("streamtype", kind), ("port", "8080"), ("requestid", "0")];
    let error = client.open(&headers("error"), false).unwrap();
    client.send(error, b"", true).unwrap();
    let data = client.open(&headers("data"), false).unwrap();
    client.send(data, b"GET / HTTP/1.0\r\n\r\n", false).unwrap();
    let seen = read_all(&mut server, &sent(&mut client));
    assert_eq!(seen.len(), 4, "{seen:?}");
    for stream in [error, data] {
        server.reply(stream, &[], false).unwrap();
    }
    server.send(data, b"HTTP/1.0 200 OK\r\n\r\n", true).unwrap();
    server.send(error, b"", true).unwrap();
    read_all(&mut client, &sent(&mut server));
    client.reset(data, ResetStatus::CANCEL);
    read_all(&mut server, &sent(&mut client));
    assert_eq!((client.streams(), server.streams()), (0, 0));
}
