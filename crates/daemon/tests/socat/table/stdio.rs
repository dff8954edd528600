//! Standard input and output of every kind.

use super::*;
use crate::case::{case, Case};
use crate::differences::Difference;

/// The server speaks first and ends first.
const GREETED: &[Cue] = &[
    Listen("s", BACK),
    Start,
    Accept("s", "server"),
    Say("server", "pong\n"),
    Fin("server"),
    HearEnd("server"),
    Exit,
];

/// The server says what it has to say when the client has ended.
const ANSWERED: &[Cue] = &[
    Listen("s", BACK),
    Start,
    Accept("s", "server"),
    HearEnd("server"),
    Say("server", "pong\n"),
    Fin("server"),
    Exit,
];

/// The client asks and hears no answer, whatever the server says and when.
const UNHEARD: &[Cue] = &[
    Listen("s", BACK),
    Start,
    Accept("s", "server"),
    Say("server", "banner\n"),
    Type("ping\n"),
    Hear("server", "ping"),
    Say("server", "pong\n"),
    EndInput,
    HearEnd("server"),
    Exit,
];

/// The server's end is not the client's.
const UNHEARD_END: &[Cue] = &[
    Listen("s", BACK),
    Start,
    Accept("s", "server"),
    Say("server", "banner\n"),
    Fin("server"),
    Type("ping\n"),
    Hear("server", "ping"),
    EndInput,
    HearEnd("server"),
    Exit,
];

/// The server speaks, with the input held open, and nothing ever ends.
const UNENDED: &[Cue] =
    &[Listen("s", BACK), Start, Accept("s", "server"), Say("server", "banner\n"), Exit];

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
    case("stdio/STDIN both ways", "socat STDIN TCP4:127.0.0.1:7001 </dev/null", ANSWERED)
        .differs(Difference::OneWay, |report| ends(report, "status 0", "")),
    case("stdio/a file as STDIN both ways", "socat TCP4:127.0.0.1:7001 STDIN <in", {
        const PLAY: &[Cue] = &[
            Shell("echo content >in"),
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            HearEnd("server"),
            Say("server", "pong\n"),
            Fin("server"),
            Exit,
        ];
        PLAY
    })
    .differs(Difference::OneWay, |report| {
        expect(report.peers["server"].bytes == b"content\n", "the server lacks the content")?;
        ends(report, "status 0", "")
    }),
    case("stdio/a file as STDOUT both ways", "socat STDOUT TCP4:127.0.0.1:7001 >out", GREETED)
        .differs(Difference::OneWay, |report| {
            let told = report.files.iter().any(|file| file.ends_with(" out: 6 pong\\n"));
            expect(told, "the file lacks the answer")?;
            ends(report, "status 0", "")
        }),
    case("stdio/a pipe as STDIN both ways", "socat STDIN TCP4:127.0.0.1:7001", UNHEARD),
    // An answer that nobody can hear is not waited for.
    case("stdio/a pipe as STDIN, no time told", "socat TCP4:127.0.0.1:7001 STDIN", UNHEARD)
        .own_linger(),
    case("stdio/a pipe as STDIN both ways, second", "socat TCP4:127.0.0.1:7001 STDIN", UNHEARD),
    case("stdio/a pipe as FD both ways", "socat TCP4:127.0.0.1:7001 FD:5 5<&0", UNHEARD),
    case("stdio/a pipe as - that is written to", "socat TCP4:127.0.0.1:7001 - 1<&0", UNHEARD),
    case("stdio/a pipe as STDIN, the server ends", "socat TCP4:127.0.0.1:7001 STDIN", UNHEARD_END),
    case("stdio/a pipe as STDIN, nothing ends", "socat -T 0.5 TCP4:127.0.0.1:7001 STDIN", UNENDED),
    case(
        "stdio/a pipe as STDIN, the wrong way",
        "socat -T 0.5 -U STDIN TCP4:127.0.0.1:7001",
        UNENDED,
    ),
    case(
        "stdio/a pipe as STDOUT, the wrong way",
        "socat -T 0.5 -u STDOUT TCP4:127.0.0.1:7001",
        UNENDED,
    ),
    case("stdio/a pipe as STDOUT both ways", "socat STDOUT TCP4:127.0.0.1:7001", GREETED),
    case("stdio/a pipe as STDOUT both ways, second", "socat TCP4:127.0.0.1:7001 STDOUT", GREETED),
    case("stdio/a pipe as STDERR both ways", "socat STDERR TCP4:127.0.0.1:7001", GREETED),
    case(
        "stdio/a pipe as FD both ways, written to",
        "socat FD:5 TCP4:127.0.0.1:7001 5>&1",
        GREETED,
    ),
    case(
        "stdio/a pipe as STDIN for each client",
        "socat TCP4-LISTEN:7000,fork STDIN",
        &[
            Start,
            Connect("a", FRONT),
            Say("a", "nobody hears\n"),
            Type("one\n"),
            Hear("a", "one"),
            EndInput,
            HearEnd("a"),
            Fin("a"),
            Connect("b", FRONT),
            HearEnd("b"),
            Fin("b"),
            Kill(SIGTERM),
            Exit,
        ],
    ),
    case(
        "stdio/STDOUT and a FIFO",
        "socat STDOUT PIPE:p",
        &[Start, Appears("p"), Shell("echo hi >p"), Read("hi"), Kill(SIGTERM), Exit],
    ),
    case(
        "stdio/STDOUT and a FIFO that is read",
        "socat STDOUT OPEN:p,rdonly",
        &[Shell("mkfifo p"), Start, Shell("echo hi >p"), Read("hi"), Exit],
    ),
    case(
        "stdio/a FIFO that is read, both ways",
        "socat - OPEN:p,rdonly",
        &[Shell("mkfifo p"), Start, Type("lost\n"), Shell("echo hi >p"), Read("hi"), Exit],
    ),
    case(
        "stdio/a FIFO that is written to, both ways",
        "socat - OPEN:p,wronly",
        &[
            Shell("mkfifo p; timeout 20 cat p >got &"),
            Start,
            Type("hi\n"),
            Until("grep -q hi got"),
            EndInput,
            Exit,
        ],
    ),
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
        "socat -t 20 - TCP4:127.0.0.1:7001,crlf",
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
