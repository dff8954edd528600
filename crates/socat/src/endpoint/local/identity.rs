//! The identity that a process takes on: `chroot`, `setgid`, `setuid`, `su` and `su-d`.
//!
//! A program of EXEC or SYSTEM takes these steps between fork and exec. Any other endpoint has no
//! process of its own, so there the whole process can take them, once it has bound what it needs.
//! The order is always the one that works: root directory, groups, group, user.

use std::ffi::{CString, OsString};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::unistd::{getgrouplist, setsid, Gid, Uid, User};
use nsplice_relay::{Attempt, OpenError, Opener, Progress, Wake};
use nsplice_sys::{LastStep, LastSteps};

use crate::fault::Fault;
use crate::language::{Address, Opt};

use super::entry::failure;
use super::entry::{group, user};
use super::error::strerror;

/// The identity that an address asks for; nothing at all, usually.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// A session of its own. A program takes that step by itself.
    session: bool,
    root: Option<CString>,
    groups: Option<Vec<Gid>>,
    group: Option<Gid>,
    user: Option<Uid>,
    /// USER, LOGNAME, HOME and SHELL, with `su`.
    environment: Vec<(&'static str, OsString)>,
}

impl Identity {
    /// The options of `address`, its names looked up.
    pub(crate) fn of(address: &Address) -> Result<Self, Fault> {
        let mut identity = Self {
            session: address.has(Opt::SetSid),
            root: address.text(Opt::Chroot).map(c_string).transpose()?,
            group: group(address, Opt::SetGid)?,
            user: user(address, Opt::SetUid)?,
            ..Self::default()
        };
        for option in [Opt::Su, Opt::SuDelayed] {
            if let Some(uid) = user(address, option)? {
                identity.become_user(uid)?;
            }
        }
        Ok(identity)
    }

    fn become_user(&mut self, uid: Uid) -> Result<(), Fault> {
        let Ok(Some(user)) = User::from_uid(uid) else {
            return Err(Fault::new(format_args!("getpwuid({uid}): no such user")));
        };
        let name = c_string(user.name.as_ref())?;
        self.groups = Some(getgrouplist(&name, user.gid).map_err(|errno| {
            Fault::new(format_args!("getgrouplist(\"{}\"): {}", user.name, strerror(errno)))
        })?);
        self.group = Some(user.gid);
        self.user = Some(uid);
        self.environment = vec![
            ("USER", user.name.clone().into()),
            ("LOGNAME", user.name.into()),
            ("HOME", user.dir.into()),
            ("SHELL", user.shell.into()),
        ];
        Ok(())
    }

    /// The variables that go with the user.
    pub(super) fn environment(&self) -> &[(&'static str, OsString)] {
        &self.environment
    }

    /// The same as steps of a child.
    pub(super) fn steps(&self) -> LastSteps {
        LastSteps {
            root: self.root.clone(),
            groups: self.groups.clone(),
            group: self.group,
            user: self.user,
            ..LastSteps::default()
        }
    }

    /// Tells the failure of a step.
    pub(super) fn told(&self, step: LastStep, errno: Errno) -> String {
        let number = |id: Option<u32>| id.map(|id| id.to_string()).unwrap_or_default();
        let call = match step {
            LastStep::Session => "setsid()".to_owned(),
            LastStep::Terminal => "ioctl(0, TIOCSCTTY, 0)".to_owned(),
            LastStep::Root => {
                let root = self.root.as_deref().unwrap_or_default();
                format!("chroot(\"{}\")", root.to_string_lossy())
            }
            LastStep::Groups => "setgroups()".to_owned(),
            LastStep::Group => format!("setgid({})", number(self.group.map(Gid::as_raw))),
            LastStep::User => format!("setuid({})", number(self.user.map(Uid::as_raw))),
            LastStep::Place => "dup2()".to_owned(),
            LastStep::Exec => "execvp()".to_owned(),
        };
        format!("{call}: {}", strerror(errno))
    }

    /// Makes the whole process take the steps; its environment stays what it is.
    pub(crate) fn assume(&self) -> Result<(), Fault> {
        if self.session {
            setsid().map_err(|errno| Fault::new(self.told(LastStep::Session, errno)))?;
        }
        let done = self.steps().change_identity();
        done.map_err(|(step, errno)| Fault::new(self.told(step, errno)))
    }
}

/// Opens an address, and then makes the whole process who the address asks for: of a command line with
/// a single link.
pub(crate) fn assuming(
    opener: Box<dyn Opener>,
    address: &Address,
) -> Result<Box<dyn Opener>, Fault> {
    let identity = Identity::of(address)?;
    Ok(match identity == Identity::default() {
        true => opener,
        false => Box::new(Assuming { opener, identity }),
    })
}

#[derive(Debug)]
struct Assuming {
    opener: Box<dyn Opener>,
    identity: Identity,
}

impl Opener for Assuming {
    fn backend(&self) -> &'static str {
        self.opener.backend()
    }

    fn open(&mut self, downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        let attempt = self.opener.open(downstream);
        Box::new(Assumption { attempt, identity: self.identity.clone() })
    }
}

#[derive(Debug)]
struct Assumption {
    attempt: Box<dyn Attempt>,
    identity: Identity,
}

impl Attempt for Assumption {
    fn advance(&mut self, wake: Wake) -> Progress {
        let progress = self.attempt.advance(wake);
        if !matches!(progress, Progress::Open(_)) {
            return progress;
        }
        let assumed: Result<(), OpenError> = self.identity.assume().map_err(failure);
        assumed.map_or_else(Progress::Failed, |()| progress)
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        self.attempt.source()
    }
}

fn c_string(text: &std::ffi::OsStr) -> Result<CString, Fault> {
    CString::new(text.as_bytes()).map_err(Fault::new)
}
