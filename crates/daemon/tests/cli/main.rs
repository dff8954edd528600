//! The command line, seen from outside: what is printed where, and what is said by the exit code.

mod applets;
#[path = "../binary/mod.rs"]
mod binary;
mod bytes;
mod connect;
mod forward;
mod install;
mod life;
mod log;
mod names;
mod nsenter;
mod rootless;
mod run;
mod scripts;
mod serve;
mod start;
mod waiting;

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command};

use binary::{end_of, nsplice, quiet};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use nsplice_testkit::{listen, Server};
use socket2::{Domain, Socket, Type};

/// Sends `signal` to a child that is not yet waited for.
fn send(signal: Signal, child: &Child) {
    let pid = i32::try_from(child.id()).expect("process ids are positive");
    kill(Pid::from_raw(pid), signal).expect("a child can be signalled");
}

/// A child that does not outlive its test, however that ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Both fail if it has been waited for, and then there is nothing left to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port of 127.0.0.1 that nobody listens on, as long as the socket is alive: it is bound, and
/// connecting to a bound socket that does not listen is refused.
fn closed_port() -> (Socket, u16) {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&address.into()).expect("a free port of 127.0.0.1");
    let bound = socket.local_addr().ok().and_then(|address| address.as_socket());
    (socket, bound.expect("the address of a bound socket").port())
}

#[test]
fn help_and_version_go_to_standard_output() {
    for line in [
        "--help",
        "forward --help",
        "port-forward -h",
        "connect -h",
        "run -h",
        "check -h",
        "lookup -h",
        "targets -h",
        "completion -h",
        "install -h",
        "compare -h",
        "help",
        "help run",
        "help help",
    ] {
        let end = end_of(&mut nsplice(line));
        assert_eq!((end.code, end.stderr.as_str()), (0, ""), "{line}");
        assert!(end.stdout.contains("USAGE:\n    nsplice "), "{line}: {}", end.stdout);
        assert!(end.stdout.lines().all(|line| line.chars().count() <= 80), "{}", end.stdout);
    }
    for applet in ["socat", "nsenter"] {
        let (asked, own) = (format!("help {applet}"), format!("{applet} -h"));
        let end = end_of(&mut nsplice(&asked));
        assert_eq!((end.code, &end), (0, &end_of(&mut nsplice(&own))), "{applet}");
        assert!(!end.stdout.is_empty(), "{applet}");
    }
    let version = concat!("nsplice ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(end_of(&mut nsplice("--version")).stdout, version);
}

#[test]
fn usage_errors_exit_with_2_and_go_to_standard_error() {
    for line in [
        "",
        "frwd",
        "forward",
        "forward service/web 80",
        "forward pid/1",
        "forward pid/1 0",
        "forward pid/1 80 80",
        "forward pid/1 80 --address web",
        "forward pid/1 80 --backend socat",
        "forward pid/1 80 --no-such-option",
        "forward --backend dial pid/1 80",
        "connect pid/1",
        "connect pid/1 http",
        "run",
        "check pid/1",
        "help frwd",
        "forward 80 pid/1",
        "forward pid/1 80 --max-links -1",
        "forward pid/1 80 --wait-for-target",
        "forward netns//proc/1/ns/net 80 --wait-for-target",
        "forward tcp/127.0.0.1 80 --wait-for-target",
        "install --force --uninstall /nonexistent",
        "targets a b",
        "targets --output xml",
        "completion",
    ] {
        let end = end_of(&mut nsplice(line));
        assert_eq!((end.code, end.stdout.as_str()), (2, ""), "{line}");
        assert!(!end.stderr.is_empty(), "{line}");
    }
    let refused = end_of(nsplice("forward pid/1 80").env("NSPLICE_LOOPS", "many"));
    let line =
        "error: Invalid value for NSPLICE_LOOPS: `many` is not a number of loops: 1 to 256\n";
    assert_eq!(refused, quiet(2, line));
}

#[test]
fn missing_tools_are_told_in_the_words_of_the_kubelet() {
    let path = tempfile::tempdir().unwrap();
    let own = format!("pid/{}", std::process::id());
    let run = |command: &str| {
        end_of(nsplice(&format!("{command} --backend external {own} 80")).env("PATH", path.path()))
    };
    let message = "error: unable to do port forwarding: socat not found.\n";
    assert_eq!(run("forward"), quiet(6, message));
    assert_eq!(run("connect"), quiet(6, message));

    let socat = path.path().join("socat");
    fs::write(&socat, "").unwrap();
    fs::set_permissions(&socat, fs::Permissions::from_mode(0o755)).unwrap();
    let message = "error: unable to do port forwarding: nsenter not found.\n";
    assert_eq!(run("forward"), quiet(6, message));
}

#[test]
fn a_target_that_does_not_exist_exits_with_7() {
    let mut child = Command::new("true").spawn().unwrap();
    let gone = format!("pid/{}", child.id());
    child.wait().unwrap();
    let message = format!("error: {gone}: no such process\n");
    for command in ["forward", "connect"] {
        assert_eq!(end_of(&mut nsplice(&format!("{command} {gone} 80"))), quiet(7, &message));
    }
}

#[test]
fn a_docker_that_does_not_run_is_told() {
    let mut command = nsplice("forward docker/web 80");
    let end = end_of(command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock"));
    let start = "error: cannot ask Docker at /nonexistent/docker.sock about docker/web: ";
    assert!(end.stderr.starts_with(start), "{}", end.stderr);
    assert_eq!((end.code, end.stderr.lines().count()), (1, 1));
}

/// Nothing that Docker says forges a line, moves a cursor or fills a screen.
#[test]
fn what_docker_says_is_escaped_and_cut() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("docker.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let said = format!("no\\nerror: all is well\\u001b[2J\\u009b2J{}", "x".repeat(1 << 20));
    let body = format!("{{\"message\":\"{said}\"}}");
    let head = format!("HTTP/1.1 500 X\r\nContent-Length: {}\r\n\r\n", body.len());
    // It ends with the process.
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let _ =
                client.and_then(|mut client| client.write_all((head.clone() + &body).as_bytes()));
        }
    });
    let host = format!("unix://{}", path.display());
    for command in ["forward", "connect", "check", "check --output json"] {
        let (command, options) = command.split_once(' ').unwrap_or((command, ""));
        let mut nsplice = nsplice(&format!("{command} docker/web 80 {options}"));
        let end = end_of(nsplice.env("DOCKER_HOST", &host));
        let told = end.stdout + &end.stderr;
        assert!(told.contains("status 500: no") && told.contains("xxx"), "{told}");
        assert!(!told.contains(|letter: char| letter.is_control() && letter != '\n'), "{told}");
        assert!(told.lines().all(|line| !line.starts_with("error: all is well")), "{told}");
        assert!(told.len() < 32 << 10, "{command}: {} bytes", told.len());
    }
}

#[test]
fn check_answers_people_and_programs() {
    let server = Server::start(listen("127.0.0.1:0"), drop);
    let line = format!("check tcp/127.0.0.1 {}", server.port());
    let end = end_of(&mut nsplice(&line));
    assert_eq!((end.code, end.stderr.as_str()), (0, ""));
    for heading in ["TARGET ", "BACKEND ", "TOOL ", "NAME ", "CAPABILITY ", "SYSTEM "] {
        assert!(end.stdout.lines().any(|line| line.starts_with(heading)), "{}", end.stdout);
    }
    assert!(end.stdout.lines().last().unwrap().starts_with("OK: "), "{}", end.stdout);

    let end = end_of(&mut nsplice(&(line + " --output json")));
    let survey: serde_json::Value = serde_json::from_str(&end.stdout).unwrap();
    let dial = survey["backends"].as_array().unwrap().iter().find(|each| each["backend"] == "dial");
    assert_eq!(dial.unwrap()["connect"]["connected"], true);

    let (_closed, port) = closed_port();
    let end = end_of(&mut nsplice(&format!("check tcp/127.0.0.1 {port}")));
    let advice = format!(
        "Nothing listens at tcp/127.0.0.1:{port}: is the server running, and on this address?"
    );
    assert_eq!((end.code, end.stdout.lines().last()), (1, Some(advice.as_str())));
}

/// Where /proc is not mounted, what is said is not that something below it does not exist.
#[test]
fn without_proc_the_reason_is_told() {
    const NAME: &str = "without_proc_the_reason_is_told";
    if !nsplice_testkit::skip::require_root_or_userns(NAME) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for line in [
        "forward pid/1 :80".to_owned(),
        "connect netns//proc/1/ns/net 80".to_owned(),
        "forward --backend external pid/1 :80".to_owned(),
        "forward tcp/127.0.0.1 :80".to_owned(),
        format!("install {}", directory.path().display()),
        "compare --quick".to_owned(),
        "check".to_owned(),
        "check pid/1 80".to_owned(),
    ] {
        let mut command = Command::new("unshare");
        let script = "umount -l /proc && exec \"$@\"";
        command.args(["--mount", "sh", "-c", script, "sh"]).arg(nsplice("").get_program());
        let end = end_of(command.args(line.split(' ')).stdin(std::process::Stdio::null()));
        assert_eq!(end.code, 1, "{line}: {end:?}");
        let told = end.stdout + &end.stderr;
        assert!(told.contains("/proc is not mounted; "), "{line}: {told}");
        assert!(!told.contains("CAP_SYS_ADMIN"), "{line}: {told}");
    }
}
