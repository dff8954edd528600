//! Line ends: what is written for the CR and NL that were read.
//!
//! A byte is converted by itself, so that it makes no difference where blocks begin and end. The
//! table is what socat 1.7.4.4 does:
//!
//! | from | to   | CR becomes | NL becomes |
//! |------|------|------------|------------|
//! | raw  | cr   | CR         | CR         |
//! | raw  | crnl | CR         | CR NL      |
//! | cr   | raw  | NL         | NL         |
//! | cr   | crnl | CR NL      | NL         |
//! | crnl | raw  | nothing    | NL         |
//! | crnl | cr   | nothing    | CR         |
//!
//! Between equal line ends nothing is converted.

/// The line ends of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// As they are, which usually is NL.
    Raw,
    /// `cr`
    Cr,
    /// `crnl`, `crlf`
    Crnl,
}

/// The conversion of line ends on the way from one address to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Conversion {
    cr: &'static [u8],
    nl: &'static [u8],
}

/// The conversion between two kinds of line ends, if there is anything to convert.
pub(super) fn conversion(from: LineEnd, to: LineEnd) -> Option<Conversion> {
    let (cr, nl): (&[u8], &[u8]) = match (from, to) {
        (LineEnd::Raw, LineEnd::Raw)
        | (LineEnd::Cr, LineEnd::Cr)
        | (LineEnd::Crnl, LineEnd::Crnl) => return None,
        (LineEnd::Raw, LineEnd::Cr) => (b"\r", b"\r"),
        (LineEnd::Raw, LineEnd::Crnl) => (b"\r", b"\r\n"),
        (LineEnd::Cr, LineEnd::Raw) => (b"\n", b"\n"),
        (LineEnd::Cr, LineEnd::Crnl) => (b"\r\n", b"\n"),
        (LineEnd::Crnl, LineEnd::Raw) => (b"", b"\n"),
        (LineEnd::Crnl, LineEnd::Cr) => (b"", b"\r"),
    };
    Some(Conversion { cr, nl })
}

impl Conversion {
    /// Appends what becomes of `bytes` to `out`.
    pub(super) fn convert(self, bytes: &[u8], out: &mut Vec<u8>) {
        out.reserve(bytes.len());
        for byte in bytes {
            match byte {
                b'\r' => out.extend_from_slice(self.cr),
                b'\n' => out.extend_from_slice(self.nl),
                other => out.push(*other),
            }
        }
    }
}
