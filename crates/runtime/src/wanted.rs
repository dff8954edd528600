//! What is wanted: a pod or a container, as people name it.
//!
//! - `pod/NAME`, `pod/NAMESPACE/NAME`: a pod;
//! - `container/ID-OR-NAME`: a container of any runtime, by its name, its ID, or the beginning of that;
//! - `docker/ID-OR-NAME`: a container of Docker, by what `docker inspect` takes;
//! - `NAME`: the pod of that name, else the container of that name if there is only one.

use std::fmt;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// A pod.
    Pod {
        /// Its Kubernetes namespace; `None` takes any in which there is such a pod.
        namespace: Option<String>,
        /// Its name.
        name: String,
    },
    /// A container of any runtime, by name, ID, or the beginning of an ID.
    Container(String),
    /// A container of Docker, by name, ID, or the beginning of an ID.
    Docker(String),
    /// A pod, else a container.
    Bare(String),
}

/// An error in the words for what is wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WantedError {
    /// Neither Kubernetes nor podman would take this for a pod's name.
    #[error("`{0}` is not the name of a pod: letters, digits and `_.-` are allowed")]
    Pod(String),
    /// Kubernetes would not take this for a namespace's name.
    #[error(
        "`{0}` is not the name of a Kubernetes namespace: lower-case letters, digits and `-` are allowed"
    )]
    Namespace(String),
    /// No runtime would take this for a container's name.
    #[error("`{0}` is not the name or ID of a container: letters, digits and `_.-` are allowed")]
    Container(String),
}

impl Wanted {
    /// The pod that `NAME` or `NAMESPACE/NAME` means.
    ///
    /// # Errors
    /// When one of the words cannot be a name.
    pub fn pod(words: &str) -> Result<Self, WantedError> {
        let (namespace, name) = match words.split_once('/') {
            Some((namespace, name)) if is_label(namespace) => (Some(namespace.to_owned()), name),
            Some((namespace, _)) => return Err(WantedError::Namespace(namespace.to_owned())),
            None => (None, words),
        };
        if is_pod_name(name) {
            Ok(Self::Pod { namespace, name: name.to_owned() })
        } else {
            Err(WantedError::Pod(name.to_owned()))
        }
    }

    /// The container that `ID-OR-NAME` means.
    ///
    /// # Errors
    /// When it cannot be a name.
    pub fn container(name: &str) -> Result<Self, WantedError> {
        checked(name).map(Self::Container)
    }

    /// The container of Docker that `ID-OR-NAME` means.
    ///
    /// # Errors
    /// When it cannot be a name.
    pub fn docker(name: &str) -> Result<Self, WantedError> {
        checked(name).map(Self::Docker)
    }

    /// The pod, else the container, that `NAME` means.
    ///
    /// # Errors
    /// When it cannot be a name of either.
    pub fn bare(name: &str) -> Result<Self, WantedError> {
        checked(name).map(Self::Bare)
    }

    /// The name in it, which a misspelt one is compared by.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Pod { name, .. }
            | Self::Container(name)
            | Self::Docker(name)
            | Self::Bare(name) => name,
        }
    }

    /// What kind of thing it names, in the words of a message.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Pod { .. } => "pod",
            Self::Container(_) | Self::Docker(_) => "container",
            Self::Bare(_) => "pod or container",
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod { namespace: Some(namespace), name } => write!(f, "pod/{namespace}/{name}"),
            Self::Pod { namespace: None, name } => write!(f, "pod/{name}"),
            Self::Container(name) => write!(f, "container/{name}"),
            Self::Docker(name) => write!(f, "docker/{name}"),
            Self::Bare(name) => f.write_str(name),
        }
    }
}

/// What Docker, podman and containerd allow in names and IDs.
fn checked(name: &str) -> Result<String, WantedError> {
    let mut bytes = name.bytes();
    let starts_well = bytes.next().is_some_and(|first| first.is_ascii_alphanumeric());
    let goes_on_well = bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if starts_well && goes_on_well && name.len() <= LONGEST_NAME {
        Ok(name.to_owned())
    } else {
        Err(WantedError::Container(name.to_owned()))
    }
}

/// A name of podman's pods may have capital letters and underscores besides what Kubernetes allows (RFC
/// 1123, a subdomain).
fn is_pod_name(name: &str) -> bool {
    checked(name).is_ok()
}

/// Returns whether `name` can be a label of DNS, as Kubernetes' namespaces are.
fn is_label(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= LONGEST_LABEL
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// The longest name of an object of Kubernetes; no runtime takes a longer one.
const LONGEST_NAME: usize = 253;

/// RFC 1123.
const LONGEST_LABEL: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_printed_back() {
        let pod = |namespace: Option<&str>, name: &str| Wanted::Pod {
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        };
        assert_eq!(Wanted::pod("web"), Ok(pod(None, "web")));
        assert_eq!(Wanted::pod("kube-system/web.0"), Ok(pod(Some("kube-system"), "web.0")));
        assert_eq!(pod(None, "web").to_string(), "pod/web");
        assert_eq!(pod(Some("a"), "web").to_string(), "pod/a/web");
        assert_eq!(Wanted::container("Web_1.x").unwrap().to_string(), "container/Web_1.x");
        assert_eq!(Wanted::docker("web").unwrap().to_string(), "docker/web");
        assert_eq!(Wanted::bare("web").unwrap().to_string(), "web");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "a".repeat(254);
        for name in ["", "../x", "a b", "-a", "a/b/c", "a?b", "a%2f", "\u{1b}[2J", &long] {
            assert!(Wanted::pod(name).is_err(), "{name}");
            assert_eq!(Wanted::container(name), Err(WantedError::Container(name.into())));
            assert_eq!(Wanted::bare(name), Err(WantedError::Container(name.into())));
        }
        assert_eq!(Wanted::pod("Default/web"), Err(WantedError::Namespace("Default".into())));
        assert_eq!(Wanted::pod("/web"), Err(WantedError::Namespace(String::new())));
        assert_eq!(Wanted::pod("a/"), Err(WantedError::Pod(String::new())));
    }
}
