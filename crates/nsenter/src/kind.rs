//! The kinds of namespaces, in the order in which they are opened and entered.

use nix::sched::CloneFlags;

/// A kind of namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Users and groups.
    User,
    /// Control groups.
    Cgroup,
    /// System V IPC and message queues.
    Ipc,
    /// The host's name.
    Uts,
    /// The network.
    Net,
    /// Process numbers.
    Pid,
    /// Mounts.
    Mount,
    /// Clocks.
    Time,
}

impl Kind {
    /// All kinds. The user namespace is first: what has to wait for its privileges comes after it.
    pub(crate) const ALL: [Self; 8] = [
        Self::User,
        Self::Cgroup,
        Self::Ipc,
        Self::Uts,
        Self::Net,
        Self::Pid,
        Self::Mount,
        Self::Time,
    ];

    /// Where it is under `/proc/PID`, which is also its name in messages.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::User => "ns/user",
            Self::Cgroup => "ns/cgroup",
            Self::Ipc => "ns/ipc",
            Self::Uts => "ns/uts",
            Self::Net => "ns/net",
            Self::Pid => "ns/pid",
            Self::Mount => "ns/mnt",
            Self::Time => "ns/time",
        }
    }

    /// What setns(2) calls it.
    pub(crate) fn flag(self) -> CloneFlags {
        match self {
            Self::User => CloneFlags::CLONE_NEWUSER,
            Self::Cgroup => CloneFlags::CLONE_NEWCGROUP,
            Self::Ipc => CloneFlags::CLONE_NEWIPC,
            Self::Uts => CloneFlags::CLONE_NEWUTS,
            Self::Net => CloneFlags::CLONE_NEWNET,
            Self::Pid => CloneFlags::CLONE_NEWPID,
            Self::Mount => CloneFlags::CLONE_NEWNS,
            // clone(2) has no such flag, its bit belongs to the exit signal there; nix has none
            // therefore.
            Self::Time => CloneFlags::from_bits_retain(libc::CLONE_NEWTIME),
        }
    }
}
