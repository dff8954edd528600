//! Programs: real ones, and their ends.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::{kill, Signal};
use nix::unistd::{geteuid, getpgrp, Pid};
use nsplice_testkit::wait_until;

use nsplice_sys::describe;

use super::super::children;
use super::*;

fn exec(line: &str) -> Address {
    address(Keyword::Exec, line)
}

fn system(line: &str) -> Address {
    address(Keyword::System, line)
}

/// What a program prints that reads nothing.
fn printed(address: &Address) -> String {
    let mut link = opened(address, Way::Both);
    link.finish();
    link.rest()
}

/// Waits until a process is gone, zombie and all.
fn gone(pid: &str) {
    let path = format!("/proc/{pid}");
    wait_until("a child that has ended is reaped", || {
        children::reap();
        !Path::new(&path).exists()
    });
}

#[test]
fn a_program_gets_and_gives_the_bytes() {
    for address in [exec("cat"), on(exec("cat"), Opt::Pipes), system("cat"), system("exec cat")] {
        let mut link = opened(&address, Way::Both);
        link.write("there and back");
        link.finish();
        assert_eq!(link.rest(), "there and back", "{address:?}");
    }
}

#[test]
fn a_program_that_is_not_there_is_told() {
    for (line, told) in [
        ("/no/such", "execvp(\"/no/such\", \"/no/such\")"),
        ("/no/such a", "execvp(\"/no/such\", \"/no/such\", \"a\")"),
        ("/no/such a b", "execvp(\"/no/such\", \"/no/such\", \"a\", \"b\", ...)"),
        ("/no/such a b c", "execvp(\"/no/such\", \"/no/such\", \"a\", \"b\", ...)"),
        (" ", "execvp(\"\", \"\", \"\")"),
    ] {
        let told = format!("{told}: No such file or directory");
        assert_eq!(refused(&exec(line), Way::Both), told);
    }
    assert_eq!(refused(&exec("/"), Way::Both), "execvp(\"/\", \"/\"): Permission denied");
    let login = on(exec("/no/such"), Opt::Login);
    assert_eq!(
        refused(&login, Way::Both),
        "execvp(\"/no/such\", \"-/no/such\"): No such file or directory"
    );
}

#[test]
fn a_program_finds_an_orderly_world() {
    let masks = printed(&exec("grep -E 'SigBlk|SigIgn' /proc/self/status"));
    assert_eq!(masks.lines().count(), 2);
    for line in masks.lines() {
        let mask = u64::from_str_radix(line.split('\t').nth(1).unwrap(), 16).unwrap();
        // The signals above are the C library's own, and whoever started us may ignore those.
        assert_eq!(mask & 0x7fff_ffff, 0, "{line}");
    }
    // What we were started with, and the listing itself.
    let listed = printed(&exec("ls /proc/self/fd"));
    assert_eq!(listed.lines().filter(|number| !is_inherited(number)).count(), 1, "{listed}");
    let group = printed(&exec("cut -d' ' -f5 /proc/self/stat"));
    assert_eq!(group.trim(), getpgrp().to_string());
    let stat = printed(&on(exec("cut -d' ' -f1,5,6 /proc/self/stat"), Opt::SetSid));
    let numbers: Vec<_> = stat.split_whitespace().collect();
    assert_eq!(numbers[0], numbers[1]);
    assert_eq!(numbers[0], numbers[2], "a session of its own");
}

/// Returns whether programs get the descriptor `number` of ours.
fn is_inherited(number: &str) -> bool {
    const CLOSED_ON_EXEC: u32 = 0o2_000_000;
    let told = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let flags = told.lines().find_map(|line| line.strip_prefix("flags:")).map(str::trim);
    flags.is_some_and(|flags| u32::from_str_radix(flags, 8).unwrap() & CLOSED_ON_EXEC == 0)
}

/// High numbers: low ones that are in use now may be free, and taken by the start of the child, once
/// another test has closed them.
#[test]
fn other_numbers_and_standard_error() {
    let moved = exec("bash -c 'cat <&207 >&209'");
    let moved = with(moved, Opt::FdIn, Value::Number(207));
    let moved = with(moved, Opt::FdOut, Value::Number(209));
    for address in [moved.clone(), on(moved, Opt::Pipes)] {
        let mut link = opened(&address, Way::Both);
        link.write("moved");
        link.finish();
        assert_eq!(link.rest(), "moved");
    }
    assert_eq!(printed(&on(system("echo told >&2"), Opt::StderrToo)), "told\n");
}

#[test]
fn only_the_direction_in_use_is_redirected() {
    let mut link = opened(&exec("echo read"), Way::Read);
    assert_eq!(link.rest(), "read\n");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("written");
    let mut link = opened(&system(&format!("cat > {}", path.display())), Way::Write);
    link.write("written");
    link.finish();
    drop(link);
    wait_until("the program has written", || {
        children::reap();
        fs::read_to_string(&path).is_ok_and(|read| read == "written")
    });
}

#[test]
fn variables_tell_of_the_client() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    let show = system("env | grep ^SOCAT_ | sort");
    let mut opener = opener(&show, Way::Both, &context()).unwrap();
    let told = finish(opener.as_mut(), Some(server.as_fd())).unwrap().rest();
    let (own, there, here) =
        (std::process::id(), client.local_addr().unwrap(), server.local_addr().unwrap());
    assert_eq!(
        told,
        format!(
            "SOCAT_PEERADDR=127.0.0.1\nSOCAT_PEERPORT={}\nSOCAT_PID={own}\nSOCAT_PPID={own}\n\
             SOCAT_SOCKADDR=127.0.0.1\nSOCAT_SOCKPORT={}\nSOCAT_VERSION=1.7.4.4\n",
            there.port(),
            here.port()
        )
    );
}

#[test]
fn path_is_that_of_the_child() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/bin/echo", directory.path().join("only-there")).unwrap();
    let path = text(directory.path().to_str().unwrap());
    assert_eq!(printed(&with(exec("only-there it is"), Opt::Path, path)), "it is\n");
}

#[test]
fn an_exec_child_is_terminated_with_its_link() {
    let mut link = opened(&exec("sh -c 'echo $$; exec sleep 600'"), Way::Both);
    let pid = link.line();
    drop(link);
    gone(&pid);
}

#[test]
fn the_shell_of_system_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut link = opened(&system(&format!("echo $$; read word < {}", fifo.display())), Way::Both);
    let pid = link.line();
    drop(link);
    children::reap();
    let number = Pid::from_raw(pid.parse().unwrap());
    assert_eq!(kill(number, None), Ok(()), "it waits for its word");
    fs::write(&fifo, "go\n").unwrap();
    gone(&pid);
}

#[test]
fn a_child_that_fails_is_remembered_and_one_that_is_written_to_is_awaited() {
    let source = children::source().unwrap();
    let mut link = opened(&system("echo $$; read line; exit 3"), Way::Both);
    let pid = link.line();
    link.write("now\n");
    wait_until("the child has ended", || {
        let mut fds = [PollFd::new(source.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).unwrap();
        children::reap();
        !Path::new(&format!("/proc/{pid}")).exists()
    });
    assert!(children::has_failed());

    let mut link = opened(&exec("sh -c 'read line'"), Way::Write);
    link.write("half a line");
    drop(link.holds.pop());
    assert!(children::is_awaiting());
    drop(link);
    wait_until("nobody is awaited any more", || {
        children::reap();
        !children::is_awaiting()
    });
}

#[test]
fn signals_are_passed_on_to_those_that_asked() {
    let asked = on(
        exec("sh -c 'trap \"echo hung; exit\" HUP; echo $$; while :; do sleep 0.01; done'"),
        Opt::SigHup,
    );
    let mut link = opened(&asked, Way::Both);
    link.line();
    children::pass_on(Signal::SIGHUP);
    assert_eq!(link.rest(), "hung\n");
}

#[test]
fn identities_need_to_exist_and_permission() {
    for option in [Opt::Su, Opt::SuDelayed, Opt::SetUid] {
        let nobody = with(exec("true"), option, text("no-such-user"));
        assert_eq!(fault(&nobody).message, "getpwnam(\"no-such-user\"): no such user");
    }
    let changed = with(exec("id -u"), Opt::SetUid, text("65534"));
    let changed = with(changed, Opt::SetGid, text("65534"));
    if geteuid().is_root() {
        assert_eq!(printed(&changed), "65534\n");
        let su = with(system("id -u; id -g; echo $USER"), Opt::Su, text("nobody"));
        assert_eq!(printed(&su).lines().last(), Some("nobody"));
        let jailed = with(exec("/no/such"), Opt::Chroot, text("/no/such"));
        assert_eq!(refused(&jailed, Way::Both), "chroot(\"/no/such\"): No such file or directory");
    } else {
        let refusal = format!("setgid(65534): {}", describe(&Errno::EPERM.into()));
        assert_eq!(refused(&changed, Way::Both), refusal);
    }
}
