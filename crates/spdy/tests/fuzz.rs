//! Bytes that a peer might send, derived from what real ones have sent: nothing panics, and nothing
//! exceeds its bounds.
//!
//! The corpus (`tests/corpus`) is what kubectl 1.27 and 1.33 have sent for some connections to
//! `examples/echo.rs`. Each round takes one, breaks it in some places, and lets a server read it in
//! pieces while it answers. It goes on for as many seconds as SPDY_FUZZ_SECONDS says, 2 if it says
//! nothing; what it does follows from the number that it prints, which SPDY_FUZZ_SEED sets.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nsplice_spdy::{Connection, Event, Limits, ResetStatus, MOST_ANSWERED};

/// xorshift64* of Vigna, "An experimental exploration of Marsaglia's xorshift generators" (2016).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.roll() % most.max(1) as u64).expect("less than a usize")
    }
}

/// Breaks `bytes` in a few places.
fn mutate(bytes: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len());
        match dice.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
            1 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][dice.below(5)],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..(at + dice.below(64)).min(bytes.len()))),
            4 => {
                let piece = bytes[at..(at + dice.below(200)).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            5 => {
                let other = &others[dice.below(others.len())];
                let from = dice.below(other.len());
                bytes.extend_from_slice(&other[from..]);
            }
            // A control frame with a payload of no sense.
            _ => {
                let length = u8::try_from(dice.below(40)).expect("less than 40");
                let kind = u8::try_from(dice.below(12)).expect("less than 12");
                let noise = (0..length).map(|_| dice.roll().to_le_bytes()[0]);
                let frame: Vec<u8> =
                    [0x80, 3, 0, kind, 0, 0, 0, length].into_iter().chain(noise).collect();
                bytes.splice(at..at, frame);
            }
        }
    }
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
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let time = Duration::from_secs(number("SPDY_FUZZ_SECONDS").unwrap_or(2));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let seed =
        number("SPDY_FUZZ_SEED").unwrap_or_else(|| u64::try_from(now & 0xffff_ffff).unwrap());
    println!("SPDY_FUZZ_SEED={seed}");
    let mut dice = Dice(seed | 1);
    let corpus: Vec<_> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"))
        .unwrap()
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert!(!corpus.is_empty());
    let narrow = Limits { streams: 2, control_frame: 300, header_block: 100, headers: 3 };
    let begun = Instant::now();
    let mut rounds = 0;
    while rounds < 100 || begun.elapsed() < time {
        let mut bytes = corpus[dice.below(corpus.len())].clone();
        if rounds >= corpus.len() {
            mutate(&mut bytes, &corpus, &mut dice);
        }
        let limits = if dice.below(3) == 0 { narrow } else { Limits::default() };
        serve(&bytes, limits, &mut dice);
        rounds += 1;
    }
    println!("{rounds} rounds");
}
