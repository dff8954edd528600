//! From drafts to entries: who keeps a network that several share, and what belongs to whom. Pure.
//!
//! Whoever has the same network namespace shares it. One of them keeps it, and the ports are listed there:
//! a pod before its containers, a container before those that were given its network, or were made later
//! where nobody says so. Where namespaces
//! cannot be told apart, as without privileges, what runtimes say has to do.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::SystemTime;

use nsplice_runtime::owners::{Obstacle, Owners, Sought};
use nsplice_runtime::ports::Listener;
use nsplice_runtime::{Identity, Network};

use crate::roster::entry::{Entry, EntryKind, NetworkKind, OpenPort, PortProcess};

/// What is known of a target before all are.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    /// The entry, without what depends on others.
    pub(crate) entry: Entry,
    /// The ID of its pod, if it is a container of one.
    pub(crate) pod: Option<String>,
    /// Whose network it has, as it is said.
    pub(crate) network: Network,
    /// When it was made.
    pub(crate) created: Option<SystemTime>,
    /// The IDs of the containers that it consists of.
    pub(crate) members: Vec<String>,
    /// What was seen inside, where that was not seen by way of another draft.
    pub(crate) listeners: Option<Vec<Listener>>,
}

/// What was seen in namespaces that can be told apart.
pub(crate) type Views = HashMap<Identity, View>;

/// What was seen in a namespace.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    /// What listens there; `None` if that is not known.
    pub(crate) listeners: Option<Vec<Listener>>,
    /// Its addresses.
    pub(crate) addresses: Vec<IpAddr>,
}

impl Draft {
    fn identity(&self) -> Option<Identity> {
        self.entry.network_namespace
    }

    fn is_host(&self) -> bool {
        self.entry.network == NetworkKind::Host
    }

    /// How much it deserves to keep a network: less is more.
    fn claim(&self) -> (EntryKind, bool, bool, Option<SystemTime>) {
        let is_given = matches!(self.network, Network::Of(_));
        (self.entry.kind, self.pod.is_some(), is_given, self.created)
    }

    /// The ports that are seen in `views`, or by itself.
    fn seen<'a>(&'a self, views: &'a Views) -> Option<&'a Vec<Listener>> {
        let view = self.identity().and_then(|identity| views.get(&identity));
        view.and_then(|view| view.listeners.as_ref()).or(self.listeners.as_ref())
    }
}

/// The places of those that keep the networks of `drafts`, one for each; its own for what shares none.
pub(crate) fn keepers(drafts: &[Draft]) -> Vec<usize> {
    let mut by_identity: HashMap<Identity, usize> = HashMap::new();
    let mut by_member: HashMap<&str, usize> = HashMap::new();
    for (place, draft) in drafts.iter().enumerate() {
        for id in &draft.members {
            let known = by_member.entry(id).or_insert(place);
            if draft.claim() < drafts[*known].claim() {
                *known = place;
            }
        }
        if let Some(identity) = draft.identity().filter(|_| !draft.is_host()) {
            let known = by_identity.entry(identity).or_insert(place);
            if draft.claim() < drafts[*known].claim() {
                *known = place;
            }
        }
    }
    let keeper_of = |place: usize| {
        let draft = &drafts[place];
        let seen = draft.identity().and_then(|identity| by_identity.get(&identity));
        let of_pod = || draft.pod.as_deref().and_then(|pod| by_member.get(pod));
        let of_other = || match &draft.network {
            Network::Of(id) => by_member.get(id.as_str()),
            _ => None,
        };
        // A network that could be seen is known for certain, but for the node's, which all share.
        let keeper = match (draft.identity(), draft.is_host()) {
            (Some(_), false) => seen,
            _ => of_pod().or_else(of_other),
        };
        keeper.copied().unwrap_or(place)
    };
    let next: Vec<usize> = (0..drafts.len()).map(keeper_of).collect();
    // One that is given the network of another may be given that of a third; a circle is a lie.
    let last_of = |place: usize| {
        let mut last = place;
        for _ in 0..drafts.len() {
            match next[last] {
                further if further == last => return last,
                further => last = further,
            }
        }
        place
    };
    (0..drafts.len()).map(last_of).collect()
}

/// The sockets whose owners are looked for, and of which containers in the network of the node.
pub(crate) fn sought(drafts: &[Draft], views: &Views) -> (Sought, HashSet<String>) {
    let mut sought = Sought::new();
    let mut members = HashSet::new();
    for draft in drafts {
        let Some(identity) = draft.identity() else { continue };
        let inodes = draft.seen(views).into_iter().flatten().map(|listener| listener.inode);
        sought.entry(identity).or_default().extend(inodes);
        if draft.is_host() {
            members.extend(draft.members.iter().cloned());
        }
    }
    (sought, members)
}

/// The entries, in the order of a list for people: pods, each followed by its containers, then other
/// containers, then namespaces.
pub(crate) fn entries(drafts: Vec<Draft>, views: &Views, owners: &Owners) -> Vec<Entry> {
    let keepers = keepers(&drafts);
    let titles: HashMap<&str, (Option<&str>, &str)> = drafts
        .iter()
        .filter(|draft| draft.entry.kind == EntryKind::Pod)
        .filter_map(|draft| {
            let entry = &draft.entry;
            Some((entry.id.as_deref()?, (entry.namespace.as_deref(), entry.name.as_str())))
        })
        .collect();
    let mut entries = Vec::new();
    for (place, draft) in drafts.iter().enumerate() {
        let mut entry = draft.entry.clone();
        let pod = draft.pod.as_deref().and_then(|pod| Some((pod, titles.get(pod)?)));
        let group = match (entry.kind, pod) {
            (EntryKind::Container, Some((pod, (namespace, name)))) => {
                (EntryKind::Pod, namespace.map(str::to_owned), (*name).to_owned(), pod.to_owned())
            }
            (kind, _) => {
                let id = entry.id.clone().unwrap_or_default();
                (kind, entry.namespace.clone(), entry.name.clone(), id)
            }
        };
        let keeper = &drafts[keepers[place]];
        if keepers[place] == place {
            let view = draft.identity().and_then(|identity| views.get(&identity));
            if let Some(view) = view.filter(|view| !draft.is_host() && !view.addresses.is_empty()) {
                entry.addresses.clone_from(&view.addresses);
            }
            entry.ports = draft.seen(views).and_then(|listeners| ports(draft, listeners, owners));
        } else {
            entry.shares.clone_from(&keeper.entry.target);
            if !draft.is_host() && entry.network != NetworkKind::Sandboxed {
                entry.network = NetworkKind::Shared;
            }
        }
        let order = (group, entry.kind, entry.name.clone(), entry.id.clone());
        entries.push((order, entry));
    }
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    entries.into_iter().map(|(_, entry)| entry).collect()
}

/// The ports of `draft` among `listeners`; `None` if it cannot be told which are its own.
fn ports(draft: &Draft, listeners: &[Listener], owners: &Owners) -> Option<Vec<OpenPort>> {
    let owner = |listener: &Listener| owners.found.get(&listener.inode);
    let is_its = |listener: &&Listener| {
        let container = owner(listener).and_then(|owner| owner.container.as_ref());
        !draft.is_host() || container.is_some_and(|id| draft.members.contains(id))
    };
    // Whose sockets those of the node are, only their owners tell.
    let is_hidden = owners.obstacle == Some(Obstacle::TooMany)
        || draft.members.iter().any(|id| owners.hidden.contains(id));
    if draft.is_host() && (draft.identity().is_none() || is_hidden) {
        return None;
    }
    let port = |listener: &Listener| OpenPort {
        port: listener.port,
        address: listener.address,
        localhost_only: listener.is_local(),
        process: owner(listener)
            .map(|owner| PortProcess { pid: owner.pid, name: owner.name.clone() }),
    };
    Some(listeners.iter().filter(is_its).map(port).collect())
}

#[cfg(test)]
mod tests;
