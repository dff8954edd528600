//! Words taken apart as GNU getopt_long(3) does it with a `+`: options end at the first word that
//! is none, or at `--`.
//!
//! Short options may share a word; an argument that is required is the rest of the word or the next
//! one, an optional one is attached or not there. Long options may be shortened as long as they
//! stay unambiguous.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::complaint::Complaint;

/// Whether an option has an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Argument {
    /// Never.
    None,
    /// Attached to it, or in the next word.
    Required,
    /// Attached to it, or none.
    Optional,
}

/// What an option is called by, and what it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name<N, K: 'static> {
    /// How it is written, without hyphens.
    pub(crate) name: N,
    /// Whether it has an argument.
    pub(crate) argument: Argument,
    /// What it means.
    pub(crate) key: K,
}

/// The options of a program.
#[derive(Debug)]
pub(crate) struct Grammar<K: 'static> {
    /// By one letter.
    pub(crate) short: &'static [Name<u8, K>],
    /// By a word, in the order in which ambiguous ones are told.
    pub(crate) long: &'static [Name<&'static str, K>],
    /// By words that are taken only if they are written out, and never proposed.
    pub(crate) unlisted: &'static [Name<&'static str, K>],
}

/// An option as it was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Met<'a, K> {
    /// Which one.
    pub(crate) key: K,
    /// Its argument.
    pub(crate) argument: Option<&'a OsStr>,
}

/// Goes through words from left to right.
#[derive(Debug)]
pub(crate) struct Scan<'a, K: 'static> {
    grammar: &'static Grammar<K>,
    words: &'a [OsString],
    /// What is left of a word of short options.
    cluster: &'a [u8],
}

impl<'a, K: Copy> Scan<'a, K> {
    /// Before the first word.
    pub(crate) fn new(grammar: &'static Grammar<K>, words: &'a [OsString]) -> Self {
        Self { grammar, words, cluster: &[] }
    }

    /// The words after the options.
    pub(crate) fn rest(&self) -> &'a [OsString] {
        self.words
    }

    /// The next option; `None` at their end.
    pub(crate) fn next(&mut self) -> Result<Option<Met<'a, K>>, Complaint> {
        if let Some((letter, rest)) = self.cluster.split_first() {
            self.cluster = rest;
            return self.short(*letter).map(Some);
        }
        let Some((word, rest)) = self.words.split_first() else { return Ok(None) };
        match word.as_bytes() {
            b"--" => {
                self.words = rest;
                Ok(None)
            }
            [b'-', b'-', long @ ..] => {
                self.words = rest;
                self.long(long).map(Some)
            }
            [b'-', letter, cluster @ ..] => {
                self.words = rest;
                self.cluster = cluster;
                self.short(*letter).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn short(&mut self, letter: u8) -> Result<Met<'a, K>, Complaint> {
        let complain =
            |what: &str| Complaint::getopt([what.as_bytes(), b" -- '", &[letter], b"'"].concat());
        let Some(option) = self.grammar.short.iter().find(|option| option.name == letter) else {
            return Err(complain("invalid option"));
        };
        let mut attached = || {
            let rest = std::mem::take(&mut self.cluster);
            (!rest.is_empty()).then(|| OsStr::from_bytes(rest))
        };
        let argument = match option.argument {
            Argument::None => None,
            Argument::Optional => attached(),
            Argument::Required => match attached() {
                Some(argument) => Some(argument),
                None => {
                    let next = self.take_word();
                    Some(next.ok_or_else(|| complain("option requires an argument"))?)
                }
            },
        };
        Ok(Met { key: option.key, argument })
    }

    /// The option that `word` (without its hyphens) stands for.
    fn long(&mut self, word: &'a [u8]) -> Result<Met<'a, K>, Complaint> {
        let (typed, attached) = match word.iter().position(|byte| *byte == b'=') {
            Some(at) => (&word[..at], Some(OsStr::from_bytes(&word[at + 1..]))),
            None => (word, None),
        };
        let option = self.choose(typed, word)?;
        let complain = |what: &str| Complaint::getopt(format!("option '--{}' {what}", option.name));
        let argument = match (option.argument, attached) {
            (Argument::None, Some(_)) => return Err(complain("doesn't allow an argument")),
            (Argument::Required, None) => {
                let next = self.take_word();
                Some(next.ok_or_else(|| complain("requires an argument"))?)
            }
            (_, attached) => attached,
        };
        Ok(Met { key: option.key, argument })
    }

    /// The option with the name `typed`, or the only one whose name begins so.
    fn choose(
        &self,
        typed: &[u8],
        word: &[u8],
    ) -> Result<&'static Name<&'static str, K>, Complaint> {
        let long = self.grammar.long;
        let mut all = long.iter().chain(self.grammar.unlisted);
        if let Some(exact) = all.find(|option| option.name.as_bytes() == typed) {
            return Ok(exact);
        }
        let mut candidates = long.iter().filter(|option| option.name.as_bytes().starts_with(typed));
        match (candidates.next(), candidates.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(Complaint::getopt([b"unrecognized option '--", word, b"'"].concat())),
            (Some(first), Some(second)) => {
                let head = [b"option '--", word, b"' is ambiguous; possibilities:"].concat();
                let all = [first, second].into_iter().chain(candidates);
                let names: String = all.map(|option| format!(" '--{}'", option.name)).collect();
                Err(Complaint::getopt([head.as_slice(), names.as_bytes()].concat()))
            }
        }
    }

    fn take_word(&mut self) -> Option<&'a OsStr> {
        let (word, rest) = self.words.split_first()?;
        self.words = rest;
        Some(word)
    }
}
