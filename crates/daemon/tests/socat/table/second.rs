//! Listening by TCP as the second address: its clients share what the first has opened.

use super::*;
use crate::case::{case, Case};

/// Three clients, each with a line, one after the other.
const ONE_BY_ONE: &[Cue] = &[
    Start,
    Connect("a", FRONT),
    Say("a", "one\n"),
    Fin("a"),
    HearEnd("a"),
    Connect("b", FRONT),
    Say("b", "two\n"),
    Fin("b"),
    HearEnd("b"),
    Connect("c", FRONT),
    Say("c", "three\n"),
    Fin("c"),
    HearEnd("c"),
    Kill(SIGTERM),
    Exit,
];

/// The same where a client's end says nothing of its line: the file's own end is told at once.
const LINE_BY_LINE: &[Cue] = &[
    Start,
    Connect("a", FRONT),
    Say("a", "one\n"),
    Until("grep -q one f"),
    Fin("a"),
    HearEnd("a"),
    Connect("b", FRONT),
    Say("b", "two\n"),
    Until("grep -q two f"),
    Fin("b"),
    HearEnd("b"),
    Connect("c", FRONT),
    Say("c", "three\n"),
    Until("grep -q three f"),
    Fin("c"),
    HearEnd("c"),
    Kill(SIGTERM),
    Exit,
];

/// Two clients and one server, which is connected once and hears both. The end of one is none of the
/// other's.
const SHARED: &[Cue] = &[
    Listen("s", BACK),
    Start,
    Accept("s", "server"),
    Connect("a", FRONT),
    Say("a", "one\n"),
    Hear("server", "one"),
    Say("server", "first\n"),
    Hear("a", "first"),
    Fin("a"),
    HearEnd("a"),
    Connect("b", FRONT),
    Say("b", "two\n"),
    Hear("server", "two"),
    Say("server", "second\n"),
    Hear("b", "second"),
    Fin("b"),
    HearEnd("b"),
    Kill(SIGTERM),
    Exit,
];

pub(super) const CASES: &[Case] = &[
    case(
        "second/to a file",
        "socat -U OPEN:f,creat,trunc,append TCP4-LISTEN:7000,fork",
        ONE_BY_ONE,
    ),
    case(
        "second/to a file with an offset",
        "socat OPEN:f,creat,trunc TCP4-LISTEN:7000,fork",
        LINE_BY_LINE,
    ),
    case("second/to a new file", "socat -U CREATE:f TCP4-LISTEN:7000,fork", ONE_BY_ONE),
    case("second/to a program", "socat -U SYSTEM:'cat >f' TCP4-LISTEN:7000,fork", ONE_BY_ONE),
    case("second/to a FIFO", "socat PIPE:p TCP4-LISTEN:7000,fork", ONE_BY_ONE),
    case("second/to a pipe", "socat PIPE TCP4-LISTEN:7000,fork", ONE_BY_ONE),
    case("second/to a server", "socat TCP:127.0.0.1:7001 TCP4-LISTEN:7000,fork", SHARED),
    case("second/to nothing", "socat FILE:/nonexistent/x TCP4-LISTEN:7000,fork", RUN),
    case("second/to nobody", "socat -s UNIX-CONNECT:u TCP4-LISTEN:7000,fork", RUN),
    case(
        "second/behind a listener",
        "socat TCP4-LISTEN:7002 TCP4-LISTEN:7000,fork",
        &[
            Start,
            Connect("first", Tcp(7002)),
            Connect("a", FRONT),
            Say("a", "one\n"),
            Hear("first", "one"),
            Say("first", "pong\n"),
            Hear("a", "pong"),
            Fin("a"),
            HearEnd("a"),
            Kill(SIGTERM),
            Exit,
        ],
    ),
    case(
        "second/stopped before it listens",
        "socat -u PIPE:p TCP4-LISTEN:7000,fork",
        &[Start, Appears("p"), Kill(SIGTERM), Exit],
    ),
];
