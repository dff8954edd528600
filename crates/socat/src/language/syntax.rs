//! The syntax by which an address is cut into keyword, parameters and options: quotes, escapes,
//! brackets.
//!
//! `KEYWORD:parameter:parameter,option=value,option!!KEYWORD...`. The marks `:` `,` `=` and `!!` lose
//! their meaning
//!
//! - behind a backslash, which is dropped; before one of `abfnrtv0` it makes a control character;
//! - in `"..."` and in `'...'`, whose quotes are dropped. Inside `'...'` all but `'` and backslash is
//!   plain; inside `"..."` the other quotes and brackets count and stay in the text;
//! - in `(...)`, `[...]` and `{...}`, which nest, and which stay in the text with all quotes inside.
//!
//! Only a `"` outside of all others must be closed again. A comma more than needed, or an option without a name, is nothing.

use crate::fault::Fault;

/// Takes a word of a command line apart, from its beginning to its end, so that the first mistake in
/// it is the one that is told.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    /// Where the address begins that is being read.
    start: usize,
}

/// Writes `text` so that it is read back as it is.
pub(crate) fn quote(text: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(text.len());
    for &byte in text {
        match CONTROLS.iter().find(|(_, control)| *control == byte) {
            Some((letter, _)) => quoted.extend([b'\\', *letter]),
            None => {
                if br#"\"'([{:,=!"#.contains(&byte) {
                    quoted.push(b'\\');
                }
                quoted.push(byte);
            }
        }
    }
    quoted
}

/// Returns what `letter` means behind a backslash.
pub(crate) fn escaped(letter: u8) -> u8 {
    CONTROLS.iter().find(|(it, _)| *it == letter).map_or(letter, |(_, control)| *control)
}

const DUAL: &[u8] = b"!!";

/// The letters that make a control character behind a backslash.
const CONTROLS: [(u8, u8); 8] = [
    (b'0', 0),
    (b'a', 7),
    (b'b', 8),
    (b't', b'\t'),
    (b'n', b'\n'),
    (b'v', 11),
    (b'f', 12),
    (b'r', b'\r'),
];

/// The text ends inside `"..."`, or behind a backslash.
struct Unclosed;

/// How deep brackets and quotes may nest; deeper ones are plain text. The bound keeps hostile words
/// from using up the stack.
const DEEPEST: usize = 100;

impl<'a> Reader<'a> {
    /// A reader of `text`.
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, start: 0 }
    }

    /// Takes the word that an address begins with.
    pub(crate) fn word(&mut self) -> Result<Vec<u8>, Fault> {
        self.start = self.at;
        self.head()
    }

    /// Takes a parameter.
    pub(crate) fn parameter(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        match self.skip(b":") {
            true => self.head().map(Some),
            false => Ok(None),
        }
    }

    /// Takes the name of an option.
    pub(crate) fn name(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        while self.skip(b",") {
            let name = self.part(&[b",", b"=", DUAL])?;
            if !name.is_empty() {
                return Ok(Some(name));
            }
            self.value()?;
        }
        Ok(None)
    }

    /// Takes the value of the option whose name has just been taken; `None` without a `=`.
    pub(crate) fn value(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        match self.skip(b"=") {
            true => self.part(&[b",", DUAL]).map(Some),
            false => Ok(None),
        }
    }

    /// Returns whether another address follows; what follows that one is not looked at.
    pub(crate) fn dual(&mut self) -> bool {
        self.skip(DUAL)
    }

    /// Takes a word or a parameter.
    fn head(&mut self) -> Result<Vec<u8>, Fault> {
        let start = self.start;
        let piece = self.piece(&[b":", b",", DUAL]);
        piece.map_err(|Unclosed| self.fault("unexpected end of address", start))
    }

    /// Takes a part of an option.
    fn part(&mut self, ends: &[&[u8]]) -> Result<Vec<u8>, Fault> {
        let start = self.at;
        self.piece(ends).map_err(|Unclosed| self.fault("syntax error in", start))
    }

    /// Takes what is there up to one of `ends`, or to the end.
    fn piece(&mut self, ends: &[&[u8]]) -> Result<Vec<u8>, Unclosed> {
        let mut piece = Vec::new();
        while let Some(&byte) = self.text.get(self.at) {
            if ends.iter().any(|end| self.text[self.at..].starts_with(end)) {
                break;
            }
            self.at += 1;
            match byte {
                b'"' => {
                    self.nested(byte, &mut piece, 0)?;
                    if !self.skip(b"\"") {
                        return Err(Unclosed);
                    }
                }
                b'\'' => {
                    self.plain(&mut piece)?;
                    self.skip(b"'");
                }
                b'(' | b'[' | b'{' => {
                    piece.push(byte);
                    self.nested(closing(byte), &mut piece, 0)?;
                    self.close(closing(byte), &mut piece);
                }
                _ => self.byte(byte, &mut piece)?,
            }
        }
        Ok(piece)
    }

    /// Takes what is inside `"..."` or brackets, up to `end`, which is left to be taken.
    fn nested(&mut self, end: u8, piece: &mut Vec<u8>, depth: usize) -> Result<(), Unclosed> {
        while let Some(&byte) = self.text.get(self.at) {
            if byte == end {
                break;
            }
            self.at += 1;
            match byte {
                b'"' | b'(' | b'[' | b'{' if depth < DEEPEST => {
                    piece.push(byte);
                    self.nested(closing(byte), piece, depth + 1)?;
                    self.close(closing(byte), piece);
                }
                b'\'' => {
                    piece.push(byte);
                    self.plain(piece)?;
                    self.close(byte, piece);
                }
                _ => self.byte(byte, piece)?,
            }
        }
        Ok(())
    }

    /// Takes what is inside `'...'`; the closing quote is left to be taken.
    fn plain(&mut self, piece: &mut Vec<u8>) -> Result<(), Unclosed> {
        while let Some(&byte) = self.text.get(self.at).filter(|byte| **byte != b'\'') {
            self.at += 1;
            self.byte(byte, piece)?;
        }
        Ok(())
    }

    /// Takes `byte`, which has been read, or what it escapes.
    fn byte(&mut self, byte: u8, piece: &mut Vec<u8>) -> Result<(), Unclosed> {
        if byte != b'\\' {
            piece.push(byte);
            return Ok(());
        }
        let Some(&letter) = self.text.get(self.at) else { return Err(Unclosed) };
        self.at += 1;
        piece.push(escaped(letter));
        Ok(())
    }

    /// Takes a closing mark as part of the piece, if it is there.
    fn close(&mut self, mark: u8, piece: &mut Vec<u8>) {
        if self.skip(&[mark]) {
            piece.push(mark);
        }
    }

    /// Takes `mark`, if it is there, and tells whether it was.
    fn skip(&mut self, mark: &[u8]) -> bool {
        let found = self.text[self.at..].starts_with(mark);
        if found {
            self.at += mark.len();
        }
        found
    }

    fn fault(&self, what: &str, start: usize) -> Fault {
        let text = String::from_utf8_lossy(&self.text[start..]);
        Fault::new(format_args!("{what} \"{text}\""))
    }
}

fn closing(opening: u8) -> u8 {
    match opening {
        b'(' => b')',
        b'[' => b']',
        b'{' => b'}',
        quote => quote,
    }
}
