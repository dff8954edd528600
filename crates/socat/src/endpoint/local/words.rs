//! The words that EXEC cuts its parameter into: a program and its arguments.
//!
//! Only blanks separate; a run of them counts as one, and one at either end makes an empty word, as
//! socat has it. A backslash takes the next character as it is, or as C has it where it is one of
//! `abfnrtv`; `\0` ends its word, as a NUL does. Quotes keep blanks and go away,
//! brackets of all three kinds keep blanks and stay. This happens after the quotes of the address
//! itself are gone.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The words of `line`; at least one.
pub(super) fn split(line: &OsStr) -> Vec<OsString> {
    let mut words = vec![Vec::new()];
    let mut rest = line.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let mut put = |bytes: &[u8]| {
            if let Some(word) = words.last_mut() {
                word.extend_from_slice(bytes);
            }
        };
        match byte {
            b' ' => {
                let blanks = after.iter().take_while(|byte| **byte == b' ').count();
                rest = &after[blanks..];
                words.push(Vec::new());
            }
            b'\\' => match after.split_first() {
                Some((escaped, after)) => {
                    put(&[unescaped(*escaped)]);
                    rest = after;
                }
                None => put(b"\\"),
            },
            b'"' | b'\'' => {
                let (inside, after) = quoted(after, byte);
                put(&inside);
                rest = after;
            }
            b'(' | b'[' | b'{' => {
                let length = bracketed(rest, byte);
                put(&[byte]);
                put(&quoted(&rest[..length], NOTHING).0);
                rest = &rest[length..];
            }
            _ => put(&[byte]),
        }
    }
    words.into_iter().map(up_to_nul).map(OsString::from_vec).collect()
}

/// A quote that nothing closes.
const NOTHING: u8 = 0;

/// What a character stands for after a backslash.
fn unescaped(character: u8) -> u8 {
    match character {
        b'0' => 0,
        b'a' => 7,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 11,
        b'f' => 12,
        b'r' => b'\r',
        other => other,
    }
}

/// No argument has more than that (execve(2)).
fn up_to_nul(mut word: Vec<u8>) -> Vec<u8> {
    let end = word.iter().position(|byte| *byte == 0).unwrap_or(word.len());
    word.truncate(end);
    word
}

/// What is inside a quote that has just been opened, without escapes, and what follows it.
fn quoted(mut rest: &[u8], quote: u8) -> (Vec<u8>, &[u8]) {
    let mut inside = Vec::new();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after.split_first()) {
            (b'\\', Some((escaped, after))) => {
                inside.push(unescaped(*escaped));
                rest = after;
            }
            _ if byte == quote => break,
            _ => inside.push(byte),
        }
    }
    (inside, rest)
}

/// How many bytes belong to a bracket that has just been opened; none if nothing closes it.
fn bracketed(rest: &[u8], open: u8) -> usize {
    let close = match open {
        b'(' => b')',
        b'[' => b']',
        _ => b'}',
    };
    let mut depth = 1;
    for (place, byte) in rest.iter().enumerate() {
        depth += i32::from(*byte == open) - i32::from(*byte == close);
        if depth == 0 {
            return place + 1;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_as_socat_cuts_them() {
        for (line, words) in [
            ("./args a  b\tc ", &["./args", "a", "b\tc", ""][..]),
            (" ./args a", &["", "./args", "a"]),
            ("", &[""]),
            ("./args \"a  b\" c", &["./args", "a  b", "c"]),
            ("./args 'a  b' c", &["./args", "a  b", "c"]),
            ("./args \"a  b\"x\"y z\"", &["./args", "a  bxy z"]),
            ("./args a\\ b \\\"c d\\\" e\\\\f", &["./args", "a b", "\"c", "d\"", "e\\f"]),
            ("./args {a b} (c d) [e f]", &["./args", "{a b}", "(c d)", "[e f]"]),
            ("./args (a b", &["./args", "(a", "b"]),
            ("./args \\", &["./args", "\\"]),
            ("./args 'a b", &["./args", "a b"]),
        ] {
            assert_eq!(split(line.as_ref()), words, "{line}");
        }
    }
}
