//! The roster of a node: its pods, containers and named network namespaces, and what listens in them.
//!
//! Whatever cannot be seen is left out and told, and the rest is there all the same. Runtimes are asked by
//! `nsplice-runtime`; each network namespace is looked into once, however many share it (`draft.rs`). Who
//! may not enter one reads the table of a process in it.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::errno::Errno;
use serde::Serialize;

use nsplice_runtime::owners::{self, owners, Obstacle, Owners};
use nsplice_runtime::ports::Listener;
use nsplice_runtime::proc_net::listeners_beside;
use nsplice_runtime::{
    Answer, Directory, Identity, NamedNamespace, Network, Rank, Resident, SourceError, Wanted,
};
use nsplice_sys::{describe, Pool};

use crate::error::{BackendError, ErrorKind};
use crate::netns::home::Home;
use crate::netns::interior::{look, Closed};
use crate::options::Options;
use crate::roster::draft::{entries, sought, Draft, View, Views};
use crate::roster::entry::{Entry, EntryKind, NetworkKind};
use crate::target::located::Located;
use crate::target::place::Place;
use crate::target::Target;

pub(crate) mod draft;
pub(crate) mod entry;

/// All that a node has, as far as it can be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Roster {
    /// The targets, in an order for people.
    pub targets: Vec<Entry>,
    /// What could not be seen.
    pub problems: Vec<Problem>,
}

/// Something that could not be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problem {
    /// The reason, in a sentence.
    pub sentence: String,
    /// What kind of trouble it is; `None` if nothing less was to be expected of what we may do.
    #[serde(skip)]
    pub kind: Option<ErrorKind>,
}

/// How much of a roster is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// What there is; no namespace is looked into.
    Names,
    /// Everything.
    Inside,
}

/// A node, whose rosters can be had one after the other: what runtimes keep on disk is read once.
#[derive(Debug)]
pub struct Node {
    directory: Directory,
    home: Home,
}

/// A roster that is being made.
#[derive(Debug)]
struct Making<'a> {
    node: &'a Node,
    detail: Detail,
    /// The network of the node.
    network: Option<Identity>,
    drafts: Vec<Draft>,
    views: Views,
    /// How many namespaces could not be looked into, by the reason.
    closed: BTreeMap<(bool, String), usize>,
}

impl Node {
    /// The node that `options` describe.
    ///
    /// # Errors
    /// When its root, or our own namespace, cannot be opened.
    pub fn open(options: &Options) -> Result<Self, BackendError> {
        Ok(Self { directory: options.directory()?, home: Home::found()? })
    }

    /// The same node, whose runtimes have to answer `within` this time.
    #[must_use]
    pub fn patient(self, within: Duration) -> Self {
        Self { directory: self.directory.patient(within), ..self }
    }

    /// Makes a roster of what `is_wanted`. Blocks for as long as runtimes take.
    pub fn roster(&self, detail: Detail, is_wanted: impl Fn(&Entry) -> bool) -> Roster {
        let mut making = Making {
            node: self,
            detail,
            network: self.directory.network(),
            drafts: Vec::new(),
            views: Views::new(),
            closed: BTreeMap::new(),
        };
        let unheard = self.directory.residents(|resident| making.add_resident(resident));
        let mut problems: Vec<Problem> = unheard.iter().map(unheard_of).collect();
        problems.extend(
            self.directory
                .no_docker()
                .map(|error| Problem { sentence: error.to_string(), kind: Some(ErrorKind::Usage) }),
        );
        match self.directory.named_namespaces() {
            Ok(named) => named.into_iter().for_each(|named| making.add_named(named)),
            Err((path, error)) => problems.push(Problem {
                sentence: format!("cannot read {}: {error}", path.display()),
                kind: Some(ErrorKind::Failed),
            }),
        }
        making.finish(is_wanted, problems)
    }
}

impl Making<'_> {
    fn add_resident(&mut self, resident: Resident) {
        let located =
            resident.found.as_ref().map(|found| Located::of(&found.place, &found.addresses));
        let is_behind = matches!(located, Some(Located::Behind(_)));
        let identity = located.as_ref().and_then(|located| located.identity(&self.node.home));
        let is_host =
            resident.network == Network::Host || identity.is_some() && identity == self.network;
        let network = match (&located, &resident.network) {
            _ if is_host => NetworkKind::Host,
            _ if is_behind => NetworkKind::Sandboxed,
            (None, Network::Unknown) => NetworkKind::Unknown,
            _ => NetworkKind::Own,
        };
        let (kind, pod) = match resident.rank {
            Rank::Pod => (EntryKind::Pod, None),
            Rank::Container { pod } => (EntryKind::Container, pod),
        };
        let labels = resident.labels;
        let told = match kind {
            EntryKind::Pod => labels.pod.clone().or(labels.uid),
            _ => labels.container,
        };
        let short = || resident.id.chars().take(SHORT_ID).collect();
        let entry = Entry {
            target: word(resident.wanted, resident.pid, self.node.directory.is_own()),
            kind,
            name: told.unwrap_or_else(short),
            namespace: labels.namespace,
            pod: labels.pod.filter(|_| kind == EntryKind::Container),
            id: Some(resident.id),
            runtime: labels.runtime.map(|runtime| runtime.as_str()),
            pid: resident.pid,
            network,
            network_namespace: identity,
            shares: None,
            addresses: resident.found.map(|found| found.addresses).unwrap_or_default(),
            ports: None,
        };
        // Where namespaces cannot be told apart, a pod's is looked into by the pod.
        let is_looked_into = !is_behind && (identity.is_some() || pod.is_none() && !is_host);
        let listeners = located.filter(|_| is_looked_into).and_then(|at| self.look(&at, identity));
        let (network, members, created) = (resident.network, resident.members, resident.created);
        self.drafts.push(Draft { entry, pod, network, created, members, listeners });
    }

    /// Adds a namespace that has a name, unless it is that of a pod or container.
    fn add_named(&mut self, named: NamedNamespace) {
        let NamedNamespace { name, path, identity } = named;
        if self.drafts.iter().any(|draft| draft.entry.network_namespace == Some(identity)) {
            return;
        }
        let target = Target::Netns(path);
        let Target::Netns(path) = &target else { return };
        let located = Located::of_path(path);
        let listeners = self.look(&located, Some(identity));
        let entry = Entry {
            target: Some(target.to_string()),
            kind: EntryKind::Netns,
            name,
            namespace: None,
            pod: None,
            id: None,
            runtime: None,
            pid: None,
            network: NetworkKind::Own,
            network_namespace: Some(identity),
            shares: None,
            addresses: Vec::new(),
            ports: None,
        };
        let (network, members) = (Network::Own, Vec::new());
        self.drafts.push(Draft { entry, pod: None, network, created: None, members, listeners });
    }

    /// Looks into a namespace, unless that has been done. What is seen goes to the views if it can be
    /// told which namespace it is; else it is returned.
    fn look(&mut self, located: &Located, identity: Option<Identity>) -> Option<Vec<Listener>> {
        if self.detail == Detail::Names || identity.is_some_and(|it| self.views.contains_key(&it)) {
            return None;
        }
        let view = match look(located, &self.node.home) {
            Ok(interior) => {
                View { listeners: Some(interior.listeners), addresses: interior.addresses }
            }
            // It has just ended.
            Err(Closed::Entry(Errno::ESRCH)) => View::default(),
            Err(closed) => {
                let listeners = match located {
                    Located::Process(process) => listeners_beside(process).ok(),
                    _ => None,
                };
                if listeners.is_none() {
                    *self.closed.entry(reason(&closed)).or_default() += 1;
                }
                View { listeners, addresses: Vec::new() }
            }
        };
        match identity {
            Some(identity) => {
                self.views.insert(identity, view);
                None
            }
            None => view.listeners,
        }
    }

    fn finish(self, is_wanted: impl Fn(&Entry) -> bool, mut problems: Vec<Problem>) -> Roster {
        let Self { node, detail, drafts, views, closed, .. } = self;
        let owners = match detail {
            Detail::Names => Owners::default(),
            Detail::Inside => {
                let hosts: Vec<Identity> = drafts
                    .iter()
                    .filter(|draft| draft.entry.network == NetworkKind::Host)
                    .filter_map(|draft| draft.entry.network_namespace)
                    .collect();
                let (sought, members) = sought(&drafts, &views);
                owners(&node.directory, sought, |identity, container| {
                    !hosts.contains(&identity) || container.is_some_and(|id| members.contains(id))
                })
            }
        };
        // What was seen by the table of a process alone is of others' processes.
        let by_table = drafts.iter().any(|draft| draft.listeners.is_some());
        let obstacle = owners.obstacle.max(by_table.then_some(Obstacle::Denied));
        let mut targets = entries(drafts, &views, &owners);
        targets.retain(is_wanted);
        problems.extend(closed.into_iter().map(|((is_denied, reason), count)| Problem {
            sentence: format!(
                "cannot see the ports of {}: {reason}",
                counted(count, "network namespace")
            ),
            kind: Some(if is_denied { ErrorKind::Privilege } else { ErrorKind::Failed }),
        }));
        let ports = targets.iter().filter_map(|entry| entry.ports.as_ref()).flatten();
        let nameless = ports.filter(|port| port.process.is_none()).count();
        if let Some(obstacle) = obstacle.filter(|_| nameless > 0) {
            let count = counted(nameless, "port");
            let reason = match obstacle {
                Obstacle::Denied => {
                    "not all processes are ours to look at; root, or CAP_SYS_PTRACE, would help"
                        .to_owned()
                }
                Obstacle::TooMany => {
                    format!("there are more than {} descriptors to look at", owners::MOST)
                }
            };
            let sentence = format!("cannot see the processes behind {count}: {reason}");
            problems.push(Problem { sentence, kind: None });
        }
        Roster { targets, problems }
    }
}

/// Lists the sockets that listen in the network namespace of `target`, by port. Blocks.
///
/// # Errors
/// When the target is not there, or not for us.
pub fn open_ports(target: &Target, options: &Options) -> Result<Vec<Listener>, BackendError> {
    // It is asked for once, here and now.
    let nobody = Pool::on_demand().asker();
    let located = Place::find(target, options, &nobody)?.locate_now()?;
    let interior = look(&located, &Home::found()?);
    interior.map(|interior| interior.listeners).map_err(|closed| {
        let (is_denied, reason) = reason(&closed);
        let sentence = format!("cannot see the ports of {target}: {reason}");
        if is_denied {
            BackendError::Privilege(sentence)
        } else {
            BackendError::Failed(sentence)
        }
    })
}

/// The words for a resident: where there are no others, those for its process.
fn word(wanted: Option<Wanted>, pid: Option<u32>, is_own: bool) -> Option<String> {
    let target = wanted.map(Target::Named).or_else(|| pid.filter(|_| is_own).map(Target::Pid))?;
    Some(target.to_string())
}

fn unheard_of(Answer { source, path, said }: &Answer) -> Problem {
    let kind = match said {
        Err(SourceError::Denied(_)) => ErrorKind::Privilege,
        _ => ErrorKind::Failed,
    };
    let reason = said.as_ref().map_or_else(ToString::to_string, |_| String::new());
    let sentence = format!("cannot ask {source} at {}: {reason}", path.display());
    Problem { sentence, kind: Some(kind) }
}

/// Whether it is a privilege that is missing, and the reason in words.
fn reason(closed: &Closed) -> (bool, String) {
    match closed {
        Closed::Entry(errno @ (Errno::EPERM | Errno::EACCES)) => {
            let words = describe(&(*errno).into());
            (
                true,
                format!("{words}; run as root, or give nsplice CAP_SYS_ADMIN and CAP_SYS_PTRACE"),
            )
        }
        Closed::Entry(errno) => (false, describe(&(*errno).into())),
        Closed::Answer(words) => (false, words.clone()),
    }
}

fn counted(count: usize, what: &str) -> String {
    let many = if count == 1 { "" } else { "s" };
    format!("{count} {what}{many}")
}

/// As many digits of an ID as runtimes show.
const SHORT_ID: usize = 12;
