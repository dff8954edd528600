//! Words of the command line that are no UTF-8.
//!
//! Linux passes on any bytes but 0. A path may consist of them, so options that take one take all of
//! them; everything else is text. clap asserts of some words that they are UTF-8 where it has found
//! another fault, so it first sees what can be shown of the words: if that makes no sense, neither
//! do the words themselves, and if it does, clap finds no fault in them.

use std::ffi::OsString;

use structopt::clap::{App, ArgMatches};

use super::answer::Answer;
use super::help;

/// Arguments that take a path, by their names in the structs.
const PATHS: [&str; 7] = ["config", "root", "report", "compare", "nsenter", "socat", "directory"];

/// Has `app` read `words`, and refuses what is no UTF-8 and no path.
pub(super) fn matches(
    app: impl Fn() -> App<'static, 'static>,
    words: Vec<OsString>,
) -> Result<ArgMatches<'static>, Answer> {
    if words.iter().all(|word| word.to_str().is_some()) {
        return read(app(), &words);
    }
    let shown = words.iter().map(|word| OsString::from(word.to_string_lossy().into_owned()));
    read(app(), &shown.collect::<Vec<_>>())?;
    let matches = read(app(), &words)?;
    refuse(&matches)?;
    Ok(matches)
}

fn read(app: App<'static, 'static>, words: &[OsString]) -> Result<ArgMatches<'static>, Answer> {
    app.get_matches_from_safe(words).map_err(|error| help::answer(error, words))
}

/// Refuses the first value that is no UTF-8 and no path.
fn refuse(matches: &ArgMatches<'_>) -> Result<(), Answer> {
    for (name, argument) in &matches.args {
        let bad = argument.vals.iter().find(|value| value.to_str().is_none());
        if let (Some(value), false) = (bad, PATHS.contains(name)) {
            let message = format!(
                "error: Invalid value for '{name}': {value:?} is not UTF-8; only paths may be anything else"
            );
            return Err(Answer::Usage(message));
        }
    }
    matches.subcommand.as_ref().map_or(Ok(()), |command| refuse(&command.matches))
}
