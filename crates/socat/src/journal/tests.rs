//! Messages: how they look, where they go, and what becomes of those that cannot be written.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::syslog::Syslog;
use super::*;
use crate::language::{read, Errand};

fn shared(target: Target, level: Level) -> Shared {
    Shared::new(target, &Flags { level, ..Flags::default() }, "/usr/bin/socat")
}

/// The flags of a command line with `words` before its addresses.
fn flags(words: &[&str]) -> Flags {
    let words: Vec<OsString> = words.iter().chain(&["-", "-"]).map(OsString::from).collect();
    match read(&words).unwrap() {
        Errand::Carry(line) => line.flags,
        other => panic!("{other:?}"),
    }
}

/// A line with 0 for each digit of its time, and P for its process id, which must be ours.
fn masked(line: &str) -> String {
    let pid = format!("[{}]", std::process::id());
    let (head, rest) = line.split_once(&pid).unwrap();
    let (time, name) = head.split_at(head.rmatch_indices(':').next().unwrap().0);
    let (seconds, name) = name.split_once(' ').unwrap();
    let time = format!("{time}{seconds}").replace(|c: char| c.is_ascii_digit(), "0");
    format!("{time} {name}[P]{rest}")
}

fn written(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(masked).collect()
}

#[test]
fn lines_look_like_those_of_socat() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("log");
    let host = host();
    for words in [&[][..], &["-lu"], &["-lh"], &["-lu", "-lh", "-lp", "foo"]] {
        let words = [words, &["-lf", path.to_str().unwrap()]].concat();
        let journal = Journal::new(&flags(&words), "/usr/bin/socat").unwrap();
        journal.tell(Level::Error, "connect(5): Connection refused");
    }
    // Recorded from socat 1.7.4.4 with no flag, -lu, -lh, and -lu -lh -lp foo.
    let expected = [
        "0000/00/00 00:00:00 socat[P] E connect(5): Connection refused",
        "0000/00/00 00:00:00.000000 socat[P] E connect(5): Connection refused",
        &format!("0000/00/00 00:00:00 {host} socat[P] E connect(5): Connection refused"),
        &format!("0000/00/00 00:00:00.000000 {host} foo[P] E connect(5): Connection refused"),
    ];
    assert_eq!(written(&path), expected);
}

#[test]
fn only_what_is_important_enough_is_told() {
    let place = tempfile::tempdir().unwrap();
    let levels = [Level::Debug, Level::Info, Level::Notice, Level::Warning, Level::Error];
    for (least, expected) in [(Level::Error, "E"), (Level::Warning, "WE"), (Level::Debug, "DINWE")]
    {
        let path = place.path().join(expected);
        let journal = Journal::with(shared(Target::file(&path).unwrap(), least));
        levels.into_iter().for_each(|level| journal.tell(level, "x"));
        let letters: String =
            written(&path).iter().filter_map(|line| line.chars().rev().nth(2)).collect();
        assert_eq!(letters, expected);
        assert!(journal.wants(Level::Error));
        assert_eq!(journal.wants(Level::Debug), least == Level::Debug);
    }
}

#[test]
fn an_error_is_remembered_by_all_clones() {
    let place = tempfile::tempdir().unwrap();
    let journal = Journal::at(&place.path().join("log"));
    let clone = journal.clone();
    clone.tell(Level::Warning, "not yet");
    assert!(!journal.failed());
    clone.tell(Level::Error, "now");
    assert!(journal.failed());
}

#[test]
fn a_file_is_appended_to() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("log");
    Journal::at(&path).tell(Level::Notice, "one");
    Journal::at(&path).tell(Level::Notice, "two");
    let expected = ["0000/00/00 00:00:00 socat[P] N one", "0000/00/00 00:00:00 socat[P] N two"];
    assert_eq!(written(&path), expected);
}

#[test]
fn a_file_that_cannot_be_opened_is_a_fault() {
    let fault = Target::file(Path::new("/nonexistent/log")).unwrap_err();
    assert_eq!(fault.message, "option -lf \"/nonexistent/log\": No such file or directory");
    assert_eq!(fault.status, 1);
}

#[test]
fn programs_are_named_by_what_follows_the_last_slash() {
    for (word, name) in [("socat", "socat"), ("/usr/bin/socat", "socat"), ("x/", ""), ("", "")] {
        assert_eq!(base_name(word), name);
    }
}

#[test]
fn the_systems_log_gets_datagrams_as_of_syslog() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("log");
    let logger = UnixDatagram::bind(&path).unwrap();
    let syslog = Syslog::at(path.clone(), Facility::named("Local3").unwrap());
    syslog.tell(Level::Notice, "foo", &"exiting with status 0");
    let mut buffer = [0; 200];
    let length = logger.recv(&mut buffer).unwrap();
    let (priority, text) = std::str::from_utf8(&buffer[..length]).unwrap().split_at(5);
    assert_eq!(priority, "<157>");
    // `Nov 23 07:39:33 `
    let (time, rest) = text.split_at(16);
    assert!(time.ends_with(' ') && time.matches(':').count() == 2, "{time}");
    assert_eq!(rest, format!("foo[{}]: N exiting with status 0\n", std::process::id()));

    // The logger is restarted: nothing is lost but what came in between.
    drop(logger);
    fs::remove_file(&path).unwrap();
    syslog.tell(Level::Error, "foo", &"lost");
    let logger = UnixDatagram::bind(&path).unwrap();
    syslog.tell(Level::Error, "foo", &"found");
    let length = logger.recv(&mut buffer).unwrap();
    let text = std::str::from_utf8(&buffer[..length]).unwrap();
    assert!(text.starts_with("<155>") && text.ends_with(": E found\n"), "{text}");
}

#[test]
fn a_logger_that_does_not_read_is_waited_for_but_once() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("log");
    let logger = UnixDatagram::bind(&path).unwrap();
    let syslog = Syslog::at(path, Facility::DAEMON);
    // Far more than the kernel queues for a datagram socket, or than could be waited for one by one.
    for number in 0..100_000 {
        syslog.tell(Level::Notice, "foo", &number);
    }
    let mut buffer = [0; 200];
    let length = logger.recv(&mut buffer).unwrap();
    assert!(buffer[..length].ends_with(b": N 0\n"));
}

#[test]
fn facilities_are_known_by_name() {
    assert_eq!(Facility::named("DAEMON"), Some(Facility::DAEMON));
    for known in ["daemon", "kern", "authpriv", "local7"] {
        assert!(Facility::named(known).is_some(), "{known}");
    }
    for unknown in ["", "foo", "3", "local8", "security"] {
        assert_eq!(Facility::named(unknown), None, "{unknown}");
    }
}

#[test]
fn mixed_turns_to_the_systems_log_when_the_transfer_begins() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("log");
    let logger = UnixDatagram::bind(&path).unwrap();
    logger.set_nonblocking(true).unwrap();
    let syslog = Syslog::at(path, Facility::DAEMON);
    let target = Target::Mixed { syslog, switched: AtomicBool::new(false) };
    let journal = Journal::with(shared(target, Level::Warning));
    journal.tell(Level::Warning, "for standard error: a test is speaking");
    let mut buffer = [0; 200];
    assert!(logger.recv(&mut buffer).is_err());
    journal.clone().switch_to_syslog();
    journal.tell(Level::Warning, "for the log");
    let length = logger.recv(&mut buffer).unwrap();
    assert!(buffer[..length].starts_with(b"<28>"));
}
