//! What is told at the levels above errors.

use super::*;
use crate::case::{case, Case};
use crate::differences::Difference;

pub(super) const CASES: &[Case] = &[
    case("messages/d, a client", "socat -d - TCP4:127.0.0.1:7001", client_of!(BACK)),
    case("messages/d d, a client", "socat -d -d - TCP4:127.0.0.1:7001", client_of!(BACK)),
    case("messages/dd, a client", "socat -dd - TCP4:127.0.0.1:7001", client_of!(BACK)),
    case("messages/dd, left by", "socat -dd - TCP4:127.0.0.1:7001", client_left_by!(BACK)),
    case("messages/dd, version 6", "socat -dd - TCP6:[::1]:7001", client_of!(Tcp6(7001))),
    case("messages/dd, UNIX", "socat -dd - UNIX-CONNECT:back.sock", client_of!(Unix("back.sock"))),
    case("messages/dd, a bare path", "socat -dd - ./back.sock", client_of!(Unix("back.sock"))),
    case(
        "messages/dd, abstract",
        "socat -dd - ABSTRACT-CONNECT:back",
        client_of!(Abstract("back")),
    ),
    case("messages/d, refused", "socat -d - TCP4:127.0.0.1:7001", RUN)
        // Also for the next two: socat tells that recvmsg() found no reason.
        .differs(Difference::Insides, |report| ends(report, "status 1", " E connect(FD, AF=2")),
    case("messages/dd, refused", "socat -dd - TCP4:127.0.0.1:7001", RUN).differs(
        Difference::Insides,
        |report| {
            ends(report, "status 1", "N opening connection to AF=2 127.0.0.1:7001")?;
            ends(report, "status 1", "E connect(")
        },
    ),
    case("messages/dd, retried", "socat -dd - TCP4:127.0.0.1:7001,retry=1,interval=0.1", RUN)
        .differs(Difference::Insides, |report| {
            let told = report.stderr.matches(" E connect(").count();
            expect(told == 1, "the last failure, and no other, is an error")?;
            ends(report, "status 1", "N opening connection to AF=2 127.0.0.1:7001")
        }),
    case(
        "messages/dd, once",
        "socat -dd TCP-LISTEN:7000 TCP:127.0.0.1:7001",
        one_link!(FRONT, BACK),
    ),
    case("messages/dd, to stdio", "socat -dd TCP-LISTEN:7000,reuseaddr -", server_of!(FRONT)),
    case(
        "messages/dd, UNIX once",
        "socat -dd UNIX-LISTEN:front.sock -",
        server_of!(Unix("front.sock")),
    ),
    case("messages/dd, version 6 once", "socat -dd TCP6-LISTEN:7000 -", server_of!(Tcp6(7000))),
    case(
        "messages/dd, fork",
        "socat -dd TCP-LISTEN:7000,fork TCP:127.0.0.1:7001",
        two_links!(FRONT, BACK),
    )
    .rules(listens),
    case(
        "messages/d d d, fork",
        "socat -d -d -d TCP4-LISTEN:7000,bind=127.0.0.1,reuseaddr,fork TCP4:localhost:7001",
        two_links!(FRONT, BACK),
    )
    .rules(listens),
    case("messages/dddd", "socat -dddd -u - STDOUT", ONE_LINE)
        .differs(Difference::Insides, |report| ends(report, "status 0", "exiting with status 0")),
    case("messages/ddd", "socat -ddd -u - STDOUT", ONE_LINE)
        .differs(Difference::Insides, |report| ends(report, "status 0", "exiting with status 0")),
    case(
        "messages/dd, SIGTERM",
        "socat -dd TCP-LISTEN:7000,fork -",
        &[Start, Told("listening on"), Kill(SIGTERM), Exit],
    ),
    case(
        "messages/dd, SIGINT",
        "socat -dd TCP-LISTEN:7000,fork -",
        &[Start, Told("listening on"), Kill(Signal::SIGINT), Exit],
    ),
    case(
        "messages/d, SIGTERM",
        "socat -d TCP-LISTEN:7000,fork -",
        &[Start, Until("ss -Hltn sport = 7000 | grep ."), Kill(SIGTERM), Exit],
    ),
    case(
        "messages/dd, UNIX, SIGTERM",
        "socat -dd UNIX-LISTEN:front.sock,fork -",
        &[Start, Told("listening on"), Kill(SIGTERM), Exit],
    ),
    case(
        "messages/dd, idle",
        "socat -dd -T 0.3 - TCP4:127.0.0.1:7001",
        &[Listen("s", BACK), Start, Accept("s", "server"), Exit],
    ),
    case("messages/dd, a file", "socat -dd -u - CREATE:out", ONE_LINE),
    case("messages/dd, a program", "socat -dd - EXEC:cat", ONE_LINE)
        .rules(|report| ends(report, "status 0", "N exiting with status 0")),
    case(
        "messages/d, a reset",
        "socat -d - TCP4:127.0.0.1:7001",
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Say("server", "pong\n"),
            Read("pong"),
            Reset("server"),
            Exit,
        ],
    ),
    case("messages/dd, into a file", "socat -dd -lf log - TCP4:127.0.0.1:7001", client_of!(BACK)),
    case("messages/dd, other name", "socat -dd -lp other - TCP4:127.0.0.1:7001", client_of!(BACK)),
    case("messages/v, other way", "socat -v TCP4:127.0.0.1:7001 -", client_of!(BACK)),
    case(
        "messages/v, forwarded",
        "socat -v TCP-LISTEN:7000 TCP:127.0.0.1:7001",
        one_link!(FRONT, BACK),
    ),
    case(
        "messages/x, forwarded",
        "socat -x TCP-LISTEN:7000,fork TCP:127.0.0.1:7001",
        two_links!(FRONT, BACK),
    ),
];

fn listens(report: &Report) -> Result<(), String> {
    for told in [
        "N listening on AF=2 ",
        "N accepting connection from AF=2 127.0.0.1:PORT on AF=2 127.0.0.1:7000",
        "N opening connection to AF=2 127.0.0.1:7001",
        "N successfully connected from local address AF=2 127.0.0.1:PORT",
        "N starting data transfer loop with FDs [",
        "N exiting with status 0",
    ] {
        ends(report, "status 143", told)?;
    }
    Ok(())
}
