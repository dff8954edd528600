//! Row 33 and the command line of the external backend: which programs are run, by which words.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use nsplice_testkit::skip::require_tool;
use nsplice_testkit::talk::{echo, expect_eof, half_close, read_exactly, read_to_eof};
use tempfile::TempDir;

use crate::daemon::wrapped;
use crate::peers::{hang_up, name_of, ping};
use crate::{cases, end_of, nsplice, quiet, Testbed};

cases! {
    words_are_the_kubelets on external;
    missing_tools_are_told_in_the_kubelets_words on external;
    tools_that_go_away_later_are_a_class on external;
    tools_are_not_looked_for_twice on external;
    tools_are_not_needed on setns no_splice dial;
    nsplice_in_the_place_of_socat on external;
}

/// The execve calls of the real program, as strace saw them.
fn words_are_the_kubelets(testbed: &Testbed) {
    const NAME: &str = "words_are_the_kubelets";
    if require_tool(NAME, "strace").is_none() {
        return;
    }
    let [nsenter, socat] = tools(NAME);
    let server = testbed.serve(echo);
    let (pid, port) = (testbed.container().pid(), server.port());
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace").display().to_string();
    let strace = ["strace", "-f", "-qq", "-s", "999", "-e", "trace=execve", "-o", &trace];
    let mut command = wrapped(
        &strace.map(str::to_owned),
        &nsplice(&format!("connect {} {port}", testbed.target_words())),
    );
    let end = testbed.node().inside(|| end_of(&mut command));
    assert_eq!((end.code, end.stderr.as_str()), (0, ""));
    let trace = fs::read_to_string(trace).unwrap();
    let calls: Vec<_> = trace
        .lines()
        .filter_map(|line| line.split_once("execve(")?.1.split_once(", 0x"))
        .map(|(words, _)| words)
        .collect();
    let expected = [
        format!(
            r#""{nsenter}", ["{nsenter}", "-t", "{pid}", "-n", "{socat}", "-", "TCP4:localhost:{port}"]"#
        ),
        format!(r#""{socat}", ["{socat}", "-", "TCP4:localhost:{port}"]"#),
    ];
    assert_eq!(calls[1..], expected, "{trace}");
}

/// The absolute paths of nsenter and socat.
fn tools(name: &str) -> [String; 2] {
    ["nsenter", "socat"].map(|tool| require_tool(name, tool).unwrap().display().to_string())
}

/// A directory with links to those of nsenter and socat that are `wanted`.
fn path_with(wanted: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for tool in wanted {
        let real = require_tool("path_with", tool).unwrap();
        symlink(real, directory.path().join(tool)).unwrap();
    }
    directory
}

fn missing_tools_are_told_in_the_kubelets_words(testbed: &Testbed) {
    let told = |path: &Path, command: &str| {
        let line = format!("{command} {} 80", testbed.target_words());
        end_of(nsplice(&line).env("PATH", path))
    };
    let no_socat = || quiet(6, "error: unable to do port forwarding: socat not found.\n");
    let no_nsenter = || quiet(6, "error: unable to do port forwarding: nsenter not found.\n");
    for command in ["forward", "connect"] {
        assert_eq!(told(path_with(&[]).path(), command), no_socat());
        assert_eq!(told(path_with(&["nsenter"]).path(), command), no_socat());
        assert_eq!(told(path_with(&["socat"]).path(), command), no_nsenter());

        let path = path_with(&["nsenter"]);
        fs::write(path.path().join("socat"), "#!/bin/sh\n").unwrap();
        assert_eq!(told(path.path(), command), no_socat(), "it is not executable");
    }
    // A daemon serves its other forwards, and refuses the links of this one.
    let relay = testbed.daemon(80).path("/nonexistent").start();
    relay.program().expect_stderr("unable to do port forwarding: socat not found.");
    relay.connect_refused();
    relay.expect_only_end("tool-missing");
    relay.finish();
}

fn tools_that_go_away_later_are_a_class(testbed: &Testbed) {
    let server = testbed.serve(echo);
    for gone in ["socat", "nsenter"] {
        let path = path_with(&["nsenter", "socat"]);
        let relay = testbed.daemon(server.port()).path(&path.path().display().to_string()).start();
        let client = relay.connect();
        ping(&client);
        let tool = path.path().join(gone);
        fs::remove_file(&tool).unwrap();
        relay.connect_refused();
        let end = relay.expect_only_end("tool-missing");
        assert!(end.detail.contains(gone), "{end:?}");

        // Something else in its place, which cannot be run.
        fs::write(&tool, "no program").unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o600)).unwrap();
        relay.connect_refused();
        let end = relay.expect_ends(2).remove(1);
        assert!(["denied", "tool-missing"].contains(&end.outcome.as_str()), "{end:?}");

        ping(&client);
        hang_up(&client);
        relay.expect_end(name_of(&client), "clean");
        relay.finish();
    }
    assert_eq!(server.join(), [2, 2]);
}

/// What comes to be earlier in PATH is not run.
fn tools_are_not_looked_for_twice(testbed: &Testbed) {
    let server = testbed.serve(echo);
    let (first, second) = (path_with(&[]), path_with(&["nsenter", "socat"]));
    let path = format!("{}:{}", first.path().display(), second.path().display());
    let relay = testbed.daemon(server.port()).path(&path).start();
    for tool in ["nsenter", "socat"] {
        symlink("/bin/false", first.path().join(tool)).unwrap();
    }
    let client = relay.connect();
    ping(&client);
    hang_up(&client);
    relay.expect_end(name_of(&client), "clean");
    assert_eq!(server.join(), [1]);
    relay.finish();
}

fn tools_are_not_needed(testbed: &Testbed) {
    let server = testbed.serve(echo);
    let relay = testbed.daemon(server.port()).path("/nonexistent").start();
    let client = relay.connect();
    ping(&client);
    hang_up(&client);
    relay.expect_end(name_of(&client), "clean");
    assert_eq!(server.join(), [1]);
    relay.finish();
}

/// A page ends when the server ends, although the client's end stays open; and where it is the client
/// that ends first, a late answer arrives.
fn nsplice_in_the_place_of_socat(testbed: &Testbed) {
    let path = path_with(&["nsenter"]);
    symlink(env!("CARGO_BIN_EXE_nsplice"), path.path().join("socat")).unwrap();
    let server = testbed.serve(|mut stream| {
        let asked = read_exactly(&stream, 4);
        if asked == b"late" {
            expect_eof(&stream);
            // More than socat's half second.
            sleep(Duration::from_secs(2));
        }
        stream.write_all(&asked).unwrap();
    });
    let relay = testbed.daemon(server.port()).path(&path.path().display().to_string()).start();
    for asked in [b"page", b"late"] {
        let mut client = relay.connect();
        let name = name_of(&client);
        client.write_all(asked).unwrap();
        if asked == b"late" {
            half_close(&client);
        }
        assert_eq!(read_to_eof(&client), asked);
        drop(client);
        relay.expect_end(name, "clean");
    }
    server.join();
    relay.finish();
}
