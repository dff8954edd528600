//! Rows 28 to 32: a link reaches the namespace that was meant, or none.

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::talk::{echo, expect_eof};
use nsplice_testkit::{skip, wait_until, Census, Namespace, Server};

use crate::daemon::wrapped;
use crate::journal::listening;
use crate::peers::{echo_to_any_end, hang_up, name_of, ping};
use crate::testbed::is_alive;
use crate::{cases, end_of, nsplice, Testbed};

cases! {
    target_process_dies on setns external;
    path_leads_to_another_namespace on setns no_splice external;
    reused_pid_is_never_entered on setns external;
    dead_namespace_is_not_pinned on setns external;
    failed_return_aborts on setns;
    no_privilege_is_one_clear_line on setns external;
    no_privilege_later_is_a_class on external;
}

fn target_process_dies(testbed: &Testbed) {
    let server = testbed.serve(echo);
    let target = testbed.target();
    // The testbed is borrowed by its relay for good, so the holder is killed from outside.
    let holder = testbed.container().pid();
    let relay = testbed.daemon(server.port()).start();
    let old = relay.connect();
    ping(&old);
    kill(holder);
    relay.connect_refused();
    let end = relay.expect_only_end("target-gone");
    assert_eq!(end.detail, format!("{target} is gone: its process has ended"));
    ping(&old);
    hang_up(&old);
    relay.expect_end(name_of(&old), "clean");
    assert_eq!(server.join(), [2]);
    relay.finish();
}

fn kill(pid: u32) {
    let number = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    nix::sys::signal::kill(number, Signal::SIGKILL).unwrap();
    wait_until("the process to end", || !is_alive(pid));
}

/// As when a container is restarted: the name is the same, the namespace is not.
fn path_leads_to_another_namespace(testbed: &Testbed) {
    let mut replaced = Namespace::new().unwrap();
    let target = format!("netns/{}", replaced.name());
    let server = Server::in_namespace(&replaced, "127.0.0.1:0", echo);
    let port = server.port();
    let relay = testbed.daemon(port).target(&target).start();
    let old = relay.connect();
    ping(&old);

    replaced.remove();
    relay.connect_refused();
    let end = relay.expect_only_end("target-gone");
    assert!(end.detail.contains(replaced.name()), "{end:?}");
    replaced.restart().unwrap();
    let next = Server::in_namespace(&replaced, &format!("127.0.0.1:{port}"), echo);
    let new = relay.connect();
    ping(&new);
    assert_eq!((server.accepted(), next.accepted()), (1, 1));

    for client in [&old, &new] {
        ping(client);
        hang_up(client);
        relay.expect_end(name_of(client), "clean");
    }
    assert_eq!((server.join(), next.join()), (vec![2], vec![2]));
    relay.finish();
}

/// In a PID namespace of its own, where nobody else takes the number that was freed.
fn reused_pid_is_never_entered(testbed: &Testbed) {
    const NAME: &str = "reused_pid_is_never_entered";
    if require_tool(NAME, "unshare").is_none() || require_tool(NAME, "nsenter").is_none() {
        return;
    }
    let stranger = Namespace::new().unwrap();
    let server = Server::in_namespace(&stranger, "127.0.0.1:0", echo_to_any_end);
    // The first process takes number 1; 20 is as good as any other.
    let daemon = testbed.daemon(server.port()).target("pid/20");
    let (command, directory) = daemon.command();
    let nsplice = command.get_program().display().to_string();
    let script = format!(
        "next() {{ echo $1 > /proc/sys/kernel/ns_last_pid; }}
        next 19
        nsenter --net={meant} sleep 1000 & meant=$!
        next 50
        {nsplice} run --config {config} & nsplice=$!
        read kill
        kill -9 $meant; wait $meant
        next 19
        nsenter --net={other} sleep 1000 &
        echo meant $meant stranger $!
        read end
        kill $nsplice; wait $nsplice; echo ended $?",
        meant = testbed.container().path().display(),
        other = stranger.path().display(),
        config = directory.path().join("nsplice.toml").display(),
    );
    let unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"];
    let mut command = wrapped(&unshare.map(str::to_owned), &Command::new(&script));
    command.stdin(Stdio::piped());
    let mut program = testbed.start(&mut command);
    let mut stdin = program.take_stdin().unwrap();
    program.expect_stderr("\"msg\":\"listening\"");
    let address = program.stderr().iter().find_map(|line| listening(line)).unwrap();
    stdin.write_all(b"kill\n").unwrap();
    if program.expect_stdout("meant ") != "meant 20 stranger 20" {
        skip!(NAME, "this kernel gives no PID twice on request");
    }
    for _ in 0..5 {
        testbed.node().inside(|| nsplice_testkit::peer::connect_expecting_reset(address));
    }
    program.expect_stderr_lines("\"outcome\":\"target-gone\"", 5);
    assert_eq!(server.accepted(), 0, "a stranger was connected to");
    stdin.write_all(b"end\n").unwrap();
    program.expect_stdout("ended 0");
    drop(stdin);
    program.wait();
}

/// The proof that a namespace is gone: the other end of its cable is gone, too.
fn dead_namespace_is_not_pinned(testbed: &Testbed) {
    for by_path in [false, true] {
        let mut dying = Namespace::new().unwrap();
        let cable = ["link", "add", "cable", "type", "veth", "peer", "name", "eth0"];
        testbed.node().run("ip", [&cable[..], &["netns", dying.name()]].concat());
        assert!(has_cable(testbed));
        let server = Server::in_namespace(&dying, "127.0.0.1:0", echo);
        let target = match by_path {
            true => format!("netns/{}", dying.name()),
            false => format!("pid/{}", dying.pid()),
        };
        let relay = testbed.daemon(server.port()).target(target).start();
        let client = relay.connect();
        ping(&client);
        hang_up(&client);
        relay.expect_end(name_of(&client), "clean");
        server.join();
        dying.remove();
        wait_until("the namespace to be gone", || !has_cable(testbed));
        let home = if testbed.backend.has_child() { 0 } else { 1 };
        assert_eq!(Census::of(relay.pid()).descriptors("net"), home, "home, and nothing else");
        relay.connect_refused();
        assert!(relay.ends().len() <= 2);
        relay.expect_ends(2);
        assert_eq!(relay.ends()[1].outcome, "target-gone");
        relay.finish();
    }
}

fn has_cable(testbed: &Testbed) -> bool {
    testbed.node().run("ip", ["-brief", "link"]).contains("cable")
}

/// Each thread has a count of its own: the loop's second link cannot come home.
fn failed_return_aborts(testbed: &Testbed) {
    if require_tool("failed_return_aborts", "strace").is_none() {
        return;
    }
    let server = testbed.serve(echo_to_any_end);
    let inject = "inject=setns:error=EPERM:when=4";
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject];
    let mut relay =
        testbed.daemon(server.port()).under(&["prlimit", "--core=0"]).under(&strace).start();
    let client = relay.connect();
    ping(&client);
    let _second = relay.connect();
    // Nobody is left to send an RST.
    expect_eof(&client);
    let status = relay.program_mut().wait();
    assert_eq!(status.signal(), Some(Signal::SIGABRT as i32), "{status}");
    let told: Vec<_> = relay.program().stderr();
    let told: Vec<_> = told.iter().filter(|line| line.starts_with("nsplice: ")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("nsplice: cannot return to net:["), "{told:?}");
    assert!(told[0].contains("Operation not permitted; aborting"), "{told:?}");
}

/// As root without CAP_SYS_ADMIN, and as nobody.
const UNPRIVILEGED: [&[&str]; 2] = [
    &["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"],
    &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
];

fn no_privilege_is_one_clear_line(testbed: &Testbed) {
    const NAME: &str = "no_privilege_is_one_clear_line";
    if require_tool(NAME, "setpriv").is_none() {
        return;
    }
    let server = testbed.serve(echo);
    let own = program_for_all();
    for wrapper in UNPRIVILEGED {
        let wrapper: Vec<_> = wrapper.iter().map(|word| (*word).to_owned()).collect();
        for backend in [testbed.backend.word(), "auto"] {
            let line = format!("--backend {backend} {} {}", testbed.target(), server.port());
            let mut command = Command::new(own.path().join("nsplice"));
            command.args(nsplice(&format!("connect {line}")).get_args());
            let end = testbed.node().inside(|| end_of(&mut wrapped(&wrapper, &command)));
            assert_eq!((end.code, end.stdout.as_str()), (5, ""), "{wrapper:?}: {end:?}");
            assert_eq!(end.stderr.lines().count(), 1, "{end:?}");
            let denied = ["Operation not permitted", "Permission denied"];
            assert!(denied.iter().any(|words| end.stderr.contains(words)), "{end:?}");
            assert!(end.stderr.starts_with("error: ") && end.stderr.contains(&testbed.target()));
        }
    }
    assert_eq!(server.accepted(), 0);
}

/// A copy of the program where everyone may run it.
fn program_for_all() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    // Written by another process: a file that any child of this one has open for writing at the
    // moment, by the fork of another test, cannot be executed.
    let copied =
        Command::new("cp").arg(env!("CARGO_BIN_EXE_nsplice")).arg(directory.path()).status();
    assert!(copied.unwrap().success());
    directory
}

/// nsenter is only tried when there is a link: what it says is the class of the link.
fn no_privilege_later_is_a_class(testbed: &Testbed) {
    if require_tool("no_privilege_later_is_a_class", "setpriv").is_none() {
        return;
    }
    let relay = testbed.daemon(9).under(UNPRIVILEGED[0]).start();
    relay.connect_refused();
    let end = relay.expect_only_end("denied");
    assert!(end.detail.contains("Operation not permitted"), "{end:?}");
    relay.finish();
}
