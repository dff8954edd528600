//! Files: OPEN, CREATE, GOPEN and bare paths, named pipes.

use super::*;
use crate::case::{case, Case};
use crate::differences::Difference;

/// There is a file to read.
const WITH_IN: &[Cue] = &[Shell("echo content >in"), Start, EndInput, Exit];

/// There is a file to write to.
const WITH_OUT: &[Cue] =
    &[Shell("echo before >out; chmod 640 out"), Start, Type("line\n"), EndInput, Exit];

/// It makes a FIFO, and is ended while it waits for the other end.
macro_rules! stopped {
    ($signal:expr) => {
        &[Start, Appears("fifo"), Kill($signal), Exit]
    };
}

pub(super) const CASES: &[Case] = &[
    case("files/open", "socat -u OPEN:in -", WITH_IN),
    case("files/FILE", "socat -u FILE:in STDOUT", WITH_IN),
    case("files/bare path", "socat -u ./in -", WITH_IN),
    case("files/GOPEN", "socat -u GOPEN:in,rdonly -", WITH_IN),
    case("files/missing", "socat -u OPEN:nosuch -", RUN),
    case("files/missing, to write", "socat -u - OPEN:nosuch", ONE_LINE),
    case("files/no directory", "socat -u - CREATE:nosuch/out", ONE_LINE),
    case("files/a directory", "socat -u - OPEN:.", ONE_LINE),
    case("files/write", "socat -u - OPEN:out", WITH_OUT),
    case("files/create by OPEN", "socat -u - OPEN:new,creat", ONE_LINE),
    case("files/create by the other word", "socat -u - OPEN:new,create", ONE_LINE),
    case("files/create with a mode", "socat -u - OPEN:new,creat,mode=600", ONE_LINE),
    case("files/truncate", "socat -u - OPEN:out,trunc", WITH_OUT),
    case("files/append", "socat -u - OPEN:out,append", WITH_OUT),
    case("files/exclusive", "socat -u - OPEN:out,creat,excl", WITH_OUT),
    case("files/read only", "socat -u - OPEN:out,rdonly", WITH_OUT),
    case("files/CREATE", "socat -u - CREATE:new", ONE_LINE),
    case("files/CREAT", "socat -u - CREAT:new", ONE_LINE),
    case("files/CREATE truncates", "socat -u - CREATE:out", WITH_OUT),
    case("files/CREATE with a mode", "socat -u - CREATE:new,mode=0600", ONE_LINE),
    case("files/CREATE with an owner", "socat -u - CREATE:new,user=nobody,group=nogroup", ONE_LINE),
    case("files/CREATE with a mask", "socat -u - CREATE:new,umask=077", ONE_LINE),
    case("files/bare path appends", "socat -u - ./out", WITH_OUT),
    case("files/bare path creates", "socat -u - ./new", ONE_LINE),
    case("files/bare path without a slash", "socat -u - new", ONE_LINE),
    case("files/both ways", "socat - ./out", WITH_OUT)
        // What socat has read of the file when its input ends is a race.
        .rules(|report| {
            ends(report, "status 0", "")?;
            expect(report.files[0].ends_with(r" before\nline\n"), "it is not appended")
        }),
    case(
        "files/to a file by TCP",
        "socat -u TCP4-LISTEN:7000 OPEN:out,creat,trunc",
        &[
            Start,
            Connect("client", FRONT),
            Say("client", "ping\n"),
            Fin("client"),
            Exit,
            HearEnd("client"),
        ],
    ),
    case(
        "files/from a file by TCP",
        "socat -u OPEN:in TCP4:127.0.0.1:7001",
        &[
            Shell("echo content >in"),
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            HearEnd("server"),
            Exit,
        ],
    ),
    case(
        "files/appended to by each",
        "socat -u TCP-LISTEN:7000,fork OPEN:out,creat,append",
        &[
            Start,
            Connect("a", FRONT),
            Say("a", "from a\n"),
            Fin("a"),
            HearEnd("a"),
            Connect("b", FRONT),
            Say("b", "from b\n"),
            Fin("b"),
            HearEnd("b"),
            Kill(SIGTERM),
            Exit,
        ],
    ),
    case(
        "files/ignoring the end",
        "socat -u OPEN:in,ignoreeof - ",
        &[
            Shell("echo content >in"),
            Start,
            Read("content"),
            Shell("echo more >>in"),
            Read("more"),
            Kill(SIGTERM),
            Exit,
        ],
    ),
    case("files/seek", "socat -u OPEN:in,seek=3 -", WITH_IN),
    case("files/unlink early", "socat -u - CREATE:out,unlink-early", WITH_OUT),
    case("files/unlink late", "socat -u - CREATE:new,unlink-late", ONE_LINE)
        .differs(Difference::NotImplemented, |report| ends(report, "status 1", "\"unlink-late\"")),
    case("files/unlink at close", "socat -u - CREATE:new,unlink-close", ONE_LINE),
    case("files/null", "socat -u - /dev/null", ONE_LINE),
    case("files/zero bytes of zero", "socat -u OPEN:/dev/zero,readbytes=10 - | od -c", NO_INPUT),
    case("files/a full device", "socat -u - /dev/full", ONE_LINE),
    case(
        "files/FIFO made",
        "socat -u PIPE:fifo -",
        &[Start, Appears("fifo"), Shell("echo ping >fifo"), Read("ping"), Exit],
    ),
    case(
        "files/FIFO there",
        "socat -u - OPEN:fifo",
        &[
            Shell("mkfifo fifo; cat fifo >out 2>&1 &"),
            Start,
            Type("ping\n"),
            EndInput,
            Exit,
            Until("test -s out"),
        ],
    ),
    case(
        "files/FIFO by its path",
        "socat -u ./fifo -",
        &[Shell("mkfifo fifo"), Start, Shell("echo ping >fifo"), Exit],
    ),
    case(
        "files/FIFO with a mode",
        "socat -u PIPE:fifo,mode=600 -",
        &[Start, Appears("fifo"), Shell("echo ping >fifo"), Read("ping"), Exit],
    ),
    case(
        "files/FIFO with owners, before its other end",
        "socat -u PIPE:fifo,mode=640,user=nobody,group=daemon -",
        &[
            Start,
            Until("test \"$(stat -c '%A %U %G' fifo)\" = 'prw-r----- nobody daemon'"),
            Shell("echo ping >fifo"),
            Read("ping"),
            Exit,
        ],
    ),
    case(
        "files/FIFO with owners, written to",
        "socat -U PIPE:fifo,user=nobody -",
        &[
            Start,
            Until("test \"$(stat -c %U fifo)\" = nobody"),
            Type("ping\n"),
            EndInput,
            Shell("cat fifo"),
            Exit,
        ],
    ),
    case(
        "files/FIFO there that is to be removed",
        "socat -u PIPE:fifo,unlink-close -",
        &[Shell("mkfifo fifo"), Start, Shell("echo ping >fifo"), Read("ping"), Exit],
    ),
    case("files/SIGTERM at a FIFO", "socat -u PIPE:fifo -", stopped!(SIGTERM)),
    case("files/SIGINT at a FIFO", "socat -u PIPE:fifo -", stopped!(Signal::SIGINT)),
    case("files/SIGHUP at a FIFO", "socat -U PIPE:fifo -", stopped!(Signal::SIGHUP)),
    case(
        "files/SIGTERM at a FIFO that stays",
        "socat -U PIPE:fifo,unlink-close=0 -",
        stopped!(SIGTERM),
    ),
    case("files/SIGTERM at a FIFO, second", "socat -u - PIPE:fifo", stopped!(SIGTERM)),
    case("files/SIGQUIT at a FIFO", "socat -u PIPE:fifo -", stopped!(Signal::SIGQUIT))
        // socat leaves it.
        .rules(|report| {
            expect(report.files.is_empty(), "the FIFO is left")?;
            ends(report, "status 131", "")
        }),
    case(
        "files/SIGTERM at a FIFO that is to be removed",
        "socat -u -d -d OPEN:fifo,unlink-close -",
        &[Shell("mkfifo fifo"), Start, Told("opening named pipe"), Kill(SIGTERM), Exit],
    ),
    case(
        "files/a lock that cannot be had at a FIFO",
        "socat -u PIPE:fifo,lock -",
        &[Shell("mkfifo fifo"), Start, Shell("echo content >fifo || :"), Exit],
    )
    // The call is told in other words.
    .rules(|report| ends(report, "status 1", "Bad file descriptor")),
    case(
        "files/a lock that cannot be had",
        "socat -u OPEN:in,lock,unlink-close -",
        &[Shell("echo content >in"), Start, Exit],
    )
    // The call is told in other words.
    .rules(|report| {
        expect(report.files.is_empty(), "the file is left")?;
        ends(report, "status 1", "Bad file descriptor")
    }),
];
