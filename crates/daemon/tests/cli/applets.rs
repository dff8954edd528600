//! The names that nsplice answers to: by a link, by a copy, and by its first word.

use std::fs;
use std::io::{pipe, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use nsplice_testkit::program::copy_program;
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::talk::echo;
use nsplice_testkit::{Namespace, Server};
use tempfile::TempDir;

use crate::binary::{end_of, nsplice, End};

fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_nsplice").into()
}

/// What `name` with `words` answers when it is called by a link, by a copy and by the first word.
fn answers(name: &str, words: &[&str]) -> [End; 3] {
    let [links, copies] = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    symlink(binary(), links.path().join(name)).expect("a link");
    copy_program(binary(), copies.path().join(name));
    let called = |directory: &Path| {
        // As a shell calls what it finds in PATH.
        let script = format!("exec {name} \"$@\"");
        end_of(
            Command::new("/bin/sh").args(["-c", &script, "sh"]).args(words).env("PATH", directory),
        )
    };
    [called(links.path()), called(copies.path()), end_of(nsplice(name).args(words))]
}

#[test]
fn nsenter_is_the_same_by_each_way_of_calling_it() {
    for words in [&["-V"][..], &["-h"], &["--help"], &["-x"], &["-n", "true"], &["--", "/bin/true"]]
    {
        let [link, copy, word] = answers("nsenter", words);
        assert_eq!(link, copy, "{words:?}");
        assert_eq!(link, word, "{words:?}");
        assert!(link.stdout.contains("nsenter") || link.code == 1 || words[0] == "--", "{link:?}");
    }
}

#[test]
fn socat_is_the_same_by_each_way_of_calling_it() {
    for words in [&["-V"][..], &["-h"]] {
        let [link, copy, word] = answers("socat", words);
        assert_eq!(link, copy, "{words:?}");
        assert_eq!(link, word, "{words:?}");
        assert_eq!((link.code, link.stderr.as_str()), (0, ""), "{words:?}");
    }
    let [version, ..] = answers("socat", &["-V"]);
    let second = version.stdout.lines().nth(1).unwrap();
    assert_eq!(second.split(' ').nth(2), Some("1.7.4.4"), "{second}");
}

#[test]
fn other_names_are_nsplice() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["socat1", "nsenter.old", "anything"] {
        let path = directory.path().join(name);
        symlink(binary(), &path).unwrap();
        let end = end_of(Command::new(path).arg("--version"));
        assert_eq!(end.stdout, concat!("nsplice ", env!("CARGO_PKG_VERSION"), "\n"), "{name}");
    }
}

/// A directory with `own` as links to nsplice and the rest of nsenter and socat as links to the
/// real ones.
fn tools(test: &str, own: &[&str]) -> Option<TempDir> {
    let directory = tempfile::tempdir().expect("a directory");
    for tool in ["nsenter", "socat"] {
        let leads_to = if own.contains(&tool) { binary() } else { require_tool(test, tool)? };
        symlink(leads_to, directory.path().join(tool)).expect("a link");
    }
    Some(directory)
}

/// The backend `external` runs whatever has the names of its tools, and that may be nsplice.
fn carry(test: &str, own: &[&str]) {
    let Some(path) = tools(test, own) else { return };
    let Some(namespace) = Namespace::for_test(test) else { return };
    let listener = namespace.inside(|| nsplice_testkit::listen("127.0.0.1:0"));
    let server = Server::start(listener, echo);
    let line = format!("connect --backend external pid/{} {}", namespace.pid(), server.port());
    let (stdin, mut feeder) = pipe().expect("a pipe");
    feeder.write_all(b"there and back").expect("an empty pipe takes it");
    drop(feeder);
    let end = end_of(nsplice(&line).env("PATH", path.path()).stdin(stdin));
    let expected = End { code: 0, stdout: "there and back".to_owned(), stderr: String::new() };
    assert_eq!(end, expected, "{own:?}");
}

#[test]
fn external_goes_through_nsenter_that_is_nsplice() {
    carry("external_goes_through_nsenter_that_is_nsplice", &["nsenter"]);
}

#[test]
fn external_goes_through_socat_that_is_nsplice() {
    carry("external_goes_through_socat_that_is_nsplice", &["socat"]);
    carry("external_goes_through_socat_that_is_nsplice", &["nsenter", "socat"]);
}

#[test]
fn check_tells_which_programs_the_names_are() {
    let test = "check_tells_which_programs_the_names_are";
    let Some(real) = require_tool(test, "socat") else { return };
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    symlink(binary(), at("nsenter")).unwrap();
    symlink("/bin/true", at("socat")).unwrap();
    symlink(real, at("socat1")).unwrap();
    let survey = || {
        let end = end_of(nsplice("check --output json").env("PATH", directory.path()));
        let survey: serde_json::Value = serde_json::from_str(&end.stdout).unwrap();
        survey["names"].clone()
    };
    let names = survey();
    assert_eq!(names[0]["name"], "socat");
    assert_eq!(names[0]["path"], at("socat").as_str());
    assert!(names[0]["program"].is_null());
    assert_eq!((&names[1]["name"], &names[1]["program"]), (&"nsenter".into(), &"nsplice".into()));
    assert_eq!((&names[2]["name"], &names[2]["program"]), (&"socat1".into(), &"socat".into()));
    assert!(names[2]["version"].as_str().is_some_and(|version| version.starts_with("1.")));

    let table = end_of(nsplice("check").env("PATH", directory.path())).stdout;
    let row = |name: &str| {
        let start = format!("{name} ");
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with(&start)).collect();
        rows.last().copied().unwrap_or_default().to_owned()
    };
    assert!(row("nsenter").ends_with("nsplice itself"), "{table}");
    assert!(row("socat").ends_with("unknown"), "{table}");
    assert!(row("socat1").contains("socat 1."), "{table}");

    fs::remove_file(at("socat")).unwrap();
    // Another file, but the same program.
    copy_program(binary(), at("copy"));
    fs::remove_file(at("nsenter")).unwrap();
    fs::rename(at("copy"), at("nsenter")).unwrap();
    let names = survey();
    assert!(names[0]["path"].is_null());
    assert_eq!(names[1]["program"], "nsplice");
}
