//! A command line that is not finished yet: what may stand in the place of its last word.
//!
//! Commands and options are those that the help lists.

use std::ffi::OsString;
use std::path::PathBuf;

use nsplice_backend::{Options, Target};

use super::help;
use crate::environment::Environment;
use crate::request::{Gap, Unfinished};

/// The words of an option's value, if they are few.
const VALUES: [(&str, &[&str]); 7] = [
    ("--output", &["table", "json"]),
    ("--log-format", &["text", "json"]),
    ("--log", &["error", "warn", "info", "debug"]),
    ("--backend", &["auto", "setns", "external", "dial"]),
    ("--backends", &["setns", "setns-copy", "external", "dial"]),
    ("--workloads", &["conformance", "open", "requests", "bulk", "idle"]),
    ("--to", &["localhost"]),
];

/// Options whose values are paths of files.
const FILES: [&str; 5] = ["--config", "--nsenter", "--socat", "--report", "--compare"];

/// The names that nsplice can be called by, whose command lines are other programs'.
const APPLETS: [&str; 2] = ["socat", "nsenter"];

/// Reads `words`, those behind the program's name up to the one that is to be completed.
pub(super) fn read(words: &[OsString], environment: Environment<'_>) -> Unfinished {
    let mut words: Vec<String> =
        words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let begun = words.pop().unwrap_or_default();
    let mut line = Line::default();
    for word in words {
        line.add(word);
    }
    let gap = line.gap(&begun);
    let gap = match (gap, begun.split_once('=')) {
        (Gap::Words(values), Some((option, _))) if option.starts_with("--") => {
            Gap::Words(values.iter().map(|value| format!("{option}={value}")).collect())
        }
        (gap, _) => gap,
    };
    let root = environment.path(line.root, "root");
    Unfinished { begun, gap, options: Options { root, ..Options::default() } }
}

/// What the words before the last one say.
#[derive(Debug, Default)]
struct Line {
    command: Option<String>,
    operands: Vec<String>,
    /// The option whose value comes next.
    pending: Option<String>,
    /// Whether `--` has ended the options.
    is_plain: bool,
    root: Option<PathBuf>,
}

impl Line {
    fn add(&mut self, word: String) {
        if let Some(option) = self.pending.take() {
            self.note(&option, &word);
        } else if word == "--" {
            self.is_plain = true;
        } else if word.starts_with('-') && !self.is_plain {
            match word.split_once('=') {
                Some((option, value)) => self.note(option, value),
                None => self.pending = Some(word).filter(|option| self.takes_value(option)),
            }
        } else if self.command.is_none() {
            self.command = Some(word);
        } else {
            self.operands.push(word);
        }
    }

    fn note(&mut self, option: &str, value: &str) {
        if option == "--root" {
            self.root = Some(value.into());
        }
    }

    /// The command by the name that the help has for it.
    fn command(&self) -> Option<&str> {
        match self.command.as_deref() {
            Some("port-forward") => Some("forward"),
            command => command,
        }
    }

    fn takes_value(&self, option: &str) -> bool {
        let options = help::options(self.command());
        options.iter().any(|known| known.name == option && known.has_value)
    }

    /// What may stand behind these words, where `begun` is.
    fn gap(&self, begun: &str) -> Gap {
        if let Some(option) = &self.pending {
            return value_of(option);
        }
        let Some(command) = self.command() else {
            return Gap::Words(match begun.starts_with('-') {
                true => option_names(None),
                false => help::listed(None, "COMMANDS:"),
            });
        };
        if APPLETS.contains(&command) {
            return Gap::File;
        }
        if begun.starts_with('-') && !self.is_plain {
            return match begun.split_once('=') {
                Some((option, _)) if self.takes_value(option) => value_of(option),
                Some(_) => Gap::Nothing,
                None => Gap::Words(option_names(Some(command))),
            };
        }
        self.operand(command)
    }

    fn operand(&self, command: &str) -> Gap {
        let target = || self.operands.first().and_then(|target| target.parse::<Target>().ok());
        match (command, self.operands.len()) {
            ("forward" | "connect" | "check" | "lookup" | "compare" | "targets", 0) => Gap::Target,
            ("connect" | "check" | "compare", 1) | ("forward", _) => {
                target().map_or(Gap::Nothing, Gap::Port)
            }
            ("completion", 0) => words(&["bash", "zsh", "fish"]),
            ("help", 0) => Gap::Words(help::listed(None, "COMMANDS:")),
            ("install", 0) => Gap::Directory,
            _ => Gap::Nothing,
        }
    }
}

fn value_of(option: &str) -> Gap {
    match VALUES.iter().find(|(known, _)| *known == option) {
        Some((_, values)) => words(values),
        None if option == "--root" => Gap::Directory,
        None if FILES.contains(&option) => Gap::File,
        None => Gap::Nothing,
    }
}

fn words(words: &[&str]) -> Gap {
    Gap::Words(words.iter().map(|word| (*word).to_owned()).collect())
}

fn option_names(command: Option<&str>) -> Vec<String> {
    help::options(command).into_iter().map(|option| option.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfinished(line: &str) -> Unfinished {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        read(&words, Environment(&|_| None))
    }

    fn offered(line: &str) -> Vec<String> {
        match unfinished(line).gap {
            Gap::Words(words) => words,
            gap => panic!("{line}: {gap:?}"),
        }
    }

    #[test]
    fn commands_and_options_are_those_of_the_help() {
        for word in ["forward", "targets", "completion", "socat", "help"] {
            assert!(offered("").iter().any(|each| each == word), "{word}");
        }
        assert!(!offered("").iter().any(|each| each.starts_with("__")));
        assert_eq!(offered("--"), ["--help", "--version"]);
        assert_eq!(offered("targets --"), ["--watch", "--root", "--output", "--help"]);
        assert!(offered("port-forward pod/web 80 -").iter().any(|each| each == "--address"));
        assert_eq!(offered("completion "), ["bash", "zsh", "fish"]);
    }

    #[test]
    fn the_place_of_a_word_says_what_it_is() {
        let web = || Gap::Port("pod/web".parse().unwrap());
        for (line, gap) in [
            ("forward ", Gap::Target),
            ("forward pod/", Gap::Target),
            ("forward --backend setns --no-splice po", Gap::Target),
            ("forward pod/web ", web()),
            ("forward pod/web 80 ", web()),
            ("forward -q pod/web 80 9", web()),
            ("connect pod/web ", web()),
            ("connect pod/web 80 ", Gap::Nothing),
            ("connect a/b ", Gap::Nothing),
            ("check ", Gap::Target),
            ("lookup pod/web ", Gap::Nothing),
            ("targets ", Gap::Target),
            ("targets --root ", Gap::Directory),
            ("run --config ", Gap::File),
            ("run ", Gap::Nothing),
            ("install ", Gap::Directory),
            ("socat ", Gap::File),
            ("forward --linger ", Gap::Nothing),
            ("nonsense ", Gap::Nothing),
            ("nonsense --x=", Gap::Nothing),
        ] {
            assert_eq!(unfinished(line).gap, gap, "{line}");
        }
    }

    #[test]
    fn a_root_is_heeded() {
        for line in ["targets --root /host ", "forward --root=/host po"] {
            assert_eq!(unfinished(line).options.root, Some("/host".into()), "{line}");
        }
    }

    #[test]
    fn a_value_behind_its_option_is_completed_with_it() {
        let Unfinished { begun, gap, .. } = unfinished("targets --output=js");
        assert_eq!(begun, "--output=js");
        assert_eq!(gap, words(&["--output=table", "--output=json"]));
        assert_eq!(offered("targets --output "), ["table", "json"]);
    }

    #[test]
    fn the_values_that_are_offered_are_values() {
        use crate::opt::parse;
        for (option, values) in VALUES {
            for value in values {
                let commands = ["check", "forward pid/7 80", "compare pid/7", "run --config /c"];
                let is_read = commands.iter().any(|command| {
                    let line = format!("nsplice {command} {option} {value}");
                    let words = line.split(' ').map(OsString::from);
                    parse(words, Environment(&|_| None)).is_ok()
                });
                assert!(is_read, "{option} {value}");
            }
        }
    }
}
