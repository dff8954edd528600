//! The JSON that runtimes put into a verbose status, under `info`. CRI says nothing of it: every
//! runtime has its own.
//!
//! | runtime | sandbox | container |
//! |---|---|---|
//! | containerd | `pid`, `netNamespaceClosed`, `runtimeSpec` | `pid`, `runtimeSpec` |
//! | CRI-O with an infra container | `pid`, `runtimeSpec` | `pid`, `runtimeSpec` |
//! | CRI-O without one, as it is by default | `runtimeSpec`, in old versions nothing | `pid`, `runtimeSpec` |
//! | cri-dockerd | nothing | `pid` |
//!
//! In `runtimeSpec`, a `config.json` of OCI, `linux.namespaces` has the path of the network
//! namespace; a container of containerd has that of its sandbox's process there, which is a way
//! only as long as that process lives; with the node's network there is no entry.

use std::path::PathBuf;

use serde::Deserialize;

/// What is known from such a JSON.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Info {
    /// The first process; `None` or 0 where there is none.
    pid: Option<u32>,
    /// Whether the network namespace was taken down.
    net_namespace_closed: bool,
    runtime_spec: Option<RuntimeSpec>,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct RuntimeSpec {
    linux: Option<Linux>,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Linux {
    namespaces: Option<Vec<Namespace>>,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Namespace {
    #[serde(rename = "type")]
    kind: String,
    path: Option<String>,
}

/// Whose network it has, by the namespaces in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Network {
    /// The node's: the namespaces do not include one.
    Node,
    /// One that this path leads to.
    At(PathBuf),
    /// One of its own, to which no path leads.
    Own,
    /// Nothing is said of it.
    Unknown,
}

impl Info {
    /// Reads the text of an `info`; an empty one says nothing.
    ///
    /// # Errors
    /// When it is no such JSON, with the reason.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        if text.len() > MOST {
            return Err(format!("it is longer than {MOST} bytes"));
        }
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// The first process.
    pub(super) fn pid(&self) -> Option<u32> {
        self.pid.filter(|pid| *pid > 0)
    }

    /// Whose network it has.
    pub(super) fn network(&self) -> Network {
        let linux = self.runtime_spec.as_ref().and_then(|spec| spec.linux.as_ref());
        let Some(namespaces) = linux.and_then(|linux| linux.namespaces.as_ref()) else {
            return Network::Unknown;
        };
        let Some(network) = namespaces.iter().find(|namespace| namespace.kind == "network") else {
            return Network::Node;
        };
        match network.path.as_deref().filter(|path| path.starts_with('/')) {
            Some(path) if !self.net_namespace_closed => Network::At(PathBuf::from(path)),
            _ => Network::Own,
        }
    }
}

/// Some kilobytes are usual, more with a large environment and many mounts.
const MOST: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec(namespaces: &str) -> String {
        format!(
            r#"{{"pid":7,"runtimeSpec":{{"ociVersion":"1.0.2","linux":{{"namespaces":{namespaces}}}}}}}"#
        )
    }

    #[test]
    fn every_runtime_is_understood() {
        let at = |path: &str| Network::At(PathBuf::from(path));
        let netns = "/var/run/netns/cni-8e2b7a4c";
        let own = spec(&format!(
            r#"[{{"type":"pid"}},{{"type":"network","path":"{netns}"}},{{"type":"mount"}}]"#
        ));
        let closed = own.replace(r#""pid":7,"#, r#""pid":0,"netNamespaceClosed":true,"#);
        let without_infra = own.replace(r#""pid":7,"#, "");
        let table = [
            (own.as_str(), Some(7), at(netns)),
            (&closed, None, Network::Own),
            (&without_infra, None, at(netns)),
            (&spec(r#"[{"type":"pid"},{"type":"mount"}]"#), Some(7), Network::Node),
            (&spec(r#"[{"type":"network"}]"#), Some(7), Network::Own),
            (&spec(r#"[{"type":"network","path":"relative"}]"#), Some(7), Network::Own),
            (&spec("null"), Some(7), Network::Unknown),
            // cri-dockerd, and CRI-O before 1.21.
            (r#"{"sandboxID":"abc","pid":4711}"#, Some(4711), Network::Unknown),
            ("{}", None, Network::Unknown),
            ("", None, Network::Unknown),
        ];
        for (text, pid, network) in table {
            let info = Info::read(text).unwrap();
            assert_eq!((info.pid(), info.network()), (pid, network), "{text}");
        }
    }

    #[test]
    fn what_is_none_says_what_is_wrong() {
        let long = format!("\"{}\"", " ".repeat(MOST));
        for (text, words) in [
            ("{}x", "trailing characters"),
            ("{", "EOF"),
            (r#"{"pid":"7"}"#, "invalid type: string"),
            (r#"{"pid":-7}"#, "invalid value: integer `-7`, expected u32"),
            (r#"{"pid":4294967296}"#, "expected u32"),
            (r#"{"runtimeSpec":{"linux":{"namespaces":{}}}}"#, "expected a sequence"),
            (&long, "longer than"),
        ] {
            let told = Info::read(text).unwrap_err();
            assert!(told.contains(words), "{text}: {told}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(text in ".{0,60}") {
            let _ = Info::read(&text);
        }
    }
}
