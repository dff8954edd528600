//! The pods of this node, as the endpoint asks for them.
//!
//! What blocks is asked on the threads of a pool: where a pod is, and which there are. A pod that was
//! found is reached by its name, as `nsplice forward pod/NAMESPACE/NAME` does, so it is followed when it
//! is started again. A port is looked for when the first connection wants it.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use nsplice_backend::{BackendError, Destination, Prospect, Target, Wanted};
use nsplice_portforward::{Asked, NoPod, Phase, Pod, PodName, PodView, Pods, Way};
use nsplice_relay::{Found as Known, Labels};
use nsplice_runtime::{Directory, Found, Settings};
use nsplice_sys::{describe, lock, offload, Answer, Offloaded, Pool, Question};

use super::listing::{views, NAMESPACE};
use crate::failure::Failure;
use crate::request::Opening;

/// The name of the endpoint, in the log.
pub(super) const SERVICE: &str = "serve";

/// Ports of a pod that are kept in mind: more than any pod has, and no burden if somebody asks for all.
const PROSPECTS: usize = 64;

/// The pods of this node.
#[derive(Debug)]
pub(super) struct NodePods {
    node: Arc<Node>,
    list: Question<Arc<Vec<PodView>>>,
}

/// What it takes to find a pod and to reach it.
#[derive(Debug)]
struct Node {
    directory: Directory,
    opening: Opening,
    pool: Pool,
}

impl NodePods {
    /// The pods of the node that `opening` describes, asked about by the threads of `pool`.
    pub(super) fn new(opening: &Opening, pool: &Pool) -> Result<Self, Failure> {
        let settings = Settings {
            root: opening.options.root.clone(),
            docker_host: opening.options.docker_host.clone(),
        };
        let directory = Directory::open(&settings).map_err(|error| {
            let root = settings.root.as_deref().unwrap_or_else(|| Path::new("/")).display();
            BackendError::Failed(format!("cannot look below {root}: {}", describe(&error)))
        })?;
        let node = Arc::new(Node { directory, opening: opening.clone(), pool: pool.clone() });
        let asked = Arc::clone(&node);
        let list =
            Question::new(&pool.asker(), move || Arc::new(views(&asked.directory.list().seen)));
        Ok(Self { node, list })
    }
}

impl Pods for NodePods {
    fn find(&self, name: &PodName) -> Box<dyn Asked<Arc<dyn Pod>>> {
        let (node, name) = (Arc::clone(&self.node), name.clone());
        let asked = offload(&self.node.pool, move || find(&node, &name));
        asking(asked, |pod: Result<Arc<NodePod>, NoPod>| pod.map(|pod| pod as Arc<dyn Pod>))
    }

    fn list(&self, namespace: Option<&str>) -> Box<dyn Asked<Vec<PodView>>> {
        let namespace = namespace.map(str::to_owned);
        asking(self.list.ask(), move |all: Arc<Vec<PodView>>| {
            let is_of = |view: &&PodView| namespace.as_ref().is_none_or(|it| view.namespace == *it);
            Ok(all.iter().filter(is_of).cloned().collect())
        })
    }
}

/// A question on its way, and what becomes of its answer.
struct Waiting<T, F> {
    asked: Option<Result<Offloaded<T>, String>>,
    then: F,
}

fn asking<T: Send + 'static, U: 'static>(
    asked: std::io::Result<Offloaded<T>>,
    then: impl Fn(T) -> Result<U, NoPod> + Send + 'static,
) -> Box<dyn Asked<U>> {
    let asked = asked.map_err(|error| format!("cannot ask the runtimes: {}", describe(&error)));
    Box::new(Waiting { asked: Some(asked), then })
}

impl<T, F> fmt::Debug for Waiting<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}

impl<T: Send, U, F: Fn(T) -> Result<U, NoPod> + Send> Asked<U> for Waiting<T, F> {
    fn take(&mut self) -> Option<Result<U, NoPod>> {
        let answer = match self.asked.as_ref()? {
            Err(error) => Err(NoPod::Failed(error.clone())),
            Ok(asked) => match asked.take() {
                Answer::NotYet => return None,
                Answer::Here(answer) => (self.then)(answer),
                Answer::Lost => {
                    Err(NoPod::Failed("internal error: the lookup panicked".to_owned()))
                }
            },
        };
        self.asked = None;
        Some(answer)
    }
}

/// Finds a pod. Blocks.
fn find(node: &Arc<Node>, name: &PodName) -> Result<Arc<NodePod>, NoPod> {
    let mut refused = None;
    for wanted in wanted(name) {
        match node.directory.find(&wanted) {
            Ok(found) if !is_of(&wanted, &found) => {}
            Ok(found) => {
                if name.uid.as_ref().is_some_and(|uid| found.labels.uid.as_ref() != Some(uid)) {
                    return Err(NoPod::Unknown(format!(
                        "the one that runs has another UID than {name}"
                    )));
                }
                return Ok(Arc::new(NodePod::new(Arc::clone(node), name, wanted, &found)));
            }
            // There may be several in other namespaces, none of which is meant.
            Err(_) if matches!(wanted, Wanted::Pod { namespace: None, .. }) => {}
            Err(unfound) if unfound.is_missing() => {
                refused.get_or_insert_with(|| unfound.to_string());
            }
            Err(unfound) => return Err(NoPod::Failed(unfound.to_string())),
        }
    }
    Err(NoPod::Unknown(refused.unwrap_or_default()))
}

/// Whether what was found under such a name is what is listed under it: a pod without a namespace, or a
/// container without a pod.
fn is_of(wanted: &Wanted, found: &Found) -> bool {
    let labels = &found.labels;
    match wanted {
        Wanted::Pod { namespace: Some(_), .. } => true,
        Wanted::Pod { namespace: None, .. } => labels.namespace.is_none(),
        Wanted::Container(_) | Wanted::Docker(_) | Wanted::Bare(_) => labels.pod.is_none(),
    }
}

/// What a pod of this name may be called on the node, in the order in which that is tried.
fn wanted(name: &PodName) -> Vec<Wanted> {
    let pod = Wanted::pod(&name.to_string());
    let others = [Wanted::pod(&name.name), Wanted::container(&name.name)];
    let is_default = name.namespace == NAMESPACE;
    let others = others.into_iter().filter(|_| is_default);
    std::iter::once(pod).chain(others).flatten().collect()
}

/// A pod that was found.
#[derive(Debug)]
struct NodePod {
    node: Arc<Node>,
    target: Target,
    view: PodView,
    known: Arc<Known>,
    prospects: Mutex<HashMap<u16, Prospect>>,
}

impl NodePod {
    fn new(node: Arc<Node>, name: &PodName, wanted: Wanted, found: &Found) -> Self {
        let labels = &found.labels;
        let shared = |text: &Option<String>| text.as_deref().map(Arc::from);
        let known = Known {
            pod: shared(&labels.pod),
            namespace: shared(&labels.namespace),
            container: shared(&labels.container),
            runtime: labels.runtime.map(|runtime| runtime.as_str().into()),
        };
        let listed = views(&node.directory.list().seen).into_iter();
        let listed = listed
            .into_iter()
            .find(|view| view.namespace == name.namespace && view.name == name.name);
        // A container may have been asked for by its ID.
        let view = listed.unwrap_or_else(|| PodView {
            namespace: name.namespace.clone(),
            name: name.name.clone(),
            uid: labels.uid.clone().unwrap_or_else(|| found.id.clone()),
            containers: Vec::new(),
            phase: Phase::Running,
            addresses: found.addresses.clone(),
            created: None,
        });
        let view = PodView { phase: Phase::Running, ..view };
        let target = Target::Named(wanted);
        Self { node, target, view, known: Arc::new(known), prospects: Mutex::default() }
    }
}

impl Pod for NodePod {
    fn view(&self) -> &PodView {
        &self.view
    }

    fn port(&self, port: u16) -> Way {
        let Opening { host, backend, options, .. } = &self.node.opening;
        let destination = Destination { target: self.target.clone(), host: host.clone(), port };
        let mut prospects = lock(&self.prospects);
        if prospects.len() >= PROSPECTS && !prospects.contains_key(&port) {
            prospects.clear();
        }
        let prospect = prospects
            .entry(port)
            .or_insert_with(|| Prospect::new(&destination, *backend, options, &self.node.pool));
        let target = format!("{}:{port}", self.target).into();
        let labels =
            Labels { service: SERVICE.into(), target, found: Some(Arc::clone(&self.known)) };
        Way { opener: prospect.opener(), labels: Arc::new(labels) }
    }
}
