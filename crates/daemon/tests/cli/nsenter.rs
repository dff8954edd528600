//! `nsenter`, side by side with the real one: the same command lines, the same namespaces, the same
//! answers.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use nix::sys::signal::Signal;
use nsplice_testkit::program::copy_program;
use nsplice_testkit::skip::{require_root_or_userns, require_tool};
use nsplice_testkit::wait_until;

use crate::{send, Killed};

/// A process in namespaces of its own.
struct Target {
    /// Whoever made the namespaces; the process itself if that needs no fork.
    _maker: Killed,
    pid: String,
}

impl Target {
    /// A process that `unshare` with `options` starts, as user `uid`; `None` if that is forbidden.
    fn new(options: &[&str], uid: u32) -> Option<Self> {
        let mut command = Command::new("unshare");
        command.args(options).args(["sh", "-c", "cd /tmp; echo; exec sleep 600"]).uid(uid);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut maker = Killed(command.spawn().ok()?);
        // A line when it is there, or the end when it could not be made.
        let mut line = [0];
        maker.0.stdout.as_mut()?.read_exact(&mut line).ok()?;
        let maker_pid = maker.0.id();
        let children = format!("/proc/{maker_pid}/task/{maker_pid}/children");
        let child = fs::read_to_string(children).unwrap_or_default().trim().to_owned();
        let pid = if child.is_empty() { maker_pid.to_string() } else { child };
        Some(Self { _maker: maker, pid })
    }
}

/// What a command line came to.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

/// Runs `program` as `nsenter` with `words`.
fn run(program: &Path, words: &[OsString], uid: Option<u32>) -> Told {
    let mut command = Command::new(program);
    command.arg0("nsenter").args(words).stdin(Stdio::null()).current_dir("/");
    command.env_clear().env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/true").env("X", "a b");
    if let Some(uid) = uid {
        command.uid(uid).gid(uid);
    }
    let Output { status, stdout, stderr } = command.output().expect("both can be started");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Told { status, stdout: text(stdout), stderr: text(stderr) }
}

/// Asserts that both programs answer each of `lines` in the same way. `{pid}` is the target; words
/// are taken apart as a shell does with single quotes.
#[track_caller]
fn assert_same(ours: &Path, real: &Path, pid: &str, uid: Option<u32>, lines: &[&str]) {
    let mut different = Vec::new();
    for line in lines {
        let line = line.replace("{pid}", pid);
        let words = words_of(&line);
        let (mine, theirs) = (run(ours, &words, uid), run(real, &words, uid));
        if mine != theirs {
            different.push(format!("nsenter {line}\n  ours: {mine:?}\n  real: {theirs:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

fn words_of(line: &str) -> Vec<OsString> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(OsString::from)),
            _ => words.push(part.into()),
        }
    }
    words
}

/// The real nsenter of the version that is played; another one words some things differently.
fn real(test: &str) -> Option<PathBuf> {
    let real = require_tool(test, "nsenter")?;
    require_tool(test, "unshare")?;
    let version = Command::new(&real).arg("-V").output().ok()?.stdout;
    let version = String::from_utf8_lossy(&version).into_owned();
    if version != "nsenter from util-linux 2.38.1\n" {
        let name = real.display();
        nsplice_testkit::skip::skipped(test, format_args!("{name} is {}", version.trim()));
        return None;
    }
    Some(real)
}

fn ours() -> PathBuf {
    env!("CARGO_BIN_EXE_nsplice").into()
}

#[test]
fn words_are_taken_apart_as_getopt_does() {
    let Some(real) = real("words_are_taken_apart_as_getopt_does") else { return };
    let lines = [
        "-x",
        "-Fx",
        "--bogus",
        "--bogus=1",
        "--n",
        "--n=x true",
        "--u",
        "--p",
        "--w",
        "--se=1",
        "--t=x",
        "--=x",
        "--no-fork=1",
        "--all=x",
        "--no true",
        "--us true",
        "-t",
        "-S",
        "-W",
        "--target",
        "--setgid",
        "-t abc",
        "-t ''",
        "--target= true",
        "-t 1x true",
        "-t 0x10 true",
        "-t ' 1' true",
        "-t '1 ' true",
        "-t +1 true",
        "-t 99999999999 true",
        "-t -1 -n true",
        "-t 18446744073709551616 true",
        "-S abc",
        "-G 1x",
        "-G 99999999999999999999",
        "-? true",
        "-: true",
        "-n -Sabc",
        "- true",
        "-F -- true -x",
        "-F true --bogus",
        "--wdns pwd",
        "--setu 5 id -u",
        "-w/tmp -W /usr pwd",
        "-W /usr -w pwd",
    ];
    assert_same(&ours(), &real, "1", None, &lines);
}

#[test]
fn what_is_not_there_is_told_in_the_same_words() {
    let Some(real) = real("what_is_not_there_is_told_in_the_same_words") else { return };
    let lines = [
        "-t 4194303 -n true",
        "-n -t 4194303 -u true",
        "-t 4194303 -a true",
        "-t 4194303 -r true",
        "-t 4194303 -rw true",
        "-n true",
        "-n -u true",
        "-n -U true",
        "-T -m true",
        "-w -r true",
        "-a true",
        "-t 0 -n true",
        "-t 4294967296 -p true",
        "--net=/nonexistent true",
        "-n/nonexistent true",
        "-n= true",
        "--net= true",
        "-nt 1 true",
        "-n/nonexistent -t abc",
        "-n/nonexistent -x",
        "-w/nonexistent -r/nonexistent2 true",
        "-W /nonexistent true",
        "-r/etc/passwd true",
        "-w/etc/passwd true",
        "-n/etc/passwd true",
        "-m/etc/passwd true",
        "-U/proc/self/ns/user true",
        "-U/proc/self/ns/net true",
        "nosuchcommand",
        "/nonexistent/command",
        "/etc/passwd",
        "/etc",
        "/etc/passwd/x",
        "''",
    ];
    assert_same(&ours(), &real, "1", None, &lines);
}

#[test]
fn the_command_gets_what_the_real_one_gives_it() {
    let Some(real) = real("the_command_gets_what_the_real_one_gives_it") else { return };
    let lines = [
        "",
        "-t 1 --",
        "true",
        "-- sh -c 'exit 3'",
        "sh -c 'kill -9 $$'",
        "sh -c 'kill -PIPE $$'",
        "env",
        "sh -c 'echo $0 $#; echo err >&2' name '' 'a b'",
        "grep -e SigIgn -e SigBlk -e SigCgt -e CapEff -e Groups /proc/self/status",
        "ls /proc/self/fd",
        "-w/tmp pwd",
        "-W /usr pwd",
        "-W /tmp -W /usr pwd",
    ];
    assert_same(&ours(), &real, "1", None, &lines);
}

#[test]
fn namespaces_are_entered_as_the_real_one_enters_them() {
    let test = "namespaces_are_entered_as_the_real_one_enters_them";
    let Some(real) = real(test) else { return };
    if !require_root_or_userns(test) {
        return;
    }
    let options = ["-n", "-u", "-i", "-m", "-p", "-f", "-C", "-U", "-r", "-T", "--kill-child"];
    let Some(target) = Target::new(&options, nix::unistd::geteuid().as_raw()) else {
        nsplice_testkit::skip!(test, "namespaces cannot be made here");
    };
    let namespaces = "sh -c 'readlink /proc/self/ns/* | grep -v pid; id -u; pwd'";
    let mut lines: Vec<String> = [
        "-t {pid}",
        "-t {pid} -n",
        "-t{pid} -n",
        "--target={pid} --net",
        "--targ {pid} --ne",
        "-Fnt {pid}",
        "-n -t 1 -t {pid}",
        "-n/proc/{pid}/ns/net",
        "--net=/proc/{pid}/ns/net -F",
        "-t {pid} -n/proc/self/ns/net",
        "-t {pid} -n -n/proc/self/ns/net",
        "-t {pid} -n/proc/self/ns/net -n",
        "-t {pid} -n -u -i -C",
        "-t {pid} -m",
        "-t {pid} -mn -w/usr",
        "-t {pid} -m -W /usr",
        "-t {pid} -T",
        "-t {pid} -T -p",
        "-t {pid} -U",
        "-t {pid} -U -n",
        "-t {pid} -U -n --preserve-credentials",
        "-t {pid} -U -S 0 -G 0",
        "-t {pid} -U -S 5",
        "-t {pid} -U -G 5 --preserve-credentials",
        "-t {pid} -p",
        "-t {pid} -p -n -r -w",
        "-t {pid} -p -r/ -W /usr",
        "-t {pid} -a",
        "-a -t {pid} -n/proc/self/ns/net",
        "-t {pid} -a -F",
        "-t {pid} -r",
        "-t {pid} -w -w/usr",
        "-t {pid} -w/usr -w",
        "-t {pid} -r/ -w/tmp",
    ]
    .into_iter()
    .map(|line| format!("{line} {namespaces}"))
    .collect();
    let whole = [
        "-t {pid} -n -u/etc/passwd true",
        "-t {pid} -p sh -c 'exit 77'",
        "-t {pid} -p sh -c 'kill -TERM $$'",
        "-t {pid} -p sh -c 'kill -KILL $$'",
        "-t {pid} -p sh -c 'kill -PIPE $$'",
        "-t {pid} -p sh -c 'kill -SEGV $$; sleep 9'",
        "-t {pid} -p nosuchcommand",
        "-t {pid} -p /etc",
        "-t {pid} -p -S 12 -G 13 id",
        "-t {pid} -S 12 id",
        "-t {pid} -p -W /nonexistent true",
        "-t {pid} -p",
        "-t {pid} -n",
    ];
    lines.extend(whole.map(str::to_owned));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_same(&ours(), &real, &target.pid, None, &lines);

    let inside = format!("/proc/{}/ns/net", target.pid);
    let inside = fs::read_link(inside).unwrap().display().to_string();
    let line = format!("-t {} -n readlink /proc/self/ns/net", target.pid);
    assert_eq!(run(&ours(), &words_of(&line), None).stdout.trim(), inside);
    assert_ne!(fs::read_link("/proc/self/ns/net").unwrap().display().to_string(), inside);
}

/// Whoever is not root enters the user namespace first, and gets the privilege for the others there.
#[test]
fn others_than_root_are_told_the_same() {
    let test = "others_than_root_are_told_the_same";
    let Some(real) = real(test) else { return };
    if !require_root_or_userns(test) {
        return;
    }
    const OTHER: u32 = 1000;
    let Some(target) = Target::new(&["-U", "-r", "-n", "-u"], OTHER) else {
        nsplice_testkit::skip!(test, "another user cannot make namespaces here");
    };
    // Where we were built need not be open to others.
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = directory.path().join("nsplice");
    copy_program(ours(), &copy);
    let lines = [
        "-t {pid} -n true",
        "-t {pid} -U true",
        "-t {pid} -U -n true",
        "-t {pid} -U --preserve-credentials -n -u readlink /proc/self/ns/net /proc/self/ns/user",
        "-t {pid} -U -n/proc/self/ns/net --preserve-credentials true",
        "-t {pid} -a true",
        "-t {pid} -r true",
        "-r/ true",
        "-w/root true",
        "-n/etc/shadow true",
        "-t 1 -n true",
        "-G 1000 id",
        "-G 5 true",
        "-S 5 true",
    ];
    assert_same(&copy, &real, &target.pid, Some(OTHER), &lines);
}

#[test]
fn the_version_begins_as_the_real_one_s() {
    let told = run(&ours(), &words_of("-n -V --bogus"), None);
    assert_eq!((told.status.code(), told.stderr.as_str()), (Some(0), ""));
    assert_eq!(told.stdout.lines().next(), Some("nsenter from util-linux 2.38.1"));
    let help = run(&ours(), &words_of("-Fh"), None);
    assert_eq!(help.status.code(), Some(0));
    assert!(help.stdout.starts_with("\nUsage:\n nsenter [options] "), "{}", help.stdout);
}

#[test]
fn what_only_util_linux_can_do_is_refused_by_name() {
    let told = run(&ours(), &words_of("-Z true"), None);
    let line = "nsenter: option '-Z' is not supported by nsplice; use util-linux nsenter\n";
    assert_eq!((told.status.code(), told.stderr.as_str()), (Some(1), line));
}

#[test]
fn the_command_takes_the_process_over() {
    let mut command = Command::new(ours());
    command.arg0("/some/where/nsenter").args(["-t", "1", "--", "sleep", "600"]);
    let mut child = Killed(command.spawn().unwrap());
    let proc = PathBuf::from(format!("/proc/{}", child.0.id()));
    let comm = || fs::read_to_string(proc.join("comm")).unwrap_or_default();
    wait_until("the command runs", || comm() == "sleep\n");
    assert_eq!(fs::read(proc.join("cmdline")).unwrap(), b"sleep\x00600\x00");
    send(Signal::SIGTERM, &child.0);
    assert_eq!(child.0.wait().unwrap().signal(), Some(Signal::SIGTERM as i32));
}
