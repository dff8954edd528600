//! Paths: what they name.
//!
//! - `/api/v1/namespaces/{ns}/pods/{pod}/portforward` of the API server,
//! - `/portForward/{ns}/{pod}` and `/portForward/{ns}/{pod}/{uid}` of the kubelet,
//! - and what kubectl asks the API server before it forwards (see `api.rs`).
//!
//! Segments are separated before their percents are decoded, so that a `%2F` never separates any.

use crate::pods::PodName;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Path {
    /// The ports of a pod.
    Ports(PodName),
    /// A pod.
    Pod(PodName),
    /// The pods of a namespace, or of all.
    Pods(Option<String>),
    /// `/api`: the versions that there are.
    Versions,
    /// `/apis`: the groups that there are.
    Groups,
    /// `/api/v1`: the resources that there are.
    Resources,
    /// `/version`.
    Version,
    /// Something else.
    Other,
}

/// Why a path names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    #[error("a percent sign in the path is not followed by two hexadecimal digits")]
    Percent,
    #[error("the path is not text")]
    Text,
    #[error("`{0}` is not the name of a pod or namespace: letters, digits and `_.-` are allowed")]
    Name(String),
}

impl Path {
    /// Reads the path of a request, without what follows a question mark.
    pub(crate) fn read(path: &str) -> Result<Self, PathError> {
        let segments = path.strip_prefix('/').unwrap_or(path).split('/').map(decoded);
        let segments = segments.collect::<Result<Vec<_>, _>>()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let pod = |namespace: &str, name: &str, uid: Option<&str>| {
            let uid = uid.map(named).transpose()?;
            Ok::<_, PathError>(PodName { namespace: named(namespace)?, name: named(name)?, uid })
        };
        Ok(match *segments.as_slice() {
            ["api", "v1", "namespaces", namespace, "pods", name, "portforward"] => {
                Self::Ports(pod(namespace, name, None)?)
            }
            ["portForward", namespace, name] => Self::Ports(pod(namespace, name, None)?),
            ["portForward", namespace, name, uid] => Self::Ports(pod(namespace, name, Some(uid))?),
            ["api", "v1", "namespaces", namespace, "pods", name] => {
                Self::Pod(pod(namespace, name, None)?)
            }
            ["api", "v1", "namespaces", namespace, "pods"] => Self::Pods(Some(named(namespace)?)),
            ["api", "v1", "pods"] => Self::Pods(None),
            ["api"] => Self::Versions,
            ["apis"] => Self::Groups,
            ["api", "v1"] => Self::Resources,
            ["version"] => Self::Version,
            _ => Self::Other,
        })
    }
}

/// A segment with its percents decoded (RFC 3986, section 2.1).
fn decoded(segment: &str) -> Result<String, PathError> {
    let mut parts = segment.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.as_bytes().split_at_checked(2).ok_or(PathError::Percent)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
        let (Some(high), Some(low)) = (digit(digits[0]), digit(digits[1])) else {
            return Err(PathError::Percent);
        };
        bytes.push(high << 4 | low);
        bytes.extend_from_slice(rest);
    }
    String::from_utf8(bytes).map_err(|_| PathError::Text)
}

/// What Kubernetes, Docker and podman allow in names.
fn named(segment: &str) -> Result<String, PathError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let starts_well = segment.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    if starts_well && segment.len() <= LONGEST_NAME && segment.bytes().all(is_plain) {
        Ok(segment.to_owned())
    } else {
        Err(PathError::Name(segment.chars().take(LONGEST_NAME).collect()))
    }
}

/// The longest name of an object of Kubernetes (RFC 1123, a subdomain).
const LONGEST_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pod(namespace: &str, name: &str, uid: Option<&str>) -> PodName {
        let uid = uid.map(str::to_owned);
        PodName { namespace: namespace.to_owned(), name: name.to_owned(), uid }
    }

    #[test]
    fn paths_name_what_they_name() {
        for (path, named) in [
            (
                "/api/v1/namespaces/default/pods/web/portforward",
                Path::Ports(pod("default", "web", None)),
            ),
            ("/api/v1/namespaces/a/pods/w%65b-0/portforward", Path::Ports(pod("a", "web-0", None))),
            ("/portForward/a/web", Path::Ports(pod("a", "web", None))),
            ("/portForward/a/web/0f-1", Path::Ports(pod("a", "web", Some("0f-1")))),
            ("/api/v1/namespaces/a/pods/web", Path::Pod(pod("a", "web", None))),
            ("/api/v1/namespaces/a/pods", Path::Pods(Some("a".into()))),
            ("/api/v1/pods", Path::Pods(None)),
            ("/api", Path::Versions),
            ("/apis", Path::Groups),
            ("/api/v1", Path::Resources),
            ("/version", Path::Version),
            ("/", Path::Other),
            ("", Path::Other),
            ("/portForward/a", Path::Other),
            ("/portforward/a/b", Path::Other),
            ("/api/v1/namespaces/a/pods/web/exec", Path::Other),
        ] {
            assert_eq!(Path::read(path), Ok(named), "{path}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["..", "a%2Fb", "%00", "-a", "", "a b", &"a".repeat(254)] {
            let read = Path::read(&format!("/portForward/default/{name}"));
            assert!(matches!(read, Err(PathError::Name(_))), "{name}: {read:?}");
        }
        for name in ["%", "%4", "%zz", "a%+1"] {
            let read = Path::read(&format!("/portForward/default/{name}"));
            assert_eq!(read, Err(PathError::Percent), "{name}");
        }
        assert_eq!(Path::read("/portForward/default/%ff"), Err(PathError::Text));
    }

    proptest! {
        #[test]
        fn encoded_or_not_it_is_the_same(name in "[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?") {
            let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let plain = Path::read(&format!("/portForward/ns/{name}"));
            prop_assert_eq!(&plain, &Path::read(&format!("/portForward/ns/{encoded}")));
            prop_assert_eq!(plain, Ok(Path::Ports(pod("ns", &name, None))));
        }

        #[test]
        fn whatever_comes_is_read_or_refused(path in ".{0,80}") {
            let _ = Path::read(&path);
        }
    }
}
