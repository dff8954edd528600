//! `nsplice targets --watch`: changes, told as they are seen, until a signal or until nobody reads.
//!
//! There is no event that all runtimes have, and none for a port that is opened, so the node is looked at
//! again and again: [`PAUSE`] after the last time, or [`SHARE`] times as long as that took, so that a
//! large node does not pay for being watched. A thread of its own looks; the main thread waits for it, for
//! signals and for the end of whoever reads, so that a runtime that is stuck holds up no Ctrl-C.
//!
//! A terminal is painted anew with the whole table; whatever else reads gets a line for each change, and at
//! the beginning one for each target.

use std::fmt::Write;
use std::io::{self, pipe, PipeWriter, Read};
use std::os::fd::AsFd;
use std::sync::mpsc::{sync_channel, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::signal::Signal;
use nsplice_backend::{Detail, Entry, Node, Roster};

use super::change::changes;
use super::outlet::{Outlet, Reader};
use super::page;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::filter::Filter;
use crate::output::Stdout;
use crate::request::OutputFormat;
use crate::signals::Signals;
use crate::terminal;

/// The time between two looks, at least.
const PAUSE: Duration = Duration::from_secs(1);

/// How many times longer than a look the time until the next is: a fifth of a CPU is the most.
const SHARE: u32 = 4;

/// What is told, and to whom.
#[derive(Debug)]
struct Teller {
    format: OutputFormat,
    /// What was told last.
    last: Option<Roster>,
    stdout: Outlet<Stdout>,
    stderr: Outlet<io::Stderr>,
}

/// Watches until it is told to stop.
pub(super) fn run(node: Node, filter: Filter, format: OutputFormat) -> Result<Exit, Failure> {
    let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGWINCH];
    let signals = Signals::block(&signals).map_err(Failure::system("wait for signals"))?;
    let (mut seen, looks) = pipe().map_err(Failure::system("make a pipe"))?;
    // Whoever looks waits until what was seen is told.
    let (sender, rosters) = sync_channel(0);
    let look = move || look_again_and_again(&node, &filter, &sender, looks);
    thread::Builder::new()
        .name("watch".to_owned())
        .spawn(look)
        .map_err(Failure::system("start a thread"))?;
    let (stdout, stderr) = (Outlet::new(Stdout), Outlet::new(io::stderr()));
    let mut teller = Teller { format, last: None, stdout, stderr };
    loop {
        let news = if teller.is_done() { PollFlags::POLLIN } else { PollFlags::empty() };
        let mut watched = vec![
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(seen.as_fd(), news),
            PollFd::new(teller.stdout.as_fd(), teller.stdout.interest()),
        ];
        // That nobody reads it is nothing to be woken up for.
        if !teller.stderr.is_empty() {
            watched.push(PollFd::new(teller.stderr.as_fd(), teller.stderr.interest()));
        }
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Failure::system("wait")(errno.into())),
        }
        let events =
            |at: usize| watched.get(at).and_then(PollFd::revents).unwrap_or(PollFlags::empty());
        let (news, stdout, stderr) = (events(1), events(2), events(3));
        while let Some(signal) = signals.next().map_err(Failure::system("read a signal"))? {
            match signal {
                Signal::SIGWINCH => teller.paint_again(),
                _ => return Ok(Exit::Done),
            }
        }
        let written = teller.stdout.go_on(stdout);
        match written.map_err(Failure::system("write to standard output"))? {
            Reader::There => {}
            Reader::Gone => return Ok(Exit::Done),
        }
        // Nobody has to read what could not be seen.
        if !matches!(teller.stderr.go_on(stderr), Ok(Reader::There)) {
            teller.stderr.forget();
        }
        if news.intersects(PollFlags::POLLIN | PollFlags::POLLHUP) {
            let count = seen.read(&mut [0]).map_err(Failure::system("read from a pipe"))?;
            match rosters.recv() {
                Ok(roster) if count > 0 => teller.tell(roster)?,
                _ => return Err(Failure::Defect),
            }
        }
    }
}

/// Looks, and writes a byte into `looks` before each roster, until nobody wants to know.
fn look_again_and_again(
    node: &Node,
    filter: &Filter,
    sender: &SyncSender<Roster>,
    mut looks: PipeWriter,
) {
    loop {
        let began = Instant::now();
        let roster = node.roster(Detail::Inside, |entry| filter.passes(entry));
        let taken = began.elapsed();
        if io::Write::write_all(&mut looks, b"!").is_err() || sender.send(roster).is_err() {
            return;
        }
        thread::sleep(PAUSE.max(taken * SHARE));
    }
}

impl Teller {
    /// Whether all has been written that was to be told.
    fn is_done(&self) -> bool {
        self.stdout.is_empty() && self.stderr.is_empty()
    }

    fn tell(&mut self, roster: Roster) -> Result<(), Failure> {
        let last = self.last.replace(roster);
        let Some(roster) = self.last.as_ref().filter(|roster| last.as_ref() != Some(*roster))
        else {
            return Ok(());
        };
        if self.is_painted() {
            self.paint_again();
            return Ok(());
        }
        let known = last.as_ref().map_or(&[][..], |last| &last.problems);
        for problem in roster.problems.iter().filter(|problem| !known.contains(problem)) {
            self.stderr.push(&(page::warning(problem) + "\n"));
        }
        let before: &[Entry] = last.as_ref().map_or(&[], |last| &last.targets);
        for change in changes(before, &roster.targets) {
            match self.format {
                OutputFormat::Json => self.stdout.push(&page::json_line(&change)?),
                OutputFormat::Table => {
                    let (turn, line) = (change.change.as_str(), page::line(change.target));
                    self.stdout.push(&format!("{turn:<7}   {line}\n"));
                }
            }
        }
        Ok(())
    }

    /// Whether the whole table is painted, for somebody who looks at it.
    fn is_painted(&self) -> bool {
        self.format == OutputFormat::Table && terminal::size().is_some()
    }

    /// Paints what was told last on a terminal.
    fn paint_again(&mut self) {
        let (true, Some(roster), Some(size)) = (self.is_painted(), &self.last, terminal::size())
        else {
            return;
        };
        let mut text = page::table(&roster.targets, Some(size.columns.into()));
        if roster.targets.is_empty() {
            text.push_str("nothing yet\n");
        }
        for problem in &roster.problems {
            let warning = page::warning(problem);
            text.push_str(&terminal::broken(&warning, 0, size.columns.into()).concat());
        }
        self.stdout.push(&painted(&text, size.rows.into()));
    }
}

/// What paints `text` on a terminal of so many rows (ECMA-48): from its corner on, each line to its end,
/// and nothing below.
fn painted(text: &str, rows: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    // The last row is the cursor's.
    let room = if rows == 0 { lines.len() } else { rows.saturating_sub(1) };
    let mut painting = "\u{1b}[H".to_owned();
    let left = match lines.len().checked_sub(room) {
        None | Some(0) => None,
        Some(left) => Some(left + 1),
    };
    let shown = lines.len() - left.unwrap_or(0).min(lines.len());
    for line in lines.iter().take(shown) {
        painting.push_str(line);
        painting.push_str("\u{1b}[K\n");
    }
    if let Some(left) = left.filter(|_| room > 0) {
        let _ = writeln!(painting, "... {left} more lines\u{1b}[K");
    }
    painting.push_str("\u{1b}[J");
    painting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_has_no_room_for_is_counted() {
        let text = "one\ntwo\nthree\nfour\n";
        assert_eq!(
            painted(text, 5),
            "\u{1b}[Hone\u{1b}[K\ntwo\u{1b}[K\nthree\u{1b}[K\nfour\u{1b}[K\n\u{1b}[J"
        );
        assert_eq!(painted(text, 0), painted(text, 5), "it does not say");
        assert_eq!(
            painted(text, 4),
            "\u{1b}[Hone\u{1b}[K\ntwo\u{1b}[K\n... 2 more lines\u{1b}[K\n\u{1b}[J"
        );
        assert_eq!(painted(text, 2), "\u{1b}[H... 4 more lines\u{1b}[K\n\u{1b}[J");
        assert_eq!(painted(text, 1), "\u{1b}[H\u{1b}[J");
    }
}
