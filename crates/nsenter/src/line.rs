//! What a command line of nsenter orders.
//!
//! Files are opened as soon as they are named. What is to come from the target is only noted, for
//! the target may be named last; it is opened at the end, in the order of [`Kind::ALL`].

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::command::Fork;
use crate::complaint::Complaint;
use crate::credentials::Credentials;
use crate::getopt::{Argument, Grammar, Met, Name, Scan};
use crate::journey::{open, Journey, WorkingDirectory};
use crate::kind::Kind;

/// What is asked for.
#[derive(Debug)]
pub(crate) enum Line {
    /// The help.
    Help,
    /// The version.
    Version,
    /// To go somewhere and run something.
    Order(Order),
}

/// Where to go, as whom, and what to run there.
#[derive(Debug)]
pub(crate) struct Order {
    /// Where to go.
    pub(crate) journey: Journey,
    /// As whom.
    pub(crate) credentials: Credentials,
    /// Whether the command runs in a child.
    pub(crate) fork: Fork,
    /// What to run; a shell if it is empty.
    pub(crate) command: Vec<OsString>,
}

impl Line {
    /// Reads the words after the program's name.
    pub(crate) fn read(words: &[OsString]) -> Result<Self, Complaint> {
        let mut scan = Scan::new(&GRAMMAR, words);
        let mut draft = Draft::default();
        while let Some(met) = scan.next()? {
            match met.key {
                Key::Help => return Ok(Self::Help),
                Key::Version => return Ok(Self::Version),
                Key::Foreign(name) => return Err(not_supported(name)),
                _ => draft.take(met)?,
            }
        }
        draft.order(scan.rest()).map(Self::Order)
    }
}

/// What an option means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    All,
    Help,
    Version,
    Target,
    Namespace(Kind),
    Root,
    WorkingDirectory,
    LaterDirectory,
    Uid,
    Gid,
    NoFork,
    PreserveCredentials,
    /// Of util-linux only.
    Foreign(&'static str),
}

/// Where a thing to enter comes from.
#[derive(Debug, Default)]
enum Source {
    /// It stays as it is.
    #[default]
    None,
    /// From a file that was named.
    File(OwnedFd),
    /// From the target, even if a file was named as well.
    Target,
}

#[derive(Debug, Default)]
struct Draft {
    target: Option<u32>,
    all: bool,
    namespaces: [Source; Kind::ALL.len()],
    root: Source,
    directory: Source,
    later_directory: Option<OsString>,
    /// Which of the two options about the working directory came first.
    directory_key: Option<Key>,
    uid: Option<u32>,
    gid: Option<u32>,
    no_fork: bool,
    preserve_credentials: bool,
}

impl Draft {
    fn take(&mut self, Met { key, argument }: Met<'_, Key>) -> Result<(), Complaint> {
        let required = argument.unwrap_or_default();
        match key {
            Key::All => self.all = true,
            Key::Target => {
                let pid = number(required, "failed to parse pid")?;
                self.target = Some(pid).filter(|pid| *pid != 0);
            }
            Key::Namespace(kind) => take_source(self.namespace(kind), argument)?,
            Key::Root => take_source(&mut self.root, argument)?,
            Key::WorkingDirectory => {
                self.choose_directory(key)?;
                take_source(&mut self.directory, argument)?;
            }
            Key::LaterDirectory => {
                self.choose_directory(key)?;
                self.later_directory = argument.map(OsStr::to_owned);
            }
            Key::Uid => self.uid = Some(number(required, "failed to parse uid")?),
            Key::Gid => self.gid = Some(number(required, "failed to parse gid")?),
            Key::NoFork => self.no_fork = true,
            Key::PreserveCredentials => self.preserve_credentials = true,
            Key::Help | Key::Version | Key::Foreign(_) => {}
        }
        Ok(())
    }

    fn namespace(&mut self, kind: Kind) -> &mut Source {
        &mut self.namespaces[kind as usize]
    }

    fn choose_directory(&mut self, key: Key) -> Result<(), Complaint> {
        match self.directory_key.replace(key) {
            Some(other) if other != key => {
                Err(Complaint::new("mutually exclusive arguments: --wdns --wd"))
            }
            _ => Ok(()),
        }
    }

    fn order(mut self, command: &[OsString]) -> Result<Order, Complaint> {
        if self.all {
            self.add_all()?;
        }
        let target = self.target;
        let mut namespaces = Vec::new();
        for (kind, source) in Kind::ALL.into_iter().zip(self.namespaces) {
            if let Some(file) = settle(source, target, kind.path(), kind.path())? {
                namespaces.push((kind, file));
            }
        }
        let root = settle(self.root, target, "root", "root")?;
        let directory = match (settle(self.directory, target, "cwd", "cwd")?, self.later_directory)
        {
            (Some(directory), _) => WorkingDirectory::Open(directory),
            (None, Some(path)) => WorkingDirectory::Inside(path),
            (None, None) => WorkingDirectory::Same,
        };
        let enters = |wanted| namespaces.iter().any(|(kind, _)| *kind == wanted);
        let fork = if enters(Kind::Pid) && !self.no_fork { Fork::Once } else { Fork::Never };
        let anew = enters(Kind::User) && !self.preserve_credentials;
        let credentials = Credentials::new(anew, self.uid, self.gid);
        let journey = Journey { namespaces, root, directory };
        Ok(Order { journey, credentials, fork, command: command.to_vec() })
    }

    /// What `--all` adds: the kinds that this kernel has and no file was named for. The user
    /// namespace is entered only if it is another one, because one's own cannot be.
    fn add_all(&mut self) -> Result<(), Complaint> {
        let Some(target) = self.target else {
            return Err(Complaint::new("no target PID specified for --all"));
        };
        for kind in Kind::ALL {
            if matches!(self.namespace(kind), Source::File(_)) {
                continue;
            }
            let Ok(own) = fs::metadata(Path::new("/proc/self").join(kind.path())) else { continue };
            if kind == Kind::User {
                let path = format!("/proc/{target}/{}", kind.path());
                let its = fs::metadata(&path).map_err(|error| {
                    Complaint::system(format!("stat of {path} failed").as_bytes(), &error)
                })?;
                if (its.dev(), its.ino()) == (own.dev(), own.ino()) {
                    continue;
                }
            }
            *self.namespace(kind) = Source::Target;
        }
        Ok(())
    }
}

fn take_source(source: &mut Source, argument: Option<&OsStr>) -> Result<(), Complaint> {
    match argument {
        None => *source = Source::Target,
        Some(path) => {
            let file = open_named(path)?;
            if !matches!(source, Source::Target) {
                *source = Source::File(file);
            }
        }
    }
    Ok(())
}

/// What `source` comes to; `name` is what it is under `/proc/PID`, `told` what messages call it.
fn settle(
    source: Source,
    target: Option<u32>,
    name: &str,
    told: &str,
) -> Result<Option<OwnedFd>, Complaint> {
    match (source, target) {
        (Source::None, _) => Ok(None),
        (Source::File(file), _) => Ok(Some(file)),
        (Source::Target, Some(target)) => {
            open_named(format!("/proc/{target}/{name}").as_ref()).map(Some)
        }
        (Source::Target, None) => {
            let message = format!("neither filename nor target pid supplied for {told}");
            Err(Complaint::new(message))
        }
    }
}

fn open_named(path: &OsStr) -> Result<OwnedFd, Complaint> {
    open(path)
        .map_err(|error| Complaint::system(&[b"cannot open ", path.as_bytes()].concat(), &error))
}

/// A decimal number as strtoul(3) reads it: blanks before it, a sign, and what is too large for
/// the kernel's 32 bits is cut off.
fn number(word: &OsStr, failure: &str) -> Result<u32, Complaint> {
    let told = [failure.as_bytes(), b": '", word.as_bytes(), b"'"].concat();
    let bytes = word.as_bytes();
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = bytes.iter().position(|byte| !is_blank(byte)).unwrap_or(bytes.len());
    let (negative, digits) = match &bytes[start..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Complaint::new(told));
    }
    let value = digits.iter().try_fold(0_u64, |value, digit| {
        value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    });
    let Some(value) = value else {
        return Err(Complaint::system(&told, &io::Error::from_raw_os_error(libc::ERANGE)));
    };
    let value = if negative { value.wrapping_neg() } else { value };
    Ok(u32::try_from(value & u64::from(u32::MAX)).unwrap_or_default())
}

fn not_supported(name: &str) -> Complaint {
    Complaint::new(format!("option '{name}' is not supported by nsplice; use util-linux nsenter"))
}

const fn name<N>(name: N, argument: Argument, key: Key) -> Name<N, Key> {
    Name { name, argument, key }
}

/// The options of util-linux 2.38.1; those of later versions are known well enough to be refused.
static GRAMMAR: Grammar<Key> = Grammar {
    short: &[
        name(b'a', Argument::None, Key::All),
        name(b'h', Argument::None, Key::Help),
        name(b'V', Argument::None, Key::Version),
        name(b't', Argument::Required, Key::Target),
        name(b'm', Argument::Optional, Key::Namespace(Kind::Mount)),
        name(b'u', Argument::Optional, Key::Namespace(Kind::Uts)),
        name(b'i', Argument::Optional, Key::Namespace(Kind::Ipc)),
        name(b'n', Argument::Optional, Key::Namespace(Kind::Net)),
        name(b'p', Argument::Optional, Key::Namespace(Kind::Pid)),
        name(b'C', Argument::Optional, Key::Namespace(Kind::Cgroup)),
        name(b'U', Argument::Optional, Key::Namespace(Kind::User)),
        name(b'T', Argument::Optional, Key::Namespace(Kind::Time)),
        name(b'S', Argument::Required, Key::Uid),
        name(b'G', Argument::Required, Key::Gid),
        name(b'r', Argument::Optional, Key::Root),
        name(b'w', Argument::Optional, Key::WorkingDirectory),
        name(b'W', Argument::Required, Key::LaterDirectory),
        name(b'F', Argument::None, Key::NoFork),
        name(b'Z', Argument::None, Key::Foreign("-Z")),
        name(b'e', Argument::None, Key::Foreign("-e")),
        name(b'N', Argument::None, Key::Foreign("-N")),
        name(b'c', Argument::None, Key::Foreign("-c")),
    ],
    long: &[
        name("all", Argument::None, Key::All),
        name("help", Argument::None, Key::Help),
        name("version", Argument::None, Key::Version),
        name("target", Argument::Required, Key::Target),
        name("mount", Argument::Optional, Key::Namespace(Kind::Mount)),
        name("uts", Argument::Optional, Key::Namespace(Kind::Uts)),
        name("ipc", Argument::Optional, Key::Namespace(Kind::Ipc)),
        name("net", Argument::Optional, Key::Namespace(Kind::Net)),
        name("pid", Argument::Optional, Key::Namespace(Kind::Pid)),
        name("user", Argument::Optional, Key::Namespace(Kind::User)),
        name("cgroup", Argument::Optional, Key::Namespace(Kind::Cgroup)),
        name("time", Argument::Optional, Key::Namespace(Kind::Time)),
        name("setuid", Argument::Required, Key::Uid),
        name("setgid", Argument::Required, Key::Gid),
        name("root", Argument::Optional, Key::Root),
        name("wd", Argument::Optional, Key::WorkingDirectory),
        // Unlike -W, and against its manual: a directory in the next word becomes the command.
        name("wdns", Argument::Optional, Key::LaterDirectory),
        name("no-fork", Argument::None, Key::NoFork),
        name("preserve-credentials", Argument::None, Key::PreserveCredentials),
        name("follow-context", Argument::None, Key::Foreign("--follow-context")),
    ],
    unlisted: &[
        name("env", Argument::Optional, Key::Foreign("--env")),
        name("join-cgroup", Argument::Optional, Key::Foreign("--join-cgroup")),
        name("keep-caps", Argument::Optional, Key::Foreign("--keep-caps")),
        name("net-socket", Argument::Optional, Key::Foreign("--net-socket")),
        name("user-parent", Argument::Optional, Key::Foreign("--user-parent")),
    ],
};

#[cfg(test)]
mod tests;
