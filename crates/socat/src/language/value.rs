//! The values of options: how each kind is written.
//!
//! Numbers are C's: blanks and a sign may come first, `0x` means hexadecimal, `0` octal. A number is
//! required to begin where the value begins ("missing") and to end where it ends ("trailing garbage").

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use nix::unistd::{Gid, Group, Uid, User};

use crate::fault::Fault;

use super::data;
use super::number::{decimal, integer, unsigned};

/// The value of an option, by its kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// `name`, `name=1`, `name=0`
    Flag(bool),
    /// Decimal, `0x` hexadecimal or `0` octal. Modes are always read as octal.
    Number(i64),
    /// Decimal seconds.
    Time(Duration),
    /// Anything; empty if there was nothing behind the `=`.
    Text(OsString),
    /// `setsockopt=LEVEL:OPTION:DATA`
    SocketOption { level: i32, option: i32, data: Vec<u8> },
}

/// The way that the value of an option is written, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No value at all.
    Const,
    /// A number or nothing, of which only counts whether it is 0.
    Bool,
    /// The same, listed as INT.
    Switch,
    /// The same, and empty means 0, as in later versions.
    Release,
    /// A number, 1 if not given.
    Int,
    /// A number that must be given: so-linger.
    Linger,
    /// A number, 1 if not given, that is never negative.
    Uint,
    /// A port or a descriptor.
    Ushort,
    /// A number of bytes.
    Size,
    /// A place in a file.
    Offset,
    /// An octal number.
    Mode,
    /// Seconds.
    Time,
    /// The same, listed differently.
    Timespec,
    /// Anything.
    Text,
    /// The name or number of a user that exists.
    User,
    /// The name or number of a group that exists.
    Group,
    /// Two numbers and data.
    SocketOption,
    /// Three numbers.
    SocketOptionInt,
    /// Two numbers and a text, which is passed on with a NUL.
    SocketOptionString,
}

impl Kind {
    /// The name of the kind in the list of -hhh.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Const => "CONST",
            Self::Bool => "BOOL",
            Self::Switch | Self::Release | Self::Int => "INT",
            Self::Linger => "STRUCT-LINGER",
            Self::Uint => "UNSIGNED-INT",
            Self::Ushort => "UNSIGNED-SHORT",
            Self::Size => "SIZE_T",
            Self::Offset => "OFF64_T",
            Self::Mode => "MODE_T",
            Self::Time => "STRUCT-TIMEVAL",
            Self::Timespec => "STRUCT-TIMESPEC",
            Self::Text => "STRING",
            Self::User => "UID_T",
            Self::Group => "GID_T",
            Self::SocketOption => "INT:INT:BIN",
            Self::SocketOptionInt => "INT:INT:INT",
            Self::SocketOptionString => "INT:INT:STRING",
        }
    }

    /// Reads the value of option `name`; `value` is `None` without a `=`.
    pub(crate) fn read(self, name: &str, value: Option<&[u8]>) -> Result<Value, Fault> {
        let Some(value) = value else { return self.without(name) };
        let whole = Whole { name, value };
        Ok(match self {
            Self::Const => {
                return Err(Fault::new(format_args!("no value permitted for option \"{name}\"")))
            }
            Self::Release if value.is_empty() => Value::Flag(false),
            Self::Bool | Self::Switch | Self::Release => Value::Flag(whole.number(0)? != 0),
            Self::Int | Self::Linger => Value::Number(whole.within(I32_MIN, I32_MAX)?),
            Self::Uint => match whole.within(I32_MIN, U32_MAX)? {
                negative @ ..=-1 => Value::Number(negative + U32_MAX + 1),
                number => Value::Number(number),
            },
            Self::Ushort => Value::Number(whole.within(0, i64::from(u16::MAX))?),
            Self::Size => match whole.number(0)? {
                ..=-1 => Value::Number(i64::MAX),
                number => Value::Number(number),
            },
            Self::Offset => Value::Number(whole.number(0)?),
            Self::Mode => Value::Number(whole.octal()?),
            Self::Time | Self::Timespec => Value::Time(whole.time()?),
            Self::Text => Value::Text(text(value)),
            Self::User => {
                whole.identity()?;
                user(OsStr::from_bytes(value))?;
                Value::Text(text(value))
            }
            Self::Group => {
                whole.identity()?;
                group(OsStr::from_bytes(value))?;
                Value::Text(text(value))
            }
            Self::SocketOption => whole.socket_option()?,
            Self::SocketOptionInt => whole.socket_option_int()?,
            Self::SocketOptionString => whole.socket_option_string()?,
        })
    }

    /// What an option means that is only named.
    fn without(self, name: &str) -> Result<Value, Fault> {
        match self {
            Self::Const | Self::Bool | Self::Switch | Self::Release => Ok(Value::Flag(true)),
            Self::Int | Self::Uint | Self::Ushort | Self::Size | Self::Offset => {
                Ok(Value::Number(1))
            }
            Self::SocketOption | Self::SocketOptionInt | Self::SocketOptionString => {
                Err(Fault::new(format_args!("option \"{name}\": values required")))
            }
            _ => Err(Fault::new(format_args!("option \"{name}\": value required"))),
        }
    }
}

const I32_MIN: i64 = i32::MIN as i64;
const I32_MAX: i64 = i32::MAX as i64;
const U32_MAX: i64 = u32::MAX as i64;

/// Longer times than this (317 years) are cut to it, so that no sum of times overflows.
const FOREVER: f64 = 1e10;

fn text(value: &[u8]) -> OsString {
    OsString::from_vec(value.to_vec())
}

/// The user that a value of [`Kind::User`] means.
pub(crate) fn user(value: &OsStr) -> Result<Uid, Fault> {
    if let Some(id) = identity(value) {
        return Ok(Uid::from_raw(id));
    }
    let name = value.to_string_lossy();
    match User::from_name(&name) {
        Ok(Some(user)) => Ok(user.uid),
        _ => Err(Fault::new(format_args!("getpwnam(\"{name}\"): no such user"))),
    }
}

/// The group that a value of [`Kind::Group`] means.
pub(crate) fn group(value: &OsStr) -> Result<Gid, Fault> {
    if let Some(id) = identity(value) {
        return Ok(Gid::from_raw(id));
    }
    let name = value.to_string_lossy();
    match Group::from_name(&name) {
        Ok(Some(group)) => Ok(group.gid),
        _ => Err(Fault::new(format_args!("getgrnam(\"{name}\"): no such group"))),
    }
}

/// The ID, if `value` is a number.
fn identity(value: &OsStr) -> Option<u32> {
    let bytes = value.as_bytes();
    if !bytes.first()?.is_ascii_digit() {
        return None;
    }
    match integer(bytes, 0) {
        Some((number, [])) => u32::try_from(number).ok(),
        _ => None,
    }
}

/// Seconds as -t and -T take them.
pub(crate) fn seconds(flag: &str, value: &[u8]) -> Result<Duration, Fault> {
    let seconds = Whole { name: flag, value }.flag(decimal(value))?;
    duration(value, seconds)
}

/// A number as -b takes it: a negative one counts down from the largest, as strtoul(3) has it.
pub(crate) fn size(flag: &str, value: &[u8]) -> Result<u64, Fault> {
    Whole { name: flag, value }.flag(unsigned(value))
}

/// A value and the option it is for.
#[derive(Clone, Copy)]
struct Whole<'a> {
    name: &'a str,
    value: &'a [u8],
}

impl Whole<'_> {
    fn number(self, base: u32) -> Result<i64, Fault> {
        self.all(integer(self.value, base))
    }

    fn within(self, least: i64, most: i64) -> Result<i64, Fault> {
        let number = self.number(0)?;
        match (least..=most).contains(&number) {
            true => Ok(number),
            false => Err(Fault::new(format_args!(
                "parseopts(): value of option \"{self}\" is out of range ({least} to {most})"
            ))),
        }
    }

    fn octal(self) -> Result<i64, Fault> {
        Ok(self.number(8)? & 0o7777)
    }

    fn time(self) -> Result<Duration, Fault> {
        duration(self.value, self.all(decimal(self.value))?)
    }

    /// A number must be one to its end; what does not begin with a digit is a name.
    fn identity(self) -> Result<(), Fault> {
        match self.value.first() {
            Some(first) if first.is_ascii_digit() => self.within(0, U32_MAX).map(|_| ()),
            _ => Ok(()),
        }
    }

    fn socket_option(self) -> Result<Value, Fault> {
        let [level, option, data] = self.three("")?;
        let (level, option) = self.level_and_option(level, option)?;
        let data = data::read(data).ok_or_else(|| {
            let data = String::from_utf8_lossy(data);
            Fault::new(format_args!("parseopts_table(): problem with \"{data}\" data"))
        })?;
        Ok(Value::SocketOption { level, option, data })
    }

    fn socket_option_int(self) -> Result<Value, Fault> {
        let [level, option, data] = self.three("parseopts(): ")?;
        let (level, option) = self.level_and_option(level, option)?;
        let data = self.int(self.all(integer(data, 0))?)?.to_ne_bytes().to_vec();
        Ok(Value::SocketOption { level, option, data })
    }

    fn socket_option_string(self) -> Result<Value, Fault> {
        let [level, option, data] = self.three("parseopts(): ")?;
        let (level, option) = self.level_and_option(level, option)?;
        Ok(Value::SocketOption { level, option, data: [data, b"\0"].concat() })
    }

    fn three(&self, prefix: &str) -> Result<[&[u8]; 3], Fault> {
        let mut parts = self.value.splitn(3, |byte| *byte == b':');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(first), Some(second), Some(third)) => Ok([first, second, third]),
            _ => Err(Fault::new(format_args!(
                "{prefix}option \"{}\": 3 arguments required",
                self.name
            ))),
        }
    }

    fn level_and_option(self, level: &[u8], option: &[u8]) -> Result<(i32, i32), Fault> {
        let garbage = |nth: &str| {
            Fault::new(format_args!(
                "parseopts(): trailing garbage in {nth} numerical arg of option \"{self}\""
            ))
        };
        let level = match integer(level, 0) {
            Some((_, [_, ..])) => return Err(garbage("1st")),
            level => self.all(level)?,
        };
        // Nothing counts as 0 here.
        let option = match (integer(option, 0), option) {
            (Some((option, [])), _) => option,
            (None, []) => 0,
            _ => return Err(garbage("2nd")),
        };
        Ok((self.int(level)?, self.int(option)?))
    }

    fn int(self, number: i64) -> Result<i32, Fault> {
        i32::try_from(number).map_err(|_| {
            Fault::new(format_args!("parseopts(): value of option \"{self}\" is out of range"))
        })
    }

    fn all<T>(self, found: Option<(T, &[u8])>) -> Result<T, Fault> {
        complete(found, format_args!("{self}"))
    }

    fn flag<T>(self, found: Option<(T, &[u8])>) -> Result<T, Fault> {
        complete(found, format_args!("{}", self.name))
    }
}

impl fmt::Display for Whole<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}={}", self.name, String::from_utf8_lossy(self.value))
    }
}

/// What was `found`, if nothing was left over.
fn complete<T>(found: Option<(T, &[u8])>, option: fmt::Arguments<'_>) -> Result<T, Fault> {
    let what = match found {
        Some((found, [])) => return Ok(found),
        Some(_) => "trailing garbage in numerical arg",
        None => "missing numerical value",
    };
    Err(Fault::new(format_args!("parseopts(): {what} of option \"{option}\"")))
}

fn duration(value: &[u8], seconds: f64) -> Result<Duration, Fault> {
    if seconds >= 0.0 {
        return Ok(Duration::from_secs_f64(seconds.min(FOREVER)));
    }
    let value = String::from_utf8_lossy(value);
    Err(Fault::new(format_args!("parseopts(): \"{value}\" is not a length of time")))
}
