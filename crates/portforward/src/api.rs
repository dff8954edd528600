//! What kubectl asks before it forwards: which API there is, and what pods.
//!
//! Documents of the API server (`core/v1`), as few as kubectl needs, and read-only. Pods have the fields
//! that are known here; there are no nodes, no owners and no specification.

use std::time::SystemTime;

use serde_json::{json, Value};

use crate::path::Path;
use crate::pods::PodView;

mod object;
mod table;

use object::object;

/// Whether the questions that kubectl asks before it forwards are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// They are.
    On,
    /// There is nothing but the paths to forward by.
    Off,
}

/// The form in which pods are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As they are.
    Objects,
    /// As the rows that kubectl prints (`meta.k8s.io/v1`, `Table`).
    Table,
}

/// A document that is always the same.
pub(crate) fn document(path: &Path) -> Option<Value> {
    match path {
        Path::Versions => Some(json!({"kind": "APIVersions", "versions": ["v1"]})),
        Path::Groups => Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})),
        Path::Resources => {
            let of_pods = |name: &str, verbs: &[&str]| {
                json!({"name": name, "singularName": if name == "pods" { "pod" } else { "" },
                    "namespaced": true, "kind": if name == "pods" { "Pod" } else { "PodPortForwardOptions" },
                    "verbs": verbs, "shortNames": if name == "pods" { &["po"][..] } else { &[] }})
            };
            let resources = [
                of_pods("pods", &["get", "list"]),
                of_pods("pods/portforward", &["create", "get"]),
            ];
            Some(
                json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1", "resources": resources}),
            )
        }
        // kubectl compares it with its own and warns of what is far apart.
        Path::Version => Some(json!({
            "major": "1", "minor": "31", "gitVersion": concat!("v1.31.0+nsplice-", env!("CARGO_PKG_VERSION")),
            "platform": "linux"
        })),
        Path::Ports(_) | Path::Pod(_) | Path::Pods(_) | Path::Other => None,
    }
}

/// A pod.
pub(crate) fn pod(view: &PodView, form: Form) -> Value {
    match form {
        Form::Objects => object(view),
        Form::Table => table::of(std::slice::from_ref(view), SystemTime::now()),
    }
}

/// A list of pods.
pub(crate) fn pods(views: &[PodView], form: Form) -> Value {
    match form {
        Form::Objects => json!({
            "kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"},
            "items": views.iter().map(object).collect::<Vec<_>>(),
        }),
        Form::Table => table::of(views, SystemTime::now()),
    }
}
