//! The flags before the addresses.

use super::*;
use crate::case::{case, Case};
use crate::differences::Difference;

pub(super) const CASES: &[Case] = &[
    case("flags/version", "socat -V | sed -n 2p | cut -d' ' -f1-3", RUN),
    case("flags/version, the last of the line", VERSIONS, RUN)
        .rules(|report| expect(report.stdout == b"1.7.4.4\n", "there are others")),
    // Both answers, so that who asks first is not misled.
    case("flags/version of both", "socat -V | grep -e OPENSSL -e _STDIO", RUN)
        .env(&[("NSPLICE_SOCAT_FALLBACK", "/usr/bin/socat")]),
    case("flags/help of both", "socat -hh | grep -c -e '^ *udp4-listen:' -e '^ *verify[^-]'", RUN)
        .env(&[("NSPLICE_SOCAT_FALLBACK", "/usr/bin/socat")]),
    case("flags/help by two question marks", "socat '-??'", RUN).differs(
        Difference::Help,
        |report| {
            help(report)?;
            let text = String::from_utf8_lossy(&report.stdout);
            expect(text.contains("      mode\t") && !text.contains("      perm\t"), "it is not -hh")
        },
    ),
    case("flags/help by three question marks", "socat '-???'", RUN).differs(
        Difference::Help,
        |report| {
            help(report)?;
            let text = String::from_utf8_lossy(&report.stdout);
            expect(text.contains("      perm\t"), "it is not -hhh")
        },
    ),
    case("flags/help and nonsense", "socat -hx", RUN).differs(Difference::Help, help),
    case("flags/statistics", "socat --statistics -u - STDOUT", ONE_LINE)
        .differs(Difference::LaterOptions, |report| {
            ends(report, "status 0", "STATISTICS: left to right: 5 byte(s)")
        }),
    case("flags/the largest block size and one", "socat -b 9223372036854775808 -u - STDOUT", RUN),
    case("flags/the largest block size", "socat -b 9223372036854775807 -u - STDOUT", RUN),
    case("flags/a negative block size", "socat -b -1 -u - STDOUT", RUN),
    case("flags/help", "socat -h", RUN).differs(Difference::Help, help),
    case("flags/help by a question mark", "socat '-?'", RUN).differs(Difference::Help, help),
    case("flags/more help", "socat -hh", RUN).differs(Difference::Help, help),
    case("flags/all help", "socat -hhh", RUN).differs(Difference::Help, help),
    case("flags/no such flag", "socat -Z - -", RUN),
    case("flags/no long help", "socat --help", RUN),
    case("flags/no long version", "socat --version", RUN),
    case("flags/two dashes", "socat -- - -", RUN),
    case("flags/merged", "socat -ud - STDOUT", RUN),
    case("flags/merged, no sense", "socat -gx - STDOUT", RUN),
    case("flags/left to right", "socat -u - STDOUT", ONE_LINE),
    case("flags/right to left", "socat -U STDOUT -", ONE_LINE),
    case("flags/both ways at once", "socat -u -U - STDOUT", RUN),
    case("flags/block size", "socat -b 1 -u - STDOUT", ONE_LINE),
    case("flags/block size attached", "socat -b65536 -u - STDOUT", ONE_LINE),
    case("flags/block size in hex", "socat -b 0x100 -u - STDOUT", ONE_LINE),
    case("flags/no block size", "socat -b", RUN),
    case("flags/rubbish as block size", "socat -b x -u - STDOUT", RUN),
    case("flags/no time", "socat -t", RUN),
    case("flags/rubbish as time", "socat -t x -u - STDOUT", ONE_LINE),
    case("flags/time attached", "socat -t0.1 - TCP4:127.0.0.1:7001", client_of!(BACK)),
    case("flags/time apart", "socat -t 0.1 - TCP4:127.0.0.1:7001", client_of!(BACK)),
    case("flags/a huge time", "socat -t 100000000 - TCP4:127.0.0.1:7001", client_of!(BACK)),
    case("flags/no groups", "socat -g -u - STDOUT,nodelay", ONE_LINE),
    case("flags/group of others", "socat -g - STDIO,bind=x", RUN),
    case("flags/log to a file", "socat -lf log - TCP4:127.0.0.1:7001", RUN),
    case("flags/log to a file, attached", "socat -lflog - TCP4:127.0.0.1:7001", RUN),
    case(
        "flags/log to a file that is there",
        "socat -lf log - TCP4:127.0.0.1:7001",
        &[Shell("echo before >log"), Start, Exit],
    ),
    case("flags/log to nowhere", "socat -lf nosuch/log - TCP4:127.0.0.1:7001", RUN)
        .differs(Difference::Silence, |report| ends(report, "status 1", "\"nosuch/log\"")),
    case("flags/log to stderr", "socat -ls - TCP4:127.0.0.1:7001", RUN),
    case("flags/log to syslog", "socat -ly - TCP4:127.0.0.1:7001", RUN),
    case("flags/log to a facility", "socat -lydaemon - TCP4:127.0.0.1:7001", RUN),
    case("flags/log to no such facility", "socat -lynosuch - TCP4:127.0.0.1:7001", RUN),
    case("flags/log to both", "socat -lm - TCP4:127.0.0.1:7001", RUN)
        .differs(Difference::Silence, |report| ends(report, "status 1", "refused")),
    case("flags/log to both, of a facility", "socat -lmlocal0 - TCP4:127.0.0.1:7001", RUN)
        .differs(Difference::Silence, |report| ends(report, "status 1", "refused")),
    case("flags/program name", "socat -lp other - TCP4:127.0.0.1:7001", RUN),
    case("flags/program name attached", "socat -lpother - TCP4:127.0.0.1:7001", RUN),
    case("flags/microseconds", "socat -lu - TCP4:127.0.0.1:7001", RUN),
    case("flags/host name", "socat -lh - TCP4:127.0.0.1:7001", RUN),
    case("flags/no such log", "socat -lz - TCP4:127.0.0.1:7001", RUN),
    case(
        "flags/lock",
        "socat -L lock -u - STDOUT",
        &[Start, Type("line\n"), Read("line"), Shell("test -s lock && echo held"), EndInput, Exit],
    ),
    case("flags/lock held", "socat -L lock -u - STDOUT", &[Shell("echo 1 >lock"), Start, Exit]),
    case(
        "flags/lock waited for",
        "socat -W lock -u - STDOUT",
        &[
            Shell("echo 1 >lock"),
            Start,
            Type("line\n"),
            Pause(200),
            Shell("rm lock"),
            Read("line"),
            EndInput,
            Exit,
        ],
    ),
    case("flags/lock nowhere", "socat -L nosuch/lock -u - STDOUT", RUN)
        // It tells a random name.
        .rules(|report| ends(report, "status 1", "\"nosuch/lock")),
    case("flags/verbose", "socat -v - TCP4:127.0.0.1:7001", client_of!(BACK)),
    case("flags/hex", "socat -x - TCP4:127.0.0.1:7001", client_of!(BACK)),
    case("flags/verbose and hex", "socat -v -x - TCP4:127.0.0.1:7001", client_of!(BACK)),
    case(
        "flags/verbose, no newline",
        "socat -v -u - STDOUT",
        &[Start, Type("a\\b\"c\td\u{1}\u{e9}"), Read("d"), EndInput, Exit],
    ),
    case(
        "flags/hex, long",
        "socat -x -u - STDOUT",
        &[Start, Type("0123456789abcdefghijklmnopqrstuvwxyz\n"), EndInput, Exit],
    ),
    case("flags/raw dumps", "socat -r left -R right - TCP4:127.0.0.1:7001", client_of!(BACK)),
    case("flags/raw dump nowhere", "socat -r nosuch/left -u - STDOUT", RUN),
    case(
        "flags/raw dump appends",
        "socat -r left -u - STDOUT",
        &[Shell("echo before >left"), Start, Type("line\n"), EndInput, Exit],
    ),
    case(
        "flags/idle",
        "socat -T 0.3 - TCP4:127.0.0.1:7001",
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Say("server", "pong\n"),
            Read("pong"),
            Exit,
            HearEnd("server"),
        ],
    ),
    case("flags/idle 0 is never", "socat -T 0 - TCP4:127.0.0.1:7001", client_of!(BACK)),
    case("flags/idle attached", "socat -T1 - TCP4:127.0.0.1:7001", client_of!(BACK)),
    case("flags/rubbish as idle", "socat -T x -u - STDOUT", ONE_LINE),
    case("flags/table of descriptors", "socat -D -u - STDOUT </dev/null", RUN)
        .rules(|report| ends(report, "status 0", "")),
    case("flags/d with a number", "socat -d2 -u - STDOUT </dev/null", RUN)
        .differs(Difference::LaterOptions, |report| ends(report, "status 0", "")),
    case("flags/any version", "socat -0 -u - STDOUT </dev/null", RUN)
        .differs(Difference::LaterOptions, |report| ends(report, "status 0", "")),
    case("flags/4 without use", "socat -4 -u - STDOUT", ONE_LINE),
    case("flags/too many d", "socat -ddddd -u - STDOUT </dev/null", RUN)
        .rules(|report| ends(report, "status 0", "")),
];

/// All that looks like a version in the second line.
const VERSIONS: &str = "socat -V | sed -n 2p | grep -o '[0-9]*\\.[0-9.]*'";

fn help(report: &Report) -> Result<(), String> {
    ends(report, "status 0", "")?;
    let text = String::from_utf8_lossy(&report.stdout);
    for word in ["Usage:", "-d", "-t", "tcp4-listen", "exec"] {
        expect(text.to_lowercase().contains(&word.to_lowercase()), format_args!("no {word}"))?;
    }
    Ok(())
}
