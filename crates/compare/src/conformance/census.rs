//! The holdings of a relay: the processes of its tree, and their descriptors, as /proc tells.

use std::fmt;

use nsplice_trial::process::{self, Stat};

/// The holdings of the processes of a tree at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Census {
    /// Processes, those that have ended and were not waited for included.
    pub(super) processes: usize,
    /// Sockets, as descriptors.
    pub(super) sockets: usize,
    /// Ends of pipes.
    pub(super) pipes: usize,
    /// Other descriptors.
    pub(super) others: usize,
}

impl Census {
    /// The tree of the process `root`.
    pub(super) fn of(root: u32) -> Self {
        let mut census = Self::default();
        for pid in tree(root) {
            census.processes += 1;
            for kind in process::descriptors(pid).unwrap_or_default() {
                *match kind.as_str() {
                    "socket" => &mut census.sockets,
                    "pipe" => &mut census.pipes,
                    _ => &mut census.others,
                } += 1;
            }
        }
        census
    }

    /// The part of this that is more than `before`.
    pub(super) fn beyond(&self, before: &Self) -> Self {
        Self {
            processes: self.processes.saturating_sub(before.processes),
            sockets: self.sockets.saturating_sub(before.sockets),
            pipes: self.pipes.saturating_sub(before.pipes),
            others: self.others.saturating_sub(before.others),
        }
    }

    /// Returns whether it is nothing.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.processes, "processes"),
            (self.sockets, "sockets"),
            (self.pipes, "pipe ends"),
            (self.others, "other descriptors"),
        ];
        let told = counts.iter().filter(|(count, _)| *count > 0);
        let told: Vec<_> = told.map(|(count, what)| format!("{count} {what}")).collect();
        f.write_str(if told.is_empty() { "nothing" } else { "" })?;
        f.write_str(&told.join(", "))
    }
}

/// The children, and their children, and so on, of the process `root`.
pub(super) fn descendants(root: u32) -> Vec<u32> {
    let mut tree = tree(root);
    tree.retain(|pid| *pid != root);
    tree
}

/// A process and all that descend from it; nobody if it is gone.
fn tree(root: u32) -> Vec<u32> {
    let pid = |stat: &Stat| stat.pid;
    process::tree(root).map(|tree| tree.iter().map(pid).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::process::{Command, Stdio};

    #[test]
    fn what_has_come_is_counted_by_kind() {
        let own = std::process::id();
        let before = Census::of(own);
        let _listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("a child");
        // Other tests run beside this one.
        let more = Census::of(own).beyond(&before);
        assert!(descendants(own).contains(&child.id()));
        assert!(more.processes >= 1 && more.sockets >= 1 && more.pipes >= 1, "{more}");
        child.kill().and_then(|()| child.wait()).expect("it ends");
        assert!(!descendants(own).contains(&child.id()));
    }

    #[test]
    fn words_for_what_is_left() {
        let left = Census { processes: 3, others: 1, ..Census::default() };
        assert_eq!(left.to_string(), "3 processes, 1 other descriptors");
        assert_eq!(Census::default().to_string(), "nothing");
    }
}
