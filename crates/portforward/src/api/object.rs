//! A pod as an object of `core/v1`.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{json, Value};

use crate::pods::{Phase, PodView};

/// The metadata of a pod.
pub(super) fn metadata(view: &PodView) -> Value {
    let created =
        view.created.map(|at| DateTime::<Utc>::from(at).to_rfc3339_opts(SecondsFormat::Secs, true));
    json!({
        "name": view.name, "namespace": view.namespace, "uid": view.uid,
        "resourceVersion": "1", "creationTimestamp": created,
    })
}

/// A pod with all that is known of it.
pub(super) fn object(view: &PodView) -> Value {
    let containers: Vec<_> =
        view.containers.iter().map(|(name, _)| json!({"name": name})).collect();
    let statuses = view.containers.iter().map(|(name, phase)| {
        let runs = *phase == Phase::Running;
        let state =
            if runs { json!({"running": {}}) } else { json!({"terminated": {"exitCode": 0}}) };
        json!({"name": name, "ready": runs, "started": runs, "restartCount": 0, "state": state,
            "image": "", "imageID": ""})
    });
    let addresses: Vec<_> = view.addresses.iter().map(|ip| json!({"ip": ip.to_string()})).collect();
    let ready = if view.phase == Phase::Running { "True" } else { "False" };
    json!({
        "kind": "Pod", "apiVersion": "v1", "metadata": metadata(view),
        "spec": {"containers": containers},
        "status": {
            "phase": phase_of(view),
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": statuses.collect::<Vec<_>>(),
            "podIP": view.addresses.first().map(ToString::to_string),
            "podIPs": addresses,
        },
    })
}

fn phase_of(view: &PodView) -> &'static str {
    match view.phase {
        Phase::Running => "Running",
        Phase::Stopped => "Succeeded",
    }
}
