//! Words that are no UTF-8: on the command line, in the environment and in the configuration.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use crate::binary::{end_of, nsplice};

const COMMANDS: [&str; 10] = [
    "forward",
    "connect",
    "run",
    "serve",
    "check",
    "lookup",
    "targets",
    "install",
    "compare",
    "completion",
];

/// Options whose value is a path, which may be any bytes.
const PATHS: [&str; 6] = ["--config", "--nsenter", "--socat", "--report", "--compare", "--root"];

fn bytes(text: &[u8]) -> OsString {
    OsStr::from_bytes(text).to_owned()
}

/// The options of `command` that have a value.
fn options(command: &str) -> Vec<String> {
    let help = end_of(&mut nsplice(&format!("{command} --help"))).stdout;
    let words = help.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
    let option = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        value.starts_with('<').then(|| format!("--{name}"))
    };
    words.filter_map(option).collect()
}

/// Asserts that `command` is refused with `code`, and a sentence that has `text`.
#[track_caller]
fn expect_refusal(command: &mut Command, code: i32, text: &str) {
    let end = end_of(command.env("PATH", "/nonexistent"));
    assert_eq!(end.code, code, "{command:?}: {}", end.stderr);
    assert!(end.stderr.contains(text), "{command:?}: {}", end.stderr);
}

#[test]
fn every_option_refuses_what_is_no_text() {
    let mut count = 0;
    for command in COMMANDS {
        for option in options(command) {
            if PATHS.contains(&option.as_str()) {
                continue;
            }
            let arguments = match command {
                "forward" | "connect" => "tcp/127.0.0.1 9",
                "run" => "--config /nonexistent",
                _ => "",
            };
            let line = format!("{command} {arguments}");
            expect_refusal(nsplice(&line).arg(&option).arg(bytes(b"a\xff")), 2, "");
            let joined = bytes(&[option.as_bytes(), b"=a\xff"].concat());
            expect_refusal(nsplice(&line).arg(joined), 2, "");
            count += 1;
        }
    }
    assert!(count > 20, "{count} options");
    // Where the text itself would do.
    let message =
        "error: Invalid value for 'target': \"netns/\\xFF\" is not UTF-8; only paths may be anything else\n";
    expect_refusal(nsplice("connect").arg(bytes(b"netns/\xff")).arg("80"), 2, message);
}

#[test]
fn every_word_may_be_bytes_and_none_is_a_panic() {
    for command in COMMANDS {
        for words in
            [&[&b"\xff"[..]][..], &[b"netns/\xff", b"80"], &[b"docker/\xff", b"80", b"8\xff"]]
        {
            let words: Vec<OsString> = words.iter().map(|word| bytes(word)).collect();
            if command == "install" && words.len() == 1 {
                continue;
            }
            expect_refusal(nsplice(command).args(words), 2, "error: ");
        }
        for words in [&[&b"--\xff"[..], b"\xfe"][..], &[b"--nsent\xff", b"\xff"], &[b"-\xff"]] {
            let words: Vec<OsString> = words.iter().map(|word| bytes(word)).collect();
            expect_refusal(nsplice(command).args(words), 2, "error: ");
        }
    }
    expect_refusal(nsplice("").arg(bytes(b"\xff")), 2, "error: ");
    expect_refusal(nsplice("").arg(bytes(b"--\xff")).arg(bytes(b"\xff")), 2, "error: ");
}

#[test]
fn every_variable_refuses_what_is_no_text() {
    for command in
        ["forward tcp/127.0.0.1 9", "connect tcp/127.0.0.1 9", "run --config /nonexistent"]
    {
        for option in options(command.split(' ').next().unwrap()) {
            if PATHS.contains(&option.as_str()) {
                continue;
            }
            let variable = format!("NSPLICE_{}", option[2..].to_uppercase().replace('-', "_"));
            let message = format!("Invalid value for {variable}: it is not UTF-8");
            expect_refusal(nsplice(command).env(variable, bytes(b"a\xff")), 2, &message);
        }
    }
    let host = bytes(b"tcp://\xff");
    expect_refusal(nsplice("forward docker/web 80").env("DOCKER_HOST", host), 2, "unix:///PATH");
    let host = bytes(b"unix:///nonexistent/\xff");
    expect_refusal(nsplice("forward docker/web 80").env("DOCKER_HOST", host), 1, "/nonexistent/");
}

#[test]
fn paths_may_be_any_bytes_and_a_configuration_may_not() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join(OsStr::from_bytes(b"n\xff.toml"));
    fs::write(&config, b"log = 'info'\n\n[[forward]]\nname = '\xfc'\n").unwrap();
    let message = "n\u{fffd}.toml:4: invalid UTF-8: the byte 0xfc (TOML must be UTF-8)\n";
    expect_refusal(nsplice("run --config").arg(&config), 3, message);
    expect_refusal(nsplice("run").env("NSPLICE_CONFIG", &config), 3, message);
    let nowhere = bytes(b"/nonexistent/\xff");
    expect_refusal(nsplice("install").arg(&nowhere), 1, "/nonexistent/");
    for option in ["--nsenter", "--socat"] {
        let line = "connect pid/1 80 --backend external";
        expect_refusal(nsplice(line).arg(option).arg(&nowhere), 6, "not found");
    }
    expect_refusal(nsplice("compare --compare").arg(&nowhere), 1, "/nonexistent/");
    expect_refusal(nsplice("targets --root").arg(&nowhere), 1, "look below /nonexistent/");
    expect_refusal(nsplice("compare tcp/127.0.0.1 --report").arg(&nowhere), 1, "/nonexistent/");
}
