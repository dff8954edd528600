//! Messages in socat's format: where they go, and which are important enough.
//!
//! One line per write(2), `YYYY/MM/DD hh:mm:ss PROG[PID] L text`, to standard error or to a file that
//! is appended to; or one datagram to the system's log, which puts its own time and name in front of
//! `L text`. With `-lm` the line goes to standard error until the transfer begins, then to the
//! system's log.
//!
//! A message that cannot be written is lost, and nothing else happens: whoever closed standard error
//! did not want to read it. One that nobody reads in time never holds up the loop: see `sink.rs`. The
//! process id is asked for anew each time, because a process may have been forked since.

mod level;
mod sink;
mod stamp;
mod syslog;
mod target;

use std::ffi::OsString;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use nix::unistd::{gethostname, getpid};

use crate::fault::Fault;
use crate::language::Flags;

pub(crate) use level::Level;
pub(crate) use stamp::Stamp;
pub(crate) use syslog::Facility;

use sink::Sink;
use target::{Target, Way};

/// Takes messages. Clones write to the same place.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: Target,
    /// Where lines go without a target of their own, and dumps always.
    stderr: Sink,
    level: Level,
    stamp: Stamp,
    /// In front of the program's name, if that is wanted.
    host: Option<String>,
    program: String,
    failed: AtomicBool,
}

impl Journal {
    /// The journal that `flags` ask for. `program` is the word by which this program was called.
    pub(crate) fn new(flags: &Flags, program: &str) -> Result<Self, Fault> {
        let target = Target::new(&flags.log_target)?;
        Ok(Self::with(Shared::new(target, flags, program)))
    }

    /// A journal on standard error for what goes wrong before there can be the one that is asked for.
    pub(crate) fn early(flags: &Flags, program: &str) -> Self {
        Self::with(Shared::new(Target::Stderr, flags, program))
    }

    fn with(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// Tells `message` if `level` is important enough.
    pub(crate) fn tell(&self, level: Level, message: impl fmt::Display) {
        if level >= Level::Error {
            self.shared.failed.store(true, Ordering::Relaxed);
        }
        if self.wants(level) {
            self.write(level, &message);
        }
    }

    fn write(&self, level: Level, message: &dyn fmt::Display) {
        let shared = &self.shared;
        match shared.target.of(&shared.stderr) {
            Way::Text(sink) => shared.put(sink, shared.line(level, message).as_bytes()),
            Way::Syslog(syslog) => syslog.tell(level, &shared.program, message),
        }
    }

    /// Tells `message`, which was asked for by name, whatever else is told.
    pub(crate) fn answer(&self, message: impl fmt::Display) {
        self.write(Level::Warning, &message);
    }

    /// Shows `dump`, some lines about bytes that pass, on standard error, in order with what is told
    /// there.
    pub(crate) fn show(&self, dump: &[u8]) {
        self.shared.put(&self.shared.stderr, dump);
    }

    /// Waits until all that was told is written, but not for ever: before the process ends or becomes
    /// another program.
    pub(crate) fn finish(&self) {
        self.shared.sinks().for_each(|sink| sink.finish(|lost| self.shared.loss(lost)));
    }

    /// Does `work`, which splits the process, while nothing in the journal moves.
    pub(crate) fn held<T>(&self, work: impl FnOnce() -> T) -> T {
        let held: Vec<_> = self.shared.sinks().map(Sink::hold).collect();
        let done = work();
        drop(held);
        done
    }

    /// Returns whether a message of this level would be told: for those that are costly to make.
    pub(crate) fn wants(&self, level: Level) -> bool {
        level >= self.shared.level
    }

    /// Returns whether an error has ever been told.
    pub(crate) fn failed(&self) -> bool {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// The transfer begins, or the first client has come: where `-lm` turns to the system's log.
    pub(crate) fn switch_to_syslog(&self) {
        self.shared.target.switch_to_syslog();
    }
}

impl Shared {
    fn new(target: Target, flags: &Flags, program: &str) -> Self {
        let name = flags.log_name.clone();
        Self {
            target,
            stderr: Sink::stderr(),
            level: flags.level,
            stamp: if flags.microseconds { Stamp::Microseconds } else { Stamp::Seconds },
            host: flags.log_host.then(host),
            program: name.unwrap_or_else(|| base_name(program).to_owned()),
            failed: AtomicBool::new(false),
        }
    }

    fn put(&self, sink: &Sink, text: &[u8]) {
        sink.put(text, |lost| self.loss(lost));
    }

    /// The line about those that were not written.
    fn loss(&self, lost: u64) -> String {
        let told = format_args!("{lost} messages are lost, because nobody read them in time");
        self.line(Level::Warning, &told)
    }

    fn sinks(&self) -> impl Iterator<Item = &Sink> {
        let file = match &self.target {
            Target::File(sink) => Some(sink),
            Target::Stderr | Target::Syslog(_) | Target::Mixed { .. } => None,
        };
        [&self.stderr].into_iter().chain(file)
    }

    fn line(&self, level: Level, message: &dyn fmt::Display) -> String {
        let Self { stamp, program, .. } = self;
        let now = stamp.now();
        let pid = getpid();
        let host = self.host.as_ref().map(|host| format!("{host} ")).unwrap_or_default();
        format!("{now} {host}{program}[{pid}] {level} {message}\n")
    }
}

/// The host's name as socat finds it: the shell's, if it is exported, else the system's.
fn host() -> String {
    let host = std::env::var_os("HOSTNAME").or_else(|| gethostname().ok());
    host.map(OsString::into_string).and_then(Result::ok).unwrap_or_default()
}

/// What comes after the last slash, be it nothing.
fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
impl Journal {
    /// A journal of all levels in the file `path`, for tests.
    pub(crate) fn at(path: &std::path::Path) -> Self {
        let flags = Flags { level: Level::Debug, ..Flags::default() };
        Self::with(Shared::new(Target::file(path).unwrap(), &flags, "socat"))
    }
}

#[cfg(test)]
mod tests;
