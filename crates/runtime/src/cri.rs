//! A CRI socket as a source: containerd's (also that of k3s, rke2 and others), CRI-O's,
//! cri-dockerd's.
//!
//! Lists name all sandboxes and containers, with their pods; what is needed to enter one, only its
//! status tells, in words of the runtime's own (`cri/info.rs`). So what may be wanted is looked for
//! in the lists, and only of that the status is asked for. A pod is entered by its sandbox; where
//! that has no process and no namespace that anybody knows of, by one of its containers, all of
//! which share its network.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cri::client::Client;
use crate::cri::message::{Filter, POD_NAME, POD_NAMESPACE};
use crate::decide::{is_called, keep_related, sandbox_of};
use crate::root::Root;
use crate::sighting::{Network, Sighting, State};
use crate::source::SourceError;
use crate::wanted::Wanted;

mod client;
mod info;
mod message;

/// A CRI socket.
#[derive(Debug)]
pub(crate) struct Cri {
    socket: PathBuf,
    /// How long everything about one question may take.
    pub(crate) within: Duration,
}

impl Cri {
    /// The one at `socket`.
    pub(crate) fn at(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), within: TIMEOUT }
    }

    /// Where it is.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// All sandboxes and containers; without PIDs.
    pub(crate) fn list(&self, root: &Root) -> Result<Vec<Sighting>, SourceError> {
        all(&mut self.connect(root)?)
    }

    /// The sandboxes and containers that may be `wanted`, with their PIDs.
    pub(crate) fn find(&self, root: &Root, wanted: &Wanted) -> Result<Vec<Sighting>, SourceError> {
        let mut client = self.connect(root)?;
        let mut seen = match wanted {
            Wanted::Pod { .. } => of_pod(&mut client, wanted)?,
            Wanted::Container(_) | Wanted::Bare(_) => all(&mut client)?,
            // The names that Docker has for containers are Docker's to tell.
            Wanted::Docker(_) => return Ok(Vec::new()),
        };
        keep_related(wanted, &mut seen);
        complete(&mut client, &mut seen, wanted)?;
        Ok(seen)
    }

    /// What it says now of the sandbox or container that it said `sighting` of.
    pub(crate) fn again(
        &self,
        root: &Root,
        sighting: &Sighting,
    ) -> Result<Option<Sighting>, SourceError> {
        let mut client = self.connect(root)?;
        let filter = Filter { id: &sighting.id, ..Filter::default() };
        let listed = if sighting.is_sandbox() {
            client.sandboxes(&filter)?
        } else {
            client.containers(&filter)?
        };
        // The filter takes the beginning of an ID, too.
        let Some(mut now) = listed.into_iter().find(|one| one.id == sighting.id) else {
            return Ok(None);
        };
        Ok(client.complete(&mut now)?.then_some(now))
    }

    fn connect(&self, root: &Root) -> Result<Client, SourceError> {
        // Held while it is connected to.
        let (_held, way) = root.socket(&self.socket)?;
        Client::connect(&way, self.within)
    }
}

/// All sandboxes and containers.
fn all(client: &mut Client) -> Result<Vec<Sighting>, SourceError> {
    let mut seen = client.sandboxes(&Filter::default())?;
    let containers = client.containers(&Filter::default())?;
    add_containers(&mut seen, containers);
    Ok(seen)
}

/// The sandboxes of the pod that is `wanted`, and the containers of those that run.
fn of_pod(client: &mut Client, wanted: &Wanted) -> Result<Vec<Sighting>, SourceError> {
    let mut seen = Vec::new();
    if let Wanted::Pod { namespace: Some(namespace), name } = wanted {
        // What the kubelet has made has these labels, and the runtime finds it by them.
        let labels = [(POD_NAME, name.as_str()), (POD_NAMESPACE, namespace.as_str())];
        seen = client.sandboxes(&Filter { labels: &labels, ..Filter::default() })?;
    }
    if seen.is_empty() {
        seen = client.sandboxes(&Filter::default())?;
    }
    keep_related(wanted, &mut seen);
    let running: Vec<_> = seen.iter().filter(|one| one.state != State::Stopped).collect();
    let mut containers = Vec::new();
    for sandbox in running.into_iter().take(MOST_INSPECTED) {
        let filter = Filter { pod_sandbox_id: &sandbox.id, ..Filter::default() };
        containers.extend(client.containers(&filter)?);
    }
    add_containers(&mut seen, containers);
    Ok(seen)
}

/// Adds containers to their sandboxes. What those know of the pod, they know, too.
fn add_containers(seen: &mut Vec<Sighting>, mut containers: Vec<Sighting>) {
    let sandboxes: HashMap<&str, &Sighting> =
        seen.iter().map(|sandbox| (sandbox.id.as_str(), sandbox)).collect();
    for container in &mut containers {
        let sandbox = sandbox_of(container).and_then(|id| sandboxes.get(id));
        if let Some(sandbox) = sandbox {
            container.pod = sandbox.pod.clone();
            container.handler = sandbox.handler.clone();
        }
    }
    seen.append(&mut containers);
}

/// Asks for the status of what is needed: the sandboxes, what may be wanted itself, and one container of
/// each sandbox, whose files are the pod's and by which it can be entered where the sandbox has no process.
fn complete(
    client: &mut Client,
    seen: &mut Vec<Sighting>,
    wanted: &Wanted,
) -> Result<(), SourceError> {
    let mut left = MOST_INSPECTED;
    // The sandboxes that can be entered, or by one of their containers; those of which a container has
    // been asked for with success, or in vain.
    let (mut open, mut inhabited) = (HashSet::new(), HashSet::new());
    let mut gone = HashSet::new();
    // Sandboxes come first.
    for one in seen.iter_mut().filter(|one| one.state != State::Stopped) {
        let sandbox = sandbox_of(one).map(str::to_owned);
        let is_wanted = one.is_sandbox() || is_called(one, wanted.name());
        let is_in = |those: &HashSet<String>| sandbox.as_ref().is_some_and(|id| those.contains(id));
        if left == 0 || (!is_wanted && is_in(&inhabited)) {
            continue;
        }
        left -= 1;
        match client.complete(one) {
            Ok(true) => {
                if one.pid.is_some() && !one.is_sandbox() {
                    inhabited.extend(sandbox.clone());
                }
                if one.pid.is_some() || one.namespace.is_some() || one.network == Network::Host {
                    open.extend(sandbox);
                }
            }
            Ok(false) => {
                gone.insert(one.id.clone());
            }
            // Nothing but names is lost.
            Err(_) if !is_wanted && is_in(&open) => inhabited.extend(sandbox),
            Err(error) => return Err(error),
        }
    }
    seen.retain(|one| !gone.contains(&one.id));
    Ok(())
}

/// A busy runtime takes a second; one that takes longer is stuck.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A pod has some containers, and a name that more than these go by is nobody's.
const MOST_INSPECTED: usize = 16;

#[cfg(test)]
mod tests;
