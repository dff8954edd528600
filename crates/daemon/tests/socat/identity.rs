//! What others find it by: its name in /proc, its words, and its version.

use std::fs;

use nsplice_testkit::{Namespace, Program};

use crate::compare::theirs;
use crate::node::{client, FRONT};
use crate::subject::Subject;

/// `pgrep -f 'socat.*TCP-LISTEN:P'`, `ps -C socat` and the like go on working.
#[test]
fn name_and_words() {
    let Some(node) = Namespace::for_test("name_and_words") else { return };
    let socat = Subject::called("socat");
    let words = ["-d", &format!("TCP-LISTEN:{FRONT},fork,reuseaddr"), "TCP:127.0.0.1:1"];
    let program = node.inside(|| Program::spawn(&mut socat.command(&words.join(" "))));
    drop(client(&node));
    let of = |file| fs::read_to_string(format!("/proc/{}/{file}", program.pid())).unwrap();
    assert_eq!(of("comm"), "socat\n");
    let path = socat.path().display().to_string();
    let line: Vec<_> = [path.as_str()].into_iter().chain(words).collect();
    assert_eq!(of("cmdline"), line.join("\0") + "\0");
}

/// Scripts take the third word of the second line for the version.
#[test]
fn version() {
    let Some(real) = theirs("version") else { return };
    let second = |mut command: std::process::Command| {
        let output = command.output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let words = text.lines().nth(1).unwrap().split(' ').take(3).collect::<Vec<_>>().join(" ");
        words
    };
    let mut reference = std::process::Command::new(real);
    reference.arg("-V");
    assert_eq!(second(Subject::called("socat").command("-V")), second(reference));
}

/// The same by the word of its own program.
#[test]
fn as_a_word_of_nsplice() {
    let nsplice = Subject::called("nsplice");
    let output = nsplice.command("socat -u OPEN:/dev/null STDOUT").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = nsplice.command("socat - FOO:bar").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains(" socat[") && told.contains("E unknown device/address"), "{told}");
}
