//! A command line that is being run, and all that this takes.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::Arc;

use nsplice_relay::{
    Downstream, Forward, Labels, Limits, LinkPolicy, OpenError, Opener, Places, Side,
};

use crate::endpoint::identity::Identity;
use crate::endpoint::{failure_status, program, Context};
use crate::fault::Fault;
use crate::language::{Address, CommandLine, Spec};

use super::lock::Held;
use super::manners;
use super::signals::{self, Signals};

/// The exit status of a failed opening with `-s`.
const SLOPPY: u8 = 255;

/// All that running a command line takes.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) line: CommandLine,
    pub(super) context: Context,
    pub(super) signals: Signals,
    pub(super) limits: Limits,
    pub(super) policy: Arc<LinkPolicy>,
    /// The side of its links that the command line's first address is.
    pub(super) first_side: Side,
    pub(super) status: LastStatus,
    /// Removed when the process ends that the command line is run by, not when its last link does.
    pub(super) lock: Option<Held>,
}

/// The exit status of the link that ended last.
#[derive(Debug, Clone, Default)]
pub(super) struct LastStatus(Arc<AtomicU8>);

impl LastStatus {
    /// Remembers the status of a link that has ended.
    pub(super) fn set(&self, status: u8) {
        self.0.store(status, Ordering::Relaxed);
    }

    /// 0 as long as no link has ended.
    pub(super) fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Job {
    /// `spec` could not be opened.
    pub(super) fn unopened(&self, spec: &Spec, error: OpenError) -> Fault {
        Fault { status: self.unopened_status(spec), ..Fault::new(error) }
    }

    /// Returns whether the second address is opened once for all links: it is the command line's
    /// first.
    pub(super) fn shares_second(&self) -> bool {
        self.first_side == Side::Upstream
    }

    /// The exit status when `spec` cannot be opened.
    pub(super) fn unopened_status(&self, spec: &Spec) -> u8 {
        if self.line.flags.sloppy {
            SLOPPY
        } else {
            failure_status(spec)
        }
    }

    /// Becomes the user that the first address asks for, now that it is open. A program takes these
    /// steps by itself.
    pub(super) fn assume_identity(&self) -> Result<(), Fault> {
        if manners::starts_programs(&self.line.first) {
            return Ok(());
        }
        Identity::of(manners::read(&self.line.first))?.assume()
    }

    /// The program that this process is to become, if it is one.
    pub(super) fn replacement(&self) -> Option<&Address> {
        match &self.line.second {
            Spec::One(address) => Some(address).filter(|address| program::replaces(address)),
            Spec::Split { .. } => None,
        }
    }

    /// Becomes the program of the second address; what comes back is why that failed.
    pub(super) fn become_program(&self, address: &Address, downstream: &Downstream) -> Fault {
        let (source, sink) = match downstream {
            Downstream::Socket(socket) => (socket.as_fd(), socket.as_fd()),
            Downstream::Pair { source, sink } => (source.as_fd(), sink.as_fd()),
        };
        let [_, way] = manners::ways(self.line.flags.directions);
        signals::release();
        program::replace(address, way, source, sink, &self.context)
    }

    /// A forward with the limits and the policy of the command line.
    pub(super) fn forward(&self, opener: Box<dyn Opener>, places: Places) -> Forward {
        Forward {
            labels: Arc::new(Labels::new("socat", "")),
            opener,
            admission: None,
            limits: self.limits.clone(),
            places: Arc::new(places),
            counters: Arc::default(),
            policy: Arc::clone(&self.policy),
        }
    }
}
