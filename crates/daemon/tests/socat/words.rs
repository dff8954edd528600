//! The whole table of options, walked: each option that -hhh lists does something.
//!
//! An option has a line in which it stands at `@`, and a trace that it leaves there: in what is
//! printed, or in the system calls of the program and its children. The same line without the option
//! must not have it, so that what is accepted and does nothing is found.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::thread;

use nsplice_testkit::skip::require_tool;
use nsplice_testkit::talk::echo;
use nsplice_testkit::{Namespace, Server};

use crate::compare::ours;

/// What an option leaves behind.
#[derive(Debug, Clone, Copy)]
enum Trace {
    /// This is printed.
    Out(&'static str),
    /// This is not printed, and without the option it is.
    NoOut(&'static str),
    /// This is in a system call.
    Call(&'static str),
    /// This is in none, and without the option it is in one.
    NoCall(&'static str),
}

use Trace::{Call, NoCall, NoOut, Out};

/// Connects to a server that echoes.
const C: &str = "socat /dev/null TCP4:127.0.0.1:$PORT@";

/// Listens for a client that comes at once.
const L: &str = "timeout 3 socat TCP4-LISTEN:$PLACE@ /dev/null & \
                 socat -u /dev/null TCP4:127.0.0.1:$PLACE,retry=200,interval=0.05; \
                 wait $!; echo status $?";

/// Runs a program.
const E: &str = "socat -u EXEC:true@ -";

/// Reads a file.
const F: &str = "socat -u OPEN:f@ -; echo status $?; ls; stat -c 'mode %a' f";

/// Creates one.
const N: &str = "socat -u /dev/null CREATE:n@; stat -c 'mode %a' n";

/// Copies what is typed.
const I: &str = "printf 'abc\\n' | socat -u -@ STDOUT | od -An -c";

/// The same, as it is written.
const O: &str = "printf 'abc\\n' | socat -u - STDOUT@ | od -An -c";

/// Is on a terminal.
const T: &str = "script -qec 'socat -u /dev/null STDOUT@' /dev/null";

/// Is interrupted.
const S: &str = "timeout -s $SIGNAL 1 socat EXEC:'sleep 3'@ /dev/null";

/// Each option with its value, its line and its trace.
const WORDS: &[(&str, &str, Trace)] = &[
    ("accept-timeout=0.1", "timeout 2 socat TCP4-LISTEN:0@ -; echo status $?", Out("status 0")),
    ("append", F, Call("O_APPEND")),
    ("backlog=7", L, Call(" 7)")),
    ("bind=127.0.0.9", C, Call("inet_addr(\"127.0.0.9\")")),
    ("chroot=/", E, Call("chroot(\"/\")")),
    (
        "cloexec=0",
        "exec 7<f; socat -u FD:7@ SYSTEM:'cat >out; test -e /proc/self/fd/7 && echo kept'",
        Out("kept"),
    ),
    (
        "connect-timeout=0.2",
        "timeout 3 socat /dev/null TCP4:127.0.0.1:6999@; echo status $?",
        Out("status 1\n"),
    ),
    (
        "cool-write",
        "{ socat -u SYSTEM:'exec yes' STDOUT@; echo status $? >&2; } | true",
        Out("status 0"),
    ),
    ("cr", O, Out("\\r")),
    ("crnl", O, Out("\\r")),
    ("dash", "socat -u EXEC:'sh -c true'@ -", Call("[\"-sh\"")),
    ("echo=0", T, Call("TCSET")),
    ("end-close", C, NoCall("SHUT_WR")),
    ("escape=98", I, NoOut("b")),
    ("f-setlkw-wr", F, Call("F_SETLKW")),
    ("fdin=9", "echo given | socat -u - SYSTEM:'cat <&9'@", Out("given")),
    ("fdout=9", "socat -u SYSTEM:'echo given >&9'@ -", Out("given\n")),
    (
        "forever",
        "timeout 1 socat /dev/null TCP4:127.0.0.1:1,interval=0.1@; echo status $?",
        Out("status 124"),
    ),
    ("fork", L, Out("status 124")),
    ("group=12345", N, Call("12345")),
    ("group-early=12345", F, Call("12345")),
    ("icanon=0", T, Call("TCSET")),
    ("ignoreeof", "timeout 2 socat -u OPEN:f@ -; echo status $?", Out("status 124")),
    ("interval=0.3", "socat - TCP4:127.0.0.1:1,retry=1@", Call("300000000")),
    ("ip-tos=8", C, Call("IP_TOS, [8]")),
    ("ip-transparent", C, Call("IP_TRANSPARENT")),
    ("ip-ttl=7", C, Call("IP_TTL, [7]")),
    ("ipv6-v6only", "timeout 1 socat TCP6-LISTEN:0@ -", Call("IPV6_V6ONLY")),
    ("isig=0", T, Call("TCSET")),
    ("lowport", C, Call("bind(")),
    ("lseek64-set=1", F, Call("lseek(")),
    (
        "max-children=1",
        "timeout 6 socat TCP4-LISTEN:$PLACE,fork@ SYSTEM:'echo in; cat' & \
         sleep 4 | socat - TCP4:127.0.0.1:$PLACE,retry=200,interval=0.05 >one & \
         until grep -q in one; do sleep 0.05; done; \
         timeout 2 socat -u TCP4:127.0.0.1:$PLACE - | sed s/in/second/",
        NoOut("second"),
    ),
    ("netns=nosuch", C, Out("netns \"nosuch\"")),
    (
        "nofork",
        "socat TCP4-LISTEN:$PLACE EXEC:true@ & \
                socat -u /dev/null TCP4:127.0.0.1:$PLACE,retry=200,interval=0.05; wait $!",
        NoCall("socketpair("),
    ),
    ("o-create", "socat -u /dev/null OPEN:n@; test -e n && echo made", Out("made")),
    ("o-excl", "socat -u /dev/null OPEN:f,creat@; echo status $?", Out("status 1")),
    ("o-nonblock", F, Call("\"f\", O_RDONLY|O_NOCTTY|O_NONBLOCK")),
    ("o-rdonly", "socat -u /dev/null OPEN:f@", Call("\"f\", O_RDONLY")),
    ("o-rdwr", F, Call("\"f\", O_RDWR")),
    ("o-trunc", F, Call("O_TRUNC")),
    ("o-wronly", F, Call("\"f\", O_WRONLY")),
    ("path=.", "socat -u EXEC:here@ -", Out("found")),
    ("perm=640", N, Out("mode 640")),
    ("perm-early=640", F, Out("mode 640")),
    ("pipes", E, NoCall("socketpair(AF_UNIX, SOCK_STREAM")),
    ("protocol-family=ip6", L, Call("socket(AF_INET6")),
    ("range=127.0.0.9/32", L, Out("status 124")),
    ("raw", T, Call("TCSET")),
    ("readbytes=1", I, NoOut("b")),
    ("retry=1", "socat - TCP4:127.0.0.1:1@", Call("timerfd_settime(")),
    ("sane", T, Call("TCSET")),
    ("setgid=12345", E, Call("setgid(12345)")),
    ("setsid", E, Call("setsid(")),
    ("setsockopt=6:4:x0b000000", C, Call("TCP_KEEPIDLE, [11]")),
    ("setsockopt-bin=6:4:x0b000000", C, Call("TCP_KEEPIDLE, [11]")),
    ("setsockopt-int=6:4:11", C, Call("TCP_KEEPIDLE, [11]")),
    ("setsockopt-listen=6:4:x0b000000", L, Call("TCP_KEEPIDLE, [11]")),
    ("setsockopt-string=1:25:lo", C, Call("SO_BINDTODEVICE")),
    ("setuid=12345", E, Call("setuid(12345)")),
    ("shut-none", C, NoCall("SHUT_WR")),
    ("shut-null", C, NoCall("SHUT_WR")),
    ("sighup", S, Call("SIGHUP, NULL")),
    ("sigint", S, Call("SIGINT, NULL")),
    ("sigquit", S, Call("SIGQUIT, NULL")),
    ("so-bindtodevice=lo", C, Call("SO_BINDTODEVICE")),
    ("so-keepalive", C, Call("SO_KEEPALIVE")),
    ("so-linger=2", C, Call("l_linger=2")),
    ("so-priority=3", C, Call("SO_PRIORITY, [3]")),
    ("so-rcvbuf=5000", C, Call("SO_RCVBUF, [5000]")),
    ("so-reuseaddr", C, Call("SO_REUSEADDR")),
    ("so-reuseport", C, Call("SO_REUSEPORT")),
    ("so-sndbuf=5000", C, Call("SO_SNDBUF, [5000]")),
    ("sourceport=7111", C, Call("htons(7111)")),
    ("stderr", "socat -u SYSTEM:'echo told >&2'@ - 2>/dev/null", Out("told")),
    ("substuser=nobody", E, Call("setgroups(")),
    ("substuser-delayed=nobody", E, Call("setgroups(")),
    ("tcp-keepcnt=3", C, Call("TCP_KEEPCNT, [3]")),
    ("tcp-keepidle=11", C, Call("TCP_KEEPIDLE, [11]")),
    ("tcp-keepintvl=12", C, Call("TCP_KEEPINTVL, [12]")),
    ("tcp-maxseg=500", C, Call("TCP_MAXSEG, [500]")),
    ("tcp-nodelay=0", C, Call("TCP_NODELAY, [0]")),
    ("tcp-user-timeout=2", C, Call("TCP_USER_TIMEOUT")),
    ("termios-cfmakeraw", T, Call("TCSET")),
    ("termios-rawer", T, Call("TCSET")),
    ("tiocsctty", "socat -u EXEC:true,setsid@ -", Call("TIOCSCTTY")),
    ("umask=027", N, Call("umask(027)")),
    ("unlink", F, Call("unlink")),
    ("unlink-close", F, Call("unlink")),
    ("unlink-early", F, Call("unlink")),
    ("user=12345", N, Call("12345")),
    ("user-early=12345", F, Call("12345")),
];

/// Options whose effect is what happens anyway where they are allowed: a direction that ends is shut
/// down, and these say so.
const AS_BY_DEFAULT: [&str; 2] = ["shut-close", "shut-down"];

/// What strace is to tell of.
const CALLS: &str = "bind,listen,connect,setsockopt,socket,socketpair,shutdown,fcntl,openat,open,\
    unlink,unlinkat,chown,fchown,fchownat,chmod,fchmod,fchmodat,umask,setsid,setuid,setgid,setgroups,\
    chroot,ioctl,lseek,timerfd_settime,setns,execve,pidfd_send_signal";

/// Runs a line with the option or without, and says what was printed and what was called.
fn run(
    node: &Namespace,
    word: &str,
    line: &str,
    with: bool,
    number: usize,
    server: u16,
) -> [String; 2] {
    let directory = tempfile::tempdir().unwrap();
    let (bin, work) = (directory.path().join("bin"), directory.path().join("work"));
    let trace = directory.path().join("trace");
    for path in [&bin, &work, &trace] {
        fs::create_dir(path).unwrap();
    }
    let script = |path: &Path, text: String| {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    std::os::unix::fs::symlink(ours(), directory.path().join("socat")).unwrap();
    let (real, told) = (directory.path().join("socat"), trace.display());
    // A file for each process: in one, a call is told in parts where another comes in between.
    let strace = format!("strace -ff -qq -s 200 -o {told}/$$ -e trace={CALLS} -e signal=none");
    script(&bin.join("socat"), format!("#!/bin/sh\nexec {strace} {} \"$@\"\n", real.display()));
    script(&work.join("here"), "#!/bin/sh\necho found\n".to_owned());
    fs::write(work.join("f"), "content\n").unwrap();
    let option = if with { format!(",{word}") } else { String::new() };
    let line = line.replace('@', &option);
    let signal = match word {
        "sighup" => "HUP",
        "sigquit" => "QUIT",
        _ => "INT",
    };
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let place = 20_000 + 2 * number + usize::from(with);
    let mut command = Command::new("timeout");
    command.args(["20", "sh", "-c", &format!("exec 2>&1; {line}")]).current_dir(&work);
    command.env("PATH", path).env("PORT", server.to_string()).env("PLACE", place.to_string());
    command.env("SIGNAL", signal).env("LC_ALL", "C");
    let output = node.inside(|| command.output()).unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let files = fs::read_dir(trace).unwrap().map(|entry| entry.unwrap().path());
    [printed, files.map(|file| fs::read_to_string(file).unwrap_or_default()).collect()]
}

/// Whether the trace of an option is there.
fn is_there(trace: Trace, [printed, calls]: &[String; 2]) -> bool {
    match trace {
        Out(text) => printed.contains(text),
        NoOut(text) => !printed.contains(text),
        Call(text) => calls.contains(text),
        NoCall(text) => !calls.is_empty() && !calls.contains(text),
    }
}

#[test]
fn every_option_does_something() {
    const TEST: &str = "every_option_does_something";
    if ["strace", "script", "nft", "od"].iter().any(|tool| require_tool(TEST, tool).is_none()) {
        return;
    }
    let Some(node) = Namespace::for_test(TEST) else { return };
    // A server that does not answer.
    let rule =
        "nft add table ip t && nft add chain ip t o '{ type filter hook output priority 0; }' \
                && nft add rule ip t o tcp dport 6999 drop";
    let mut command = Command::new("sh");
    command.args(["-c", rule]);
    assert!(node.inside(|| command.status()).unwrap().success());
    let server = Server::in_namespace(&node, "127.0.0.1:0", echo);
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| loop {
                let index = next.fetch_add(1, Ordering::SeqCst);
                let Some((word, line, trace)) = WORDS.get(index) else { break };
                let [with, without] =
                    [true, false].map(|with| run(&node, word, line, with, index, server.port()));
                if !is_there(*trace, &with) || is_there(*trace, &without) {
                    let told = format!("{word}: {trace:?}\nwith: {with:#?}\nwithout: {without:#?}");
                    wrong.lock().unwrap().push(told);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} options:\n{}", wrong.len(), wrong.join("\n"));
}

/// The table is whole: what -hhh lists is what is walked.
#[test]
fn every_option_is_walked() {
    let output = Command::new(ours()).args(["socat", "-hhh"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let (_, options) = help.split_once("\n   opt:\n").unwrap();
    let listed: BTreeSet<_> = options
        .lines()
        .filter(|line| line.contains("\tphase="))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let walked: BTreeSet<_> =
        WORDS.iter().filter_map(|(word, ..)| word.split('=').next()).chain(AS_BY_DEFAULT).collect();
    assert_eq!(listed.symmetric_difference(&walked).collect::<Vec<_>>(), Vec::<&&str>::new());
}
