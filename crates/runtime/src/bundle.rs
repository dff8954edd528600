//! An OCI bundle's `config.json`, read: what its runtime wrote into it of the container. Pure.
//!
//! The specification has no place for names, so runtimes use annotations:
//!
//! | by | prefix | |
//! |---|---|---|
//! | containerd's CRI plugin | `io.kubernetes.cri.` | `container-type`, `container-name`, `sandbox-id`, `sandbox-name`, `sandbox-namespace`, `sandbox-uid` |
//! | CRI-O | `io.kubernetes.cri-o.` | `ContainerType`, `SandboxID`, `KubeName`, `Namespace`, `Labels` (JSON), `HostNetwork`, `IP.0`, `RuntimeHandler` |
//! | podman | `io.container.manager`, and two of CRI-O's in a pod | |
//! | nerdctl | `nerdctl/` | `name` |
//!
//! Of `linux.namespaces` the entry `network` tells whose network it is: none means the node's, one without
//! a path a new one, one with a path that one. A path through `/proc/PID` goes stale with that process, so
//! it is not used.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;

use crate::sighting::{Kind, Network, PodName, Runtime, Sighting};

#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default)]
    annotations: Option<HashMap<String, String>>,
    #[serde(default)]
    linux: Option<Linux>,
}

#[derive(Debug, Deserialize)]
struct Linux {
    #[serde(default)]
    namespaces: Option<Vec<Namespace>>,
}

#[derive(Debug, Deserialize)]
struct Namespace {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    path: Option<PathBuf>,
}

/// What the `config.json` of the container `id` says; `runtime` is whose bundle it is, if that is known
/// otherwise.
pub(crate) fn read(id: &str, json: &[u8], runtime: Runtime) -> serde_json::Result<Sighting> {
    let config: Config = serde_json::from_slice(json)?;
    let annotations = Annotations(config.annotations.unwrap_or_default());
    let mut one = if annotations.has("io.kubernetes.cri.container-type") {
        of_containerd(id, &annotations)
    } else if annotations.get("io.container.manager") == Some("libpod") {
        of_podman(id, &annotations)
    } else if annotations.has("io.kubernetes.cri-o.ContainerType") {
        of_crio(id, &annotations)
    } else {
        let mut one = Sighting::of(id, Kind::Container { sandbox: None }, runtime);
        one.names.extend(annotations.owned("nerdctl/name"));
        one
    };
    if runtime != Runtime::Unknown {
        one.runtime = runtime;
    }
    if let Some(namespaces) = config.linux.and_then(|linux| linux.namespaces) {
        let network = namespaces.into_iter().find(|namespace| namespace.kind == "network");
        (one.network, one.namespace) = match network.map(|namespace| namespace.path) {
            None => (Network::Host, None),
            Some(None) => (Network::Own, None),
            Some(Some(path)) if path.starts_with("/proc") => (Network::Unknown, None),
            Some(Some(path)) => (Network::Own, Some(path)),
        };
    }
    Ok(one)
}

#[derive(Debug)]
struct Annotations(HashMap<String, String>);

impl Annotations {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

fn of_containerd(id: &str, annotations: &Annotations) -> Sighting {
    let told = |name: &str| annotations.owned(&format!("io.kubernetes.cri.{name}"));
    let kind = match told("container-type").as_deref() {
        Some("sandbox") => Kind::Sandbox,
        _ => Kind::Container { sandbox: told("sandbox-id") },
    };
    let mut one = Sighting::of(id, kind, Runtime::Containerd);
    one.names.extend(told("container-name"));
    if let Some(name) = told("sandbox-name") {
        let (namespace, uid) = (told("sandbox-namespace"), told("sandbox-uid"));
        one.pod = Some(PodName { namespace, name: Some(name), uid });
    }
    one
}

fn of_crio(id: &str, annotations: &Annotations) -> Sighting {
    let told = |name: &str| annotations.owned(&format!("io.kubernetes.cri-o.{name}"));
    let labels: HashMap<String, String> = annotations
        .get("io.kubernetes.cri-o.Labels")
        .and_then(|labels| serde_json::from_str(labels).ok())
        .unwrap_or_default();
    let label = |name: &str| {
        let name = format!("io.kubernetes.{name}");
        labels
            .get(&name)
            .filter(|value| !value.is_empty())
            .cloned()
            .or_else(|| annotations.owned(&name))
    };
    let kind = match told("ContainerType").as_deref() {
        Some("sandbox") => Kind::Sandbox,
        _ => Kind::Container { sandbox: told("SandboxID") },
    };
    let mut one = Sighting::of(id, kind, Runtime::Crio);
    if !one.is_sandbox() {
        one.names.extend(label("container.name"));
    }
    if let Some(name) = told("KubeName").or_else(|| label("pod.name")) {
        let namespace = told("Namespace").or_else(|| label("pod.namespace"));
        one.pod = Some(PodName { namespace, name: Some(name), uid: label("pod.uid") });
    }
    one.handler = told("RuntimeHandler");
    let address = |number: usize| told(&format!("IP.{number}"))?.parse::<IpAddr>().ok();
    one.addresses = (0..MOST_ADDRESSES).map_while(address).collect();
    one
}

fn of_podman(id: &str, annotations: &Annotations) -> Sighting {
    let kind = match annotations.get("io.kubernetes.cri-o.ContainerType") {
        Some("sandbox") => Kind::Sandbox,
        _ => Kind::Container { sandbox: annotations.owned("io.kubernetes.cri-o.SandboxID") },
    };
    Sighting::of(id, kind, Runtime::Podman)
}

/// A pod has one of each family.
const MOST_ADDRESSES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_network_entry_tells_whose_network_it_is() {
        let read = |namespaces: &str| {
            let json = format!(r#"{{"linux":{{"namespaces":[{{"type":"pid"}}{namespaces}]}}}}"#);
            let one = read("x", json.as_bytes(), Runtime::Docker).unwrap();
            (one.network, one.namespace)
        };
        let path = "/run/netns/cni-1";
        assert_eq!(read(""), (Network::Host, None));
        assert_eq!(read(r#",{"type":"network"}"#), (Network::Own, None));
        assert_eq!(
            read(&format!(r#",{{"type":"network","path":"{path}"}}"#)),
            (Network::Own, Some(path.into()))
        );
        assert_eq!(
            read(r#",{"type":"network","path":"/proc/7/ns/net"}"#),
            (Network::Unknown, None)
        );
        let nothing = super::read("x", b"{}", Runtime::Docker).unwrap();
        assert_eq!((nothing.network, nothing.runtime), (Network::Unknown, Runtime::Docker));
    }

    #[test]
    fn what_is_of_the_wrong_type_is_an_error() {
        for json in [
            "",
            "7",
            "\"x\"",
            "{",
            r#"{"annotations":7}"#,
            r#"{"annotations":{"a":7}}"#,
            r#"{"linux":{"namespaces":{}}}"#,
            r#"{"linux":{"namespaces":[{"type":7}]}}"#,
        ] {
            assert!(read("x", json.as_bytes(), Runtime::Unknown).is_err(), "{json}");
        }
        let deep = "[".repeat(100_000);
        assert!(read("x", deep.as_bytes(), Runtime::Unknown).is_err());
        let labels = r#"{"annotations":{"io.kubernetes.cri-o.ContainerType":"container","io.kubernetes.cri-o.Labels":"nonsense"}}"#;
        assert_eq!(read("x", labels.as_bytes(), Runtime::Unknown).unwrap().names, [""; 0]);
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_or_refused(json in "[{}\\[\\]\",:a-z0-9]{0,64}") {
            let _ = read("x", json.as_bytes(), Runtime::Unknown);
        }
    }
}
