//! What happens after the first end of a link, and what ends cost nothing.

use super::*;
use crate::case::{case, Case};
use crate::differences::Difference;

/// The server answers this many milliseconds after the client's end.
macro_rules! answer_after {
    ($milliseconds:expr) => {
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Type("ping\n"),
            EndInput,
            HearEnd("server"),
            Pause($milliseconds),
            Say("server", "pong\n"),
            Fin("server"),
            Exit,
        ]
    };
}

/// The server answers in pieces, with this many milliseconds before each.
macro_rules! pieces_after {
    ($milliseconds:expr) => {
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            EndInput,
            HearEnd("server"),
            Pause($milliseconds),
            Say("server", "one\n"),
            Pause($milliseconds),
            Say("server", "two\n"),
            Pause($milliseconds),
            Say("server", "three\n"),
            Pause($milliseconds),
            Say("server", "four\n"),
            Fin("server"),
            Exit,
        ]
    };
}

/// The client uploads in pieces after the server's end, with this many milliseconds before each.
macro_rules! upload_after {
    ($milliseconds:expr) => {
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Say("server", "banner\n"),
            Fin("server"),
            Read("banner"),
            Pause($milliseconds),
            Type("one\n"),
            Pause($milliseconds),
            Type("two\n"),
            Pause($milliseconds),
            Type("three\n"),
            EndInput,
            HearEnd("server"),
            Exit,
        ]
    };
}

/// Nobody says anything after the client's end.
const SILENCE: &[Cue] = &[
    Listen("s", BACK),
    Start,
    Accept("s", "server"),
    Type("ping\n"),
    EndInput,
    HearEnd("server"),
    Exit,
];

/// A forwarded client ends and is answered late.
macro_rules! forwarded_answer_after {
    ($milliseconds:expr) => {
        &[
            Listen("s", BACK),
            Start,
            Connect("client", FRONT),
            Accept("s", "server"),
            Say("client", "ping\n"),
            Fin("client"),
            HearEnd("server"),
            Pause($milliseconds),
            Say("server", "pong\n"),
            Fin("server"),
            HearEnd("client"),
            Exit,
        ]
    };
}

fn answered(report: &Report) -> Result<(), String> {
    ends(report, "status 0", "")?;
    expect(report.stdout.ends_with(b"pong\n"), "the answer is lost")
}

pub(super) const CASES: &[Case] = &[
    case("half_close/soon", "socat - TCP4:127.0.0.1:7001", answer_after!(150)),
    case("half_close/in pieces", "socat - TCP4:127.0.0.1:7001", pieces_after!(150)),
    case("half_close/silence", "socat - TCP4:127.0.0.1:7001", SILENCE),
    case("half_close/too late", "socat - TCP4:127.0.0.1:7001", answer_after!(1500)),
    case("half_close/late", "socat - TCP4:127.0.0.1:7001", answer_after!(1500))
        .own_linger()
        .differs(Difference::Linger, answered),
    case("half_close/soon with -t", "socat -t 2 - TCP4:127.0.0.1:7001", answer_after!(700)),
    case("half_close/in pieces with -t", "socat -t 1 - TCP4:127.0.0.1:7001", pieces_after!(400)),
    case("half_close/too late with -t", "socat -t 0.3 - TCP4:127.0.0.1:7001", answer_after!(1500)),
    case(
        "half_close/too late with -t, not ours",
        "socat -t 0.3 - TCP4:127.0.0.1:7001",
        answer_after!(1500),
    )
    .own_linger(),
    case("half_close/silence with -t", "socat -t 1 - TCP4:127.0.0.1:7001", SILENCE),
    case("half_close/at once", "socat -t 0 - TCP4:127.0.0.1:7001", SILENCE),
    case("half_close/upload", "socat - TCP4:127.0.0.1:7001", upload_after!(150)),
    case("half_close/upload with -t", "socat -t 2 - TCP4:127.0.0.1:7001", upload_after!(600)),
    case(
        "half_close/forwarded",
        "socat TCP-LISTEN:7000 TCP:127.0.0.1:7001",
        forwarded_answer_after!(150),
    ),
    case(
        "half_close/forwarded with -t",
        "socat -t 3 TCP-LISTEN:7000 TCP:127.0.0.1:7001",
        forwarded_answer_after!(900),
    ),
    case(
        "half_close/forwarded too late",
        "socat TCP-LISTEN:7000 TCP:127.0.0.1:7001",
        &[
            Listen("s", BACK),
            Start,
            Connect("client", FRONT),
            Accept("s", "server"),
            Say("client", "ping\n"),
            Fin("client"),
            HearEnd("server"),
            HearEnd("client"),
            Exit,
        ],
    ),
    case(
        "half_close/UNIX",
        "socat -t 20 - UNIX-CONNECT:back.sock",
        &[
            Listen("s", Unix("back.sock")),
            Start,
            Accept("s", "server"),
            Type("ping\n"),
            EndInput,
            HearEnd("server"),
            Pause(150),
            Say("server", "pong\n"),
            Fin("server"),
            Exit,
        ],
    ),
    case("half_close/a program", "socat - SYSTEM:'cat; sleep 0.2; echo end'", ONE_LINE),
    case(
        "half_close/a program with -t",
        "socat -t 3 - SYSTEM:'cat; sleep 0.8; echo end'",
        ONE_LINE,
    ),
    case(
        "half_close/idle before, -t after",
        "socat -t 1 -T 0.4 - TCP4:127.0.0.1:7001",
        answer_after!(600),
    ),
    case(
        "half_close/idle, kept by traffic",
        "socat -T 1 - TCP4:127.0.0.1:7001",
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Say("server", "one\n"),
            Pause(400),
            Say("server", "two\n"),
            Pause(400),
            Say("server", "three\n"),
            Pause(400),
            Say("server", "four\n"),
            Read("four"),
            Exit,
        ],
    ),
    case("half_close/shut-down", "socat - TCP4:127.0.0.1:7001,shut-down", client_of!(BACK)),
    case(
        "half_close/shut-none",
        "socat - TCP4:127.0.0.1:7001,shut-none",
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Type("ping\n"),
            Hear("server", "ping"),
            EndInput,
            Exit,
            HearEnd("server"),
        ],
    ),
    case("half_close/shut-close", "socat - TCP4:127.0.0.1:7001,shut-close", SILENCE)
        .differs(Difference::NoCrash, |report| ends(report, "status 0", "")),
    case(
        "half_close/end-close",
        "socat - TCP4:127.0.0.1:7001,end-close",
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Type("ping\n"),
            Hear("server", "ping"),
            EndInput,
            Exit,
            HearEnd("server"),
        ],
    ),
    case(
        "half_close/shut-none of stdio",
        "socat -,shut-none TCP4:127.0.0.1:7001",
        client_left_by!(BACK),
    ),
    case(
        "half_close/ignoreeof, written late",
        "socat -t 0.1 OPEN:in,ignoreeof TCP:127.0.0.1:7001",
        &[
            Shell("echo content >in"),
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Hear("server", "content"),
            Shell("echo more >>in"),
            Fin("server"),
            Hear("server", "more"),
            HearEnd("server"),
            Exit,
        ],
    )
    // socat looks once a second, and so never.
    .rules(|report| ends(report, "status 0", "")),
    case(
        "half_close/ignoreeof of a client",
        "socat TCP-LISTEN:7000,ignoreeof TCP:127.0.0.1:7001",
        &[
            Listen("s", BACK),
            Start,
            Connect("client", FRONT),
            Accept("s", "server"),
            Say("client", "ping\n"),
            Fin("client"),
            Hear("server", "ping"),
            Pause(700),
            Say("server", "pong\n"),
            Hear("client", "pong"),
            Fin("server"),
            HearEnd("client"),
            Exit,
            HearEnd("server"),
        ],
    ),
    case(
        "half_close/reset while idle",
        "socat TCP-LISTEN:7000 TCP:127.0.0.1:7001",
        &[
            Listen("s", BACK),
            Start,
            Connect("client", FRONT),
            Accept("s", "server"),
            Say("server", "pong\n"),
            Hear("client", "pong"),
            Reset("server"),
            HearEnd("client"),
            Exit,
        ],
    ),
    case(
        "half_close/upload to one that spoke",
        "socat -u - TCP4:127.0.0.1:7001",
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Say("server", "banner\n"),
            TypeRamp(2_000_000),
            EndInput,
            HearEnd("server"),
            Exit,
        ],
    )
    // What socat loses of it is chance.
    .rules(|report| {
        ends(report, "status 0", "")?;
        let server = &report.peers["server"];
        expect(server.bytes.len() == 2_000_000, format_args!("{} bytes", server.bytes.len()))?;
        expect(server.end == StreamEnd::Fin, "it is reset")
    }),
];
