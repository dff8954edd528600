//! Heads as the RFC writes them, and those that it forbids.

use super::*;
use proptest::prelude::*;

/// What `bytes` say, read in pieces of `piece` bytes; `None` if they are too few.
fn read(bytes: &[u8], piece: usize, sender: Sender) -> Result<Option<Head>, ConnectionError> {
    let (mut reader, mut rest) = (HeadReader::NEW, bytes);
    while reader.missing() > 0 {
        if rest.is_empty() {
            return Ok(None);
        }
        let (now, later) = rest.split_at(reader.missing().min(piece).min(rest.len()));
        reader.take(now, sender)?;
        rest = later;
    }
    reader.head().map(Some)
}

fn head() -> impl Strategy<Value = Head> {
    let length = prop_oneof![0..200u64, 65_000..66_000u64, 0..=u64::MAX >> 1];
    let data = prop_oneof![Just(Opcode::Continuation), Just(Opcode::Text), Just(Opcode::Binary)];
    let control = prop_oneof![Just(Opcode::Close), Just(Opcode::Ping), Just(Opcode::Pong)];
    let mask = proptest::option::of(any::<[u8; 4]>().prop_map(Mask));
    prop_oneof![
        (any::<bool>(), data, mask.clone(), length).prop_map(|(fin, opcode, mask, length)| Head {
            fin,
            opcode,
            mask,
            length
        }),
        (control, mask, 0..=125u64).prop_map(|(opcode, mask, length)| Head {
            fin: true,
            opcode,
            mask,
            length
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(head in head(), piece in 1..15usize) {
        let sender = if head.mask.is_some() { Sender::Client } else { Sender::Server };
        prop_assert_eq!(read(&head.bytes(), piece, sender), Ok(Some(head)));
    }
}

/// The heads of the examples in section 5.7.
#[test]
fn heads_are_those_of_the_rfc() {
    let binary = |length| Head { fin: true, opcode: Opcode::Binary, mask: None, length };
    let text = |fin, opcode, length| Head { fin, opcode, mask: None, length };
    let key = Some(Mask([0x37, 0xfa, 0x21, 0x3d]));
    let masked = |opcode| Head { fin: true, opcode, mask: key, length: 5 };
    for (head, bytes) in [
        (text(true, Opcode::Text, 5), &[0x81, 0x05][..]),
        (masked(Opcode::Text), &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d]),
        (text(false, Opcode::Text, 3), &[0x01, 0x03]),
        (text(true, Opcode::Continuation, 2), &[0x80, 0x02]),
        (text(true, Opcode::Ping, 5), &[0x89, 0x05]),
        (masked(Opcode::Pong), &[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d]),
        (binary(256), &[0x82, 0x7e, 0x01, 0x00]),
        (binary(65_536), &[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]),
        // Not in the RFC: where one way to write a length ends and the next begins.
        (binary(125), &[0x82, 125]),
        (binary(126), &[0x82, 126, 0, 126]),
        (binary(65_535), &[0x82, 126, 0xff, 0xff]),
        (binary(u64::MAX >> 1), &[0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255]),
    ] {
        assert_eq!(&*head.bytes(), bytes);
        let sender = if head.mask.is_some() { Sender::Client } else { Sender::Server };
        assert_eq!(read(bytes, 1, sender), Ok(Some(head)));
    }
}

#[test]
fn what_the_rfc_forbids_is_refused() {
    use ConnectionError as E;
    for (bytes, error) in [
        (&[0xc2, 0x80][..], E::Reserved),
        (&[0xa2, 0x80], E::Reserved),
        (&[0x92, 0x80], E::Reserved),
        (&[0x83, 0x80], E::Opcode(3)),
        (&[0x87, 0x80], E::Opcode(7)),
        (&[0x8b, 0x80], E::Opcode(11)),
        (&[0x8f, 0x80], E::Opcode(15)),
        (&[0x82, 0x00], E::Unmasked),
        (&[0x88, 0x00], E::Unmasked),
        (&[0x09, 0x80], E::ControlFragmented),
        (&[0x89, 0xfe], E::ControlTooLong),
        (&[0x88, 0xff], E::ControlTooLong),
        (&[0x82, 0xfe, 0, 125, 1, 2, 3, 4], E::LengthNotShortest(125)),
        (&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 255, 255, 1, 2, 3, 4], E::LengthNotShortest(65_535)),
        (&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], E::LengthTooHigh),
        (&[0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4], E::LengthTooHigh),
    ] {
        for piece in 1..15 {
            assert_eq!(read(bytes, piece, Sender::Client), Err(error), "{bytes:x?} by {piece}");
        }
    }
    assert_eq!(read(&[0x82, 0x80], 2, Sender::Server), Err(E::Masked));
    assert_eq!(read(&[0x82, 0xff, 0, 0, 0], 2, Sender::Client), Ok(None));
}
