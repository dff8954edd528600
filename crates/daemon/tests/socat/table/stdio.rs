//! Standard input and output of every kind.

use super::*;
use crate::case::{case, Case};

/// The server speaks first and ends first.
const GREETED: &[Step] = &[
    Listen("s", BACK),
    Start,
    Accept("s", "server"),
    Say("server", "pong\n"),
    Fin("server"),
    HearEnd("server"),
    Exit,
];

/// The server says what it has to say when the client has ended.
const ANSWERED: &[Step] = &[
    Listen("s", BACK),
    Start,
    Accept("s", "server"),
    HearEnd("server"),
    Say("server", "pong\n"),
    Fin("server"),
    Exit,
];

pub(super) const CASES: &[Case] = &[
    case("stdio/null as input", "socat - TCP4:127.0.0.1:7001 </dev/null", ANSWERED),
    case(
        "stdio/a file as input",
        "socat - TCP4:127.0.0.1:7001 <in",
        &[
            Shell("echo content >in"),
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            HearEnd("server"),
            Say("server", "pong\n"),
            Fin("server"),
            Exit,
        ],
    ),
    case("stdio/a file as output", "socat - TCP4:127.0.0.1:7001 >out", GREETED),
    case(
        "stdio/appended to a file",
        "socat - TCP4:127.0.0.1:7001 >>out",
        &[
            Shell("echo before >out"),
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Say("server", "pong\n"),
            Fin("server"),
            Exit,
        ],
    ),
    case("stdio/null as output", "socat - TCP4:127.0.0.1:7001 >/dev/null", GREETED),
    case("stdio/a full device as output", "socat - TCP4:127.0.0.1:7001 >/dev/full", GREETED),
    case("stdio/closed input", "socat - TCP4:127.0.0.1:7001 <&-", ANSWERED)
        // The connection takes the place of the closed one, and socat then waits for itself.
        .rules(|report| ends(report, "status 0", "")),
    case(
        "stdio/closed output",
        "socat -u TCP4:127.0.0.1:7001 - >&-",
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Say("server", "pong\n"),
            Fin("server"),
            Exit,
        ],
    )
    // The connection takes the number of the closed one in socat; here it is /dev/null.
    .rules(|report| ends(report, "status 0", "")),
    case(
        "stdio/a reader that has gone",
        "socat TCP4:127.0.0.1:7001 - | true",
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Pause(100),
            Say("server", "pong\n"),
            EndInput,
            HearEnd("server"),
            Fin("server"),
            Exit,
        ],
    )
    // Which is noticed first, that the reader has gone or the next byte, is a race.
    .rules(|report| {
        let told = report.stderr.replace("E write(1, POINTER, COUNT): Broken pipe", "");
        expect(told.is_empty() || told == "DATE socat[PID] \n", "it tells of something else")?;
        expect(report.peers["server"].end == StreamEnd::Fin, "the server is left alone")
    }),
    case("stdio/STDIN both ways", "socat STDIN TCP4:127.0.0.1:7001 </dev/null", ANSWERED),
    case(
        "stdio/STDIN, one way",
        "socat -u STDIN TCP4:127.0.0.1:7001",
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Type("ping\n"),
            EndInput,
            HearEnd("server"),
            Exit,
        ],
    ),
    case("stdio/STDOUT, one way", "socat -u TCP4:127.0.0.1:7001 STDOUT", GREETED),
    case("stdio/STDERR, one way", "socat -u TCP4:127.0.0.1:7001 STDERR", GREETED),
    case("stdio/STDOUT both ways", "socat - STDOUT </dev/null", RUN),
    case("stdio/echo by PIPE", "socat - PIPE", ONE_LINE),
    case("stdio/echo by ECHO", "socat - ECHO", ONE_LINE),
    case("stdio/STDIO", "socat STDIO TCP4:127.0.0.1:7001", client_of!(BACK)),
    case(
        "stdio/ignoring the end",
        "socat -,ignoreeof TCP4:127.0.0.1:7001 </dev/null",
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Say("server", "pong\n"),
            Read("pong"),
            Fin("server"),
            Exit,
        ],
    ),
    case(
        "stdio/ignoring the end, alias",
        "socat -,ignoreof TCP4:127.0.0.1:7001 </dev/null",
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Say("server", "pong\n"),
            Fin("server"),
            Exit,
        ],
    ),
    case(
        "stdio/an escape",
        "socat -,escape=0x11 TCP4:127.0.0.1:7001",
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Type("ping\n"),
            Hear("server", "ping"),
            Type("more\u{11}"),
            HearEnd("server"),
            Fin("server"),
            Exit,
        ],
    ),
    case(
        "stdio/readbytes",
        "socat -,readbytes=3 TCP4:127.0.0.1:7001",
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Type("ping\n"),
            HearEnd("server"),
            Fin("server"),
            Exit,
        ],
    ),
    case("stdio/terminal options on a pipe", "socat -,raw,echo=0 TCP4:127.0.0.1:7001", RUN),
    case(
        "stdio/a terminal",
        "script -qec 'socat -,raw,echo=0 TCP4:127.0.0.1:7001' /dev/null",
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Say("server", "pong\n"),
            Read("pong"),
            Fin("server"),
            Exit,
        ],
    ),
    case(
        "stdio/a terminal is restored",
        "script -qec 'socat -,raw,echo=0 TCP4:127.0.0.1:7001; stty -a' /dev/null",
        &[Listen("s", BACK), Start, Accept("s", "server"), Fin("server"), Exit],
    ),
    case(
        "stdio/a terminal, cooked",
        "script -qec 'socat - TCP4:127.0.0.1:7001' /dev/null",
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Say("server", "one\ntwo\n"),
            Read("two"),
            Fin("server"),
            Exit,
        ],
    ),
    case(
        "stdio/a terminal, lima",
        "script -qec 'socat -,echo=0,icanon=0 unix-connect:serial.sock' /dev/null",
        &[
            Listen("s", Unix("serial.sock")),
            Start,
            Accept("s", "server"),
            Say("server", "one\n"),
            Read("one"),
            Fin("server"),
            Exit,
        ],
    ),
    case("stdio/newlines", "socat -,crnl TCP4:127.0.0.1:7001", client_of!(BACK)),
    case("stdio/carriage returns", "socat -,cr TCP4:127.0.0.1:7001", client_of!(BACK)),
    case(
        "stdio/newlines on the net",
        "socat - TCP4:127.0.0.1:7001,crlf",
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Type("one\ntwo\r\nthree\r"),
            EndInput,
            HearEnd("server"),
            Say("server", "one\r\ntwo\nth\rree\r"),
            Fin("server"),
            Exit,
        ],
    ),
];
