//! Whose API an engine speaks, and the labels of its containers.

/// Whose API it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// Docker's.
    Docker,
    /// podman's.
    Podman,
}

impl Flavour {
    /// Its name in a message.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "Docker",
            Self::Podman => "podman",
        }
    }
}

/// The labels that cri-dockerd gives containers and sandboxes.
pub(super) const POD_NAME: &str = "io.kubernetes.pod.name";
pub(super) const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
pub(super) const CONTAINER_NAME: &str = "io.kubernetes.container.name";
