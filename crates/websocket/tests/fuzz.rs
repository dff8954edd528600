//! Bytes that a client might send, derived from what real ones have sent: nothing panics, and nothing
//! exceeds its bounds.
//!
//! The corpus (`tests/corpus`) is what clients have sent behind the handshake for some connections to
//! `examples/echo.rs`: kubectl 1.31 and 1.33, through the tunnel; `kubernetes` and `kr8s` for Python and
//! `@kubernetes/client-node`; and, as no client is known to speak base64, `ws` for JavaScript, which also sent
//! a ping and a message in parts. Each round takes one, breaks it in some places, and lets a server read it
//! in pieces while it answers. It goes on for as many seconds as WEBSOCKET_FUZZ_SECONDS says, 2 if it says
//! nothing; what it does follows from the number that it prints, which WEBSOCKET_FUZZ_SEED sets.

use std::path::Path;

use nsplice_testkit::fuzz::{corpus, mutate, play, Dice};
use nsplice_websocket::{
    accept, ChannelEvent, Channels, CloseStatus, Coding, ConnectionError, Event, Ports, Socket,
    State, Takes, MOST_ANSWERED,
};

/// A frame with a payload of no sense, whose length is sometimes a lie.
fn noise(dice: &mut Dice) -> Vec<u8> {
    let length = u8::try_from(dice.below(128)).expect("less than 128");
    let first = [0x82, 0x02, 0x00, 0x80, 0x81, 0x88, 0x89, 0x8a, dice.byte()][dice.below(9)];
    let head = [first, 0x80 | length, dice.byte(), dice.byte(), dice.byte(), dice.byte()];
    let payload = (0..length).map(|_| dice.byte());
    head.into_iter().chain(payload).collect()
}

/// One end of a server, and what it has got and sent.
enum End {
    Tunnel(Socket),
    Channels(Channels, Ports),
}

impl End {
    fn new(dice: &mut Dice) -> Self {
        let coding = match dice.below(3) {
            0 => return Self::Tunnel(Socket::server(Takes::Binary)),
            1 => Coding::Binary,
            _ => Coding::Base64,
        };
        let ports = Ports::in_query("ports=80,81,8080", "ports", 40).expect("three ports");
        Self::Channels(Channels::server(&ports, coding), ports)
    }

    fn output(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Tunnel(socket) => socket.output(),
            Self::Channels(channels, _) => channels.output(),
        }
    }

    fn state(&self) -> State {
        match self {
            Self::Tunnel(socket) => socket.state(),
            Self::Channels(channels, _) => channels.state(),
        }
    }

    /// Reads up to the next event; answers how many bytes of data it has, and whether it is the end.
    fn read(&mut self, input: &mut &mut [u8]) -> Result<Option<(usize, bool)>, ConnectionError> {
        Ok(match self {
            Self::Tunnel(socket) => socket.read(input)?.map(|event| match event {
                Event::Data { bytes, .. } => (bytes.len(), false),
                Event::Pong { .. } => (0, false),
                Event::Closed { .. } => (0, true),
            }),
            Self::Channels(channels, _) => channels.read(input)?.map(|event| match event {
                ChannelEvent::Data { bytes, .. } => (bytes.len(), false),
                ChannelEvent::Pong { .. } => (0, false),
                ChannelEvent::Closed { .. } => (0, true),
            }),
        })
    }

    /// Does something that an owner does. Whether it may does not matter.
    fn answer(&mut self, dice: &mut Dice) {
        match self {
            Self::Tunnel(socket) => match dice.below(40) {
                0 => socket.close(CloseStatus::GOING_AWAY, ""),
                1 => drop(socket.ping()),
                _ => drop(socket.send(&[dice.byte()])),
            },
            Self::Channels(channels, ports) => {
                let (channel, _) = ports.iter().nth(dice.below(3)).expect("three ports");
                match dice.below(40) {
                    0 => channels.close(CloseStatus::GOING_AWAY, ""),
                    1 => channels.end(channel),
                    2 => drop(channels.ping()),
                    3 => drop(channels.report(channel, "gone")),
                    _ => drop(channels.send(channel, &[dice.byte()])),
                }
            }
        }
    }
}

/// Lets a server read `bytes`, in pieces, and answer to what it understands.
fn serve(bytes: &mut [u8], end: &mut End, dice: &mut Dice) {
    let (mut rest, mut given, mut got) = (bytes, 0, 0);
    // What waits in the output apart from what reading has added since something was last taken out.
    let mut own = end.output().len();
    while !rest.is_empty() {
        let (mut piece, later) = rest.split_at_mut(1 + dice.below(rest.len()));
        rest = later;
        given += piece.len();
        loop {
            let before = end.state();
            let event = end.read(&mut piece);
            let waiting = end.output().len();
            assert!(waiting <= own + MOST_ANSWERED, "{waiting} bytes wait, {own} without answers");
            match event {
                Ok(Some((length, is_end))) => {
                    got += length;
                    assert!(got <= given, "{got} bytes of {given}");
                    assert_ne!(before, State::Closed, "nothing comes after the end");
                    assert_eq!(is_end, end.state() == State::Closed);
                    end.answer(dice);
                    own += end.output().len() - waiting;
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(end.state(), State::Closed);
                    assert_eq!(end.read(&mut piece), Err(error));
                    return;
                }
            }
        }
        assert!(piece.is_empty(), "{} bytes were left", piece.len());
        if dice.below(3) == 0 {
            let taken = dice.below(end.output().len() + 1);
            drop(end.output().drain(..taken));
            own = end.output().len();
        }
    }
}

#[test]
fn nothing_panics_and_nothing_exceeds_its_bounds() {
    let corpus = corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"));
    play("WEBSOCKET_FUZZ", |round, dice| {
        let mut bytes = corpus[dice.below(corpus.len())].clone();
        if round >= corpus.len() {
            mutate(&mut bytes, &corpus, dice, noise);
        }
        serve(&mut bytes, &mut End::new(dice), dice);
    });
}

/// What a client could write into the lines that decide.
#[test]
fn no_request_makes_the_handshake_panic() {
    let words = [
        "Upgrade",
        "websocket",
        "13",
        "dGhlIHNhbXBsZSBub25jZQ==",
        "v4.channel.k8s.io",
        ",",
        "é",
        "",
        "Connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Protocol",
        "=",
    ];
    play("WEBSOCKET_FUZZ", |_, dice| {
        let word = |dice: &mut Dice| words[dice.below(words.len())];
        let headers: Vec<_> = (0..dice.below(12)).map(|_| (word(dice), word(dice))).collect();
        if let Err(refused) = accept("GET", &headers) {
            assert!((400..500).contains(&refused.status()));
        }
    });
}
