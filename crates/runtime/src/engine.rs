//! The API sockets of Docker and podman as sources.
//!
//! Both speak HTTP on a Unix socket and know the same things of a container in nearly the same JSON
//! (`engine/answer.rs`). Docker's list has no PIDs, so what may be wanted is inspected; podman's has, and
//! tells of its pods. Containers are entered by `State.Pid`, never by `NetworkSettings.SandboxKey`, which
//! is empty for pods, `--network host` and `none`, and a plain file from outside where it is rootless.
//!
//! Only Unix sockets are spoken to. A Docker on another machine would name PIDs of that machine.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::decide::keep_related;
use crate::http::{get, HttpError, Response};
use crate::root::{FileError, Root};
use crate::shown::shown;
use crate::sighting::{Runtime, Sighting, State};
use crate::source::SourceError;
use crate::wanted::Wanted;

mod answer;
mod container;
mod flavour;
mod news;

pub(crate) use container::{add_name, labelled, network, Config, HostConfig, Process};
pub(crate) use flavour::Flavour;
pub(crate) use news::{Follower, News};

use flavour::{CONTAINER_NAME, POD_NAME, POD_NAMESPACE};

/// The API socket of Docker or podman.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Engine {
    pub(crate) flavour: Flavour,
    socket: PathBuf,
    standing: Standing,
    /// How long an answer may take.
    pub(crate) within: Duration,
}

/// Whose engine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The node's own: nobody knows its containers better.
    Node,
    /// A user's.
    User,
    /// The one that the operator named: its socket is just there, not below a root.
    Named,
}

/// A `DOCKER_HOST` that is no Unix socket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot reach Docker at `{0}`: only unix:///PATH is supported, for a container of another machine \
     has no namespace here"
)]
pub struct NotLocal(pub String);

impl Engine {
    /// The one whose socket is at `socket` below the root.
    pub(crate) fn at(flavour: Flavour, standing: Standing, socket: impl Into<PathBuf>) -> Self {
        Self { flavour, socket: socket.into(), standing, within: TIMEOUT }
    }

    /// The Docker that `host` names, as in `DOCKER_HOST`.
    ///
    /// # Errors
    /// When that is no Unix socket.
    pub(crate) fn of_host(host: &OsStr) -> Result<Self, NotLocal> {
        match host.as_bytes().strip_prefix(b"unix://") {
            Some(path) if path.starts_with(b"/") => {
                Ok(Self::at(Flavour::Docker, Standing::Named, OsStr::from_bytes(path)))
            }
            _ => Err(NotLocal(host.display().to_string())),
        }
    }

    /// Where its socket is.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether the operator named it.
    pub(crate) fn is_named(&self) -> bool {
        self.standing == Standing::Named
    }

    /// The runtime whose containers on this node nobody knows better.
    pub(crate) fn speaks_for(&self) -> Option<Runtime> {
        (self.standing == Standing::Node).then_some(match self.flavour {
            Flavour::Docker => Runtime::Docker,
            Flavour::Podman => Runtime::Podman,
        })
    }

    /// All containers, also those that do not run; Docker's without PIDs.
    pub(crate) fn list(&self, root: &Root) -> Result<Vec<Sighting>, SourceError> {
        match self.flavour {
            Flavour::Docker => self.docker_list(root, &[]),
            Flavour::Podman => {
                let response = self.get(root, &format!("{LIBPOD}/containers/json?all=true"))?;
                answer::podman_list(&ok(response)?).map_err(|error| self.unexpected(&error))
            }
        }
    }

    /// The containers that may be `wanted`, with their PIDs.
    pub(crate) fn find(&self, root: &Root, wanted: &Wanted) -> Result<Vec<Sighting>, SourceError> {
        let mut seen = match (self.flavour, wanted) {
            (Flavour::Podman, _) => self.list(root)?,
            (Flavour::Docker, Wanted::Docker(name)) => return self.docker_container(root, name),
            (Flavour::Docker, Wanted::Container(name)) => {
                let mut seen = self.docker_container(root, name)?;
                if seen.is_empty() {
                    seen = self.docker_list(root, &[(CONTAINER_NAME, name)])?;
                }
                seen
            }
            (Flavour::Docker, Wanted::Pod { namespace, name }) => {
                let namespace = namespace.as_deref().map(|namespace| (POD_NAMESPACE, namespace));
                let labels: Vec<_> =
                    [(POD_NAME, name.as_str())].into_iter().chain(namespace).collect();
                self.docker_list(root, &labels)?
            }
            (Flavour::Docker, Wanted::Bare(name)) => {
                let mut seen = self.docker_list(root, &[(POD_NAME, name)])?;
                if seen.is_empty() {
                    seen = self.docker_container(root, name)?;
                }
                seen
            }
        };
        keep_related(wanted, &mut seen);
        // One that has gone meanwhile is not there; what is too much to inspect is no one's name.
        for one in seen.iter_mut().filter(|one| one.state == State::Running).take(MOST_INSPECTED) {
            if one.pid.is_none() || self.flavour == Flavour::Podman {
                if let Some(now) = self.again(root, one)? {
                    let known = std::mem::replace(one, now);
                    one.kind = known.kind;
                    one.pod = known.pod.or_else(|| one.pod.take());
                }
            }
        }
        Ok(seen)
    }

    /// What it says now of the container that it said `sighting` of.
    pub(crate) fn again(
        &self,
        root: &Root,
        sighting: &Sighting,
    ) -> Result<Option<Sighting>, SourceError> {
        self.inspect(root, &sighting.id).map(|answer| answer.ok())
    }

    /// The containers of Docker that `name` means: one at most, but for the beginning of several IDs.
    fn docker_container(&self, root: &Root, name: &str) -> Result<Vec<Sighting>, SourceError> {
        match self.inspect(root, name) {
            Ok(Ok(mut one)) => {
                // It goes by that name, whatever else it is called.
                if !one.id.starts_with(name) && !one.names.iter().any(|each| each == name) {
                    one.names.push(name.to_owned());
                }
                Ok(vec![one])
            }
            Ok(Err(NotThere)) => Ok(Vec::new()),
            // It says so, too, of what begins several IDs.
            Err(SourceError::Failed(told)) => {
                let several = self.docker_list(root, &[]).unwrap_or_default();
                let several: Vec<_> =
                    several.into_iter().filter(|one| one.id.starts_with(name)).collect();
                if several.len() > 1 {
                    Ok(several)
                } else {
                    Err(SourceError::Failed(told))
                }
            }
            Err(error) => Err(error),
        }
    }

    fn docker_list(
        &self,
        root: &Root,
        labels: &[(&str, &str)],
    ) -> Result<Vec<Sighting>, SourceError> {
        let mut path = "/containers/json?all=1".to_owned();
        if !labels.is_empty() {
            let labels: Vec<_> =
                labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let filters = serde_json::json!({ "label": labels }).to_string();
            path.push_str("&filters=");
            path.push_str(&percent_encoded(&filters));
        }
        let response = self.get(root, &path)?;
        answer::docker_list(&ok(response)?).map_err(|error| self.unexpected(&error))
    }

    fn inspect(&self, root: &Root, name: &str) -> Result<Result<Sighting, NotThere>, SourceError> {
        let base = match self.flavour {
            Flavour::Docker => "",
            Flavour::Podman => LIBPOD,
        };
        let response =
            self.get(root, &format!("{base}/containers/{}/json", percent_encoded(name)))?;
        if response.status == 404 {
            return Ok(Err(NotThere));
        }
        let body = ok(response)?;
        answer::inspected(&body, self.flavour).map(Ok).map_err(|error| self.unexpected(&error))
    }

    fn get(&self, root: &Root, path: &str) -> Result<Response, SourceError> {
        // Held while it is connected to.
        let (_held, way) = self.way(root)?;
        get(&way, path, self.within).map_err(|error| match error {
            HttpError::Wire(error) => SourceError::unreachable(&error, self.help()),
            error => SourceError::Failed(error.to_string()),
        })
    }

    /// A path that leads to its socket for as long as the descriptor lives, if that matters.
    fn way(&self, root: &Root) -> Result<(Option<OwnedFd>, PathBuf), FileError> {
        if self.is_named() {
            return Ok((None, self.socket.clone()));
        }
        root.socket(&self.socket).map(|(held, way)| (Some(held), way))
    }

    /// What would help where nobody answers.
    pub(crate) fn help(&self) -> &'static str {
        match self.flavour {
            Flavour::Docker => "is dockerd running? DOCKER_HOST=unix:///PATH names another socket",
            Flavour::Podman => "does `podman system service` run?",
        }
    }

    fn unexpected(&self, error: &serde_json::Error) -> SourceError {
        SourceError::Failed(format!("unexpected response from {}: {error}", self.flavour.as_str()))
    }
}

/// There is no such container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NotThere;

/// The body of a good answer.
fn ok(response: Response) -> Result<Vec<u8>, SourceError> {
    match response.status {
        200 => Ok(response.body),
        status => {
            let complaint = match answer::complaint(&response.body) {
                Some(complaint) => format!(": {}", shown(&complaint)),
                None => String::new(),
            };
            Err(SourceError::Failed(format!("status {status}{complaint}")))
        }
    }
}

/// `text` as a part of a URL (RFC 3986, 2.1).
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// libpod's paths are there with a version only; every podman since 4 takes this one.
const LIBPOD: &str = "/v4.0.0/libpod";

/// A busy dockerd takes a second; one that takes longer is stuck.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A pod has some containers, and a name that more than these go by is nobody's.
const MOST_INSPECTED: usize = 16;

#[cfg(test)]
mod tests;
