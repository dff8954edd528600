//! Binary data in the text of an option.
//!
//! `x` and an even number of hexadecimal digits; `"text"`; `'c'`; or numbers, whose size the letter
//! before them tells: `b` one byte, `s` two, `i` four, `l` eight, an int without any. Items follow each
//! other with or without blanks.

use super::number::integer;
use super::syntax;

/// What numbers are made of, until another letter says otherwise.
#[derive(Clone, Copy)]
struct Width(usize);

const INT: Width = Width(4);

/// Reads `text`; `None` if there is something in it that is none of the above.
pub(crate) fn read(text: &[u8]) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    let mut width = INT;
    let mut text = text.trim_ascii_start();
    while let Some((&first, rest)) = text.split_first() {
        text = match first {
            b'x' => hexadecimal(rest, &mut data)?,
            b'"' => quoted(rest, &mut data)?,
            b'\'' => {
                let (byte, rest) = character(rest)?;
                data.push(byte);
                rest.strip_prefix(b"'")?
            }
            b'b' | b'B' | b's' | b'S' | b'i' | b'I' | b'l' | b'L' => {
                width = Width(match first {
                    b'b' | b'B' => 1,
                    b's' | b'S' => 2,
                    b'l' | b'L' => 8,
                    _ => INT.0,
                });
                number(rest, width, &mut data)?
            }
            _ => number(text, width, &mut data)?,
        }
        .trim_ascii_start();
    }
    Some(data)
}

fn hexadecimal<'a>(text: &'a [u8], data: &mut Vec<u8>) -> Option<&'a [u8]> {
    let length = text.iter().take_while(|digit| digit.is_ascii_hexdigit()).count();
    let (digits, rest) = text.split_at(length);
    if length == 0 || length % 2 != 0 {
        return None;
    }
    for pair in digits.chunks(2) {
        data.push(u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?);
    }
    Some(rest)
}

fn quoted<'a>(mut text: &'a [u8], data: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        if let Some(rest) = text.strip_prefix(b"\"") {
            return Some(rest);
        }
        let (byte, rest) = character(text)?;
        data.push(byte);
        text = rest;
    }
}

/// One character, perhaps behind a backslash.
fn character(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [b'\\', letter, rest @ ..] => Some((syntax::escaped(*letter), rest)),
        [b'\\'] | [] => None,
        [byte, rest @ ..] => Some((*byte, rest)),
    }
}

/// A number in host byte order. They are decimal here, and only here.
fn number<'a>(text: &'a [u8], width: Width, data: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (number, rest) = integer(text, 10)?;
    let bytes = number.to_le_bytes();
    let (low, high) = bytes.split_at(width.0);
    if !high.iter().all(|byte| *byte == 0) && !high.iter().all(|byte| *byte == 0xff) {
        return None;
    }
    match cfg!(target_endian = "big") {
        true => data.extend(low.iter().rev()),
        false => data.extend(low),
    }
    Some(rest)
}
