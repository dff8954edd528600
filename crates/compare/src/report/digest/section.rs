//! The subject of a workload, by its name: what reports group it under and call its parts.

/// The subject of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Section {
    /// Opening links.
    Opening,
    /// Requests and replies.
    Requests,
    /// Bytes in bulk.
    Bulk,
    /// Links that do nothing.
    Idle,
    /// Starting programs.
    Start,
    /// Something this version does not know.
    Other,
}

impl Section {
    /// Returns what the workload called `workload` is about.
    pub(crate) fn of(workload: &str) -> Self {
        match workload.split([' ', '-']).next() {
            Some("connect" | "open") => Self::Opening,
            Some("ping") => Self::Requests,
            Some("bulk") => Self::Bulk,
            Some("idle") => Self::Idle,
            Some("start") => Self::Start,
            _ => Self::Other,
        }
    }

    /// Returns the name of an operation of it.
    pub(crate) fn operation(self) -> &'static str {
        match self {
            Self::Opening => "connection",
            Self::Requests => "request",
            Self::Start => "start",
            Self::Bulk | Self::Idle | Self::Other => "operation",
        }
    }

    /// Its heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Opening => "Opening links",
            Self::Requests => "Requests and replies",
            Self::Bulk => "Bytes in bulk",
            Self::Idle => "Idle links",
            Self::Start => "Starting a program for each link",
            Self::Other => "Other workloads",
        }
    }
}
