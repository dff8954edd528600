//! Address specifications, as they were read.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use crate::fault::Fault;

use super::syntax::Reader;
use super::{keyword, option, Keyword, Opt, Value};

/// One of the two addresses of a command line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Spec {
    /// Both directions.
    One(Address),
    /// `A!!B`: bytes come from A and go to B.
    Split { read: Address, write: Address },
}

/// A keyword with parameters and options.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Address {
    pub(crate) keyword: Keyword,
    /// Unquoted. Their number has been checked against the keyword.
    pub(crate) parameters: Vec<OsString>,
    /// In the order in which they were given.
    pub(crate) options: Vec<Setting>,
    /// The keyword as it was typed, which is how socat shows it in messages: `tcp4-l`. `GOPEN` for a
    /// bare path, `FD` for a digit.
    pub(crate) word: String,
}

/// An option with its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting {
    pub(crate) option: Opt,
    pub(crate) value: Value,
    /// The option's name as it was typed, for messages.
    pub(crate) word: String,
}

impl Spec {
    /// Reads a word of the command line. `unchecked` is -g.
    pub(crate) fn read(text: &[u8], unchecked: bool) -> Result<Self, Fault> {
        let mut reader = Reader::new(text);
        let first = Address::read(&mut reader, unchecked)?;
        let second = match reader.dual() {
            true => Some(Address::read(&mut reader, unchecked)?),
            false => None,
        };
        let first = first.counted()?;
        Ok(match second {
            Some(second) => Self::Split { read: first, write: second.counted()? },
            None => Self::One(first),
        })
    }
}

impl Address {
    /// The first parameter; empty if there is none.
    pub(crate) fn parameter(&self) -> &OsStr {
        self.parameters.first().map(OsString::as_os_str).unwrap_or_default()
    }

    /// Reads all but the number of parameters, at which socat looks last.
    fn read(reader: &mut Reader<'_>, unchecked: bool) -> Result<Self, Fault> {
        let (keyword, word, mut parameters) = keyword::read(reader.word()?)?;
        while let Some(parameter) = reader.parameter()? {
            parameters.push(OsString::from_vec(parameter));
        }
        let suits = match unchecked {
            true => None,
            false => Some(keyword::of(keyword).groups),
        };
        let mut options = Vec::new();
        while let Some(name) = reader.name()? {
            let word = String::from_utf8_lossy(&name).into_owned();
            let row = option::find(&word, suits)?;
            let value = row.kind.read(&word, reader.value()?.as_deref())?;
            options.push(Setting { option: row.option, value, word });
        }
        Ok(Self { keyword, parameters, options, word })
    }

    /// Checks the number of parameters.
    fn counted(mut self) -> Result<Self, Fault> {
        keyword::count(self.keyword, &self.word, &mut self.parameters)?;
        Ok(self)
    }

    /// The last setting of `option`, which is the one that counts.
    pub(crate) fn setting(&self, option: Opt) -> Option<&Setting> {
        self.options.iter().rev().find(|setting| setting.option == option)
    }

    /// Returns whether `option` is on.
    pub(crate) fn has(&self, option: Opt) -> bool {
        match self.setting(option) {
            Some(Setting { value: Value::Flag(on), .. }) => *on,
            Some(Setting { value: Value::Number(number), .. }) => *number != 0,
            _ => false,
        }
    }

    /// The number given for `option`.
    pub(crate) fn number(&self, option: Opt) -> Option<i64> {
        match self.setting(option)?.value {
            Value::Number(number) => Some(number),
            Value::Flag(on) => Some(i64::from(on)),
            _ => None,
        }
    }

    /// The text given for `option`.
    pub(crate) fn text(&self, option: Opt) -> Option<&OsStr> {
        match &self.setting(option)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The time given for `option`.
    pub(crate) fn time(&self, option: Opt) -> Option<Duration> {
        match self.setting(option)?.value {
            Value::Time(time) => Some(time),
            _ => None,
        }
    }
}
