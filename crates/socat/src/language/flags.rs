//! The flags before the addresses.
//!
//! A flag is a word of its own. Those with a value take it from the rest of their word or from the
//! next word; those without one must not be merged. The first word that is no flag is an address, and
//! so is `-`, with or without options.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use crate::fault::Fault;
use crate::journal::{Facility, Level};

use super::help::{self, Detail, Question};
use super::value;

/// The directions that bytes flow in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Directions {
    #[default]
    Both,
    /// `-u`: from the first address to the second.
    FirstToSecond,
    /// `-U`: from the second address to the first.
    SecondToFirst,
}

/// The IP version that is meant where an address does not say (`-4`, `-6`, `-0`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum IpPreference {
    #[default]
    Default,
    V4,
    V6,
    Any,
}

/// The place that messages go to (`-ly`, `-lm`, `-lf`, `-ls`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum LogTarget {
    #[default]
    Stderr,
    /// `-ly[facility]`
    Syslog(Facility),
    /// `-lm[facility]`: standard error until the transfer or the first accept, then syslog.
    Mixed(Facility),
    /// `-lf FILE`, appended to.
    File(PathBuf),
}

/// `-L` and `-W`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lock {
    /// Fail if the file exists.
    Fail(PathBuf),
    /// Wait until it does not.
    Wait(PathBuf),
}

/// All flags, with socat's defaults.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Flags {
    /// The least important level that is told: `E` without `-d`.
    pub(crate) level: Level,
    pub(crate) log_target: LogTarget,
    /// `-lp NAME`
    pub(crate) log_name: Option<String>,
    /// `-lu`
    pub(crate) microseconds: bool,
    /// `-lh`
    pub(crate) log_host: bool,
    /// `-v`
    pub(crate) dump_text: bool,
    /// `-x`
    pub(crate) dump_hex: bool,
    /// `-r FILE`: a copy of what flows from the first address to the second.
    pub(crate) raw_forth: Option<PathBuf>,
    /// `-R FILE`: the other way.
    pub(crate) raw_back: Option<PathBuf>,
    /// `-b N`, bytes read at once.
    pub(crate) block: usize,
    /// `-b` was given, so that the block size is an observable choice and no default.
    pub(crate) block_given: bool,
    /// `-s`: go on after errors where possible.
    pub(crate) sloppy: bool,
    /// `-t SECONDS`; `None` if not given, which is not the same as 0.5.
    pub(crate) linger: Option<Duration>,
    /// `-T SECONDS`; `None` means for ever.
    pub(crate) idle: Option<Duration>,
    pub(crate) directions: Directions,
    pub(crate) ip: IpPreference,
    pub(crate) lock: Option<Lock>,
    /// `-g`: do not check whether options suit their address.
    pub(crate) unchecked: bool,
    /// `-D`: tell about the descriptors at hand before starting.
    pub(crate) tell_descriptors: bool,
    /// `--statistics`
    pub(crate) statistics: bool,
}

/// A find of a walk through the flags.
#[derive(Debug, PartialEq)]
pub(crate) enum Scan<'a> {
    /// The words that are left.
    Addresses(&'a [OsString]),
    /// A text was asked for.
    Tell(Question),
    /// What is said, without time and program's name, to who writes flags in a wrong way.
    Scold(String),
}

/// The most that is read at once, whatever -b asks for.
const LARGEST_BLOCK: usize = 1 << 30;

impl Default for Flags {
    fn default() -> Self {
        Self {
            level: Level::Error,
            log_target: LogTarget::default(),
            log_name: None,
            microseconds: false,
            log_host: false,
            dump_text: false,
            dump_hex: false,
            raw_forth: None,
            raw_back: None,
            block: 8192,
            block_given: false,
            sloppy: false,
            linger: None,
            idle: None,
            directions: Directions::default(),
            ip: IpPreference::default(),
            lock: None,
            unchecked: false,
            tell_descriptors: false,
            statistics: false,
        }
    }
}

impl Flags {
    /// Takes the flags at the beginning of `words`. After a fault, the flags before it are set.
    pub(crate) fn scan<'a>(&mut self, words: &'a [OsString]) -> Result<Scan<'a>, Fault> {
        let mut words = words;
        while let Some((word, rest)) = words.split_first() {
            let bytes = word.as_bytes();
            if !bytes.starts_with(b"-") || matches!(bytes.get(1), None | Some(b',' | b':' | b'!')) {
                break;
            }
            let mut values = Values { word: bytes, rest };
            match &bytes[1..] {
                b"V" => return Ok(Scan::Tell(Question::Version)),
                more @ [b'h' | b'?', ..] => return Ok(Scan::Tell(Question::Usage(detail(more)))),
                [b'V', ..] => return Ok(Scan::Scold(help::usage(Detail::Addresses))),
                [b'd', more @ ..] => match level(more, self.level) {
                    Some(level) => self.level = level,
                    None => return Ok(Scan::Scold(help::usage(Detail::Addresses))),
                },
                [b'l', ..] => self.log(&mut values)?,
                [b't', ..] => self.linger = Some(value::seconds("-t", &values.take(2)?)?),
                [b'T', ..] => {
                    let idle = value::seconds("-T", &values.take(2)?)?;
                    self.idle = (!idle.is_zero()).then_some(idle);
                }
                [b'b', ..] => self.block(&values.take(2)?)?,
                [b'r', ..] => self.raw_forth = Some(path(values.take(2)?)),
                [b'R', ..] => self.raw_back = Some(path(values.take(2)?)),
                [b'L', ..] => self.lock = Some(Lock::Fail(path(values.take(2)?))),
                [b'W', ..] => self.lock = Some(Lock::Wait(path(values.take(2)?))),
                // Which signals are logged (1.8); nothing here logs signals it does not act on.
                [b'S', ..] => drop(values.take(2)?),
                b"-statistics" => self.statistics = true,
                // What is experimental in 1.8 is none here, or not known.
                b"-experimental" => {}
                [single, more @ ..] if b"DuUgsvx460".contains(single) => {
                    if !more.is_empty() {
                        return Ok(Scan::Scold(merged(bytes)));
                    }
                    self.single(*single)?;
                }
                _ => return Err(unknown(word)),
            }
            words = values.rest;
        }
        Ok(Scan::Addresses(words))
    }

    fn single(&mut self, letter: u8) -> Result<(), Fault> {
        match (letter, self.directions) {
            (b'u', Directions::SecondToFirst) | (b'U', Directions::FirstToSecond) => {
                return Err(Fault::new("-U and -u must not be combined"))
            }
            (b'u', _) => self.directions = Directions::FirstToSecond,
            (b'U', _) => self.directions = Directions::SecondToFirst,
            (b'D', _) => self.tell_descriptors = true,
            (b'g', _) => self.unchecked = true,
            (b's', _) => self.sloppy = true,
            (b'v', _) => self.dump_text = true,
            (b'x', _) => self.dump_hex = true,
            (b'4', _) => self.ip = IpPreference::V4,
            (b'6', _) => self.ip = IpPreference::V6,
            _ => self.ip = IpPreference::Any,
        }
        Ok(())
    }

    /// `-l` and what follows.
    fn log(&mut self, values: &mut Values<'_, '_>) -> Result<(), Fault> {
        let word = values.word;
        match word.get(2) {
            Some(b'y') => self.log_target = LogTarget::Syslog(facility(&word[3..])?),
            Some(b'm') => self.log_target = LogTarget::Mixed(facility(&word[3..])?),
            Some(b'f') => self.log_target = LogTarget::File(path(values.take(3)?)),
            Some(b's') => self.log_target = LogTarget::Stderr,
            Some(b'p') => {
                self.log_name = Some(String::from_utf8_lossy(&values.take(3)?).into_owned());
            }
            Some(b'u') => self.microseconds = true,
            Some(b'h') => self.log_host = true,
            _ => {
                return Err(Fault::new(format_args!(
                    "unknown log option \"{}\"; use option \"-h\" for help",
                    String::from_utf8_lossy(word)
                )))
            }
        }
        Ok(())
    }

    fn block(&mut self, text: &[u8]) -> Result<(), Fault> {
        let block = value::size("-b", text)?;
        let Some(block) = usize::try_from(block).ok().filter(|_| block <= i64::MAX.unsigned_abs())
        else {
            return Err(Fault::new(format_args!(
                "buffer size option (-b) to big - {block} (max is {})",
                i64::MAX
            )));
        };
        if block > LARGEST_BLOCK {
            // socat has room for two blocks, or does not start.
            let room = block.saturating_mul(2).saturating_add(1);
            if Vec::<u8>::new().try_reserve_exact(room).is_err() {
                return Err(Fault::new("posix_memalign(): Cannot allocate memory"));
            }
        }
        self.block = block.clamp(1, LARGEST_BLOCK);
        self.block_given = true;
        Ok(())
    }
}

/// The word of a flag and the words behind it, from which its value comes.
struct Values<'a, 'b> {
    word: &'b [u8],
    rest: &'a [OsString],
}

impl Values<'_, '_> {
    /// The value of the flag, whose name is `length` bytes long.
    fn take(&mut self, length: usize) -> Result<Vec<u8>, Fault> {
        let (name, value) = self.word.split_at(length);
        if !value.is_empty() {
            return Ok(value.to_vec());
        }
        let Some((value, rest)) = self.rest.split_first() else {
            return Err(Fault::new(format_args!(
                "option {} requires an argument; use option \"-h\" for help",
                String::from_utf8_lossy(name)
            )));
        };
        self.rest = rest;
        Ok(value.as_bytes().to_vec())
    }
}

/// How much is asked for by a flag that begins with `-h` or `-?`: by how many of these letters. What
/// follows them is not looked at, as with socat.
fn detail(letters: &[u8]) -> Detail {
    match letters.iter().take_while(|letter| matches!(letter, b'h' | b'?')).count() {
        0 | 1 => Detail::Addresses,
        2 => Detail::Options,
        _ => Detail::Everything,
    }
}

/// The level that `-d` and what follows it asks for, starting from `level`: `-dd` or `-d2`.
fn level(more: &[u8], level: Level) -> Option<Level> {
    const LEVELS: [Level; 5] =
        [Level::Error, Level::Warning, Level::Notice, Level::Info, Level::Debug];
    let step = match more {
        [digit @ b'0'..=b'4'] => usize::from(digit - b'0'),
        _ if more.iter().all(|byte| *byte == b'd') => {
            LEVELS.iter().position(|it| *it == level).unwrap_or(0) + 1 + more.len()
        }
        _ => return None,
    };
    Some(LEVELS[step.min(LEVELS.len() - 1)])
}

fn facility(name: &[u8]) -> Result<Facility, Fault> {
    if name.is_empty() {
        return Ok(Facility::DAEMON);
    }
    let name = String::from_utf8_lossy(name);
    let unknown = || Fault::new(format_args!("unknown syslog facility \"{name}\""));
    Facility::named(&name).ok_or_else(unknown)
}

fn path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

fn merged(word: &[u8]) -> String {
    let word = String::from_utf8_lossy(word);
    let mut letters = word.chars().skip(1);
    let (first, second) = (letters.next().unwrap_or('?'), letters.next().unwrap_or('?'));
    format!(
        "Do not merge single character options, i.e. use \"-{first} -{second}\" instead of \
         \"-{first}{second}\"\n"
    )
}

fn unknown(word: &OsStr) -> Fault {
    let word = word.to_string_lossy();
    Fault::new(format_args!("unknown option \"{word}\"; use option \"-h\" for help"))
}
