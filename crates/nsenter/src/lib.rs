//! nsenter's command line: enter namespaces of a process or of files, then become the command.
//!
//! [`nsenter`] takes the words of a command line and does what they say. The persona is nsenter of util-linux 2.38.1 in words, order and exit statuses. Each
//! step has a file of its own:
//!
//! - `getopt.rs` takes words apart as GNU getopt_long(3) does, with a `+` in front;
//! - `line.rs` makes an `Order` of the options. Files are opened right where they are named, so
//!   that of several mistakes the leftmost is told;
//! - `journey.rs` goes there: namespaces, root, working directory;
//! - `credentials.rs` takes another user and group;
//! - `command.rs` becomes the command or, in another PID namespace, its parent.
//!
//! Nothing is started but the command: no thread, for a user namespace is entered by processes of
//! a single thread only, and no fork but the one that a PID namespace asks for.

#![forbid(unsafe_code)]

mod command;
mod complaint;
mod credentials;
mod getopt;
mod journey;
mod kind;
mod line;
mod text;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;

use crate::complaint::Complaint;
use crate::line::{Line, Order};

/// Runs the nsenter command line `words` (the first is the program's name). Returns only when the
/// command could not be run, with the exit status of that failure, or when it was a child (another
/// PID namespace), with the status of that.
pub fn nsenter(words: &[OsString]) -> u8 {
    let called = words.first().map_or_else(|| OsStr::new("nsenter"), OsString::as_os_str);
    let rest = words.get(1..).unwrap_or_default();
    let short = short_name(called);
    let done = Line::read(rest).and_then(|line| match line {
        Line::Help => print(&text::help(short)),
        Line::Version => print(&text::version(short)),
        Line::Order(order) => carry_out(order),
    });
    done.unwrap_or_else(|complaint| {
        // Nobody is left to be told that this could not be told.
        let _ = io::stderr().write_all(&complaint.told(called.as_bytes(), short));
        complaint.status
    })
}

/// What the program is called without its directory; getopt's own messages have the whole.
fn short_name(called: &OsStr) -> &[u8] {
    called.as_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

fn carry_out(order: Order) -> Result<u8, Complaint> {
    let Order { journey, mut credentials, fork, command } = order;
    credentials.leave_groups();
    journey.go()?;
    command::run(&command, &credentials, fork)
}

fn print(text: &[u8]) -> Result<u8, Complaint> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text)
        .and_then(|()| stdout.flush())
        .map(|()| 0)
        .map_err(|error| Complaint::system(b"write error", &error))
}
