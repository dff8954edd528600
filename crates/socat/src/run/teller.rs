//! The relay's events, told in socat's messages.

use std::fs::File;
use std::io;
use std::os::fd::RawFd;

use nix::unistd::dup2_stdout;
use nsplice_relay::{
    Finish, Limit, LinkRef, Observer, OpenClass, Outcome, Record, Side, Traffic, Work,
};
use nsplice_sys::describe;

use crate::journal::{Journal, Level};
use crate::language::Opt;

use super::job::{Job, LastStatus};
use super::manners::{self, Numbers};

/// Tells of links.
#[derive(Debug)]
pub(super) struct Teller {
    journal: Journal,
    /// Whether each link is what socat has a process for, whose end is told as well.
    many: bool,
    /// Whether the bytes are told at the end (`--statistics`).
    statistics: bool,
    /// The status of a link whose second address could not be opened.
    unopened: u8,
    /// The descriptors that each side is read from and written to, where socat's numbers are not
    /// those of the relay's duplicates.
    numbers: [Numbers; 2],
    /// Whether a reader that has gone is no failure, for each side: `cool-write`.
    cool: [bool; 2],
    /// Whether each side is told its end by closing standard output, which is the only link's.
    closes_output: [bool; 2],
    /// The side that the command line's first address is.
    first_side: Side,
    status: LastStatus,
    /// Bytes of the links that have ended, by the side that they came from.
    ended: [u64; 2],
    /// Those of the links that are being reported.
    alive: [u64; 2],
}

impl Teller {
    /// Tells of the links of `job`; `many` if each is what socat has a process for.
    pub(super) fn new(job: &Job, many: bool) -> Self {
        let line = &job.line;
        let numbers = [manners::numbers(&line.first), manners::numbers(&line.second)];
        let closes = |side: Side| {
            let is_output = numbers[side as usize][1] == Some(libc::STDOUT_FILENO);
            !many && is_output && job.policy.finishes[side as usize] == Finish::Close
        };
        Self {
            journal: job.context.journal.clone(),
            many,
            statistics: line.flags.statistics,
            unopened: job.unopened_status(&line.second),
            numbers,
            cool: [&line.first, &line.second].map(|it| manners::written(it).has(Opt::CoolWrite)),
            closes_output: [Side::Downstream, Side::Upstream].map(closes),
            first_side: job.first_side,
            status: job.status.clone(),
            ended: [0; 2],
            alive: [0; 2],
        }
    }

    /// The number of the descriptor that `side` is read from.
    fn source(&self, link: LinkRef<'_>, side: Side) -> RawFd {
        number(self.numbers[side as usize][0].or(link.descriptors.sources[side as usize]))
    }

    /// The number of the descriptor that `side` is written to.
    fn sink(&self, link: LinkRef<'_>, side: Side) -> RawFd {
        number(self.numbers[side as usize][1].or(link.descriptors.sinks[side as usize]))
    }
}

/// A number to be printed; -1, as system calls have it, where there is none.
fn number(number: Option<RawFd>) -> RawFd {
    number.unwrap_or(-1)
}

impl Drop for Teller {
    fn drop(&mut self) {
        if self.statistics {
            self.reported();
        }
    }
}

impl Observer for Teller {
    fn relaying(&mut self, link: LinkRef<'_>) {
        let sides = [self.first_side, self.first_side.other()];
        let [a, b] = sides.map(|side| self.source(link, side));
        let [c, d] = sides.map(|side| self.sink(link, side));
        self.journal.switch_to_syslog();
        self.journal.tell(
            Level::Notice,
            format_args!("starting data transfer loop with FDs [{a},{c}] and [{b},{d}]"),
        );
    }

    fn side_reset(&mut self, link: LinkRef<'_>, side: Side, error: &io::Error) {
        let fd = self.source(link, side);
        let told = format_args!("read({fd}, 0x0, {BLOCK}): {}", describe(error));
        self.journal.tell(Level::Warning, told);
    }

    fn side_ended(&mut self, link: LinkRef<'_>, side: Side) {
        let number = if side == self.first_side { 1 } else { 2 };
        let fd = self.source(link, side);
        self.journal.tell(Level::Notice, format_args!("socket {number} (fd {fd}) is at EOF"));
        if self.closes_output[side.other() as usize] {
            close_standard_output();
        }
    }

    fn ended(&mut self, record: &Record<'_>) {
        self.ended[0] += record.up.written;
        self.ended[1] += record.down.written;
        let detail = record.detail.unwrap_or_default();
        let status = match record.outcome {
            // That has been told where it happened.
            Outcome::OpenFailed(OpenClass::NoClient) => 0,
            Outcome::OpenFailed(_) => {
                self.journal.tell(Level::Error, detail);
                self.unopened
            }
            Outcome::Expired(Limit::Idle) => {
                self.journal.tell(Level::Notice, "inactivity timeout triggered");
                0
            }
            Outcome::Reset(side) | Outcome::Failed(side) => {
                let level = self.level(record, side);
                self.failed(record, side, detail, level);
                u8::from(level == Level::Error)
            }
            _ => 0,
        };
        self.status.set(status);
        if self.many {
            self.journal.tell(Level::Notice, format_args!("exiting with status {status}"));
        }
    }

    fn carrying(&mut self, _: LinkRef<'_>, up: Traffic, down: Traffic) {
        self.alive[0] += up.written;
        self.alive[1] += down.written;
    }

    fn reported(&mut self) {
        // Bytes go up from the first address, unless that is the upstream.
        let sides = [self.first_side, self.first_side.other()];
        for (way, from) in ["left to right", "right to left"].into_iter().zip(sides) {
            let bytes = self.ended[from as usize] + self.alive[from as usize];
            self.journal.answer(format_args!("STATISTICS: {way}: {bytes} byte(s)"));
        }
        self.alive = [0; 2];
    }
}

impl Teller {
    /// How important it is that work with `side` has failed.
    fn level(&self, record: &Record<'_>, side: Side) -> Level {
        let is_read = record.work == Some(Work::Read);
        match record.outcome {
            // EPIPE and ECONNRESET are resets.
            Outcome::Reset(_) if self.cool[side as usize] && !is_read => Level::Notice,
            _ => Level::Error,
        }
    }

    /// A read(2) or write(2) failed, which is told at `level`.
    fn failed(&self, record: &Record<'_>, side: Side, detail: &str, level: Level) {
        if record.open_time.is_none() {
            return;
        }
        // Without an error the reader is known to have gone before anything was written to it.
        let (work, detail) = match detail {
            "" => (Some(Work::Write), "Broken pipe"),
            detail => (record.work, detail),
        };
        let (name, fd) = match work {
            Some(Work::Write) => ("write", self.sink(record.link, side)),
            _ => ("read", self.source(record.link, side)),
        };
        let lane = if side == Side::Upstream { record.up } else { record.down };
        let left = match work {
            Some(Work::Write) => lane.read - lane.written,
            _ => BLOCK,
        };
        self.journal.tell(level, format_args!("{name}({fd}, 0x0, {left}): {detail}"));
        if level == Level::Notice {
            let [from, to] = if side == self.first_side { [2, 1] } else { [1, 2] };
            self.journal.tell(level, format_args!("socket {from} to socket {to} is in error"));
        }
    }
}

/// Lets go of standard output, so that who reads it gets its end if nobody else has it: the link's own
/// descriptor, a duplicate, is closed by the relay. The number stays in use.
fn close_standard_output() {
    // Where there is no descriptor to be had the reader is told when the process ends.
    if let Ok(null) = File::options().write(true).open("/dev/null") {
        let _ = dup2_stdout(null);
    }
}

/// What socat reads at once.
const BLOCK: u64 = 8192;
