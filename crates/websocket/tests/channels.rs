//! Channels: what clients send and get, and what they should not send.

// A test may fail where it stands.
#![allow(clippy::unwrap_used)]

mod frames;
mod pieces;

use std::collections::BTreeMap;

use nsplice_websocket::{
    Channel, ChannelEvent, Channels, ChannelsClient, ClientEvent, CloseStatus, Coding,
    ConnectionError, NotSent, Ports, State,
};
use proptest::prelude::*;

use frames::{frame, MASK};

const BOTH: [Coding; 2] = [Coding::Binary, Coding::Base64];

fn ports(list: &str) -> Ports {
    Ports::in_query(&format!("ports={list}"), "ports", 40).unwrap()
}

fn channel(ports: &Ports, place: usize) -> Channel {
    ports.iter().nth(place).unwrap().0
}

/// A server that waits for data, and what has come on which channel.
struct Server {
    channels: Channels,
    data: BTreeMap<u8, Vec<u8>>,
    closed: Option<Option<CloseStatus>>,
}

impl Server {
    fn new(ports: &Ports, coding: Coding) -> Self {
        let mut channels = Channels::server(ports, coding);
        channels.output().clear();
        Self { channels, data: BTreeMap::new(), closed: None }
    }

    fn read(&mut self, bytes: &[u8], pieces: &[usize]) -> Option<ConnectionError> {
        pieces::read_in_pieces(bytes, pieces, |piece| {
            match self.channels.read(piece)? {
                None => return Ok(false),
                Some(ChannelEvent::Data { channel, bytes }) => {
                    assert!(!bytes.is_empty());
                    self.data.entry(channel.number()).or_default().extend_from_slice(bytes);
                }
                Some(ChannelEvent::Pong { .. }) => {}
                Some(ChannelEvent::Closed { status, .. }) => self.closed = Some(status),
            }
            Ok(true)
        })
    }

    fn sent(&mut self) -> Vec<u8> {
        std::mem::take(self.channels.output())
    }
}

/// What a client has got: data and reports by channel, and the status of the end.
type Got = (BTreeMap<u8, Vec<u8>>, BTreeMap<u8, Vec<u8>>, Option<Option<CloseStatus>>);

fn get(
    client: &mut ChannelsClient,
    bytes: &[u8],
    pieces: &[usize],
) -> (Got, Option<ConnectionError>) {
    let (mut data, mut reports, mut closed) = Got::default();
    let error = pieces::read_in_pieces(bytes, pieces, |piece| {
        match client.read(piece)? {
            None => return Ok(false),
            Some(ClientEvent::Data { channel, bytes }) => {
                data.entry(channel.number()).or_insert_with(Vec::new).extend_from_slice(bytes);
            }
            Some(ClientEvent::Report { channel, text }) => {
                reports.entry(channel.number()).or_insert_with(Vec::new).extend_from_slice(text);
            }
            Some(ClientEvent::Pong { .. }) => {}
            Some(ClientEvent::Closed { status, .. }) => closed = Some(status),
        }
        Ok(true)
    });
    ((data, reports, closed), error)
}

#[test]
fn the_first_message_on_each_channel_is_the_port() {
    let ports = ports("8080,443");
    let mut binary = Channels::server(&ports, Coding::Binary);
    let expected = [
        [0x82, 3, 0, 0x90, 0x1f],
        [0x82, 3, 1, 0x90, 0x1f],
        [0x82, 3, 2, 0xbb, 0x01],
        [0x82, 3, 3, 0xbb, 0x01],
    ];
    assert_eq!(*binary.output(), expected.concat());
    let mut base64 = Channels::server(&ports, Coding::Base64);
    assert_eq!(*base64.output(), b"\x81\x050kB8=\x81\x051kB8=\x81\x052uwE=\x81\x053uwE=");
}

#[test]
fn messages_are_those_of_the_protocol() {
    let ports = ports("80,81");
    let second = channel(&ports, 1);
    let mut server = Server::new(&ports, Coding::Binary);
    assert_eq!(server.read(&frame(0x82, b"\x02GET /"), &[]), None);
    assert_eq!(server.data, [(2, b"GET /".to_vec())].into());
    server.channels.send(second, b"200").unwrap();
    server.channels.report(second, "gone").unwrap();
    assert_eq!(server.sent(), b"\x82\x04\x02200\x82\x05\x03gone");
    assert_eq!(*server.channels.begin_data(second, 300).unwrap(), [0x82, 126, 1, 45, 2]);

    let mut server = Server::new(&ports, Coding::Base64);
    // Half a message, and one with its line ends.
    let bytes = [frame(0x01, b"2R0V"), frame(0x80, b"UIC8="), frame(0x81, b"0YQ\r\n==\n")];
    assert_eq!(server.read(&bytes.concat(), &[1]), None);
    assert_eq!(server.data, [(2, b"GET /".to_vec()), (0, b"a".to_vec())].into());
    server.channels.send(second, b"200").unwrap();
    server.channels.report(second, "gone").unwrap();
    assert_eq!(server.sent(), b"\x81\x052MjAw\x81\x093Z29uZQ==");
    assert_eq!(server.channels.begin_data(second, 300), Err(NotSent::NotPlain));
}

/// As upstream: they are nothing, and the connection goes on.
#[test]
fn messages_that_are_for_nobody_are_passed_over() {
    let ports = ports("80,81");
    let mut server = Server::new(&ports, Coding::Binary);
    let bytes = [
        frame(0x82, b""),
        frame(0x82, b"\x00"),
        frame(0x82, b"\x01to the errors"),
        frame(0x82, b"\x04to a third port"),
        frame(0x82, b"\xff\x00"),
        [frame(0x02, b""), frame(0x00, b"\x02"), frame(0x00, b"a"), frame(0x80, b"b")].concat(),
        // Text, as bytes.
        frame(0x81, b"\x02c"),
    ];
    assert_eq!(server.read(&bytes.concat(), &[]), None);
    assert_eq!(server.data, [(2, b"abc".to_vec())].into());
    let mut server = Server::new(&ports, Coding::Base64);
    let bytes = [frame(0x81, b""), frame(0x81, b"2"), frame(0x81, b"/YQ=="), frame(0x81, b"9YQ==")];
    assert_eq!(server.read(&bytes.concat(), &[]), None);
    assert!(server.data.is_empty());
}

#[test]
fn what_is_not_base64_ends_the_connection_behind_what_is() {
    for text in ["0Zm9v!", "0Zm9vZ", "0Zm9vZg=", "0Zm9vZg", "0Zm9v=", "0Zm9vYQ==YQ=="] {
        for piece in 1..20 {
            let mut server = Server::new(&ports("80"), Coding::Base64);
            let error = server.read(&frame(0x81, text.as_bytes()), &[piece]);
            assert_eq!(error, Some(ConnectionError::Base64(0)), "{text} by {piece}");
            assert!(server.data[&0].starts_with(b"foo"), "{text} by {piece}");
            assert_eq!(server.sent()[..4], [0x88, 40, 0x03, 0xef], "{text}");
            assert_eq!(server.channels.state(), State::Closed);
        }
    }
}

#[test]
fn a_port_ends_alone_and_the_connection_with_the_last_one() {
    for coding in BOTH {
        let ports = ports("80,81,82");
        let [a, b, c] = [0, 1, 2].map(|place| channel(&ports, place));
        let mut server = Server::new(&ports, coding);
        let mut client = ChannelsClient::new(&ports, coding, MASK);
        client.send(a, b"early").unwrap();
        assert_eq!(server.read(&std::mem::take(client.output()), &[]), None);
        server.channels.end(a);
        server.channels.end(a);
        assert_eq!((server.channels.open(), server.channels.state()), (2, State::Open));
        assert_eq!(server.channels.send(a, b"x"), Err(NotSent::Closed));
        assert_eq!(server.channels.report(a, "x"), Err(NotSent::Closed));
        client.send(a, b"late").unwrap();
        client.send(b, b"goes on").unwrap();
        assert_eq!(server.read(&std::mem::take(client.output()), &[]), None);
        assert_eq!(server.data, [(0, b"early".to_vec()), (2, b"goes on".to_vec())].into());
        server.channels.end(c);
        server.sent();
        server.channels.end(b);
        assert_eq!(server.channels.state(), State::Closing);
        assert_eq!(server.sent(), [0x88, 2, 0x03, 0xe8]);
    }
}

#[test]
fn a_client_that_closes_closes_all() {
    let ports = ports("80,81");
    let mut server = Server::new(&ports, Coding::Binary);
    let mut client = ChannelsClient::new(&ports, Coding::Binary, MASK);
    client.close(CloseStatus::NORMAL, "");
    client.close(CloseStatus::NORMAL, "");
    let bytes = std::mem::take(client.output());
    assert_eq!(server.read(&bytes, &[]), None);
    assert_eq!(server.closed, Some(Some(CloseStatus::NORMAL)));
    assert_eq!(server.channels.state(), State::Closed);
    assert_eq!(server.channels.send(channel(&ports, 0), b"x"), Err(NotSent::Closed));
    let ((_, _, closed), error) = get(&mut client, &server.sent(), &[]);
    assert_eq!((closed, error), (Some(Some(CloseStatus::NORMAL)), None));
    assert_eq!(client.state(), State::Closed);
}

#[test]
fn a_client_sees_that_a_server_says_another_port() {
    let mut client = ChannelsClient::new(&ports("80,81"), Coding::Binary, MASK);
    let mut server = Channels::server(&ports("80,82"), Coding::Binary);
    let (_, error) = get(&mut client, server.output(), &[]);
    assert_eq!(error, Some(ConnectionError::Port { channel: 2, port: 82, asked: 81 }));
}

/// Bytes for one of some ports; a report in their stead, if it is one.
fn deeds() -> impl Strategy<Value = Vec<(prop::sample::Index, Vec<u8>, bool)>> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..300);
    let deed = (any::<prop::sample::Index>(), bytes, prop::bool::weighted(0.1));
    proptest::collection::vec(deed, 0..20)
}

proptest! {
    #[test]
    fn what_is_sent_arrives_on_its_channel_however_it_is_split(
        deeds in deeds(),
        count in 1..=40usize,
        is_base64 in any::<bool>(),
        pieces in proptest::collection::vec(1..400usize, 1..20),
    ) {
        let coding = BOTH[usize::from(is_base64)];
        let ports = ports(&vec!["80"; count].join(","));
        let all: Vec<_> = ports.iter().map(|(channel, _)| channel).collect();
        let mut client = ChannelsClient::new(&ports, coding, MASK);
        let mut server = Channels::server(&ports, coding);
        let mut expected = Got::default();
        for (of, bytes, is_report) in deeds {
            let channel = *of.get(&all);
            let text = String::from_utf8_lossy(&bytes);
            if is_report && !text.is_empty() {
                server.report(channel, &text).unwrap();
                expected.1.entry(channel.number()).or_default().extend_from_slice(text.as_bytes());
            } else if !bytes.is_empty() {
                server.send(channel, &bytes).unwrap();
                client.send(channel, &bytes).unwrap();
                expected.0.entry(channel.number()).or_default().extend_from_slice(&bytes);
            }
        }
        let bytes = std::mem::take(server.output());
        prop_assert_eq!(get(&mut client, &bytes, &pieces), (expected.clone(), None));
        let mut reader = Server::new(&ports, coding);
        prop_assert_eq!(reader.read(client.output(), &pieces), None);
        prop_assert_eq!(reader.data, expected.0);
    }

    /// Also where it goes wrong.
    #[test]
    fn however_messages_are_split_the_events_are_the_same(
        messages in proptest::collection::vec(
            ("[0-3]", "[A-Za-z0-9+/]{0,20}={0,2}\n?", any::<bool>()),
            0..12,
        ),
        pieces in proptest::collection::vec(1..30usize, 1..20),
    ) {
        let ports = ports("80,81");
        let mut bytes = Vec::new();
        for (channel, text, is_split) in messages {
            let payload = format!("{channel}{text}").into_bytes();
            let (front, rest) = payload.split_at(if is_split { payload.len() / 2 } else { 0 });
            bytes.extend([frame(0x01, front), frame(0x80, rest)].concat());
        }
        for coding in BOTH {
            let (mut whole, mut split) = (Server::new(&ports, coding), Server::new(&ports, coding));
            prop_assert_eq!(whole.read(&bytes, &[]), split.read(&bytes, &pieces));
            prop_assert_eq!(whole.data.clone(), split.data.clone());
            prop_assert_eq!(whole.sent(), split.sent());
        }
    }
}
