//! What a socat leaves behind when it ends, and what others leave to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::wait::{poll_for, wait_for};
use nsplice_testkit::{wait_until, Namespace, Program, PATIENCE};

use crate::node::{client, hang_up, ping, FRONT};
use crate::subject::Subject;

/// A lock file goes with the listener, so that another one can take its place, and the links that
/// live on have no claim to it.
#[test]
fn a_lock_is_the_listeners() {
    const TEST: &str = "a_lock_is_the_listeners";
    let Some(node) = Namespace::for_test(TEST) else { return };
    let socat = Subject::called("socat");
    let lock = socat.directory().join("lock");
    let line = format!("-L {} TCP-LISTEN:{FRONT},fork,reuseaddr EXEC:cat", lock.display());
    let mut program = node.inside(|| Program::spawn(&mut socat.command(&line)));
    let stream = client(&node);
    ping(&stream);
    assert!(lock.exists());
    program.signal(Signal::SIGTERM);
    assert_eq!(poll_for(PATIENCE, || program.ended()).and_then(|status| status.code()), Some(143));
    assert!(!lock.exists(), "the lock of a listener that has ended");

    let mut next = node.inside(|| Program::spawn(&mut socat.command(&line)));
    let other = client(&node);
    ping(&other);
    hang_up(&stream);
    // The holder of the namespace, the second listener, its cat and what stands for the cat's link.
    wait_until("the first one's link to have ended", || processes(&node).len() == 4);
    assert!(lock.exists(), "the lock of another listener");
    hang_up(&other);
    next.signal(Signal::SIGTERM);
    assert_eq!(poll_for(PATIENCE, || next.ended()).and_then(|status| status.code()), Some(143));
}

/// However long it is: the clock cannot count to everything that is a number of seconds.
#[test]
fn the_longest_linger_time_is_no_failure() {
    let socat = Subject::called("socat");
    let mut command = socat.command("- EXEC:cat");
    command.env("NSPLICE_SOCAT_LINGER", "1.8e19");
    let mut program = Program::spawn(&mut command);
    assert_eq!(poll_for(PATIENCE, || program.ended()).and_then(|status| status.code()), Some(0));
}

/// As a container's entry point it inherits the background jobs of its programs.
#[test]
fn process_1_leaves_no_zombies() {
    const TEST: &str = "process_1_leaves_no_zombies";
    if require_tool(TEST, "unshare").is_none() {
        return;
    }
    let Some(node) = Namespace::for_test(TEST) else { return };
    let socat = Subject::called("socat");
    let script = socat.directory().join("job");
    fs::write(&script, "#!/bin/sh\ntrue &\nexec cat\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let line = format!("TCP-LISTEN:{FRONT},fork SYSTEM:./job");
    let mut command = socat.wrapped("unshare --pid --fork --kill-child", &line);
    let program = node.inside(|| Program::spawn(&mut command));
    let first = wait_for("the first process", || children(program.pid()).pop());
    let serve = || {
        let stream = client(&node);
        ping(&stream);
        hang_up(&stream);
    };
    (0..5).for_each(|_| serve());
    wait_until("the orphans to be collected", || children(first).is_empty());
}

/// A shell leaves its jobs to what it execs: one has ended by then, one ends with the shell's input.
#[test]
fn the_jobs_of_a_shell_are_reaped() {
    const TEST: &str = "the_jobs_of_a_shell_are_reaped";
    let Some(node) = Namespace::for_test(TEST) else { return };
    let socat = Subject::called("socat");
    let jobs = "exec 3<&0 </dev/null; true & cat <&3 & exec \"$0\" \"$@\" 3<&-";
    for line in [format!("TCP-LISTEN:{FRONT},fork PIPE"), format!("TCP-LISTEN:{FRONT} PIPE")] {
        let mut command = Command::new("sh");
        command.args(["-c", jobs]).arg(socat.path()).args(line.split(' ')).stdin(Stdio::piped());
        let mut program = node.inside(|| Program::spawn(&mut command));
        wait_until("the job that has ended to be reaped", || {
            let name = fs::read_to_string(format!("/proc/{}/comm", program.pid()));
            name.is_ok_and(|name| name == "socat\n") && children(program.pid()).len() == 1
        });
        drop(program.take_stdin());
        wait_until("the other one to be reaped", || children(program.pid()).is_empty());
        program.signal(Signal::SIGTERM);
        assert_eq!(poll_for(PATIENCE, || program.ended()).and_then(|end| end.code()), Some(143));
    }
}

fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn processes(node: &Namespace) -> Vec<String> {
    let output = Command::new("ip").args(["netns", "pids", node.name()]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
}
