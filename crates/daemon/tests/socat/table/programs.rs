//! EXEC and SYSTEM.

use super::*;
use crate::case::{case, Case};

pub(super) const CASES: &[Case] = &[
    case(
        "programs/cat",
        "socat - EXEC:cat",
        &[Start, Type("ping\n"), Read("ping"), EndInput, Exit],
    ),
    case("programs/by its path", "socat - EXEC:/bin/cat", ONE_LINE),
    case("programs/lower case", "socat - exec:'/bin/cat'", ONE_LINE),
    case("programs/first", "socat EXEC:cat -", ONE_LINE),
    case("programs/with words", "socat -u EXEC:'echo one  two   three' -", NO_INPUT),
    case("programs/quoted", "socat -u EXEC:'printf %s\\\\n \"a b\" c' -", NO_INPUT),
    case("programs/quoted twice", "socat -u \"EXEC:'echo a,b:c'\" -", NO_INPUT),
    case("programs/missing", "socat - EXEC:/nosuch/program", RUN).rules(|report| {
        // Whether socat also tells of the child's status is a race.
        let told = "E execvp(\"/nosuch/program\", \"/nosuch/program\"): No such file or directory";
        ends(report, "status 1", told)
    }),
    case("programs/missing in PATH", "socat - EXEC:nosuchprogram", RUN).rules(|report| {
        let told = "E execvp(\"nosuchprogram\", \"nosuchprogram\"): No such file or directory";
        ends(report, "status 1", told)
    }),
    case("programs/not executable", "socat - EXEC:./file", &[Shell("echo >file"), Start, Exit]).rules(|report| {
        ends(report, "status 1", "E execvp(\"./file\", \"./file\"): Permission denied")
    }),
    // Whether socat tells of the child, and takes its status for a failure, is a race.
    case("programs/a failure", "socat - EXEC:false", RUN).rules(|report| {
        ends(report, "status 1", "E waitpid(): child PID exited with status 1")
    }),
    case("programs/a failure by SYSTEM", "socat - SYSTEM:'exit 3'", RUN).rules(|report| {
        ends(report, "status 1", "E waitpid(): child PID exited with status 3")
    }),
    case("programs/killed", "socat - SYSTEM:'kill -9 $$'", RUN),
    case("programs/system", "socat -u SYSTEM:'echo one; echo two' -", NO_INPUT),
    case("programs/system with a variable", "socat -u SYSTEM:'A=b; echo $A' -", NO_INPUT),
    case("programs/system, colon", "socat -u SYSTEM:'echo a\\:b' -", NO_INPUT),
    case("programs/system that reads", "socat - SYSTEM:'read a; echo got $a'", ONE_LINE),
    case("programs/its errors", "socat -u SYSTEM:'echo out; echo err >&2' -", NO_INPUT),
    case("programs/its errors too", "socat -u SYSTEM:'echo out; echo err >&2',stderr -", NO_INPUT),
    case("programs/pipes", "socat - EXEC:cat,pipes", ONE_LINE),
    case(
        "programs/pipes are pipes",
        "socat -u SYSTEM:'stat -Lc %F /dev/stdin /dev/stdout',pipes -",
        NO_INPUT,
    ),
    case("programs/a socket pair", "socat SYSTEM:'stat -Lc %F /dev/stdin /dev/stdout' -", NO_INPUT),
    case(
        "programs/nofork",
        "socat TCP-LISTEN:7000 EXEC:cat,nofork",
        &[
            Start,
            Connect("client", FRONT),
            Say("client", "ping\n"),
            Hear("client", "ping"),
            Fin("client"),
            HearEnd("client"),
            Exit,
        ],
    ),
    // Our input is held open: what ends the run is the end of the program.
    case("programs/only written to", "socat -u - EXEC:'sleep 0.5',pipes", RUN),
    case("programs/only written to, a socket pair", "socat -u - EXEC:'sleep 0.5'", RUN),
    case("programs/only written to, by SYSTEM", "socat -u - SYSTEM:'sleep 0.5',pipes", RUN),
    case("programs/only written to, first", "socat -U EXEC:'sleep 0.5',pipes -", RUN),
    case("programs/only written to, has failed", "socat -u - SYSTEM:'sleep 0.5; exit 3'", RUN),
    case("programs/only written to, has failed, first", "socat -U SYSTEM:'sleep 0.5; exit 3' -", RUN),
    case(
        "programs/only written to, works on",
        "socat -u - SYSTEM:'exec <&-; sleep 1; echo done >file',pipes",
        RUN,
    ),
    case(
        "programs/only written to, for many",
        "socat -u TCP-LISTEN:7000,fork SYSTEM:'sleep 0.5'",
        &[Start, Connect("client", FRONT), HearEnd("client"), Kill(SIGTERM), Exit],
    ),
    case("programs/nofork first", "socat EXEC:cat,nofork -", RUN),
    case("programs/nofork first of a listener", "socat EXEC:cat,nofork TCP-LISTEN:7000,fork", RUN),
    case("programs/nofork of one half", "socat - /dev/null!!EXEC:cat,nofork", RUN),
    case("programs/nofork -u", "socat -u /dev/null EXEC:'echo hi',nofork", RUN),
    case("programs/nofork -u, its input", "socat -u - EXEC:cat,nofork", ONE_LINE),
    case("programs/nofork -U", "socat -U OPEN:out,creat EXEC:'echo hi',nofork", RUN),
    case("programs/nofork -U, our input", "socat -U OPEN:out,creat SYSTEM:cat,nofork", ONE_LINE),
    case("programs/nofork fdin", "socat -u - SYSTEM:'cat <&3',nofork,fdin=3", ONE_LINE),
    case("programs/nofork fdout", "socat -U - SYSTEM:'echo hi >&4',nofork,fdout=4", RUN),
    case("programs/nofork stderr", "socat -u - SYSTEM:'cat >&2',nofork,stderr 2>/dev/null", ONE_LINE),
    case("programs/stderr of one that is only written to",
        "socat -u - SYSTEM:'cat >&2',stderr 2>/dev/null",
        &[Start, Type("line\n"), EndInput, Read("line"), Exit]),
    case(
        "programs/nofork, fork",
        "socat TCP-LISTEN:7000,fork EXEC:cat,nofork",
        serves_many!(FRONT, "ping"),
    ),
    case(
        "programs/setsid",
        "socat -u EXEC:./script,setsid -",
        &[
            Shell(concat!(
                "printf '#!/bin/sh\\nps -o sid= -p $$ | grep -qw $$ && echo leader\\n' >script; ",
                "chmod +x script"
            )),
            Start,
            EndInput,
            Exit,
        ],
    ),
    case("programs/su", "socat -u EXEC:id,su=nobody -", NO_INPUT),
    case(
        "programs/su, environment",
        "socat -u SYSTEM:'echo $USER $LOGNAME $HOME $SHELL',su=nobody -",
        NO_INPUT,
    ),
    case("programs/setuid", "socat -u EXEC:'id -u',setuid=nobody -", NO_INPUT),
    case("programs/setgid", "socat -u EXEC:'id -g',setgid=nogroup -", NO_INPUT),
    case("programs/no such su", "socat -u EXEC:id,su=nosuch -", RUN),
    case("programs/umask", "socat -u SYSTEM:umask,umask=027 -", NO_INPUT),
    case("programs/fdout for a program that is written to", "socat -u /dev/null EXEC:cat,fdout=1", RUN),
    case("programs/fdin for a program that is read from", "socat -u EXEC:cat,fdin=0 -", RUN),
    case("programs/fdin for a program that is read from, -U", "socat -U - EXEC:cat,fdin=0", RUN),
    case("programs/fdout for a program that is read from", "socat -u EXEC:true,fdout=1 -", NO_INPUT),
    case(
        "programs/what socat was started with",
        "sh -c 'exec 7</etc/hostname; exec socat -u SYSTEM:\"readlink /proc/self/fd/7\" -'",
        NO_INPUT,
    ),
    case(
        "programs/a lock that socat was started with",
        "sh -c 'exec 8>lock; flock 8; socat -u SYSTEM:\"flock -n lock true || echo held\" -'",
        NO_INPUT,
    ),
    case(
        "programs/what is an address is not for programs",
        "sh -c 'exec 7</dev/null; exec socat -u FD:7 SYSTEM:\"test -e /proc/self/fd/7 || echo gone\"'",
        NO_INPUT,
    ),
    case(
        "programs/unless it is to be",
        "sh -c 'exec 7</dev/null; exec socat -u FD:7,cloexec=0 SYSTEM:\"readlink /proc/self/fd/7\"'",
        NO_INPUT,
    ),
    case("programs/fdin and fdout", "socat - SYSTEM:'cat <&3 >&4',fdin=3,fdout=4", ONE_LINE),
    case(
        "programs/path",
        "socat -u EXEC:here,path=. -",
        &[Shell("printf '#!/bin/sh\\necho found\\n' >here; chmod +x here"), Start, EndInput, Exit],
    ),
    case(
        "programs/environment",
        "socat -u SYSTEM:'env | grep ^SOCAT_ | grep -v -e PID -e PEERPORT | sort' -",
        NO_INPUT,
    ),
    case(
        "programs/environment, pids",
        "socat - SYSTEM:'env | grep -c ^SOCAT_P*ID=[0-9]'",
        NO_INPUT,
    ),
    case(
        "programs/environment of a listener",
        "socat TCP-LISTEN:7000,fork SYSTEM:'env | grep ^SOCAT_ | grep -v -e PID -e PEERPORT | sort'",
        &[Start, Connect("client", FRONT), HearEnd("client"), Fin("client"), Kill(SIGTERM), Exit],
    ),
    case(
        "programs/environment of a listener, 6",
        "socat TCP6-LISTEN:7000 SYSTEM:'env | grep ^SOCAT_ | grep -v -e PID -e PEERPORT | sort'",
        &[Start, Connect("client", Tcp6(7000)), HearEnd("client"), Exit],
    ),
    case(
        "programs/environment of a listener, UNIX",
        "socat UNIX-LISTEN:front.sock SYSTEM:'env | grep ^SOCAT_ | grep -v -e PID -e PEERPORT | sort'",
        &[Start, Connect("client", Unix("front.sock")), HearEnd("client"), Exit],
    ),
    case(
        "programs/environment by a name",
        "socat -lp other -u SYSTEM:'env | grep ^OTHER_ | grep -v -e PID -e PEERPORT | sort' -",
        NO_INPUT,
    ),
    case("programs/server", "socat TCP-LISTEN:7000 EXEC:cat", serves!(FRONT, "ping")),
    case(
        "programs/server, fork",
        "socat TCP-LISTEN:7000,fork,reuseaddr EXEC:cat",
        serves_many!(FRONT, "ping"),
    ),
    case(
        "programs/server, UNIX",
        "socat UNIX-LISTEN:front.sock,fork EXEC:cat",
        serves_many!(Unix("front.sock"), "ping"),
    ),
    case(
        "programs/server, su",
        "socat TCP-LISTEN:7000,fork,su=nobody EXEC:'id -un'",
        &[Start, Connect("client", FRONT), HearEnd("client"), Fin("client"), Kill(SIGTERM), Exit],
    ),
    case(
        "programs/server that answers and goes",
        "socat TCP-LISTEN:7000,fork SYSTEM:'echo bye'",
        &[
            Start,
            Connect("client", FRONT),
            Hear("client", "bye"),
            HearEnd("client"),
            Fin("client"),
            Kill(SIGTERM),
            Exit,
        ],
    ),
    case(
        "programs/an answer after the end",
        "socat TCP-LISTEN:7000 SYSTEM:'cat; echo end'",
        &[
            Start,
            Connect("client", FRONT),
            Say("client", "ping\n"),
            Fin("client"),
            Hear("client", "end"),
            HearEnd("client"),
            Exit,
        ],
    ),
    case("programs/one that does not end", "socat - EXEC:'sleep 30'", NO_INPUT),
    case(
        "programs/SIGTERM",
        "socat - EXEC:'cat'",
        &[Start, Type("ping\n"), Read("ping"), Kill(SIGTERM), Exit],
    ),
    case("programs/much", "socat - EXEC:cat", &[Start, TypeRamp(1_000_000), EndInput, Exit]),
    case(
        "programs/to each other",
        "socat EXEC:'echo ping' SYSTEM:'cat >out'",
        &[Start, EndInput, Exit],
    ),
    case(
        "programs/reverse",
        "socat TCP4:127.0.0.1:7001 EXEC:cat",
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Say("server", "ping\n"),
            Hear("server", "ping"),
            Fin("server"),
            HearEnd("server"),
            Exit,
        ],
    ),
];
