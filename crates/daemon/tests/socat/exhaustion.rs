//! Out of descriptors and out of processes: the listener lives, and serves again when it can.

use std::process::Command;

use nsplice_testkit::skip::require_tool;
use nsplice_testkit::talk::echo;
use nsplice_testkit::{Namespace, Program, Server};

use crate::node::{client, hang_up, ping, FRONT};
use crate::subject::Subject;

/// Descriptors that the listener may have. What it holds for itself and a few links fit.
const DESCRIPTORS: usize = 40;

#[test]
fn out_of_descriptors() {
    const TEST: &str = "out_of_descriptors";
    if require_tool(TEST, "prlimit").is_none() {
        return;
    }
    let Some(node) = Namespace::for_test(TEST) else { return };
    let socat = Subject::called("socat");
    let server = Server::in_namespace(&node, "127.0.0.1:0", echo);
    let line = format!("TCP-LISTEN:{FRONT},fork TCP4:127.0.0.1:{}", server.port());
    let mut command = socat.wrapped(&format!("prlimit --nofile={DESCRIPTORS}"), &line);
    let mut program = node.inside(|| Program::spawn(&mut command));
    let served = client(&node);
    ping(&served);
    // More than there can be links; the rest waits in the kernel's queue, or is turned away.
    let crowd: Vec<_> = (0..2 * DESCRIPTORS).map(|_| client(&node)).collect();
    server.wait_accepted(DESCRIPTORS / 4);
    ping(&served);
    drop(crowd);
    ping(&served);
    let next = client(&node);
    ping(&next);
    assert_eq!(program.ended(), None, "the listener has ended: {program}");
    hang_up(&next);
    hang_up(&served);
    drop((served, next));
    drop(program);
    drop(server);
}

/// A user who may have no further process still has links, and gets programs again later.
#[test]
fn out_of_processes() {
    const TEST: &str = "out_of_processes";
    if ["prlimit", "setpriv"].iter().any(|tool| require_tool(TEST, tool).is_none()) {
        return;
    }
    let Some(node) = Namespace::for_test(TEST) else { return };
    let socat = Subject::for_everyone("socat");
    // Nobody else on the machine is this user: itself, a program, and what stands for its link.
    let wrapper = "setpriv --reuid=54321 --regid=54321 --clear-groups prlimit --nproc=3";
    let reachable = Command::new("setpriv")
        .args(["--reuid=54321", "--regid=54321", "--clear-groups"])
        .arg(socat.path())
        .arg("-V")
        .output()
        .expect("setpriv can be run");
    if !reachable.status.success() {
        let why = String::from_utf8_lossy(&reachable.stderr).into_owned();
        nsplice_testkit::skip!(TEST, "another user cannot run it: {why}");
    }
    let mut command = socat.wrapped(wrapper, &format!("TCP-LISTEN:{FRONT},fork EXEC:/bin/cat"));
    let mut program = node.inside(|| Program::spawn(&mut command));
    let served = client(&node);
    ping(&served);
    let crowd: Vec<_> = (0..5).map(|_| client(&node)).collect();
    ping(&served);
    drop(crowd);
    hang_up(&served);
    // The child of the one before may take a moment to be gone.
    nsplice_testkit::wait_until("a program again", || {
        let next = client(&node);
        std::io::Write::write_all(&mut &next, b"ping").is_ok()
            && std::io::Read::read(&mut &next, &mut [0; 4]).is_ok_and(|read| read == 4)
    });
    assert_eq!(program.ended(), None, "the listener has ended: {program}");
}
