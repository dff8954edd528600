//! What real clients have sent behind the handshake (`tests/corpus`, see `fuzz.rs`), and all of it understood.

// A test may fail where it stands.
#![allow(clippy::unwrap_used)]

mod pieces;

use std::collections::BTreeMap;

use nsplice_spdy::{Connection, Limits};
use nsplice_websocket::{
    ChannelEvent, Channels, CloseStatus, Coding, Event, Ports, Socket, State, Takes,
};

/// How many bytes have come on which channel, and the end.
type Got = (BTreeMap<u8, usize>, Option<(Option<CloseStatus>, String)>);

fn channels(bytes: &[u8], query: &str, coding: Coding, piece: usize) -> Got {
    let ports = Ports::in_query(query, "ports", 40).unwrap();
    let mut server = Channels::server(&ports, coding);
    let (mut data, mut end) = Got::default();
    let error = pieces::read_in_pieces(bytes, &[piece], |piece| {
        match server.read(piece)? {
            None => return Ok(false),
            Some(ChannelEvent::Data { channel, bytes }) => {
                *data.entry(channel.number()).or_default() += bytes.len();
            }
            Some(ChannelEvent::Closed { status, reason }) => end = Some((status, reason)),
            Some(ChannelEvent::Pong { ping }) => panic!("nobody asked for {ping}"),
        }
        Ok(true)
    });
    assert_eq!(error, None);
    assert_eq!(server.state() == State::Closed, end.is_some());
    (data, end)
}

#[test]
fn channels_of_real_clients_are_understood() {
    let normal = |reason: &str| Some((Some(CloseStatus::NORMAL), reason.to_owned()));
    for piece in [1, 7, 1 << 20] {
        let python = include_bytes!("corpus/python.bin");
        let got = channels(python, "ports=80%2C81", Coding::Binary, piece);
        // It has ended without a word.
        assert_eq!(got, ([(0, 305), (2, 18)].into(), None));

        let kr8s = include_bytes!("corpus/kr8s.bin");
        let query = "name=echo&namespace=default&ports=80&_preload_content=false";
        let got = channels(kr8s, query, Coding::Binary, piece);
        assert_eq!(got, ([(0, 300)].into(), normal("")));

        let client_node = include_bytes!("corpus/client-node.bin");
        let got = channels(client_node, "ports=80", Coding::Binary, piece);
        assert_eq!(got, ([(0, 300)].into(), Some((None, String::new()))));

        let base64 = include_bytes!("corpus/ws-base64.bin");
        let got = channels(base64, "ports=80&ports=81", Coding::Base64, piece);
        assert_eq!(got, ([(0, 433), (2, 33)].into(), normal("done")));
    }
}

#[test]
fn the_tunnel_of_a_real_kubectl_is_spdy() {
    for bytes in
        [&include_bytes!("corpus/kubectl-1.31.bin")[..], include_bytes!("corpus/kubectl-1.33.bin")]
    {
        let mut socket = Socket::server(Takes::Binary);
        let mut connection = Connection::server(Limits::default());
        let (mut opened, mut data) = (0, 0);
        let error = pieces::read_in_pieces(bytes, &[5], |piece| {
            let Some(event) = socket.read(piece)? else { return Ok(false) };
            let Event::Data { bytes, .. } = event else { panic!("{event:?}") };
            let mut bytes = &*bytes;
            while let Some(event) = connection.read(&mut bytes).unwrap() {
                match event {
                    nsplice_spdy::Event::Opened { .. } => opened += 1,
                    nsplice_spdy::Event::Data { bytes, .. } => data += bytes.len(),
                    other => panic!("{other:?}"),
                }
            }
            Ok(true)
        });
        assert_eq!(error, None);
        // A data and an error stream for each of three connections.
        assert_eq!((opened, data), (6, 310));
    }
}
