//! STDIO, STDIN, STDOUT, STDERR and FD: descriptors that were there when the program was started.
//!
//! They are not ours alone. O_NONBLOCK belongs to the open file description (open(2)), so it is
//! never set on them; the relay asks poll(2) or uses MSG_DONTWAIT instead. Each link gets duplicates
//! of its own, so that its end closes nothing that the next link, or the process, still needs.
//!
//! What is an address here is kept from programs that are started, as socat does, unless `cloexec=0`;
//! the standard ones are theirs to have.
//!
//! A descriptor that is open for one direction only serves that one, and the link makes do with it.
//! A standard descriptor that was closed at start is /dev/null, which
//! Rust's runtime opens in its place: an end of file at once.

use std::io::{stderr, stdin, stdout, Stderr, Stdin, Stdout};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use nsplice_relay::{Attempt, OpenError, Opener, Upstream};
use nsplice_sys::{close_on_exec, duplicate};

use crate::endpoint::settings::apply_all;
use crate::endpoint::Context;
use crate::fault::Fault;
use crate::journal::{Journal, Level};
use crate::language::{Address, Keyword, Opt};

use super::adjustments::Adjustments;
use super::error::failed;
use super::side::{answered, check, held, pair, Way};
use super::terminal::Settings;
use super::waiting::Waiting;

/// The opener of inherited descriptors.
pub(super) fn opener(
    address: &Address,
    way: Way,
    context: &Context,
) -> Result<Box<dyn Opener>, Fault> {
    let (read, write, name) = match address.keyword {
        Keyword::Stdio => match way {
            Way::Both => (0, 1, None),
            Way::Read => (0, 0, Some("stdin".to_owned())),
            Way::Write => (1, 1, Some("stdout".to_owned())),
        },
        Keyword::Stdin => (0, 0, Some("stdin".to_owned())),
        Keyword::Stdout => (1, 1, Some("stdout".to_owned())),
        Keyword::Stderr => (2, 2, Some("stderr".to_owned())),
        _ => {
            let number = descriptor_number(address)?;
            (number, number, Some(format!("file descriptor {number}")))
        }
    };
    let notice = name.map_or_else(
        || "reading from and writing to stdio".to_owned(),
        |name| format!("using {name} for {}", way.purpose()),
    );
    let is_kept = address.setting(Opt::CloseOnExec).is_some() && !address.has(Opt::CloseOnExec);
    Ok(Box::new(Inherited(Arc::new(StdioSpec {
        source: inherited(read, is_kept)?,
        sink: inherited(write, is_kept)?,
        numbers: [read, write],
        address: address.clone(),
        adjustments: Adjustments::of(address)?,
        terminal: Settings::of(address),
        way,
        notice,
        journal: context.journal.clone(),
    }))))
}

fn descriptor_number(address: &Address) -> Result<RawFd, Fault> {
    let text = address.parameters.first().map(|text| text.to_string_lossy()).unwrap_or_default();
    let (digits, radix) = match text.as_ref() {
        hexadecimal if hexadecimal.starts_with("0x") => (&hexadecimal[2..], 16),
        octal if octal.len() > 1 && octal.starts_with('0') => (&octal[1..], 8),
        decimal => (decimal, 10),
    };
    RawFd::from_str_radix(digits, radix)
        .ok()
        .filter(|number| *number >= 0)
        .ok_or_else(|| Fault::new(format_args!("error in FD number \"{text}\"")))
}

/// A descriptor that was there at start.
#[derive(Debug)]
enum Given {
    Stdin(Stdin),
    /// Not a duplicate: when a link has had its end, nothing of ours may keep it from its reader.
    Stdout(Stdout),
    Stderr(Stderr),
    /// A duplicate.
    Other(OwnedFd),
}

impl AsFd for Given {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stdin(stream) => stream.as_fd(),
            Self::Stdout(stream) => stream.as_fd(),
            Self::Stderr(stream) => stream.as_fd(),
            Self::Other(own) => own.as_fd(),
        }
    }
}

/// What is there as `number`. Of what is no standard stream it is our own duplicate, taken before
/// anything else is opened: nothing of ours can have that number. The original is kept for programs, or
/// kept from them.
fn inherited(number: RawFd, is_kept: bool) -> Result<Given, Fault> {
    match number {
        libc::STDIN_FILENO => return Ok(Given::Stdin(stdin())),
        libc::STDOUT_FILENO => return Ok(Given::Stdout(stdout())),
        libc::STDERR_FILENO => return Ok(Given::Stderr(stderr())),
        _ => {}
    }
    let own = duplicate(number, 0).and_then(|own| {
        close_on_exec(number, !is_kept)?;
        Ok(Given::Other(own))
    });
    own.map_err(|error| {
        Fault::new(failed(format_args!("fcntl({number}, F_SETFD, FD_CLOEXEC)"), &error))
    })
}

#[derive(Debug)]
struct Inherited(Arc<StdioSpec>);

impl Opener for Inherited {
    fn backend(&self) -> &'static str {
        "stdio"
    }

    fn open(&mut self, _downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        if self.0.adjustments.waits() {
            let spec = Arc::clone(&self.0);
            return Waiting::start(None, move || spec.open());
        }
        answered(self.0.open())
    }
}

#[derive(Debug)]
struct StdioSpec {
    source: Given,
    sink: Given,
    /// Their numbers, for messages.
    numbers: [RawFd; 2],
    /// Its options may be those of sockets.
    address: Address,
    adjustments: Adjustments,
    terminal: Settings,
    way: Way,
    notice: String,
    journal: Journal,
}

impl StdioSpec {
    fn open(&self) -> Result<Upstream, OpenError> {
        self.journal.tell(Level::Notice, &self.notice);
        let (source, sink) = (self.source.as_fd(), self.sink.as_fd());
        let [read, write] = self.numbers;
        let ends = [(source, read), (sink, write)];
        let ends = if read == write { &ends[..1] } else { &ends[..] };
        for (descriptor, number) in ends {
            check(*descriptor, *number, self.way)?;
            apply_all(*descriptor, *number, &self.address)?;
            self.adjustments.make(*descriptor, *number)?;
        }
        let modes = self.terminal.apply(ends)?;
        Ok(held(pair(source, sink, self.way)?, modes))
    }
}
