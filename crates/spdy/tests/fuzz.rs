//! Bytes that a peer might send, derived from what real ones have sent: nothing panics, and nothing
//! exceeds its bounds.
//!
//! The corpus (`tests/corpus`) is what kubectl 1.27 and 1.33 have sent for some connections to
//! `examples/echo.rs`. Each round takes one, breaks it in some places, and lets a server read it in
//! pieces while it answers. It goes on for as many seconds as SPDY_FUZZ_SECONDS says, 2 if it says
//! nothing; what it does follows from the number that it prints, which SPDY_FUZZ_SEED sets.

use std::path::Path;

use nsplice_spdy::{Connection, Event, Limits, ResetStatus, MOST_ANSWERED};
use nsplice_testkit::fuzz::{corpus, mutate, play, Dice};

/// A control frame with a payload of no sense.
fn noise(dice: &mut Dice) -> Vec<u8> {
    let length = u8::try_from(dice.below(40)).expect("less than 40");
    let kind = u8::try_from(dice.below(12)).expect("less than 12");
    let payload = (0..length).map(|_| dice.byte());
    [0x80, 3, 0, kind, 0, 0, 0, length].into_iter().chain(payload).collect()
}

/// Lets a server read `bytes`, in pieces, and answer to what it understands.
fn serve(bytes: &[u8], limits: Limits, dice: &mut Dice) {
    let mut server = Connection::server(limits);
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(1 + dice.below(rest.len()));
        rest = later;
        let mut left = piece;
        loop {
            let (before, had) = (server.output().len(), left.len());
            let event = server.read(&mut left);
            // A frame has eight bytes at least, and one may have been gathered before.
            let frames = (had - left.len()) / 8 + 1;
            let answered = server.output().len() - before;
            assert!(answered <= (frames + 1) * MOST_ANSWERED, "{answered} for {frames} frames");
            assert!(server.streams() <= limits.streams, "{} streams", server.streams());
            match event {
                Ok(Some(Event::Opened { stream, headers, .. })) => {
                    assert!(headers.iter().count() <= limits.headers);
                    if dice.below(4) == 0 {
                        server.reset(stream, ResetStatus::CANCEL);
                    } else {
                        // One that takes nothing cannot be answered.
                        let _ = server.reply(stream, &[("a", "b")], dice.below(8) == 0);
                    }
                }
                Ok(Some(Event::Data { stream, bytes, fin })) => {
                    assert!(bytes.len() <= had);
                    let _ = server.send(stream, bytes, fin);
                }
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(server.read(&mut left), Err(error));
                    return;
                }
            }
        }
        assert!(left.is_empty(), "{} bytes were left", left.len());
        server.output().clear();
    }
}

#[test]
fn nothing_panics_and_nothing_exceeds_its_bounds() {
    let corpus = corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"));
    let narrow = Limits { streams: 2, control_frame: 300, header_block: 100, headers: 3 };
    play("SPDY_FUZZ", |round, dice| {
        let mut bytes = corpus[dice.below(corpus.len())].clone();
        if round >= corpus.len() {
            mutate(&mut bytes, &corpus, dice, noise);
        }
        let limits = if dice.below(3) == 0 { narrow } else { Limits::default() };
        serve(&bytes, limits, dice);
    });
}
