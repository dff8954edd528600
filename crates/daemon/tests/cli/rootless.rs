//! Processes in a user namespace of their own, as the containers of rootless podman and Docker are:
//! reached without root by the user whose namespace it is, and by no other one.

use std::fs;
use std::io::{pipe, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nsplice_testkit::program::copy_program;
use nsplice_testkit::skip::{require_root_or_userns, require_tool, skipped};
use nsplice_testkit::talk::{expect_ramp, half_close, read_to_eof, send_ramp};
use nsplice_testkit::{connect, process, wait_until, Program};
use tempfile::TempDir;

use crate::binary::{end_of, nsplice, End};

/// Two users of nobody's.
const USER: u32 = 54_331;
const OTHER: u32 = 54_332;

const PORT: u16 = 7000;

/// Ends what follows with the test, however that ends. Whoever gains privileges is not killed any more
/// (prctl(2), PR_SET_PDEATHSIG), so it comes after all that does.
const WITH_THE_TEST: [&str; 3] = ["setpriv", "--pdeathsig", "KILL"];

/// A copy of nsplice that everybody may run, and a server behind [`PORT`] in namespaces of [`USER`]'s.
struct Rootless {
    directory: TempDir,
    server: Program,
}

impl Rootless {
    fn new(test: &str) -> Option<Self> {
        let tools = ["setpriv", "unshare", "ip"];
        if !require_root_or_userns(test)
            || tools.iter().any(|tool| require_tool(test, tool).is_none())
        {
            return None;
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let program = directory.path().join("nsplice");
        copy_program(env!("CARGO_BIN_EXE_nsplice"), &program);
        let script = format!(
            "ip link set lo up && exec {} socat TCP4-LISTEN:{PORT},bind=127.0.0.1,fork EXEC:cat",
            program.display()
        );
        let mut command = Command::new("setpriv");
        command.args(credentials(USER)).args(["unshare", "-Urn"]);
        command.args(WITH_THE_TEST).args(["sh", "-c", &script]);
        let mut rootless = Self { directory, server: Program::spawn(command.stdin(Stdio::null())) };
        let mut listens = false;
        wait_until("a server in a user namespace, or none", || {
            listens = rootless.listens();
            listens || rootless.server.ended().is_some()
        });
        if !listens {
            let said = rootless.server.stderr().join("; ");
            skipped(test, format_args!("users may make no user namespaces here: {said}"));
            return None;
        }
        Some(rootless)
    }

    fn listens(&self) -> bool {
        let table = fs::read_to_string(format!("/proc/{}/net/tcp", self.server.pid()));
        let listening = format!("0100007F:{PORT:04X} 00000000:0000 0A");
        table.is_ok_and(|table| table.contains(&listening))
    }

    fn program(&self) -> PathBuf {
        self.directory.path().join("nsplice")
    }

    /// `nsplice WORDS`, as `user`.
    fn nsplice(&self, user: u32, words: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(credentials(user)).arg(self.program()).args(nsplice(words).get_args());
        command
    }

    fn target(&self) -> String {
        format!("pid/{}", self.server.pid())
    }
}

/// The children of the process `pid`.
fn children_of(pid: u32) -> Vec<String> {
    let children = process::children(pid).expect("there is /proc");
    children.iter().map(|child| child.pid.to_string()).collect()
}

fn credentials(user: u32) -> [String; 3] {
    [format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()]
}

#[test]
fn the_owner_of_a_user_namespace_needs_no_privilege() {
    let Some(rootless) = Rootless::new("the_owner_of_a_user_namespace_needs_no_privilege") else {
        return;
    };
    let (input, mut feeder) = pipe().expect("a pipe");
    feeder.write_all(b"hello\n").expect("there is room in it");
    drop(feeder);
    let line = format!("connect {} {PORT}", rootless.target());
    let answer = end_of(rootless.nsplice(USER, &line).stdin(input));
    let told = End { code: 0, stdout: "hello\n".to_owned(), stderr: String::new() };
    assert_eq!(answer, told);
}

#[test]
fn a_user_namespace_of_another_user_is_told_as_such() {
    let Some(rootless) = Rootless::new("a_user_namespace_of_another_user_is_told_as_such") else {
        return;
    };
    let target = rootless.target();
    let line = format!("connect {target} {PORT} --backend setns");
    let end = end_of(rootless.nsplice(OTHER, &line).stdin(Stdio::null()));
    assert_eq!((end.code, end.stdout.as_str()), (5, ""), "{end:?}");
    let start = format!("error: cannot enter the network namespace of {target}: ");
    assert!(end.stderr.starts_with(&start) && end.stderr.contains("run as root"), "{end:?}");
}

#[test]
fn a_forward_into_a_user_namespace_has_one_delegate_and_takes_it_along() {
    let test = "a_forward_into_a_user_namespace_has_one_delegate_and_takes_it_along";
    let Some(mut rootless) = Rootless::new(test) else { return };
    let line = format!("forward {} :{PORT} --address 127.0.0.1", rootless.target());
    let mut forward = Program::spawn(rootless.nsplice(USER, &line).stdin(Stdio::null()));
    let address = forward.forwarded_address();
    for round in 1..=3 {
        // More than one at a time, for which sockets are made in advance.
        let clients: Vec<_> = (0..8 * round).map(|_| connect(address)).collect();
        for client in &clients {
            send_ramp(client, 0, 4096);
            half_close(client);
        }
        for client in &clients {
            expect_ramp(client, 0, 4096);
            assert_eq!(read_to_eof(client), b"");
        }
    }
    let children = children_of(forward.pid());
    assert_eq!(children.len(), 1, "{children:?}");
    // A delegate that is lost is followed by another, and no client notices.
    let kill = Command::new("kill").args(["-KILL", &children[0]]).status();
    assert!(kill.expect("start kill").success());
    let client = connect(address);
    send_ramp(&client, 0, 4096);
    expect_ramp(&client, 0, 4096);
    drop(client);
    let children = children_of(forward.pid());
    assert_eq!(children.len(), 1, "{children:?}");
    rootless.server.signal(Signal::SIGKILL);
    rootless.server.wait();
    forward.wait();
    wait_until("the delegate to end with its forward", || {
        !fs::exists(format!("/proc/{}", children[0])).expect("there is /proc")
    });
}

/// Starts a container of a user that is known below here only, asks it as that user, and ends: with the
/// PID namespace all that podman has started ends, too. `$1` is a directory of the user's, `$2` a program
/// without libraries, `$3` nsplice, `$4` the user's number.
///
/// What podman would find amiss here: limits that this machine may not grant, control groups of both
/// versions (runc), and no range of numbers for this user, who needs only one.
const PODMAN: &str = r#"
set -e
cd "$1"
(cat /etc/passwd; echo "nsplice-test:x:$4:$4::$1:/bin/sh") >passwd
mount --bind passwd /etc/passwd
cat >containers.conf <<END
[containers]
default_ulimits=["nofile=1024:1024","nproc=4096:4096"]
log_driver="k8s-file"
[engine]
runtime="runc"
cgroup_manager="cgroupfs"
events_logger="file"
tmp_dir="$1/tmp"
END
mkdir -m 700 tmp run
mkdir -p image/bin && cp "$2" image/bin/busybox && tar -C image -cf image.tar . && rm -r image
chown -R "$4:$4" .
as_user() {
    setpriv --reuid="$user" --regid="$user" --clear-groups env -i PATH="$PATH" HOME="$PWD" XDG_RUNTIME_DIR="$PWD/run" \
        CONTAINERS_CONF="$PWD/containers.conf" "$@"
}
user=$4
podman="as_user podman --storage-driver vfs"
{
    $podman import -q image.tar localhost/nsplice-test:1
    $podman run -d --name web --network none localhost/nsplice-test:1 \
        /bin/busybox nc -ll -p 7000 -e /bin/busybox cat
    pid=$($podman inspect --format '{{.State.Pid}}' web)
    # The server listens a moment after its container has begun.
    until grep -q ':1B58 0*:0000 0A' "/proc/$pid/net/tcp" "/proc/$pid/net/tcp6"; do sleep 0.01; done
} >log 2>&1 || { cat log >&2; exit 1; }
echo hello | as_user "$3" connect container/web 7000
"#;

#[test]
fn a_container_of_rootless_podman_is_reached_by_its_name() {
    let test = "a_container_of_rootless_podman_is_reached_by_its_name";
    let Some(rootless) = Rootless::new(test) else { return };
    if ["podman", "runc", "tar"].iter().any(|tool| require_tool(test, tool).is_none()) {
        return;
    }
    let Some(busybox) = require_tool(test, "busybox") else { return };
    let home = tempfile::tempdir_in(rootless.directory.path()).expect("a directory");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let mut command = Command::new(WITH_THE_TEST[0]);
    command.args(&WITH_THE_TEST[1..]).args(["unshare", "-mpf", "--mount-proc", "--kill-child"]);
    command.args(["sh", "-c", PODMAN, "sh"]);
    command.arg(home.path()).arg(busybox).arg(rootless.program()).arg(USER.to_string());
    let told = End { code: 0, stdout: "hello\n".to_owned(), stderr: String::new() };
    assert_eq!(end_of(command.stdin(Stdio::null())), told);
}
