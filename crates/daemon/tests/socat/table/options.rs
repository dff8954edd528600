//! Options of sockets, as the kernel gets them, and those of all addresses.

use super::*;
use crate::case::{case, Case};
use crate::differences::Difference;

/// Connects with an option; then what setsockopt(2) got is looked for. What else was set, and in
/// which order, is nobody's business.
macro_rules! connected {
    ($name:literal, $option:literal, $call:literal) => {
        case(
            concat!("options/connected, ", $name),
            concat!(
                "strace -f -qq -e trace=setsockopt -o trace socat - TCP4:127.0.0.1:7001,",
                $option
            ),
            &[
                Listen("s", BACK),
                Start,
                Accept("s", "server"),
                Say("server", "pong\n"),
                Fin("server"),
                Exit,
                Shell(concat!("grep -o '", $call, "' trace | sort -u; rm trace")),
            ],
        )
    };
}

/// The same for the client of a listener.
macro_rules! accepted {
    ($name:literal, $option:literal, $call:literal) => {
        case(
            concat!("options/accepted, ", $name),
            concat!(
                "strace -f -qq -e trace=setsockopt -o trace socat TCP4-LISTEN:7000,",
                $option,
                " -"
            ),
            &[
                Start,
                Connect("client", FRONT),
                Say("client", "ping\n"),
                Read("ping"),
                Fin("client"),
                Exit,
                Shell(concat!("grep -o '", $call, "' trace | sort -u; rm trace")),
            ],
        )
    };
}

pub(super) const CASES: &[Case] = &[
    connected!("keepalive", "keepalive", "SO_KEEPALIVE, [^)]*"),
    connected!("keepalive off", "keepalive=0", "SO_KEEPALIVE, [^)]*"),
    connected!("so-keepalive", "so-keepalive", "SO_KEEPALIVE, [^)]*"),
    connected!("nodelay", "nodelay", "TCP_NODELAY, [^)]*"),
    connected!("keepidle", "keepalive,keepidle=10", "TCP_KEEPIDLE, [^)]*"),
    connected!("keepintvl", "keepalive,keepintvl=5", "TCP_KEEPINTVL, [^)]*"),
    connected!("keepcnt", "keepalive,keepcnt=3", "TCP_KEEPCNT, [^)]*"),
    connected!("mss", "mss=1000", "TCP_MAXSEG, [^)]*"),
    connected!("sndbuf", "sndbuf=10000", "SO_SNDBUF, [^)]*"),
    connected!("rcvbuf", "rcvbuf=10000", "SO_RCVBUF, [^)]*"),
    connected!("tos", "tos=8", "IP_TOS, [^)]*"),
    connected!("ttl", "ttl=7", "IP_TTL, [^)]*"),
    connected!("priority", "priority=3", "SO_PRIORITY, [^)]*"),
    connected!("linger", "linger=2", "SO_LINGER, [^)]*"),
    connected!("device", "so-bindtodevice=lo", "SO_BINDTODEVICE, [^)]*"),
    connected!("interface", "interface=lo", "SO_BINDTODEVICE, [^)]*"),
    connected!("if", "if=lo", "SO_BINDTODEVICE, [^)]*"),
    connected!("reuseaddr", "reuseaddr", "SO_REUSEADDR, [^)]*"),
    connected!("any by number", "setsockopt-int=6:1:1", "TCP_NODELAY, [^)]*"),
    connected!("any by number and bytes", "setsockopt=6:4:x0b000000", "TCP_KEEPIDLE, [^)]*"),
    accepted!("keepalive", "keepalive", "SO_KEEPALIVE, [^)]*"),
    accepted!("nodelay", "nodelay", "TCP_NODELAY, [^)]*"),
    accepted!("keepidle", "keepalive,keepidle=10", "TCP_KEEPIDLE, [^)]*"),
    accepted!("sndbuf", "sndbuf=10000", "SO_SNDBUF, [^)]*"),
    accepted!("reuseaddr", "reuseaddr", "SO_REUSEADDR, [^)]*"),
    accepted!("reuseport", "reuseport", "SO_REUSEPORT, [^)]*"),
    accepted!("device", "so-bindtodevice=lo", "SO_BINDTODEVICE, [^)]*"),
    accepted!("transparent", "ip-transparent", "IP_TRANSPARENT"),
    case("options/no such device", "socat - TCP4:127.0.0.1:7001,so-bindtodevice=nodev", RUN),
    case("options/no such device to listen on", "socat TCP-LISTEN:7000,if=nodev -", RUN),
    case("options/a bad mss", "socat - TCP4:127.0.0.1:7001,mss=1", RUN),
    case(
        "options/many",
        "socat - TCP4:127.0.0.1:7001,keepalive,keepidle=10,keepintvl=5,keepcnt=3,nodelay",
        client_of!(BACK),
    ),
    case("options/twice", "socat - TCP4:127.0.0.1:7001,nodelay,nodelay=0", client_of!(BACK)),
    case("options/nonblock", "socat -,nonblock TCP4:127.0.0.1:7001,nonblock", client_of!(BACK)),
    case("options/cloexec", "socat - TCP4:127.0.0.1:7001,cloexec", client_of!(BACK)),
    case(
        "options/cool-write",
        "socat TCP-LISTEN:7000,cool-write TCP:127.0.0.1:7001",
        one_link!(FRONT, BACK),
    ),
    case(
        "options/su",
        "socat TCP-LISTEN:7000,fork,su=nobody SYSTEM:'id -un; id -gn'",
        &[Start, Connect("client", FRONT), HearEnd("client"), Fin("client"), Kill(SIGTERM), Exit],
    ),
    case("options/su on a file", "socat -u SYSTEM:'id -un' CREATE:out,su=nobody", NO_INPUT),
    case("options/su on a client", "socat - TCP4:127.0.0.1:7001,su=nobody", client_of!(BACK)),
    case(
        "options/setsid of standard streams",
        "strace -f -qq -e trace=setsid -o trace socat -u /dev/null STDOUT,setsid",
        &[Start, Exit, Shell("grep -c -o 'setsid()' trace; rm trace")],
    ),
    accepted!("any, before it listens", "setsockopt-listen=6:4:x0b000000", "TCP_KEEPIDLE, [^)]*"),
    connected!("any, before it connects", "setsockopt-listen=6:4:x0b000000", "TCP_KEEPIDLE, [^)]*"),
    case(
        "options/setsockopt-listen of no socket",
        "socat - PIPE,setsockopt-listen=6:4:x0b000000",
        RUN,
    ),
    case("options/bind of a UNIX listener", "socat UNIX-LISTEN:front.sock,bind=b -", RUN),
    case("options/bind of an abstract listener", "socat ABSTRACT-LISTEN:a,bind=b -", RUN),
    case("options/bind of standard streams", "socat - STDIO,bind=b", RUN),
    case("options/bind of a program", "socat - EXEC:cat,bind=b", RUN),
    case("options/bind of a file", "socat - ./f,bind=b", &[Shell("touch f"), Start, Exit]),
    case("options/connect-timeout of standard streams", "socat - STDIO,connect-timeout=1", RUN),
    case("options/connect-timeout of a program", "socat - EXEC:cat,connect-timeout=1", RUN),
    case("options/connect-timeout of a listener", "socat TCP-LISTEN:7000,connect-timeout=1 -", RUN),
    case("options/lowport of standard streams", "socat - STDIO,lowport", RUN),
    case("options/sourceport of standard streams", "socat - STDIO,sourceport=7", RUN),
    case("options/pf of standard streams", "socat - STDIO,pf=ip4", RUN),
    case("options/unlink of a pipe without a name", "socat - PIPE,unlink", RUN),
    case("options/creat of a pipe without a name", "socat - PIPE,creat", RUN),
    case("options/wronly of a pipe without a name", "socat - PIPE,wronly", RUN),
    case("options/umask of a client", "socat - UNIX-CONNECT:back.sock,umask=022", RUN),
    case("options/mode of a client", "socat - UNIX-CONNECT:back.sock,mode=600", RUN),
    case("options/user of an abstract client", "socat - ABSTRACT-CONNECT:a,user=root", RUN),
    case("options/unlink of a client", "socat - UNIX-CLIENT:back.sock,unlink", RUN),
    case("options/sndbuf of a file", "socat - ./f,sndbuf=5000", &[Shell("touch f"), Start, Exit]),
    case("options/reuseport of a program", "socat - EXEC:cat,reuseport", RUN),
    case(
        "options/unlink-early of a path",
        "socat -u - ./f,unlink-early",
        &[Shell("echo before >f"), Start, Type("line\n"), EndInput, Exit, Shell("cat f")],
    ),
    case(
        "options/cool-write and a reader that has gone",
        "{ socat -u SYSTEM:'exec yes' STDOUT,cool-write; echo $? >&2; } | true",
        &[Start, EndInput, Exit],
    ),
    case("options/no such su", "socat TCP-LISTEN:7000,su=nosuch -", RUN),
    case(
        "options/readbytes of a server",
        "socat - TCP4:127.0.0.1:7001,readbytes=4",
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
    case(
        "options/escape of a server",
        "socat - TCP4:127.0.0.1:7001,escape=33",
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "server"),
            Say("server", "pong!rest"),
            Read("pong"),
            Exit,
            HearEnd("server"),
        ],
    ),
    case(
        "options/newlines of a client",
        "socat TCP-LISTEN:7000,crlf TCP4:127.0.0.1:7001",
        one_link!(FRONT, BACK),
    ),
    case(
        "options/retry of a listener",
        "socat TCP-LISTEN:7000,retry=3,reuseaddr -",
        server_of!(FRONT),
    ),
    case(
        "options/fork of a client",
        "socat -u TCP4:127.0.0.1:7001,fork,interval=0.1 -",
        &[
            Listen("s", BACK),
            Start,
            Accept("s", "one"),
            Say("one", "one\n"),
            Fin("one"),
            Read("one"),
            HearEnd("one"),
            Accept("s", "two"),
            Say("two", "two\n"),
            Read("two"),
            Kill(SIGTERM),
            Exit,
        ],
    )
    .rules(|report| expect(report.stdout.ends_with(b"one\ntwo\n"), "a connection lacks")),
    case("options/netns", "socat - TCP4:127.0.0.1:7001,netns=nosuch", RUN)
        .differs(Difference::LaterOptions, |report| ends(report, "status 1", "nosuch")),
];
