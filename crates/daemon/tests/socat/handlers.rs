//! Programs that ask for the process that serves them: SOCAT_PID and SOCAT_PPID.

use std::fs;
use std::process::Command;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use nsplice_testkit::talk::{expect_eof, read_exactly};
use nsplice_testkit::wait::{poll_for, wait_for};
use nsplice_testkit::{wait_until, Namespace, Program, PATIENCE};

use crate::node::{client, hang_up, ping, FRONT};
use crate::subject::Subject;

/// A handler that ends "its socat" ends its own connection, by whatever signal, and nobody else's. The
/// shell of SYSTEM lives on, EXEC is told to end.
#[test]
fn who_ends_its_socat_ends_one_link() {
    const TEST: &str = "who_ends_its_socat_ends_one_link";
    let Some(node) = Namespace::for_test(TEST) else { return };
    let socat = Subject::called("socat");
    let script = socat.directory().join("handler");
    let text = "#!/bin/sh\nread word\n[ $word != ping ] || exec sh -c 'echo pong; exec cat'\n\
                kill -$word $SOCAT_PID\ncat\n echo $SOCAT_PPID >after.$word\n";
    fs::write(&script, text).unwrap();
    let how = [
        ("SYSTEM:'exec sh handler'", "TERM"),
        ("EXEC:'sh handler'", "KILL"),
        ("SYSTEM:'exec sh handler',pipes", "INT"),
    ];
    for (program, signal) in how {
        let line = format!("TCP-LISTEN:{FRONT},fork,reuseaddr");
        let mut command = socat.command(&line);
        command.arg(program);
        let mut listener = node.inside(|| Program::spawn(&mut command));
        let other = client(&node);
        say(&other, "ping\n");
        assert_eq!(read_exactly(&other, 5), b"pong\n");
        let stream = client(&node);
        say(&stream, &format!("{signal}\n"));
        expect_eof(&stream);
        drop(stream);
        if program.starts_with("SYSTEM") {
            let path = socat.directory().join(format!("after.{signal}"));
            let told = wait_for("the handler", || {
                fs::read_to_string(&path).ok().filter(|it| !it.is_empty())
            });
            assert_eq!(told.trim(), listener.pid().to_string());
        }
        // The other one lives, and so does the listener.
        ping(&other);
        let third = client(&node);
        say(&third, "ping\n");
        assert_eq!(read_exactly(&third, 5), b"pong\n");
        hang_up(&third);
        hang_up(&other);
        // Nobody is left but the holder of the namespace and the listener, and no zombies.
        wait_until("everyone else to have left", || processes(&node).len() == 2);
        listener.signal(Signal::SIGTERM);
        let status = poll_for(PATIENCE, || listener.ended()).expect("it does not end");
        assert_eq!(status.code(), Some(143));
    }
}

/// What stands for a link is gone with it, even if the listener is killed.
#[test]
fn nobody_outlives_a_listener_that_is_killed() {
    const TEST: &str = "nobody_outlives_a_listener_that_is_killed";
    let Some(node) = Namespace::for_test(TEST) else { return };
    let socat = Subject::called("socat");
    let line = format!("TCP-LISTEN:{FRONT},fork,reuseaddr EXEC:cat");
    let listener = node.inside(|| Program::spawn(&mut socat.command(&line)));
    let stream = client(&node);
    ping(&stream);
    let pid = i32::try_from(listener.pid()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    expect_eof(&stream);
    drop(listener);
    wait_until("everyone else to have left", || processes(&node).len() == 1);
}

fn say(mut stream: &std::net::TcpStream, text: &str) {
    std::io::Write::write_all(&mut stream, text.as_bytes()).unwrap();
}

fn processes(node: &Namespace) -> Vec<String> {
    let output = Command::new("ip").args(["netns", "pids", node.name()]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
}
