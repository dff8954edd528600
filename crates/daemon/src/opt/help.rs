//! Help where somebody looks for it: `nsplice help COMMAND`, and what a refused line probably meant.
//!
//! The commands and options that a misspelt word is compared with are read from the help itself, so
//! nothing is suggested that the help does not show.

use std::ffi::OsString;

use nsplice_backend::{nearest, Target};
use structopt::clap::{Error, ErrorKind};
use structopt::StructOpt;

use super::answer::Answer;
use super::command::Command;
use crate::ports;

/// The command that prints help on another one.
const HELP: &str = "help";

/// The separator that clap prints between its parts.
const PARAGRAPH: &str = "\n\n";

/// `words` with `help COMMAND` written as `COMMAND --help`.
pub(super) fn spelled_out(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let words: Vec<OsString> = words.into_iter().collect();
    match words.as_slice() {
        [program, help, rest @ ..] if help == HELP => {
            let command = rest.first().filter(|command| *command != HELP).cloned();
            let asked = std::iter::once(program.clone()).chain(command);
            asked.chain([OsString::from("--help")]).collect()
        }
        _ => words,
    }
}

/// Returns what `error` about `words` comes to.
pub(super) fn answer(error: Error, words: &[OsString]) -> Answer {
    match error.kind {
        ErrorKind::HelpDisplayed | ErrorKind::VersionDisplayed => Answer::Help(error.message),
        _ => Answer::Usage(explained(&error, words)),
    }
}

/// The message of `error`, and what `words` were probably meant to be.
fn explained(error: &Error, words: &[OsString]) -> String {
    let (told, rest) = error.message.split_once(PARAGRAPH).unwrap_or((&error.message, ""));
    let told = match error.kind {
        ErrorKind::UnknownArgument => error
            .info
            .as_ref()
            .and_then(|info| info.first())
            .map_or_else(|| told.to_owned(), |word| unexpected(word, words)),
        ErrorKind::MissingRequiredArgument => match joined(words) {
            Some(apart) => format!("{told}\nTarget and port are separate arguments: {apart}"),
            None => told.to_owned(),
        },
        _ => told.to_owned(),
    };
    if rest.is_empty() {
        told
    } else {
        told + PARAGRAPH + rest
    }
}

/// Returns the message about a `word` that has no place among `words`.
fn unexpected(word: &str, words: &[OsString]) -> String {
    let command = words.get(1).and_then(|first| first.to_str()).filter(|first| *first != word);
    let option = word.split('=').next().unwrap_or(word);
    let (told, known, name) = match command {
        _ if option.starts_with('-') => {
            let of = command.map_or_else(String::new, |command| format!(" of {command}"));
            let known = listed(command, "OPTIONS:");
            (format!("unknown option `{option}`{of}"), known, option)
        }
        None => (format!("unknown command `{word}`"), listed(None, "COMMANDS:"), word),
        Some("run") => {
            return format!("error: unexpected argument `{word}`: did you mean `--config {word}`?");
        }
        Some(command) => (format!("unexpected argument `{word}` to {command}"), Vec::new(), word),
    };
    match nearest(name, known.iter().map(String::as_str)) {
        Some(meant) => format!("error: {told}: did you mean `{meant}`?"),
        None => format!("error: {told}"),
    }
}

/// An option as the help lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its long name, with the dashes.
    pub(super) name: String,
    /// Whether a value follows.
    pub(super) has_value: bool,
}

/// The options that the help of `command` (or of the program) lists.
pub(super) fn options(command: Option<&str>) -> Vec<Listed> {
    let lines = lines_below(command, "OPTIONS:").into_iter();
    lines
        .filter_map(|line| {
            let names = line.split_whitespace().take_while(|word| word.starts_with('-'));
            let name = names.last()?;
            let (_, behind) = line.split_once(name)?;
            Some(Listed { name: name.to_owned(), has_value: behind.starts_with(" <") })
        })
        .collect()
}

/// The commands or the long options that the help of `command` (or of the program) lists under
/// `heading`.
pub(super) fn listed(command: Option<&str>, heading: &str) -> Vec<String> {
    let lines = lines_below(command, heading).into_iter();
    let names = lines.filter_map(|line| {
        let options = line.split_whitespace().take_while(|word| word.starts_with('-'));
        options.last().or_else(|| line.split_whitespace().next()).map(str::to_owned)
    });
    names.collect()
}

/// What the help of `command` (or of the program) has under `heading`.
fn lines_below(command: Option<&str>, heading: &str) -> Vec<String> {
    let asked = ["nsplice"].into_iter().chain(command).chain(["--help"]);
    let Err(Error { message: help, .. }) = Command::from_iter_safe(asked) else {
        return Vec::new();
    };
    let lines = help.lines().skip_while(|line| *line != heading).skip(1);
    lines.take_while(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The words for a target and a port that were written as one, as images and hosts have it.
fn joined(words: &[OsString]) -> Option<String> {
    words.iter().skip(2).filter_map(|word| word.to_str()).find_map(|word| {
        let (target, port) =
            word.rsplit_once(':').filter(|(target, _)| ports::port(target).is_err())?;
        let target = target.parse::<Target>().ok()?;
        ports::port(port).ok().map(|port| format!("{target} {port}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        std::iter::once("nsplice").chain(line.split_whitespace()).map(OsString::from).collect()
    }

    #[test]
    fn help_is_a_command() {
        for (line, same) in [
            ("help", "--help"),
            ("help help", "--help"),
            ("help forward", "forward --help"),
            ("help frwd", "frwd --help"),
            ("forward help", "forward help"),
            ("", ""),
        ] {
            assert_eq!(spelled_out(words(line)), words(same), "{line}");
        }
    }

    #[test]
    fn what_the_help_lists_is_known() {
        let commands = listed(None, "COMMANDS:");
        for command in ["forward", "connect", "run", "check", "install", "compare", "socat", HELP] {
            assert!(commands.iter().any(|each| each == command), "{command}: {commands:?}");
        }
        let options = listed(Some("run"), "OPTIONS:");
        assert_eq!(
            options,
            ["--config", "--loops", "--no-splice", "--log-format", "--log", "--help"]
        );
    }

    #[test]
    fn a_refused_line_is_told_with_what_it_probably_meant() {
        for (line, told) in [
            ("frwd pid/1 80", "error: unknown command `frwd`: did you mean `forward`?"),
            ("hlep", "error: unknown command `hlep`: did you mean `help`?"),
            ("forwrad --help", "error: unknown command `forwrad`: did you mean `forward`?"),
            ("xyz", "error: unknown command `xyz`"),
            ("--verison", "error: unknown option `--verison`: did you mean `--version`?"),
            (
                "forward pid/1 80 --bakend=dial",
                "error: unknown option `--bakend` of forward: did you mean `--backend`?",
            ),
            (
                "check --ouptut json",
                "error: unknown option `--ouptut` of check: did you mean `--output`?",
            ),
            ("connect pid/1 80 --log", "error: unknown option `--log` of connect"),
            ("connect pid/1 80 90", "error: unexpected argument `90` to connect"),
            (
                "run nsplice.toml",
                "error: unexpected argument `nsplice.toml`: did you mean `--config nsplice.toml`?",
            ),
        ] {
            let words = words(line);
            let error = Command::from_iter_safe(&words).unwrap_err();
            let explained = explained(&error, &words);
            let (first, rest) = explained.split_once(PARAGRAPH).unwrap();
            assert_eq!(first, told, "{line}");
            assert!(rest.starts_with("USAGE:\n    nsplice "), "{line}: {rest}");
        }
    }

    #[test]
    fn arguments_in_the_wrong_place_are_told_so() {
        for (line, told) in [
            // Of the two that are wrong, clap tells either.
            ("forward 80 docker/web", "comes before"),
            ("connect 80 pid/1", "comes before"),
            ("check 80 pid/1", "comes before"),
            ("compare 80 pid/1", "comes before"),
            ("forward 18080:80 81", "`18080:80` is a port; the target comes before it"),
            ("forward pid/7 pid/8", "`pid/8` is a target; it comes before the port, as in `pid/8"),
            ("connect docker/web:80", "separate arguments: docker/web 80"),
            ("forward docker/web:80", "separate arguments: docker/web 80"),
            ("forward pid/1 80 --max-links -1", "`-1` is not a number of links: 1 to"),
            ("forward pid/1 80 --linger -1s", "`-1s` is not a time limit: write"),
            ("forward pid/1 -80", "`-80` is not a port: ports are numbers"),
            ("compare --rounds -3", "`-3` is not a number of rounds"),
        ] {
            let words = words(line);
            let told_at_all = explained(&Command::from_iter_safe(&words).unwrap_err(), &words);
            assert!(told_at_all.contains(told), "{line}: {told_at_all}");
        }
    }
}
