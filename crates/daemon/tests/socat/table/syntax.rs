//! What is wrong with a command line, and the ways to quote in it.

use super::*;
use crate::case::{case, Case};
use crate::differences::Difference;

pub(super) const CASES: &[Case] = &[
    case("syntax/nothing", "socat", RUN),
    case("syntax/one address", "socat -", RUN),
    case("syntax/three addresses", "socat - - -", RUN),
    case("syntax/no such keyword", "socat - FOO:bar", RUN),
    case("syntax/no such keyword, first", "socat FOO:bar -", RUN),
    case("syntax/no such word", "socat - foo", RUN),
    case("syntax/two digits", "socat - 12", RUN),
    case("syntax/a blank behind it", "socat - 'STDIO '", RUN),
    case("syntax/a blank before it", "socat - ' STDIO'", RUN),
    case("syntax/empty address", "socat - ''", RUN),
    case("syntax/no such option", "socat - TCP4:127.0.0.1:7001,nosuch", RUN),
    case("syntax/no such option with a value", "socat - TCP4:127.0.0.1:7001,nosuch=1", RUN),
    case("syntax/reuse is no option", "socat TCP-LISTEN:7000,reuse,fork -", RUN),
    case("syntax/option of others", "socat - STDIO,nodelay", RUN),
    // socat does not say which.
    case("syntax/option of listeners", "socat - TCP4:127.0.0.1:7001,max-children=2", RUN).rules(
        |report| ends(report, "status 1", "E 1 option(s) could not be used: \"max-children\""),
    ),
    case("syntax/option of files", "socat - TCP4:127.0.0.1:7001,unlink-early", RUN),
    case("syntax/option without a value", "socat - TCP4:127.0.0.1:7001,sndbuf=", RUN),
    case("syntax/option that needs a value", "socat - TCP4:127.0.0.1:7001,sndbuf", RUN),
    case("syntax/rubbish behind a number", "socat - TCP4:127.0.0.1:7001,sndbuf=1x", RUN),
    case("syntax/no number", "socat - TCP4:127.0.0.1:7001,sndbuf=x", RUN),
    case("syntax/yes is no bool", "socat - TCP4:127.0.0.1:7001,keepalive=yes", RUN),
    case("syntax/no such unit", "socat - TCP4:127.0.0.1:7001,connect-timeout=x", RUN),
    case("syntax/trailing comma", "socat - TCP4:127.0.0.1:7001,", client_of!(BACK)),
    case("syntax/two commas", "socat - TCP4:127.0.0.1:7001,,nodelay", client_of!(BACK)),
    case(
        "syntax/options in capitals",
        "socat - TCP4:127.0.0.1:7001,NoDelay,KEEPALIVE",
        client_of!(BACK),
    ),
    case("syntax/no brackets", "socat - TCP6:::1:7001", RUN),
    case("syntax/only brackets", "socat - TCP6:[::1]", RUN),
    case("syntax/escaped", "socat - 'TCP4:127.0.0.1\\:7001'", RUN),
    case("syntax/double quotes", "socat -u - 'CREATE:\"a,b\"'", ONE_LINE),
    case("syntax/single quotes", "socat -u - \"CREATE:'a,b:c'\"", ONE_LINE),
    case("syntax/braces", "socat -u - 'CREATE:g{6,7}'", ONE_LINE),
    case("syntax/parentheses", "socat -u - 'CREATE:g(6,7)'", ONE_LINE),
    case("syntax/a backslash", "socat -u - 'CREATE:a\\,b'", ONE_LINE),
    case("syntax/a backslash and an n", "socat -u - 'CREATE:a\\nb'", ONE_LINE),
    case("syntax/quotes in quotes", "socat -u - \"CREATE:'a\\\"b'\"", ONE_LINE),
    case("syntax/unbalanced quote", "socat -u - 'CREATE:\"a'", ONE_LINE),
    case("syntax/unbalanced brace", "socat -u - 'CREATE:{a'", ONE_LINE),
    case("syntax/two in one", "socat - 'STDIN!!STDOUT'", ONE_LINE),
    case("syntax/two in the first", "socat 'STDIN!!STDOUT' TCP4:127.0.0.1:7001", client_of!(BACK)),
    case(
        "syntax/two in the second",
        "socat - 'CREATE:out!!OPEN:in'",
        &[Shell("echo content >in"), Start, EndInput, Exit],
    )
    // Each half is open the wrong way round; which of them is met first is a matter of luck.
    .rules(|report| ends(report, "status 1", "Bad file descriptor")),
    case("syntax/blanks around two in one", "socat - 'STDIN !! STDOUT'", RUN),
    case("syntax/three in one", "socat - 'STDIN!!STDOUT!!STDERR'", NO_INPUT),
    case("syntax/options of the first of two", "socat 'STDIN,ignoreeof!!STDOUT' /dev/null", RUN),
    case("syntax/flags between addresses", "socat - -u STDOUT", RUN),
    case("syntax/flags behind addresses", "socat - STDOUT -u", RUN),
    case("syntax/a single digit", "socat -u 0 1", ONE_LINE),
    case("syntax/FD", "socat -u FD:0 FD:1", ONE_LINE),
    case("syntax/FD without a number", "socat -u FD 1", RUN)
        .differs(Difference::NoCrash, |report| {
            ends(report, "status 1", "wrong number of parameters")
        }),
    case("syntax/FD of rubbish", "socat -u FD:x 1", RUN),
    case("syntax/FD that is closed", "socat -u FD:9 1", RUN)
        // It tells numbers from nowhere.
        .rules(|report| ends(report, "status 1", "Bad file descriptor")),
    case("syntax/parameters of stdio", "socat -u STDIO:x -", RUN),
    case("syntax/UNIX without a name", "socat - UNIX-CONNECT", RUN),
    case("syntax/OPEN without a name", "socat - OPEN", RUN),
    case("syntax/EXEC without a program", "socat - EXEC", RUN)
        .differs(Difference::NoCrash, |report| {
            ends(report, "status 1", "wrong number of parameters")
        }),
];
