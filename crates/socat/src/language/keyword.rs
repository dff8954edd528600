//! The words addresses begin with, and what may follow each of them.
//!
//! The tables are in `keyword/table.rs`. A word is one of: a keyword of [`TABLE`]; a single digit,
//! which is a descriptor; a path, which is whatever has a slash in it; a word that only socat
//! understands; nothing anybody knows.

mod table;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::fault::Fault;

pub(crate) use table::{Keyword, Row, Usage, TABLE, UNNAMED_PIPE};

/// Reads the word that an address begins with: the keyword, the word for messages, and a parameter if
/// the word is one itself.
pub(crate) fn read(word: Vec<u8>) -> Result<(Keyword, String, Vec<OsString>), Fault> {
    let text = String::from_utf8_lossy(&word).into_owned();
    let is = |name: &str| name.eq_ignore_ascii_case(&text);
    let named = |row: &&Row| is(row.name) || row.aliases.iter().any(|alias| is(alias));
    if let Some(row) = TABLE.iter().find(named) {
        return Ok((row.keyword, text, Vec::new()));
    }
    if matches!(*word, [b'0'..=b'9']) {
        return Ok((Keyword::Fd, "FD".to_owned(), vec![OsString::from_vec(word)]));
    }
    if word.contains(&b'/') {
        return Ok((Keyword::Gopen, "GOPEN".to_owned(), vec![OsString::from_vec(word)]));
    }
    if table::FOREIGN.split(' ').any(is) {
        return Err(Fault::not_implemented(format_args!("address type \"{text}\"")));
    }
    Err(Fault::new(format_args!("unknown device/address \"{text}\"")))
}

/// Checks the number of parameters, which socat does when it has read everything else.
pub(crate) fn count(
    keyword: Keyword,
    word: &str,
    parameters: &mut Vec<OsString>,
) -> Result<(), Fault> {
    let found = parameters.len();
    let first = || parameters.first().map(|it| it.to_string_lossy()).unwrap_or_default();
    let plain = |wanted| Some((word.to_owned(), found, wanted));
    let wrong = match of(keyword).usage {
        Usage::Exactly(names) if found != names.len() => plain(names.len()),
        Usage::File if found != 1 => Some((word.to_owned(), found + 1, 1)),
        Usage::Descriptor | Usage::Command | Usage::Shell if found == 0 => plain(1),
        Usage::Descriptor if found > 1 => Some((format!("{word}:{}", first()), found, 1)),
        Usage::Command if found > 1 => Some((format!("\"{word}:{}\"", first()), found, 1)),
        Usage::Perhaps if found > 1 => plain(1),
        Usage::Shell => {
            // What follows an unquoted colon is lost, as scripts have learned.
            parameters.truncate(1);
            None
        }
        _ => None,
    };
    match wrong {
        Some((word, found, wanted)) => Err(Fault::new(format_args!(
            "{word}: wrong number of parameters ({found} instead of {wanted})"
        ))),
        None => Ok(()),
    }
}

/// The row of a keyword.
pub(crate) fn of(keyword: Keyword) -> &'static Row {
    TABLE.iter().find(|row| row.keyword == keyword).unwrap_or(&TABLE[0])
}
