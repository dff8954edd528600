//! A network namespace in which sockets of any kind can be made.
//!
//! What the backends do for their targets (see `excursion.rs`), offered to whoever needs a socket
//! of another kind there: one that listens, or one of the UNIX domain, whose abstract names belong
//! to a network namespace, too.

use std::io;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nsplice_relay::OpenError;
use nsplice_runtime::{Identity, Process};
use nsplice_sys::Pool;
use socket2::{Domain, Protocol, Socket, Type};

use crate::error::BackendError;
use crate::netns::excursion::{any_socket_in, visit};
use crate::netns::home::Home;
use crate::netns::unborn::Unborn;
use crate::options::Options;
use crate::target::located::Located;
use crate::target::place::Place;
use crate::target::trail::Trail;
use crate::target::Target;

/// A birthplace of sockets: the namespace of a process, or the one a path leads to.
#[derive(Debug)]
pub struct Birthplace {
    located: Located,
    home: Home,
}

impl Birthplace {
    /// The namespace of the process `pid`, wherever it is at the time, as long as it lives.
    ///
    /// # Errors
    /// ESRCH when there is no such process, ENOSYS when the kernel has no pidfds.
    pub fn of_process(pid: u32) -> io::Result<Self> {
        let process = Arc::new(Process::find(pid)?);
        Ok(Self { located: Located::Process(process), home: Home::here()? })
    }

    /// The namespace that `path` leads to, looked up for each socket anew; through `/proc/PID` only as
    /// long as that process lives.
    ///
    /// # Errors
    /// When the namespace of this process itself cannot be opened.
    pub fn of_path(path: &Path) -> io::Result<Self> {
        Ok(Self { located: Located::Path(Arc::new(Trail::find(path))), home: Home::here()? })
    }

    /// The namespace of `target`; our own for one that has none. Blocks for a pod or container, which is
    /// held by the process it runs now.
    ///
    /// # Errors
    /// When the target is not there, or not for us.
    pub fn of_target(target: &Target, options: &Options) -> Result<Self, BackendError> {
        // It is asked for once, here and now.
        let nobody = Pool::on_demand().asker();
        let located = Place::find(target, options, &nobody)?.locate_now()?;
        Ok(Self::at(located)?)
    }

    /// The namespace that was `located`.
    ///
    /// # Errors
    /// When our own cannot be opened.
    pub(crate) fn at(located: Located) -> Result<Self, OpenError> {
        Ok(Self { located, home: Home::found()? })
    }

    /// Returns which namespace it is, if that can be told now.
    pub fn identity(&self) -> Option<Identity> {
        self.located.identity(&self.home)
    }

    /// Does `work` there, on this thread, and comes home. What it starts stays there: processes,
    /// and threads.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn visit<T>(&self, work: impl FnOnce() -> T) -> Result<T, Errno> {
        visit(&self.located, &self.home, work)
    }

    /// Makes a non-blocking socket there.
    ///
    /// # Errors
    /// Whether it was the way there that failed, or the socket.
    pub fn socket(
        &self,
        domain: Domain,
        kind: Type,
        protocol: Option<Protocol>,
    ) -> Result<Socket, Unborn> {
        any_socket_in(&self.located, &self.home, domain, kind, protocol)
    }
}
