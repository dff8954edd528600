//! Groups: which options suit which addresses.
//!
//! An address belongs to groups and so does an option; the option suits the address if they share
//! one. The groups and their names are those that -hh and -hhh list.

use std::fmt;

/// A set of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Groups(u32);

impl Groups {
    pub(crate) const FD: Self = Self(1);
    pub(crate) const FIFO: Self = Self(1 << 1);
    pub(crate) const CHR: Self = Self(1 << 2);
    pub(crate) const BLK: Self = Self(1 << 3);
    pub(crate) const REG: Self = Self(1 << 4);
    pub(crate) const SOCKET: Self = Self(1 << 5);
    pub(crate) const NAMED: Self = Self(1 << 6);
    pub(crate) const OPEN: Self = Self(1 << 7);
    pub(crate) const EXEC: Self = Self(1 << 8);
    pub(crate) const FORK: Self = Self(1 << 9);
    pub(crate) const LISTEN: Self = Self(1 << 10);
    pub(crate) const CHILD: Self = Self(1 << 11);
    pub(crate) const RETRY: Self = Self(1 << 12);
    pub(crate) const RANGE: Self = Self(1 << 13);
    pub(crate) const TERMIOS: Self = Self(1 << 14);
    pub(crate) const PTY: Self = Self(1 << 15);
    pub(crate) const PARENT: Self = Self(1 << 16);
    pub(crate) const UNIX: Self = Self(1 << 17);
    pub(crate) const IP4: Self = Self(1 << 18);
    pub(crate) const IP6: Self = Self(1 << 19);
    pub(crate) const UDP: Self = Self(1 << 20);
    pub(crate) const TCP: Self = Self(1 << 21);
    pub(crate) const SCTP: Self = Self(1 << 22);
    pub(crate) const INTERFACE: Self = Self(1 << 23);
    pub(crate) const OPENSSL: Self = Self(1 << 24);
    pub(crate) const HTTP: Self = Self(1 << 25);
    pub(crate) const SOCKS4: Self = Self(1 << 26);
    /// Options for the bytes of any address.
    pub(crate) const APPL: Self = Self(1 << 27);
    /// Options for the process that opens any address.
    pub(crate) const PROCESS: Self = Self(1 << 28);

    const NAMES: [&'static str; 29] = [
        "FD",
        "FIFO",
        "CHR",
        "BLK",
        "REG",
        "SOCKET",
        "NAMED",
        "OPEN",
        "EXEC",
        "FORK",
        "LISTEN",
        "CHILD",
        "RETRY",
        "RANGE",
        "TERMIOS",
        "PTY",
        "PARENT",
        "UNIX",
        "IP4",
        "IP6",
        "UDP",
        "TCP",
        "SCTP",
        "INTERFACE",
        "OPENSSL",
        "HTTP",
        "SOCKS4",
        "APPL",
        "PROCESS",
    ];

    /// Returns whether both have a group in common.
    pub(crate) const fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The groups of both.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for Groups {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (bit, name) in Self::NAMES.iter().enumerate() {
            if self.meet(Self(1 << bit)) {
                write!(out, "{separator}{name}")?;
                separator = ",";
            }
        }
        Ok(())
    }
}
