//! A target: what is to be reached, as people write it on a command line.
//!
//! The form is kubectl's, KIND/NAME, or NAME alone:
//!
//! - `pid/4947`: the network namespace of a process;
//! - `netns/blue`: a namespace by its name under `/run/netns`, or `netns//proc/4947/ns/net`: by its
//!   absolute path;
//! - `pod/NAME`, `pod/NAMESPACE/NAME`: a pod of this node;
//! - `container/NAME-OR-ID`: a running container of any runtime, `docker/NAME-OR-ID`: one of Docker;
//! - `NAME`: the pod, else the container, of that name;
//! - `tcp/HOST`: no namespace at all, a plain dial.
//!
//! A target is only words: that it exists is found out by [`crate::Plan::prepare`].

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nsplice_runtime::{nearest, Wanted, WantedError};

use crate::target::host::{Host, HostError};

pub(crate) mod backoff;
pub(crate) mod destination;
pub(crate) mod host;
pub(crate) mod located;
pub(crate) mod named;
pub(crate) mod place;
pub(crate) mod trail;

/// A target: what is to be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The network namespace of the process with this PID; never 0.
    Pid(u32),
    /// The network namespace at this absolute path.
    Netns(PathBuf),
    /// A pod or a container.
    Named(Wanted),
    /// This host, reached from the namespace we run in. An IPv6 address has no brackets here.
    Tcp(String),
}

/// An error in the words for a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// A kind that does not exist.
    #[error("there is no kind of target called `{0}`{question}; {SUPPORTED}", question = meant(.0))]
    UnknownKind(String),
    /// No process can have this PID.
    #[error("`{0}` is not a PID: a whole number from 1 to {max} is needed", max = i32::MAX)]
    BadPid(String),
    /// A name that cannot be a file under the run directory.
    #[error("`{0}` is neither a namespace's name nor an absolute path; write netns/blue or netns//proc/4947/ns/net")]
    BadNetns(String),
    /// A name that no pod or container has.
    #[error(transparent)]
    BadName(#[from] WantedError),
    /// Nothing at all.
    #[error("a target is missing; {SUPPORTED}")]
    Empty,
    /// Not a host.
    #[error("tcp/: {0}")]
    BadHost(#[from] HostError),
}

impl Target {
    /// The reason why there is no point in waiting for this target while it is missing; `None` where it
    /// may come under its name.
    pub fn never_comes(&self) -> Option<String> {
        match self {
            Self::Named(_) => None,
            Self::Netns(path) if !path.starts_with("/proc") => None,
            Self::Pid(_) | Self::Netns(_) => Some(format!(
                "{self} cannot be waited for: a process that has the number later is another one; a \
                 pod, a container or a name of `ip netns` can"
            )),
            Self::Tcp(_) => Some(format!(
                "{self} cannot be waited for: another machine is looked for by each connection only"
            )),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(words: &str) -> Result<Self, TargetError> {
        let Some((kind, name)) = words.split_once('/') else {
            return match words {
                "" => Err(TargetError::Empty),
                name => Ok(Self::Named(Wanted::bare(name)?)),
            };
        };
        match kind {
            "pid" => pid(name),
            "netns" => netns(name),
            "pod" | "pods" | "po" => Ok(Self::Named(Wanted::pod(name)?)),
            "container" => Ok(Self::Named(Wanted::container(name)?)),
            "docker" => Ok(Self::Named(Wanted::docker(name)?)),
            "tcp" => tcp(name),
            _ => Err(TargetError::UnknownKind(kind.to_owned())),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pid(pid) => write!(f, "pid/{pid}"),
            Self::Netns(path) => match path.strip_prefix(RUN_DIRECTORY) {
                Ok(name) if is_plain_name(name) => write!(f, "netns/{}", name.display()),
                _ => write!(f, "netns/{}", path.display()),
            },
            Self::Named(wanted) => wanted.fmt(f),
            Self::Tcp(host) => write!(f, "tcp/{host}"),
        }
    }
}

fn pid(name: &str) -> Result<Target, TargetError> {
    let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    match name.parse::<i32>().ok().and_then(|pid| u32::try_from(pid).ok()) {
        Some(pid) if digits && pid > 0 => Ok(Target::Pid(pid)),
        _ => Err(TargetError::BadPid(name.to_owned())),
    }
}

fn netns(name: &str) -> Result<Target, TargetError> {
    if name.contains('\0') {
        return Err(TargetError::BadNetns(name.replace('\0', "\\0")));
    }
    let path = Path::new(name);
    if path.is_absolute() {
        Ok(Target::Netns(path.to_owned()))
    } else if is_plain_name(path) {
        Ok(Target::Netns(Path::new(RUN_DIRECTORY).join(path)))
    } else {
        Err(TargetError::BadNetns(name.to_owned()))
    }
}

/// Returns whether `name` is one file name, not a way to somewhere else.
fn is_plain_name(name: &Path) -> bool {
    let mut parts = name.components();
    matches!((parts.next(), parts.next()), (Some(std::path::Component::Normal(part)), None)
        if part == name.as_os_str())
}

fn tcp(name: &str) -> Result<Target, TargetError> {
    let host: Host = name.parse()?;
    Ok(Target::Tcp(host.to_string()))
}

/// Where `ip netns` and the container runtimes keep named namespaces.
const RUN_DIRECTORY: &str = "/run/netns";

/// A question whether another kind was meant, if one resembles `kind`.
fn meant(kind: &str) -> String {
    nearest(kind, KINDS).map_or_else(String::new, |meant| format!(" (did you mean `{meant}`?)"))
}

/// The kinds that are supported.
const KINDS: [&str; 6] = ["pod", "container", "pid", "netns", "docker", "tcp"];

const SUPPORTED: &str =
    "write pod/NAME or pod/NAMESPACE/NAME, container/NAME-OR-ID, docker/NAME-OR-ID, pid/PID, \
     netns/NAME or netns/ABSOLUTE-PATH, or tcp/HOST";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Target, TargetError> {
        words.parse()
    }

    fn named_pod(namespace: Option<&str>, name: &str) -> Target {
        let namespace = namespace.map(str::to_owned);
        Target::Named(Wanted::Pod { namespace, name: name.to_owned() })
    }

    #[test]
    fn targets_are_read_and_printed_back() {
        let table = [
            ("pid/4947", Target::Pid(4947), "pid/4947"),
            ("netns/blue", Target::Netns("/run/netns/blue".into()), "netns/blue"),
            (
                "netns//proc/4947/ns/net",
                Target::Netns("/proc/4947/ns/net".into()),
                "netns//proc/4947/ns/net",
            ),
            (
                "netns//run/netns/a/b",
                Target::Netns("/run/netns/a/b".into()),
                "netns//run/netns/a/b",
            ),
            ("docker/web-1", Target::Named(Wanted::Docker("web-1".into())), "docker/web-1"),
            ("container/0a1b", Target::Named(Wanted::Container("0a1b".into())), "container/0a1b"),
            ("pod/web", named_pod(None, "web"), "pod/web"),
            ("pods/web", named_pod(None, "web"), "pod/web"),
            ("pod/default/web", named_pod(Some("default"), "web"), "pod/default/web"),
            ("web", Target::Named(Wanted::Bare("web".into())), "web"),
            ("tcp/db.example", Target::Tcp("db.example".into()), "tcp/db.example"),
            ("tcp/10.0.0.1", Target::Tcp("10.0.0.1".into()), "tcp/10.0.0.1"),
            ("tcp/::1", Target::Tcp("::1".into()), "tcp/::1"),
            ("tcp/[::1]", Target::Tcp("::1".into()), "tcp/::1"),
        ];
        for (words, target, printed) in table {
            assert_eq!(parse(words), Ok(target.clone()), "{words}");
            assert_eq!(target.to_string(), printed);
            assert_eq!(parse(printed), Ok(target), "{printed} read back");
        }
    }

    #[test]
    fn what_is_no_target_is_refused_with_the_kinds_that_are() {
        for words in ["service/web", "/web", ""] {
            let error = parse(words).unwrap_err().to_string();
            assert!(error.contains("docker/NAME-OR-ID"), "{words}: {error}");
        }
    }

    #[test]
    fn a_misspelt_kind_is_told_with_the_one_that_was_meant() {
        for (words, meant) in [
            ("dokcer/web", "docker"),
            ("Docker/web", "docker"),
            ("netn/b", "netns"),
            ("pdi/7", "pid"),
        ] {
            let error = parse(words).unwrap_err().to_string();
            assert!(
                error.contains(&format!(" (did you mean `{meant}`?); write pod/NAME")),
                "{error}"
            );
        }
        let error = parse("service/web").unwrap_err().to_string();
        assert!(!error.contains("did you mean"), "{error}");
        for kind in KINDS {
            let refused = parse(&format!("{kind}/7.0")).err();
            assert!(!matches!(refused, Some(TargetError::UnknownKind(_))), "{kind} is not known");
        }
    }

    #[test]
    fn bad_names_are_refused() {
        for pid in ["0", "-1", "+5", "", "1a", "2147483648", "99999999999999999999"] {
            assert_eq!(parse(&format!("pid/{pid}")), Err(TargetError::BadPid(pid.into())));
        }
        for name in ["", ".", "..", "a/b", "../../etc/passwd", "a/", "./a"] {
            assert_eq!(parse(&format!("netns/{name}")), Err(TargetError::BadNetns(name.into())));
        }
        for name in ["", "../x", "a b", "-a", "a/b", "a?b", "a%2f"] {
            let refused = Err(TargetError::BadName(WantedError::Container(name.into())));
            assert_eq!(parse(&format!("docker/{name}")), refused);
            assert_eq!(parse(&format!("container/{name}")), refused);
        }
        for host in ["", "a b", "a,fork", "[::1", "-x", "a:80"] {
            let refused = parse(&format!("tcp/{host}"));
            assert!(matches!(refused, Err(TargetError::BadHost(_))), "{host}: {refused:?}");
        }
    }
}
