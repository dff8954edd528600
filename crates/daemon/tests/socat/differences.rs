//! The differences to socat 1.7.4.4 that are meant, each with its reason.
//!
//! This is the one place where a difference is allowed: a case of the table names the row that
//! allows it, and the README of crates/socat shows the rows as they are here.

use std::fs;
use std::path::Path;

/// A difference that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Difference {
    /// An answer is given 30 s instead of half a second.
    Linger,
    /// A reader that pauses is no inactivity.
    StalledReader,
    /// `-u` loses nothing to a server that has spoken.
    UnreadInput,
    /// A direction that a descriptor does not serve is absent.
    OneWay,
    /// Both addresses are read before anything is done.
    BothAddressesFirst,
    /// More clients may wait.
    Backlog,
    /// A port above 65535 is an error.
    PortTooLarge,
    /// All addresses of a name are tried.
    AllAddresses,
    /// One process for all connections.
    OneProcess,
    /// Trouble with one connection does not end the listener.
    ListenerLives,
    /// SIGTERM works while `max-children` are there.
    TermAtMaxChildren,
    /// `shut-close` on a socket, and types without their parameter, are no crash.
    NoCrash,
    /// Failures that socat keeps to itself are told.
    Silence,
    /// Options of later versions are understood.
    LaterOptions,
    /// What nsplice does not do says so.
    NotImplemented,
    /// Messages that tell of socat's insides are not printed.
    Insides,
    /// `-g` lets options pass that then have no effect.
    Unchecked,
    /// Help tells of nsplice.
    Help,
}

/// A row of the table.
struct Row {
    difference: Difference,
    /// What is different, as a user would notice it.
    what: &'static str,
    /// What socat 1.7.4.4 does.
    socat: &'static str,
    /// What nsplice does.
    ours: &'static str,
    /// Why.
    reason: &'static str,
}

const TABLE: &[Row] = &[
    Row {
        difference: Difference::Linger,
        what: "after the end of the side that asks (the client, standard input), without `-t`",
        socat: "0.5 s without a byte end it",
        ours: "30 s do, or the time of `-T`; `NSPLICE_SOCAT_LINGER=0.5` gives socat's own. After the end of the side that answers (the server, the program) it is 0.5 s here, too",
        reason: "an answer that is 0.6 s late is lost silently",
    },
    Row {
        difference: Difference::StalledReader,
        what: "a reader that pauses after the first end",
        socat: "counts as inactivity: what is queued is thrown away, status 0",
        ours: "never counts as inactivity; nothing is lost",
        reason: "a silent truncation is the worst failure there is",
    },
    Row {
        difference: Difference::UnreadInput,
        what: "`-u` to a server that has said something",
        socat: "closes with those bytes unread, which resets the connection and loses the upload",
        ours: "ends the connection in order",
        reason: "status 0 should mean that everything has arrived",
    },
    Row {
        difference: Difference::OneWay,
        what: "a file or a device that is open for one direction only, used both ways \
               (`socat SOCK STDIN <file`)",
        socat: "`Bad file descriptor`, status 1, when the other direction is tried; only of a pipe it is absent",
        ours: "the other direction is absent: no data, no end, no error",
        reason: "what it is open for goes on working",
    },
    Row {
        difference: Difference::BothAddressesFirst,
        what: "an error in the second address",
        socat: "is reported once the first is open; with `fork`, by each child",
        ours: "is reported at once, status 1",
        reason: "a listener that can serve nobody should not start",
    },
    Row {
        difference: Difference::Backlog,
        what: "clients that may wait, without `backlog=`",
        socat: "5",
        ours: "4096, as far as the kernel allows",
        reason: "bursts were refused",
    },
    Row {
        difference: Difference::PortTooLarge,
        what: "a port above 65535",
        socat: "is taken modulo 65536",
        ours: "is an error, status 1",
        reason: "99999 is a typo, not 34463",
    },
    Row {
        difference: Difference::AllAddresses,
        what: "a name with several addresses, and no IP version given",
        socat: "tries one of them",
        ours: "tries all, the preferred version first",
        reason: "servers on ::1 only were refused",
    },
    Row {
        difference: Difference::OneProcess,
        what: "`fork` of a listener",
        socat: "a process for each connection",
        ours: "one process for all; for a program, an idle process stands for its connection: \
               `SOCAT_PID`, and killing that ends the connection",
        reason: "thousands of connections cost thousands of processes",
    },
    Row {
        difference: Difference::ListenerLives,
        what: "out of descriptors or processes",
        socat: "the listener ends, status 1",
        ours: "the listener waits until there are some again",
        reason: "a burst ended the forward",
    },
    Row {
        difference: Difference::TermAtMaxChildren,
        what: "SIGTERM while `max-children` are busy",
        socat: "is ignored",
        ours: "ends it, status 143",
        reason: "a service that cannot be stopped is killed",
    },
    Row {
        difference: Difference::NoCrash,
        what: "`shut-close` on a socket; `EXEC` or `FD` alone",
        socat: "its loop fails on its own descriptor, status 1; a crash, status 139",
        ours: "the direction ends, and the link with it; an error, status 1",
        reason: "no use can depend on it",
    },
    Row {
        difference: Difference::Silence,
        what: "a log file that cannot be opened; an address that is still in use after `retry`; \
               `-lm` and an address that cannot be opened",
        socat: "ends silently, status 1 or 255",
        ours: "prints an error; the same status",
        reason: "somebody has to find out why",
    },
    Row {
        difference: Difference::LaterOptions,
        what: "what only later versions know: `-d2`, `-0`, `netns=`, `ACCEPT-FD`, `--statistics`, SIGUSR1",
        socat: "is an error; ends it",
        ours: "is understood; ends nothing",
        reason: "one binary stands in for either version",
    },
    Row {
        difference: Difference::NotImplemented,
        what: "address types and options that nsplice leaves to socat (UDP, OPENSSL, PTY ...)",
        socat: "works",
        ours: "an error that says so, status 1, or the real socat that \
               `NSPLICE_SOCAT_FALLBACK` names",
        reason: "nsplice moves streams",
    },
    Row {
        difference: Difference::Insides,
        what: "messages about processes, system calls, their numbers and pointers",
        socat: "of each child and of each step",
        ours: "of connections and what became of them; pointers are `0x0`",
        reason: "there are no such children and no such calls",
    },
    Row {
        difference: Difference::Unchecked,
        what: "`-g` and an option that means nothing to its address",
        socat: "fails when it is to be applied",
        ours: "has no effect",
        reason: "that is what `-g` asks for",
    },
    Row {
        difference: Difference::Help,
        what: "`-h` and `-V`",
        socat: "all that socat knows",
        ours: "all that nsplice knows, and all that the real socat does that the rest is handed over \
               to; the second line of `-V` has socat's version",
        reason: "help should be true",
    },
];

/// The table as the README shows it.
fn rendered() -> String {
    let mut text =
        String::from("| what | socat 1.7.4.4 | nsplice | because |\n| --- | --- | --- | --- |\n");
    for row in TABLE {
        let cells = [row.what, row.socat, row.ours, row.reason];
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

#[test]
fn every_difference_has_one_row() {
    for (index, row) in TABLE.iter().enumerate() {
        assert!(TABLE[index + 1..].iter().all(|other| other.difference != row.difference));
        assert!(!row.reason.is_empty());
    }
}

#[test]
fn the_readme_shows_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../socat/README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let table = rendered();
    assert!(readme.contains(&table), "{path:?} lacks this table, or parts of it:\n{table}");
}
