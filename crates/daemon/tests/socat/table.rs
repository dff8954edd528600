//! The table of command lines, by theme, and the plays that many of them share.

use nix::sys::signal::Signal;
use nix::sys::signal::Signal::SIGTERM;

use crate::case::Cue::{self, *};
use crate::case::Place::{self, Abstract, Tcp, Tcp6, Unix};
use crate::compare::compare;
use crate::report::{Report, StreamEnd};

mod files;
mod flags;
mod half_close;
mod listen;
mod messages;
mod options;
mod programs;
mod real;
mod refused;
mod second;
mod stdio;
mod syntax;
mod tcp;
mod unix;

/// Makes a test of each theme.
macro_rules! themes {
    ($($theme:ident)+) => {$(
        #[test]
        fn $theme() {
            compare(stringify!($theme), $theme::CASES);
        }
    )+};
}

themes! {
    files flags half_close listen messages options programs real refused second stdio syntax tcp unix
}

#[test]
fn names_are_unique_and_there_are_enough() {
    let themes = [
        files::CASES,
        flags::CASES,
        half_close::CASES,
        listen::CASES,
        messages::CASES,
        options::CASES,
        programs::CASES,
        real::CASES,
        refused::CASES,
        second::CASES,
        stdio::CASES,
        syntax::CASES,
        tcp::CASES,
        unix::CASES,
    ];
    let mut names: Vec<_> = themes.concat().iter().map(|case| case.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count >= 200, "{count} cases");
}

/// Where the program listens, for the plays that talk to it.
const FRONT: Place = Tcp(7000);

/// Where a server is, for the program to connect to.
const BACK: Place = Tcp(7001);

/// It runs and ends by itself, with its input open.
const RUN: &[Cue] = &[Start, Exit];

/// It runs and ends with its input.
const NO_INPUT: &[Cue] = &[Start, EndInput, Exit];

/// A line is typed, and that is all.
const ONE_LINE: &[Cue] = &[Start, Type("line\n"), EndInput, Exit];

/// It connects standard input and output to a server, which ends second.
macro_rules! client_of {
    ($place:expr) => {
        &[
            Listen("s", $place),
            Start,
            Accept("s", "server"),
            Type("ping\n"),
            Hear("server", "ping"),
            Say("server", "pong\n"),
            Read("pong"),
            EndInput,
            HearEnd("server"),
            Fin("server"),
            Exit,
        ]
    };
}

/// The same, where the server ends first.
macro_rules! client_left_by {
    ($place:expr) => {
        &[
            Listen("s", $place),
            Start,
            Accept("s", "server"),
            Type("ping\n"),
            Hear("server", "ping"),
            Say("server", "pong\n"),
            Fin("server"),
            Read("pong"),
            Exit,
        ]
    };
}

/// It listens, and connects its client to standard input and output. The client ends first.
macro_rules! server_of {
    ($place:expr) => {
        &[
            Start,
            Connect("client", $place),
            Say("client", "ping\n"),
            Read("ping"),
            Type("pong\n"),
            Hear("client", "pong"),
            Fin("client"),
            Exit,
        ]
    };
}

/// It listens and connects its one client to a server.
macro_rules! one_link {
    ($front:expr, $back:expr) => {
        &[
            Listen("s", $back),
            Start,
            Connect("client", $front),
            Accept("s", "server"),
            Say("client", "ping\n"),
            Hear("server", "ping"),
            Say("server", "pong\n"),
            Hear("client", "pong"),
            Fin("client"),
            HearEnd("server"),
            Fin("server"),
            HearEnd("client"),
            Exit,
        ]
    };
}

/// It listens and connects two clients to a server, one while the other is there, until SIGTERM.
macro_rules! two_links {
    ($front:expr, $back:expr) => {
        &[
            Listen("s", $back),
            Start,
            Connect("a", $front),
            Accept("s", "for a"),
            Say("a", "ping\n"),
            Hear("for a", "ping"),
            Connect("b", $front),
            Accept("s", "for b"),
            Say("for b", "banner\n"),
            Hear("b", "banner"),
            Say("for a", "pong\n"),
            Hear("a", "pong"),
            Fin("a"),
            HearEnd("for a"),
            Fin("for a"),
            HearEnd("a"),
            Fin("for b"),
            HearEnd("b"),
            Fin("b"),
            HearEnd("for b"),
            Kill(SIGTERM),
            Exit,
        ]
    };
}

/// It listens and runs a program for one client that sends a line and ends.
macro_rules! serves {
    ($place:expr, $heard:expr) => {
        &[
            Start,
            Connect("client", $place),
            Say("client", "ping\n"),
            Hear("client", $heard),
            Fin("client"),
            HearEnd("client"),
            Exit,
        ]
    };
}

/// The same with `fork`, for two clients, until SIGTERM.
macro_rules! serves_many {
    ($place:expr, $heard:expr) => {
        &[
            Start,
            Connect("a", $place),
            Connect("b", $place),
            Say("b", "ping\n"),
            Hear("b", $heard),
            Fin("b"),
            HearEnd("b"),
            Say("a", "ping\n"),
            Hear("a", $heard),
            Fin("a"),
            HearEnd("a"),
            Kill(SIGTERM),
            Exit,
        ]
    };
}

use {client_left_by, client_of, one_link, server_of, serves, serves_many, two_links};

/// A rule: the status and what standard error contains.
fn ends(report: &Report, end: &str, told: &str) -> Result<(), String> {
    expect(report.end == end, format_args!("the end is not {end}"))?;
    expect(report.stderr.contains(told), format_args!("standard error lacks {told:?}"))
}

/// A rule: a condition and what it means if it is not met.
fn expect(met: bool, why: impl std::fmt::Display) -> Result<(), String> {
    if met {
        Ok(())
    } else {
        Err(why.to_string())
    }
}
