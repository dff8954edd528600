//! What gRPC puts into HTTP/2: messages with a prefix of five bytes, and a status in the last
//! headers (`PROTOCOL-HTTP2.md` of gRPC).

use std::fmt;

/// The length of what stands before a message: a flag and 32 bits of length.
pub const PREFIX: usize = 5;

/// The prefix of a message of `length` bytes that is not compressed; `None` when it is too long for
/// one.
pub fn prefix(length: usize) -> Option<[u8; PREFIX]> {
    let [a, b, c, d] = u32::try_from(length).ok()?.to_be_bytes();
    Some([0, a, b, c, d])
}

/// How a server says that a call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The code, of which gRPC has 0 (`OK`) to 16.
    pub code: u32,
    /// Text for people; what a server sends, so it may hold any characters.
    pub message: String,
}

impl Status {
    /// The call succeeded.
    pub const OK: u32 = 0;
    /// The server does not say what kind of failure it is.
    pub const UNKNOWN: u32 = 2;
    /// The deadline was over first.
    pub const DEADLINE_EXCEEDED: u32 = 4;
    /// What was asked for does not exist.
    pub const NOT_FOUND: u32 = 5;
    /// The caller may not do that.
    pub const PERMISSION_DENIED: u32 = 7;
    /// The server has no such method.
    pub const UNIMPLEMENTED: u32 = 12;
    /// The server cannot do it now.
    pub const UNAVAILABLE: u32 = 14;

    /// Reads the values of `grpc-status` and `grpc-message`.
    pub(crate) fn read(code: &[u8], message: &[u8]) -> Self {
        let digits = std::str::from_utf8(code).ok().filter(|code| code.len() <= 3);
        let code = digits.and_then(|code| code.parse().ok()).unwrap_or(Self::UNKNOWN);
        Self { code, message: percent_decoded(message) }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = usize::try_from(self.code).ok().and_then(|code| NAMES.get(code));
        match name {
            Some(name) => to.write_str(name)?,
            None => write!(to, "status {}", self.code)?,
        }
        if !self.message.is_empty() {
            write!(to, ": {}", self.message)?;
        }
        Ok(())
    }
}

const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The text of a `grpc-message`. What is not encoded as it should be is kept as it is.
fn percent_decoded(mut text: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    while let Some((byte, rest)) = text.split_first() {
        let encoded = rest.first_chunk::<2>().filter(|_| *byte == b'%');
        match encoded.and_then(|digits| hexadecimal(*digits)) {
            Some(byte) => {
                decoded.push(byte);
                text = rest.get(2..).unwrap_or_default();
            }
            None => {
                decoded.push(*byte);
                text = rest;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hexadecimal(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? << 4 | low?).ok()
}

/// The value of `grpc-message` for a text: printable ASCII but `%` stays, the rest is encoded.
pub fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text in ".{0,30}") {
            let encoded = percent_encoded(&text);
            prop_assert!(encoded.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(percent_decoded(encoded.as_bytes()), text);
        }
    }

    #[test]
    fn a_text_that_is_not_encoded_rightly_is_kept() {
        for (sent, read) in [
            ("100%25", "100%"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz%41%+1", "%zzA%+1"),
            ("%C3%BC", "\u{fc}"),
            ("%ff", "\u{fffd}"),
            ("a%0Ab", "a\nb"),
        ] {
            assert_eq!(percent_decoded(sent.as_bytes()), read);
        }
    }

    #[test]
    fn a_status_has_a_name_and_a_text() {
        let not_found = Status::read(b"5", b"no such pod");
        assert_eq!(not_found.code, Status::NOT_FOUND);
        assert_eq!(not_found.to_string(), "NOT_FOUND: no such pod");
        assert_eq!(Status::read(b"0", b"").to_string(), "OK");
        assert_eq!(Status::read(b"99", b"x").to_string(), "status 99: x");
        for odd in [&b""[..], b"x", b"-1", b"0000", b"99999999999", b"\xff"] {
            assert_eq!(Status::read(odd, b"").code, Status::UNKNOWN, "{odd:?}");
        }
    }

    #[test]
    fn a_prefix_has_32_bits_of_length() {
        assert_eq!(prefix(0x1_0203), Some([0, 0, 1, 2, 3]));
        assert_eq!(prefix(usize::MAX), None);
    }
}
