//! Whether a process is that of a container, by what the kernel says of it. Pure.
//!
//! A PID that somebody wrote down may be anybody's by now. The control group tells: a container's
//! processes are in a group that has its ID. Where it has none (rootless podman without delegation, an ID
//! that somebody chose), the age does: the process of a container was there before its PID was written.

use std::time::{Duration, SystemTime};

use crate::cgroup::{is_id, membership};

/// What is known of a process that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The text of its `/proc/PID/cgroup`; empty where that cannot be read.
    pub(crate) cgroup: String,
    /// When it was started, if that can be told.
    pub(crate) started: Option<SystemTime>,
}

/// What the evidence says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the container's.
    Its,
    /// It is somebody else's.
    Other,
    /// Both are possible: whoever named the PID is asked again.
    Open,
}

impl Evidence {
    /// Whether the process is that of the container `id`, whose PID was written down at `written` (`None`
    /// for just now).
    pub(crate) fn verdict(&self, id: &str, written: Option<SystemTime>) -> Verdict {
        if self.names(id) {
            return Verdict::Its;
        }
        let other = membership(&self.cgroup).container;
        if is_id(id) && other.is_some_and(|other| other != id && !self.cgroup.contains(id)) {
            return Verdict::Other;
        }
        match (self.started, written) {
            (Some(started), Some(written)) if started > written + SLACK => Verdict::Other,
            _ => Verdict::Open,
        }
    }

    /// Whether the control group has the ID `id` as a name or a part of one.
    fn names(&self, id: &str) -> bool {
        let is_whole = |part: &str| {
            part == id
                || part.strip_suffix(".scope").unwrap_or(part).rsplit(['-', ':']).next() == Some(id)
        };
        let paths = self.cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2));
        paths
            .flat_map(|path| path.split('/'))
            .any(|part| !part.contains("conmon-") && is_whole(part))
    }
}

/// Reads when a process was started out of its `/proc/PID/stat` (proc_pid_stat(5), field 22), in clock
/// ticks since the system was.
pub(crate) fn start_ticks(stat: &str) -> Option<u64> {
    // The second field is a name in parentheses, in which there may be anything.
    let after_name = stat.rsplit_once(')')?.1;
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// What the clock may have been set by, and what ticks leave open.
const SLACK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const OTHER: &str = "ffff456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn at(seconds: u64) -> Option<SystemTime> {
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    #[test]
    fn the_control_group_tells_then_the_age_does() {
        use Verdict::{Its, Open, Other};
        let table = [
            (format!("0::/docker/{ID}\n"), ID, at(9), at(1), Its),
            (format!("0::/system.slice/docker-{ID}.scope/x\n"), ID, None, None, Its),
            (format!("0::/docker/{OTHER}\n"), ID, at(1), at(9), Other),
            (format!("0::/docker/{OTHER}/docker/{ID}\n"), ID, None, None, Its),
            ("0::/default/web\n".into(), "web", None, None, Its),
            ("0::/default/webs\n".into(), "web", at(1), at(9), Open),
            ("0::/user.slice\n".into(), ID, at(1), at(9), Open),
            ("0::/user.slice\n".into(), ID, at(9), at(9), Open),
            ("0::/user.slice\n".into(), ID, at(11), at(9), Other),
            (format!("0::/machine.slice/libpod-conmon-{ID}.scope\n"), ID, at(11), at(9), Other),
            (String::new(), ID, at(11), None, Open),
            (String::new(), ID, None, at(9), Open),
        ];
        for (cgroup, id, started, written, expected) in table {
            let evidence = Evidence { cgroup, started };
            assert_eq!(evidence.verdict(id, written), expected, "{evidence:?}");
        }
    }

    #[test]
    fn a_start_is_read_whatever_the_name() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(start_ticks(&format!("7 (sh) {rest}")), Some(4711));
        assert_eq!(start_ticks(&format!("7 (a) S 1 (b) {rest}")), Some(4711));
        assert_eq!(start_ticks("7 (sh) S 1"), None);
        assert_eq!(start_ticks(""), None);
    }
}
