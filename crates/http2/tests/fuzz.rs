//! Bytes that a peer might send, derived from what real ones have sent: nothing panics, and nothing
//! exceeds its bounds.
//!
//! The corpus (`tests/corpus`) is what `ctr` and containerd 1.6.20, both of grpc-go, have said to
//! each other. Each round takes one side of it, breaks it in some places, and lets it be read in
//! pieces: by a client that makes calls, and by the parts that a relay is made of. It goes on for
//! as many seconds as HTTP2_FUZZ_SECONDS says, 2 if it says nothing; what it does follows from the
//! number that it prints, which HTTP2_FUZZ_SEED sets.

use std::path::Path;

use nsplice_http2::{
    write_headers, Blocks, Client, Decoder, Encoder, Field, Frame, Frames, Head, HpackError,
    Limits, Part, Reader, Request, DEFAULT_HEADER_TABLE, MOST_ANSWERED, PREFACE,
};
use nsplice_testkit::fuzz::{corpus, mutate, play, Dice};

/// A frame with a payload of no sense.
fn noise(dice: &mut Dice) -> Vec<u8> {
    let length = u8::try_from(dice.below(40)).expect("less than 40");
    let kind = u8::try_from(dice.below(12)).expect("less than 12");
    let stream = u8::try_from(dice.below(6)).expect("less than 6");
    let head = [0, 0, length, kind, dice.byte(), 0, 0, 0, stream];
    head.into_iter().chain((0..length).map(|_| dice.byte())).collect()
}

/// Goes on with the bytes in pieces of any length.
fn in_pieces(mut bytes: &[u8], dice: &mut Dice, mut read: impl FnMut(&mut &[u8]) -> bool) {
    while !bytes.is_empty() {
        let (mut piece, later) = bytes.split_at(1 + dice.below(bytes.len()));
        bytes = later;
        if !read(&mut piece) {
            return;
        }
        assert!(piece.is_empty(), "{} bytes were left", piece.len());
    }
}

/// A client that makes one call after the other.
fn call(bytes: &[u8], limits: Limits, dice: &mut Dice) {
    let mut client = Client::new(limits);
    let message = vec![7; dice.below(100_000)];
    let request = Request { path: "/a.B/C", message: &message, timeout: None };
    client.call(&request).expect("a first call");
    in_pieces(bytes, dice, |piece| loop {
        let (had, before) = (piece.len(), client.output().len());
        let result = client.read(piece);
        // A frame has nine bytes at least, and one may have been gathered before.
        let frames = (had - piece.len()) / 9 + 2;
        let answered = client.output().len() - before;
        let rest = message.len() + message.len() / 1000 * 9;
        assert!(answered <= frames * MOST_ANSWERED + rest, "{answered} for {frames} frames");
        match result {
            Ok(Some(outcome)) => {
                assert!(outcome.map_or(0, |message| message.len()) <= limits.answer);
                // One that goes away takes no more.
                let _ = client.call(&request);
            }
            Ok(None) => return true,
            Err(error) => {
                assert_eq!(client.read(piece), Err(error));
                return false;
            }
        }
    });
}

/// What a relay does with what it is sent: heads, blocks, lists, and blocks again.
fn relay(bytes: &[u8], limits: Limits, dice: &mut Dice) {
    let bytes = bytes.strip_prefix(&PREFACE[..]).unwrap_or(bytes);
    let mut reader = Reader::new(16_384);
    let mut parts = Vec::new();
    in_pieces(bytes, dice, |piece| loop {
        match reader.read(piece) {
            Ok(Some(Part::Head(head))) => parts.extend(head.bytes()),
            Ok(Some(Part::Payload { bytes, .. })) => parts.extend(bytes),
            Ok(None) => return true,
            Err(_) => return false,
        }
    });
    // All passes as it came but the bits that are reserved.
    assert!(parts.len() <= bytes.len());
    let mut frames = Frames::new(16_384);
    let mut blocks = Blocks::new(limits.header_block, limits.header_frames);
    let mut decoder = Decoder::new(DEFAULT_HEADER_TABLE, limits.header_list);
    let mut encoder = Encoder::new();
    in_pieces(bytes, dice, |piece| loop {
        let Ok(frame) = frames.read(piece) else { return false };
        let Some((head, payload)) = frame else { return true };
        let Some(list) = list(head, &payload, &mut blocks, &mut decoder, limits) else {
            return false;
        };
        let (block, mut out) = (encoder.encode(&list), Vec::new());
        write_headers(&mut out, head.stream, &block, false, 100);
        let mut again = Decoder::new(DEFAULT_HEADER_TABLE, usize::MAX);
        assert_eq!(again.decode(&block), Ok(list));
    });
}

/// The list whose block is whole with this frame; `None` when nothing more can be read.
fn list(
    head: Head,
    payload: &[u8],
    blocks: &mut Blocks,
    decoder: &mut Decoder,
    limits: Limits,
) -> Option<Vec<Field>> {
    blocks.admit(head).ok()?;
    let frame = Frame::parse(head, payload).ok()?;
    let Some(block) = blocks.take(&frame).ok()? else { return Some(Vec::new()) };
    assert!(block.bytes.len() <= limits.header_block);
    let list = match decoder.decode(&block.bytes) {
        Err(HpackError::ListTooLong(_)) => Vec::new(),
        list => list.ok()?,
    };
    assert!(list.iter().map(Field::size).sum::<usize>() <= limits.header_list);
    assert!(decoder.table_size() <= 4096);
    Some(list)
}

#[test]
fn nothing_panics_and_nothing_exceeds_its_bounds() {
    let corpus = corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"));
    let narrow = Limits {
        answer: 100,
        header_block: 60,
        header_frames: 2,
        header_list: 200,
        ..Limits::default()
    };
    play("HTTP2_FUZZ", |round, dice| {
        let mut bytes = corpus[dice.below(corpus.len())].clone();
        if round >= corpus.len() {
            mutate(&mut bytes, &corpus, dice, noise);
        }
        let limits = if dice.below(3) == 0 { narrow } else { Limits::default() };
        call(&bytes, limits, dice);
        relay(&bytes, limits, dice);
    });
}
