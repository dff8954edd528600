//! `--watch`: changes as they are seen, and its end.

use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::{wait_until, Namespace, Program};
use serde_json::Value;

use crate::node::{id, Listening, Node};

/// The change in a line of JSON.
fn change(line: &str) -> (String, String) {
    let told: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    (word(&told["change"]), word(&told["target"]["target"]))
}

fn pair(change: &str, target: &str) -> (String, String) {
    (change.to_owned(), target.to_owned())
}

#[test]
fn each_change_is_an_object_of_its_own() {
    const TEST: &str = "each_change_is_an_object_of_its_own";
    let Some(namespace) = Namespace::for_test(TEST) else { return };
    let node = Node::new();
    node.pod(&id("aaaa"), "web", namespace.pid());
    let mut watch = Program::spawn(&mut node.command("targets --watch --output json default"));
    assert_eq!(change(&watch.expect_stdout("aaaa")), pair("added", "pod/default/web"));
    node.container(&id("bbbb"), &id("aaaa"), "web", "app", namespace.pid());
    assert_eq!(change(&watch.expect_stdout("bbbb")), pair("added", "container/app"));
    let Some(server) = Listening::start(TEST, &namespace, "server", "127.0.0.1:80") else { return };
    let changed = watch.expect_stdout("\"server\"");
    assert_eq!(change(&changed), pair("changed", "pod/default/web"));
    drop(server);
    watch.expect_stdout_lines("changed", 2);
    node.remove(&id("bbbb"));
    assert_eq!(change(&watch.expect_stdout("removed")), pair("removed", "container/app"));
    assert_eq!(watch.stdout().len(), 5, "nothing else: {watch}");
    assert_eq!(watch.ended(), None);
    watch.signal(Signal::SIGTERM);
    assert_eq!(watch.wait().code(), Some(0));
    assert_eq!(watch.stderr(), [""; 0]);
}

#[test]
fn people_who_read_a_pipe_get_a_line_for_each_change() {
    let Some(namespace) = Namespace::for_test("people_who_read_a_pipe_get_a_line") else { return };
    let node = Node::new();
    node.pod(&id("aaaa"), "web", namespace.pid());
    let mut watch = Program::spawn(&mut node.command("targets -w pod/default"));
    let line = watch.expect_stdout("pod/default/web");
    assert!(line.starts_with("added     pod/default/web   containerd   aaaa00000000   "), "{line}");
    assert!(line.ends_with("   none"), "{line}");
    node.remove(&id("aaaa"));
    let line = watch.expect_stdout("removed");
    assert!(line.starts_with("removed   pod/default/web   "), "{line}");
    watch.signal(Signal::SIGINT);
    assert_eq!(watch.wait().code(), Some(0));
}

#[test]
fn a_reader_that_goes_ends_it_without_a_change() {
    let Some(namespace) = Namespace::for_test("a_reader_that_goes_ends_it") else { return };
    let node = Node::new();
    node.pod(&id("aaaa"), "web", namespace.pid());
    let mut command = node.command("targets --watch --output json");
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut reader = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    drop(reader);
    let mut status = None;
    wait_until("the end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(0));
}

/// What is written to a reader who does not read holds up no signal.
#[test]
fn a_reader_that_does_not_read_holds_up_no_signal() {
    let Some(namespace) = Namespace::for_test("a_reader_that_does_not_read") else { return };
    let node = Node::new();
    for number in 0..200 {
        node.pod(&id(&format!("{number:04x}")), &format!("pod-{number}"), namespace.pid());
    }
    let mut command = node.command("targets --watch --output json");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let reader = child.stdout.take().unwrap();
    // A pipe takes 65,536 bytes.
    wait_until("a full pipe", || queued(&reader) > 60_000);
    crate::node::terminate(&child);
    let mut status = None;
    wait_until("the end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(0));
}

/// Bytes that wait in a pipe.
fn queued(reader: &std::process::ChildStdout) -> u64 {
    rustix::io::ioctl_fionread(reader).expect("FIONREAD")
}

#[test]
fn a_terminal_is_painted_with_what_it_has_room_for() {
    const TEST: &str = "a_terminal_is_painted_with_what_it_has_room_for";
    let Some(namespace) = Namespace::for_test(TEST) else { return };
    if require_tool(TEST, "script").is_none() {
        return;
    }
    let node = Node::new();
    for number in 0..9 {
        node.pod(&id(&format!("{number:04x}")), &format!("pod-{number}"), namespace.pid());
    }
    let own = node.command("targets --watch pod/default/");
    let words: Vec<String> = std::iter::once(own.get_program())
        .chain(own.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let line = format!("stty rows 6 cols 60; exec {}", words.join(" "));
    let mut command = Command::new("script");
    let mut watch =
        Program::spawn(command.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()));
    let _open = watch.take_stdin();
    watch.expect_stdout("... 6 more lines");
    node.remove(&id("0008"));
    watch.expect_stdout("... 5 more lines");
    let painted = watch.stdout();
    assert!(painted[0].starts_with("\u{1b}[HTARGET"), "{painted:?}");
    assert!(painted.iter().all(|line| line.len() <= 60 + 16), "{painted:?}");
    watch.signal(Signal::SIGTERM);
    watch.wait();
}
