//! The programs of EXEC and SYSTEM, and how they are run: made once from the address, prepared anew
//! for each child.
//!
//! EXEC cuts its parameter into words and runs the first, found by PATH (that of the child, so that
//! `path` counts); SYSTEM gives it to a shell. The child stays in our process group and outlives us.
//! It gets no signal blocked or ignored. Of descriptors it has its standard ones, those of `fdin` and
//! `fdout`, and those that we were started with, unless they are an address. What it does between fork
//! and exec is in [`prepare`].

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use nix::unistd::pipe2;
use nsplice_relay::{OpenClass, OpenError};
use nsplice_sys::{duplicate, prepare, LastStep, LastSteps};

use crate::endpoint::Context;
use crate::fault::Fault;
use crate::journal::{Journal, Level};
use crate::language::{Address, Keyword, Opt};

use super::error::{failed, refused, strerror};
use super::exported::variables;
use super::identity::Identity;
use super::side::copy;
use super::words::split;

/// The shell of SYSTEM, that of system(3).
const SHELL: &str = "/bin/sh";

/// What to run.
#[derive(Debug)]
enum What {
    /// A program and its arguments, of which the first is the program's name.
    Words { program: OsString, arguments: Vec<OsString> },
    /// A command for the shell.
    Shell(OsString),
}

/// A program to run, and how.
#[derive(Debug)]
pub(super) struct Recipe {
    what: What,
    path: Option<OsString>,
    /// The numbers under which the child has its input and output.
    numbers: [RawFd; 2],
    /// Whether its standard error goes where its output goes.
    is_stderr_sent: bool,
    is_session: bool,
    has_terminal: bool,
    identity: Identity,
    passed_on: Vec<Signal>,
    prefix: String,
    journal: Journal,
}

/// A command that only needs to be started.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) command: Command,
    /// Where a child that fails before it has become the program says how far it came.
    report: File,
    /// These keep the numbers of `fdin` and `fdout` from being used for anything else meanwhile.
    _placeholders: Vec<OwnedFd>,
}

impl Recipe {
    /// The recipe of `address`.
    pub(super) fn of(address: &Address, context: &Context) -> Result<Self, Fault> {
        let line = address.parameters.first().cloned().unwrap_or_default();
        let what = if address.keyword == Keyword::System {
            What::Shell(line)
        } else {
            let mut arguments = split(&line);
            let program = arguments.first().cloned().unwrap_or_default();
            if let Some(name) = arguments.first_mut().filter(|_| address.has(Opt::Login)) {
                let mut login = OsString::from("-");
                login.push(&name);
                *name = login;
            }
            What::Words { program, arguments }
        };
        let number = |option, default| -> Result<RawFd, Fault> {
            let Some(number) = address.number(option) else { return Ok(default) };
            RawFd::try_from(number)
                .ok()
                .filter(|number| *number >= 0)
                .ok_or_else(|| Fault::new(format_args!("dup2({number}): Bad file descriptor")))
        };
        let passed_on = [
            (Opt::SigHup, Signal::SIGHUP),
            (Opt::SigInt, Signal::SIGINT),
            (Opt::SigQuit, Signal::SIGQUIT),
        ];
        Ok(Self {
            what,
            path: address.text(Opt::Path).map(OsString::from),
            numbers: [number(Opt::FdIn, 0)?, number(Opt::FdOut, 1)?],
            is_stderr_sent: address.has(Opt::StderrToo),
            is_session: address.has(Opt::SetSid),
            has_terminal: address.has(Opt::ControllingTty),
            identity: Identity::of(address)?,
            passed_on: passed_on
                .into_iter()
                .filter(|(option, _)| address.has(*option))
                .map(|(_, signal)| signal)
                .collect(),
            prefix: context.prefix.clone(),
            journal: context.journal.clone(),
        })
    }

    /// The command of a shell, for messages.
    pub(super) fn shell(&self) -> Option<String> {
        match &self.what {
            What::Shell(command) => Some(command.to_string_lossy().into_owned()),
            What::Words { .. } => None,
        }
    }

    /// Signals that the child is to get when we do.
    pub(super) fn passed_on(&self) -> &[Signal] {
        &self.passed_on
    }

    /// Tells what is about to be run.
    pub(super) fn announce(&self) {
        if let What::Words { program, .. } = &self.what {
            let program = program.display();
            self.journal.tell(Level::Notice, format_args!("execvp'ing \"{program}\""));
        }
    }

    /// A command that reads from `input` and writes to `output`, or from and to what is ours; `server`
    /// is the process that it takes for its socat.
    pub(super) fn prepare(
        &self,
        input: Option<OwnedFd>,
        output: Option<OwnedFd>,
        downstream: Option<BorrowedFd<'_>>,
        server: u32,
    ) -> Result<Ready, OpenError> {
        let mut command = match &self.what {
            What::Shell(line) => {
                let mut command = Command::new(SHELL);
                command.arg0("sh").arg("-c").arg(line);
                command
            }
            What::Words { program, arguments } => {
                let mut command = Command::new(program);
                command.args(arguments.iter().skip(1));
                if let Some(name) = arguments.first() {
                    command.arg0(name);
                }
                command
            }
        };
        command.envs(variables(&self.prefix, downstream, server));
        command.envs(self.identity.environment().iter().map(|(name, value)| (*name, value)));
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        if self.is_stderr_sent {
            let sent = match &output {
                Some(output) => copy(output.as_fd())?,
                None => copy(io::stdout().as_fd())?,
            };
            command.stderr(sent);
        }
        let mut places = Vec::new();
        for (end, number) in [input, output].into_iter().zip(self.numbers) {
            match (end, number) {
                (None, _) => {}
                (Some(end), 0) => drop(command.stdin(end)),
                (Some(end), 1) => drop(command.stdout(end)),
                (Some(end), 2) => drop(command.stderr(end)),
                (Some(end), number) => places.push((self.out_of_the_way(&end)?, number)),
            }
        }
        let (report, made) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .map_err(|errno| refused("pipe()", errno))?;
        let reporter = self.out_of_the_way(&made)?;
        drop(made);
        // With `nofork` it is this process that puts the ends in their places, and without a reader a
        // report would be its death (SIGPIPE).
        let report = if places.is_empty() { report } else { self.out_of_the_way(&report)? };
        // Last: a number that is in use here is still in use when the child is started, unless a thread
        // that looks up a name closes it in between.
        let placeholders = places
            .iter()
            .map(|(_, number)| at_least(&reporter, *number))
            .collect::<Result<_, _>>()?;
        let steps = LastSteps {
            new_session: self.is_session,
            controlling_terminal: self.has_terminal,
            places,
            report: Some(reporter),
            ..self.identity.steps()
        };
        prepare(&mut command, steps);
        Ok(Ready { command, report: report.into(), _placeholders: placeholders })
    }

    /// A duplicate whose number is neither of those that the child is to get.
    fn out_of_the_way(&self, descriptor: &OwnedFd) -> Result<OwnedFd, OpenError> {
        at_least(descriptor, self.numbers[0].max(self.numbers[1]).saturating_add(1))
    }

    /// Tells in socat's words why `ready` could not be started.
    pub(super) fn failure(&self, ready: &mut Ready, error: &io::Error) -> OpenError {
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or_default());
        let mut byte = [0];
        let count = ready.report.read(&mut byte).unwrap_or_default();
        let class = OpenClass::of_errno(errno);
        match byte.first().filter(|_| count > 0).and_then(|byte| LastStep::reported(*byte)) {
            None if error.kind() == io::ErrorKind::InvalidInput => {
                OpenError::new(OpenClass::Other, format!("{}: {error}", self.call()))
            }
            None => OpenError::new(class, format!("fork(): {}", strerror(errno))),
            Some(LastStep::Exec) if errno == Errno::ENOENT => {
                let detail = format!("{}: {}", self.call(), strerror(errno));
                OpenError::new(OpenClass::ToolMissing, detail)
            }
            Some(LastStep::Exec) => {
                OpenError::new(class, format!("{}: {}", self.call(), strerror(errno)))
            }
            Some(step) => OpenError::new(class, self.identity.told(step, errno)),
        }
    }

    /// The call that runs the program as socat tells it: with at most three arguments.
    fn call(&self) -> String {
        let (program, arguments) = match &self.what {
            What::Shell(_) => return format!("execl(\"{SHELL}\", \"sh\", \"-c\", ...)"),
            What::Words { program, arguments } => (program, arguments),
        };
        let told: Vec<_> = std::iter::once(program)
            .chain(arguments.iter().take(MOST_ARGUMENTS_TOLD))
            .map(|word| format!("\"{}\"", word.display()))
            .collect();
        let more = if arguments.len() < MOST_ARGUMENTS_TOLD { "" } else { ", ..." };
        format!("execvp({}{more})", told.join(", "))
    }
}

/// As many arguments as socat tells of.
const MOST_ARGUMENTS_TOLD: usize = 3;

/// A duplicate whose number is `number` or more.
fn at_least(descriptor: &OwnedFd, number: RawFd) -> Result<OwnedFd, OpenError> {
    let own = descriptor.as_raw_fd();
    duplicate(own, number)
        .map_err(|error| failed(format_args!("fcntl({own}, F_DUPFD_CLOEXEC, {number})"), &error))
}
