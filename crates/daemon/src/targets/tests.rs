//! What the tests of these rooms share, and what the exit code tells.

use super::*;
use nsplice_backend::{Entry, EntryKind, Identity, NetworkKind, OpenPort, PortProcess};
use std::net::SocketAddr;

/// A target of these words that runs.
pub(crate) fn entry(target: &str) -> Entry {
    let (kind, rest) = target.split_once('/').unwrap();
    let (namespace, name) =
        rest.split_once('/').map_or((None, rest), |(space, name)| (Some(space), name));
    let kind = match kind {
        "pod" => EntryKind::Pod,
        "netns" => EntryKind::Netns,
        _ => EntryKind::Container,
    };
    Entry {
        target: Some(target.to_owned()),
        kind,
        name: name.to_owned(),
        namespace: namespace.map(str::to_owned),
        pod: None,
        id: Some("0123456789abcdef".to_owned()),
        runtime: Some("containerd"),
        pid: Some(4947),
        network: NetworkKind::Own,
        network_namespace: Some(Identity { device: 4, inode: 4_026_532_201 }),
        shares: None,
        addresses: vec!["10.0.0.12".parse().unwrap()],
        ports: Some(Vec::new()),
    }
}

/// A port that the process `name` listens on.
pub(crate) fn open(address: &str, name: &str) -> OpenPort {
    let address: SocketAddr = address.parse().unwrap();
    OpenPort {
        port: address.port(),
        address: address.ip(),
        localhost_only: address.ip().is_loopback(),
        process: Some(PortProcess { pid: 5000, name: name.to_owned() }),
    }
}

#[test]
fn a_failure_is_graver_than_a_privilege_that_is_missing() {
    let of = |kinds: &[Option<ErrorKind>]| {
        let sentence = String::new();
        let problems: Vec<Problem> =
            kinds.iter().map(|kind| Problem { sentence: sentence.clone(), kind: *kind }).collect();
        exit_of(&problems)
    };
    let (denied, failed) = (Some(ErrorKind::Privilege), Some(ErrorKind::Failed));
    assert_eq!(of(&[]), Exit::Done);
    assert_eq!(of(&[None]), Exit::Done);
    assert_eq!(of(&[None, denied]), Exit::Privilege);
    assert_eq!(of(&[denied, failed, denied]), Exit::Failed);
}
