//! Dumps and copies of bytes that pass: the dumps of -v and -x, the raw copies of -r and -R.
//!
//! A dump goes to standard error, wherever the messages go, one write(2) per block. Its form is that
//! of socat 1.7.4.4 to the byte: under the header come
//!
//! - `-v`: the bytes as text, new lines and tabs as they are, other control characters as escapes
//!   or dots; no new line is added;
//! - `-x`: two digits per byte, all in one line;
//! - both: lines of up to 16 bytes that end early after a NL, digits left and text right, and `--`.
//!
//! Raw copies are appended to; all links of a command line share the file.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use nix::libc::{ENXIO, O_NONBLOCK};
use nsplice_sys::describe;

use crate::fault::Fault;
use crate::journal::{Journal, Level, Stamp};
use crate::language::Flags;

/// One of the two ways through a command line's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the first address to the second.
    Forth,
    /// From the second address to the first.
    Back,
}

/// The layout in which bytes are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `-v`
    Text,
    /// `-x`
    Hex,
    /// `-v -x`
    Both,
}

impl Layout {
    /// The layout that `flags` ask for.
    pub(crate) fn of(flags: &Flags) -> Option<Self> {
        match (flags.dump_text, flags.dump_hex) {
            (false, false) => None,
            (true, false) => Some(Self::Text),
            (false, true) => Some(Self::Hex),
            (true, true) => Some(Self::Both),
        }
    }

    fn render(self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Text => bytes.iter().for_each(|byte| put_text(*byte, out)),
            Self::Hex => {
                out.extend_from_slice(digits(bytes).as_bytes());
                out.push(b'\n');
            }
            Self::Both => {
                for line in lines(bytes) {
                    let digits = digits(line);
                    let text: String = line.iter().map(|byte| as_char(*byte)).collect();
                    let line = format!("{digits:HEX_COLUMNS$}  {text}\n");
                    out.extend_from_slice(line.as_bytes());
                }
                out.extend_from_slice(b"--\n");
            }
        }
    }
}

/// The bytes in a line where digits and text stand side by side.
const LINE: usize = 16;

/// What the digits of a whole line take: a blank and two digits per byte.
const HEX_COLUMNS: usize = 3 * LINE;

/// Shows the bytes of one lane.
#[derive(Debug)]
pub(crate) struct Dump {
    layout: Layout,
    direction: Direction,
    /// The bytes shown so far.
    offset: u64,
}

impl Dump {
    /// A dump of a lane that begins.
    pub(crate) fn new(layout: Layout, direction: Direction) -> Self {
        Self { layout, direction, offset: 0 }
    }

    /// Shows a block, which is not empty.
    pub(crate) fn show(&mut self, bytes: &[u8], journal: &Journal) {
        journal.show(&self.block(bytes));
    }

    fn block(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = self.header(bytes.len()).into_bytes();
        self.layout.render(bytes, &mut out);
        out
    }

    fn header(&mut self, length: usize) -> String {
        let arrow = match self.direction {
            Direction::Forth => '>',
            Direction::Back => '<',
        };
        let now = Stamp::Dump.now();
        let from = self.offset;
        self.offset = from.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        let to = self.offset.saturating_sub(1);
        format!("{arrow} {now}  length={length} from={from} to={to}\n")
    }
}

/// ` 61 62 63`
fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(3 * bytes.len()), |mut digits, byte| {
        // A String takes whatever it is given.
        let _ = write!(digits, " {byte:02x}");
        digits
    })
}

/// Cuts after each NL, and after every 16 bytes without one.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').flat_map(|line| line.chunks(LINE))
}

/// A byte in the text column.
fn as_char(byte: u8) -> char {
    if byte == b' ' || byte.is_ascii_graphic() {
        char::from(byte)
    } else {
        '.'
    }
}

/// Appends a byte as `-v` shows it.
fn put_text(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'\r' => out.extend_from_slice(b"\\r"),
        0x07 => out.extend_from_slice(b"\\a"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0b => out.extend_from_slice(b"\\v"),
        0x0c => out.extend_from_slice(b"\\f"),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' | b'\t' | b' '..=b'~' => out.push(byte),
        _ => out.push(b'.'),
    }
}

/// The files of `-r` and `-R`.
#[derive(Debug)]
pub(crate) struct Copies {
    pub(crate) forth: Option<RawCopy>,
    pub(crate) back: Option<RawCopy>,
}

impl Copies {
    /// Opens what `flags` name.
    pub(crate) fn open(flags: &Flags) -> Result<Self, Fault> {
        let open = |flag, path: &Option<PathBuf>| {
            path.as_deref().map(|path| RawCopy::open(flag, path)).transpose()
        };
        Ok(Self { forth: open("-r", &flags.raw_forth)?, back: open("-R", &flags.raw_back)? })
    }
}

/// A file that gets a copy of the bytes. Clones append to the same file.
#[derive(Debug, Clone)]
pub(crate) struct RawCopy {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    file: File,
    path: PathBuf,
    /// Something could not be written, and that has been told.
    is_broken: AtomicBool,
}

impl RawCopy {
    /// Opens `path` for `flag`, as socat does: non-blocking, and a FIFO that nobody reads yet with a
    /// reading end of our own, so that it need not be waited for.
    pub(crate) fn open(flag: &str, path: &Path) -> Result<Self, Fault> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o664).custom_flags(O_NONBLOCK);
        let file = match options.open(path) {
            Err(error) if error.raw_os_error() == Some(ENXIO) => options.read(true).open(path),
            answer => answer,
        };
        let file = file.map_err(|error| {
            Fault::new(format!("option {flag} \"{}\": {}", path.display(), describe(&error)))
        })?;
        let shared = Shared { file, path: path.to_owned(), is_broken: AtomicBool::new(false) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Appends `bytes`. A copy that cannot be written, or not at once, does not hold up the bytes
    /// themselves; that is told once.
    pub(crate) fn append(&self, bytes: &[u8], journal: &Journal) {
        let Shared { file, path, is_broken } = &*self.shared;
        let mut file = file;
        let Err(error) = file.write_all(bytes) else { return };
        if !is_broken.swap(true, Ordering::Relaxed) {
            let path = path.display();
            journal.tell(Level::Warning, format!("write(\"{path}\"): {}", describe(&error)));
        }
    }
}

#[cfg(test)]
mod tests;
