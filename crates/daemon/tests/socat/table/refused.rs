//! What nsplice leaves to socat: refused with words of its own, or handed over.

use super::*;
use crate::case::{case, Case};
use crate::differences::Difference;

/// Refused by ours, in words that name the type.
macro_rules! refused {
    ($($name:literal: $line:literal, $told:literal;)+) => {
        &[$(
            case(concat!("refused/", $name), $line, &[
                Start,
                EndInput,
                Linger(2000),
                Kill(SIGTERM),
                Exit,
            ])
            .differs(Difference::NotImplemented, |report| {
                ends(report, "status 1", $told)?;
                ends(report, "status 1", "is not implemented in nsplice (socat compatibility)")
            }),
        )+]
    };
}

const REFUSED: &[Case] = refused! {
    "UDP": "socat - UDP:127.0.0.1:7001", "UDP";
    "UDP4": "socat - udp4:127.0.0.1:7001", "udp4";
    "UDP-LISTEN": "socat -v UDP-LISTEN:7000,fork,reuseaddr PIPE", "UDP-LISTEN";
    "UDP-RECVFROM": "socat -v -T1 UDP-RECVFROM:7000,fork STDOUT", "UDP-RECVFROM";
    "UDP4-RECVFROM": "socat udp4-recvfrom:7000,reuseaddr,fork,bind=127.0.0.1 UDP:127.0.0.1:53", "udp4-recvfrom";
    "UNIX-SENDTO": "socat -u STDIN unix-sendto:front.sock", "unix-sendto";
    "UNIX-RECV": "socat -u UNIX-RECV:front.sock STDOUT", "UNIX-RECV";
    "OPENSSL": "socat - OPENSSL:127.0.0.1:7001,verify=0", "OPENSSL";
    "OPENSSL-LISTEN": "socat OPENSSL-LISTEN:7000,cert=x -", "OPENSSL-LISTEN";
    "PTY": "socat PTY,link=pty -", "PTY";
    "SOCKS4": "socat - SOCKS4:127.0.0.1:x:80", "SOCKS4";
    "PROXY": "socat - PROXY:127.0.0.1:x:80", "PROXY";
    "TUN": "socat - TUN:192.0.2.1/24", "TUN";
    "su of a second address": "socat TCP4-LISTEN:7000,fork TCP4:127.0.0.1:7001,su=nobody", "option \"su\"";
    "fork of a second address": "socat - TCP4:127.0.0.1:7001,fork", "option \"fork\"";
    "cloexec of ours": "socat - TCP4:127.0.0.1:7001,cloexec=0", "option \"cloexec\"";
    "null-eof": "socat - TCP4:127.0.0.1:7001,null-eof", "NSPLICE_SOCAT_FALLBACK=";
    "SCTP": "socat - SCTP:127.0.0.1:7001", "SCTP";
    "IP": "socat - IP4:127.0.0.1:254", "IP4";
};

/// The others, for which a real socat is named or which socat refuses as well.
const OTHERS: &[Case] = &[
    case("refused/VSOCK without a port", "socat - VSOCK-CONNECT:1", RUN),
    case("refused/VSOCK of rubbish", "socat - VSOCK-CONNECT:x:y", RUN)
        .rules(|report| ends(report, "status 1", " E ")),
    case("refused/ACCEPT-FD", "socat ACCEPT-FD:9 -", RUN)
        .differs(Difference::LaterOptions, |report| {
            ends(report, "status 1", "Bad file descriptor")
        }),
    case(
        "refused/handed over",
        "socat -u UDP-RECV:7000 STDOUT",
        &[
            Start,
            Until("ss -Hlun sport = 7000 | grep ."),
            Shell("echo ping | /usr/bin/socat -u - UDP:127.0.0.1:7000"),
            Read("ping"),
            Kill(SIGTERM),
            Exit,
        ],
    )
    .env(&[("NSPLICE_SOCAT_FALLBACK", "/usr/bin/socat")]),
    case("refused/not handed over without need", "socat -u - STDOUT", ONE_LINE)
        .env(&[("NSPLICE_SOCAT_FALLBACK", "/nosuch/socat")]),
    case("refused/handed over to nobody", "socat -u UDP-RECV:7000 STDOUT", RUN)
        .env(&[("NSPLICE_SOCAT_FALLBACK", "/nosuch/socat")])
        .rules(|report| ends(report, "status 1", " E ")),
    case("refused/nonsense is not handed over", "socat - FOO:bar", RUN)
        .env(&[("NSPLICE_SOCAT_FALLBACK", "/nosuch/socat")]),
];

pub(super) const CASES: &[Case] = &joined();

const fn joined() -> [Case; REFUSED.len() + OTHERS.len()] {
    let mut cases = [REFUSED[0]; REFUSED.len() + OTHERS.len()];
    let mut index = 0;
    while index < cases.len() {
        cases[index] = match index < REFUSED.len() {
            true => REFUSED[index],
            false => OTHERS[index - REFUSED.len()],
        };
        index += 1;
    }
    cases
}
