//! As whom the command runs.
//!
//! In a user namespace the numbers of users and groups mean others than outside, so unless told
//! otherwise the command gets new ones, which are 0. Supplementary groups are left while they still
//! can be: a user namespace may forbid it to those inside.

use std::io;

use nix::unistd::{setgid, setgroups, setuid, Gid, Uid};

use crate::complaint::Complaint;

/// The user and the group to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Credentials {
    groups: Groups,
    uid: Option<Uid>,
    gid: Option<Gid>,
}

/// What becomes of the supplementary groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Groups {
    /// They go together with the group.
    WithGroup,
    /// They are to go before the user namespace is entered.
    Early,
    /// They were to go early, and could not.
    Stuck,
}

impl Credentials {
    /// `uid` and `gid` where they are given; else, with `anew`, 0.
    pub(crate) fn new(anew: bool, uid: Option<u32>, gid: Option<u32>) -> Self {
        let root = anew.then_some(0);
        Self {
            groups: if anew { Groups::Early } else { Groups::WithGroup },
            uid: uid.or(root).map(Uid::from_raw),
            gid: gid.or(root).map(Gid::from_raw),
        }
    }

    /// Leaves the supplementary groups, if that is to be done outside already. It may not be
    /// permitted outside and be permitted inside.
    pub(crate) fn leave_groups(&mut self) {
        if self.groups == Groups::Early && setgroups(&[]).is_err() {
            self.groups = Groups::Stuck;
        }
    }

    /// Becomes them.
    pub(crate) fn take(&self) -> Result<(), Complaint> {
        let complain = |what: &str, errno: nix::errno::Errno| {
            Complaint::system(what.as_bytes(), &io::Error::from(errno))
        };
        if let Some(gid) = self.gid {
            match setgroups(&[]) {
                Err(errno) if self.groups == Groups::Stuck => {
                    return Err(complain("setgroups failed", errno));
                }
                // They are left already or, as util-linux has it, not worth failing for.
                _ => {}
            }
            setgid(gid).map_err(|errno| complain("setgid failed", errno))?;
        }
        if let Some(uid) = self.uid {
            setuid(uid).map_err(|errno| complain("setuid failed", errno))?;
        }
        Ok(())
    }
}
