//! EXEC and SYSTEM: a program on the other side of a socket pair, or of two pipes.
//!
//! The child's end of the transport is its standard input and output, or has the numbers of `fdin`
//! and `fdout`; in a direction that is not used the child keeps our own. What to run and how is a
//! [`Recipe`]; once started the child is in the register (`children.rs`).
//!
//! With `nofork` there is no link at all: the process becomes the program, on the descriptors of the
//! first address in the directions that are used ([`replace`]). That is for whoever runs the command
//! line to do. An opener of such an address, which serves one link among many, starts a child.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Child;

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::sys::socket::{socketpair, AddressFamily, SockFlag, SockType};
use nix::unistd::pipe2;
use nsplice_relay::{Attempt, OpenError, Opener, Upstream};

use crate::endpoint::settings::{apply, Phase};
use crate::endpoint::{Context, Links};
use crate::fault::Fault;
use crate::journal::{Journal, Level};
use crate::language::{Address, Keyword, Opt};

use super::children::{adopt, dismiss, AtEnd, Newborn};
use super::error::refused;
use super::recipe::Recipe;
use super::side::{answered, copy, held, nothing, Way};
use super::stand_in::StandIn;
use super::terminal::Settings;

/// The opener of a program.
pub(super) fn opener(
    address: &Address,
    way: Way,
    context: &Context,
) -> Result<Box<dyn Opener>, Fault> {
    check_numbers(address, way)?;
    Ok(Box::new(Program {
        recipe: Recipe::of(address, context)?,
        transport: if address.has(Opt::Pipes) { Transport::Pipes } else { Transport::Socket },
        way,
        links: context.links,
        address: address.clone(),
        journal: context.journal.clone(),
    }))
}

/// Refuses a number for a direction that is not used.
fn check_numbers(address: &Address, way: Way) -> Result<(), Fault> {
    let (option, word, mode) = match way {
        Way::Both => return Ok(()),
        Way::Read => (Opt::FdIn, "fdin", "read-only"),
        Way::Write => (Opt::FdOut, "fdout", "write-only"),
    };
    match address.setting(option) {
        Some(_) => Err(Fault::new(format_args!(
            "_xioopen_foxec(): option {word} is useless in {mode} mode"
        ))),
        None => Ok(()),
    }
}

/// Returns whether the process is to become the program of `address`, which only the second may ask
/// for.
pub(crate) fn replaces(address: &Address) -> bool {
    matches!(address.keyword, Keyword::Exec | Keyword::System) && address.has(Opt::NoFork)
}

/// Becomes the program of `address`, which is used in the directions `way`: it reads from `source`
/// and writes to `sink`, the descriptors of the first address, and keeps our own input or output where
/// that direction is not used. Returns if that is impossible.
pub(crate) fn replace(
    address: &Address,
    way: Way,
    source: BorrowedFd<'_>,
    sink: BorrowedFd<'_>,
    context: &Context,
) -> Fault {
    // The relay's ends do not block, and a program expects its own to do.
    let handed = |end| block(end).and_then(|()| copy(end));
    let become_program = || -> Result<OpenError, Fault> {
        let recipe = Recipe::of(address, context)?;
        let input = (way != Way::Read).then(|| handed(source)).transpose().map_err(Fault::new)?;
        let output = (way != Way::Write).then(|| handed(sink)).transpose().map_err(Fault::new)?;
        let server = std::process::id();
        let mut ready = recipe.prepare(input, output, Some(source), server).map_err(Fault::new)?;
        recipe.announce();
        context.journal.finish();
        let error = ready.command.exec();
        Ok(recipe.failure(&mut ready, &error))
    };
    become_program().map_or_else(|fault| fault, Fault::new)
}

/// What carries the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    /// One socket pair.
    Socket,
    /// A pipe for each direction: `pipes`.
    Pipes,
}

#[derive(Debug)]
struct Program {
    recipe: Recipe,
    transport: Transport,
    way: Way,
    links: Links,
    address: Address,
    journal: Journal,
}

impl Opener for Program {
    fn backend(&self) -> &'static str {
        "program"
    }

    fn open(&mut self, downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        answered(self.start(downstream))
    }
}

impl Program {
    fn start(&self, downstream: Option<BorrowedFd<'_>>) -> Result<Upstream, OpenError> {
        let using = match self.transport {
            Transport::Socket => "socket",
            Transport::Pipes => "pipes",
        };
        let purpose = self.way.purpose();
        self.journal
            .tell(Level::Notice, format_args!("forking off child, using {using} for {purpose}"));
        let (upstream, input, output) = self.transport(self.way)?;
        let stand_in = match self.links {
            Links::One => None,
            Links::Many => Some(StandIn::start()?),
        };
        match self.launch(input, output, downstream, stand_in.as_ref()) {
            Ok(child) => self.enlist(child, upstream, stand_in),
            Err(error) => {
                stand_in.into_iter().for_each(dismiss);
                Err(error)
            }
        }
    }

    /// Starts the program, for a link that `stand_in` stands for.
    fn launch(
        &self,
        input: Option<OwnedFd>,
        output: Option<OwnedFd>,
        downstream: Option<BorrowedFd<'_>>,
        stand_in: Option<&StandIn>,
    ) -> Result<Child, OpenError> {
        let server = stand_in.map_or_else(std::process::id, StandIn::number);
        let mut ready = self.recipe.prepare(input, output, downstream, server)?;
        let started = ready.command.spawn();
        // The command holds the child's ends; while it does, nothing would ever end.
        started.map_err(|error| self.recipe.failure(&mut ready, &error))
    }

    /// Has the child looked after until the end of its link.
    fn enlist(
        &self,
        mut child: Child,
        upstream: Upstream,
        stand_in: Option<StandIn>,
    ) -> Result<Upstream, OpenError> {
        let pid = child.id();
        self.journal.tell(Level::Notice, format_args!("forked off child process {pid}"));
        self.recipe.announce();
        let newborn = Newborn {
            pid,
            shell: self.recipe.shell(),
            at_end: self.at_end(),
            passed_on: self.recipe.passed_on().to_vec(),
            journal: self.journal.clone(),
        };
        match adopt(newborn, stand_in) {
            Ok(hold) => Ok(held(upstream, Some(hold))),
            Err(error) => {
                // Not registered, it would not be reaped. Neither call fails for a child of ours.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    fn at_end(&self) -> AtEnd {
        match (self.way, self.recipe.shell()) {
            (Way::Write, _) => AtEnd::Await,
            (_, Some(_)) => AtEnd::Leave,
            (_, None) => AtEnd::Terminate,
        }
    }

    /// Options of terminals fail as they do on anything that is none.
    fn check_terminal(&self, end: BorrowedFd<'_>) -> Result<(), OpenError> {
        Settings::of(&self.address).apply(&[(end, end.as_raw_fd())]).map(drop)
    }

    /// Our end, and the child's input and output. Ours does not block; the child's does, as programs
    /// expect it: that is a property of an end, not of a pipe or a pair.
    fn transport(
        &self,
        way: Way,
    ) -> Result<(Upstream, Option<OwnedFd>, Option<OwnedFd>), OpenError> {
        let (is_written, is_read) = (way != Way::Read, way != Way::Write);
        match self.transport {
            Transport::Socket => {
                let flags = SockFlag::SOCK_CLOEXEC;
                let (ours, childs) = socketpair(AddressFamily::Unix, SockType::Stream, None, flags)
                    .map_err(|errno| refused("socketpair(1, 1, 0)", errno))?;
                unblock(&ours)?;
                for phase in [Phase::Made, Phase::BeforeBind, Phase::Connected] {
                    apply(&ours, &self.address, phase)?;
                }
                self.check_terminal(ours.as_fd())?;
                let input = is_written.then(|| copy(childs.as_fd())).transpose()?;
                Ok((Upstream::Stream(ours), input, is_read.then_some(childs)))
            }
            Transport::Pipes => {
                let pipe = || pipe2(OFlag::O_CLOEXEC).map_err(|errno| refused("pipe()", errno));
                let (mut input, mut sink) = (None, None);
                let (mut source, mut output) = (None, None);
                if is_written {
                    let (reader, writer) = pipe()?;
                    unblock(&writer)?;
                    self.check_terminal(writer.as_fd())?;
                    (input, sink) = (Some(reader), Some(writer));
                }
                if is_read {
                    let (reader, writer) = pipe()?;
                    unblock(&reader)?;
                    self.check_terminal(reader.as_fd())?;
                    (source, output) = (Some(reader), Some(writer));
                }
                let end = |end: Option<OwnedFd>| end.map_or_else(nothing, Ok);
                let upstream = Upstream::Pair { source: end(source)?, sink: end(sink)? };
                Ok((upstream, input, output))
            }
        }
    }
}

/// Sets O_NONBLOCK.
fn unblock(descriptor: &OwnedFd) -> Result<(), OpenError> {
    fcntl(descriptor.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
        .map(drop)
        .map_err(|errno| refused("fcntl(F_SETFL, O_NONBLOCK)", errno))
}

fn block(descriptor: BorrowedFd<'_>) -> Result<(), OpenError> {
    fcntl(descriptor, FcntlArg::F_GETFL)
        .map(|flags| OFlag::from_bits_retain(flags) - OFlag::O_NONBLOCK)
        .and_then(|flags| fcntl(descriptor, FcntlArg::F_SETFL(flags)))
        .map(drop)
        .map_err(|errno| refused("fcntl(F_SETFL, 0)", errno))
}
