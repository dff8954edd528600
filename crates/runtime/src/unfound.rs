//! Why nothing was found, in sentences that say what was searched and what would help.

use std::fmt;
use std::path::PathBuf;

use nix::errno::Errno;
use nsplice_sys::describe;

use crate::engine::NotLocal;
use crate::shown::shown;
use crate::sighting::Sighting;
use crate::source::SourceError;
use crate::wanted::Wanted;

/// What one source answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What it is: `Docker`, `containerd's state`.
    pub source: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// How many containers and sandboxes it knows, or why it says nothing.
    pub said: Result<usize, SourceError>,
}

/// Why a pod or container was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfound {
    /// What was wanted.
    pub wanted: Wanted,
    /// Why it was not found.
    pub why: Why,
}

/// The reason why a pod or container was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// None has that name, of all that were asked.
    NoSuch {
        /// The one that was most likely meant.
        nearest: Option<String>,
        /// Who was asked.
        answers: Vec<Answer>,
    },
    /// It is there, but does not run.
    Stopped {
        /// The runtime's ID of it.
        id: String,
    },
    /// Several go by that name.
    Ambiguous {
        /// Ways to write each.
        candidates: Vec<String>,
    },
    /// Nobody knows it, and not everybody answered.
    Unanswered {
        /// Those who did not.
        answers: Vec<Answer>,
    },
    /// It is there and cannot be taken hold of.
    Unreachable {
        /// Whether the system forbids it.
        is_denied: bool,
        /// What was tried and what would help.
        detail: String,
    },
    /// Docker is not to be reached the way `DOCKER_HOST` says.
    NotLocal(NotLocal),
}

impl Unfound {
    /// Returns whether it is a permission that is missing.
    pub fn is_denied(&self) -> bool {
        match &self.why {
            Why::Unanswered { answers } => {
                answers.iter().any(|answer| matches!(answer.said, Err(SourceError::Denied(_))))
            }
            Why::Unreachable { is_denied, .. } => *is_denied,
            _ => false,
        }
    }

    /// Returns whether it is not there, as far as all know who could: it may come.
    pub fn is_missing(&self) -> bool {
        matches!(self.why, Why::NoSuch { .. } | Why::Stopped { .. } | Why::Ambiguous { .. })
    }
}

impl fmt::Display for Unfound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wanted, noun) = (&self.wanted, self.wanted.noun());
        match &self.why {
            Why::NoSuch { nearest, answers } => {
                write!(f, "{wanted}: no such {noun}: {}", wanted.name())?;
                if let Some(nearest) = nearest {
                    write!(f, " (did you mean `{}`?)", shown(nearest))?;
                }
                searched(f, answers)
            }
            Why::Stopped { id } => write!(f, "{wanted}: {noun} not running ({})", shown(id)),
            Why::Ambiguous { candidates } => {
                let shown: Vec<_> = candidates.iter().map(|one| shown(one)).collect();
                write!(f, "{wanted}: several go by that name; write one of {}", shown.join(", "))
            }
            Why::Unanswered { answers } => {
                let mut between = "";
                for Answer { source, path, said } in answers {
                    let Err(error) = said else { continue };
                    let path = path.display();
                    write!(f, "{between}cannot ask {source} at {path} about {wanted}: {error}")?;
                    between = "; ";
                }
                Ok(())
            }
            Why::Unreachable { detail, .. } => write!(f, "{wanted}: {detail}"),
            Why::NotLocal(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Unfound {}

/// Tells who was asked and how much each knows.
fn searched(f: &mut fmt::Formatter<'_>, answers: &[Answer]) -> fmt::Result {
    let asked: Vec<_> = answers
        .iter()
        .filter_map(|answer| match &answer.said {
            Ok(count) => Some(format!("{} at {} ({count})", answer.source, answer.path.display())),
            Err(_) => None,
        })
        .collect();
    let none_there = answers.iter().all(|answer| answer.said == Err(SourceError::Absent));
    match asked.as_slice() {
        [] if none_there => f.write_str("; no container runtime was found on this node"),
        [] => Ok(()),
        asked => write!(f, "; searched {}", asked.join(", ")),
    }
}

/// A way to write which of several things is meant.
pub(crate) fn written(wanted: &Wanted, one: &Sighting) -> String {
    let pod =
        one.pod.as_ref().and_then(|pod| Some((pod.namespace.as_deref(), pod.name.as_deref()?)));
    let id: String = one.id.chars().take(SHOWN_ID).collect();
    match (wanted, pod) {
        (Wanted::Pod { .. } | Wanted::Bare(_), Some((Some(namespace), name)))
            if one.is_sandbox() =>
        {
            format!("pod/{namespace}/{name}")
        }
        (Wanted::Pod { .. } | Wanted::Bare(_), Some((None, name))) if one.is_sandbox() => {
            format!("pod/{name}")
        }
        (Wanted::Docker(_), _) => format!("docker/{id}"),
        (_, Some((namespace, name))) => {
            let namespace = namespace.map_or_else(String::new, |namespace| format!("{namespace}/"));
            format!("container/{id} (of pod/{namespace}{name})")
        }
        (_, None) => format!("container/{id} ({})", one.runtime.as_str()),
    }
}

/// The names that `one` could be wanted by, each with how that is written.
pub(crate) fn names_like(wanted: &Wanted, one: &Sighting) -> Vec<(String, String)> {
    let mut names = Vec::new();
    let pod = one.pod.as_ref().and_then(|pod| Some((pod.namespace.as_deref(), pod.name.clone()?)));
    if let (Wanted::Pod { .. } | Wanted::Bare(_), Some((namespace, name))) = (wanted, pod) {
        let namespace = namespace.map_or_else(String::new, |namespace| format!("{namespace}/"));
        let written = format!("pod/{namespace}{name}");
        names.push((name, written));
    }
    let kind = match wanted {
        Wanted::Pod { .. } => return names,
        Wanted::Docker(_) => "docker",
        Wanted::Container(_) | Wanted::Bare(_) => "container",
    };
    names.extend(one.names.iter().map(|name| (name.clone(), format!("{kind}/{name}"))));
    names
}

/// That the system refused what was `told`.
pub(crate) fn refused(errno: Errno, told: &str) -> Why {
    let is_denied = matches!(errno, Errno::EPERM | Errno::EACCES);
    let help = if is_denied { "; run as root" } else { "" };
    match errno {
        Errno::EOPNOTSUPP => unreachable(false, told),
        Errno::ENOSYS => unreachable(false, &format!("{told}: Linux 5.3 or later is needed")),
        _ => unreachable(is_denied, &format!("{told}: {}{help}", describe(&errno.into()))),
    }
}

/// That it is there and cannot be taken hold of, as `detail` says.
pub(crate) fn unreachable(is_denied: bool, detail: &str) -> Why {
    Why::Unreachable { is_denied, detail: detail.to_owned() }
}

/// As many digits of an ID as runtimes show.
pub(crate) const SHOWN_ID: usize = 12;
