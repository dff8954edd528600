//! What a control group's path says of the container it is for. Pure.
//!
//! `/proc/PID/cgroup` has a line for each hierarchy (cgroups(7)), `HIERARCHY:CONTROLLERS:PATH`; with
//! version 2 just `0::PATH`. Runtimes put the container's ID into the path, 64 hexadecimal digits, each in
//! its manner:
//!
//! | driver | path |
//! |---|---|
//! | systemd | `.../kubepods-burstable-pod<uid with _>.slice/cri-containerd-<id>.scope[/...]`, the same with `crio-`, `docker-`, `libpod-` |
//! | cgroupfs | `/kubepods/burstable/pod<uid>/<id>`, `.../crio-<id>`, `/docker/<id>`, `/libpod_parent/libpod-<id>` |
//!
//! Processes may sit deeper (a nested systemd, crun's `container`), and the whole may hang below another
//! one's group (kind, Docker in Docker): then the last ID in the path is the container's own. Groups of
//! the runtime's helpers carry the ID, too (`crio-conmon-<id>.scope`); those are not in the container.

use crate::sighting::Runtime;

/// What the control groups of a process say of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Membership {
    /// The container it is in.
    pub(crate) container: Option<String>,
    /// The UID of the pod.
    pub(crate) pod_uid: Option<String>,
    /// The runtime, where the path has its name.
    pub(crate) runtime: Option<Runtime>,
}

/// Reads the text of a `/proc/PID/cgroup`.
pub(crate) fn membership(text: &str) -> Membership {
    // Of several hierarchies of version 1 some may be left at the root; the longest path tells most.
    let paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let all = paths.map(|path| (path.len(), of_path(path)));
    let told = all.max_by_key(|(length, told)| (told.container.is_some(), *length));
    told.map(|(_, told)| told).unwrap_or_default()
}

fn of_path(path: &str) -> Membership {
    let mut told = Membership::default();
    for part in path.split('/') {
        if let Some(uid) = pod_uid(part) {
            // A pod's group is above those of its containers.
            told = Membership { pod_uid: Some(uid), ..Membership::default() };
        } else if let Some((container, runtime)) = container(part) {
            if is_helper(part) {
                return Membership::default();
            }
            told.container = Some(container.to_owned());
            let below_docker = told.pod_uid.is_none() && path.starts_with("/docker/");
            told.runtime = runtime.or(if below_docker { Some(Runtime::Docker) } else { None });
        }
    }
    told
}

/// The ID in a part of the path, and the runtime if the part has a prefix of one.
fn container(part: &str) -> Option<(&str, Option<Runtime>)> {
    let part = part.strip_suffix(".scope").unwrap_or(part);
    let (prefix, id) = match part.rsplit_once(['-', ':']) {
        Some((prefix, id)) => (prefix, id),
        None => ("", part),
    };
    let runtime = match prefix.rsplit([':', '-']).next() {
        Some("containerd") => Some(Runtime::Containerd),
        Some("crio") => Some(Runtime::Crio),
        Some("docker") => Some(Runtime::Docker),
        Some("libpod") => Some(Runtime::Podman),
        _ => None,
    };
    is_id(id).then_some((id, runtime))
}

/// The monitors of CRI-O and podman.
fn is_helper(part: &str) -> bool {
    part.contains("conmon-")
}

/// The UID in the part of a pod's group: `pod<uid>`, `kubepods-besteffort-pod<uid with _>.slice`.
fn pod_uid(part: &str) -> Option<String> {
    let uid = match part.strip_suffix(".slice") {
        Some(slice) => slice.strip_prefix("kubepods-")?.rsplit_once("pod")?.1.replace('_', "-"),
        None => part.strip_prefix("pod")?.to_owned(),
    };
    let is_uid = uid.len() >= SHORTEST_UID
        && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_uid.then_some(uid)
}

/// Returns whether `text` can be the ID of a container.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == ID_LENGTH && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// SHA-256, in hexadecimal digits.
const ID_LENGTH: usize = 64;

/// A UID has 36 characters, one of a static pod 32.
const SHORTEST_UID: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const OUTER: &str = "ffff456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "8dbc4577-d0bf-4706-8787-57d52c03993c";

    fn told(path: &str) -> (bool, bool, Option<Runtime>) {
        let path = path.replace("UID_", &UID.replace('-', "_")).replace("UID", UID);
        let path = path.replace("OUTER", OUTER).replace("ID", ID);
        let told = membership(&format!("0::{path}\n"));
        assert!(told.container.as_deref().is_none_or(|id| id == ID), "{path}: {told:?}");
        assert!(told.pod_uid.as_deref().is_none_or(|uid| uid == UID), "{path}: {told:?}");
        (told.container.is_some(), told.pod_uid.is_some(), told.runtime)
    }

    #[test]
    fn every_driver_and_runtime_is_read() {
        use Runtime::{Containerd, Crio, Docker, Podman};
        let slices = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID_.slice";
        let table = [
            (format!("{slices}/cri-containerd-ID.scope"), (true, true, Some(Containerd))),
            (
                format!("{slices}/cri-containerd-ID.scope/init.scope"),
                (true, true, Some(Containerd)),
            ),
            (format!("{slices}/crio-ID.scope"), (true, true, Some(Crio))),
            (format!("{slices}/crio-ID.scope/container"), (true, true, Some(Crio))),
            (format!("{slices}/docker-ID.scope"), (true, true, Some(Docker))),
            (
                "/kubepods.slice/kubepods-podUID_.slice/crio-ID.scope".into(),
                (true, true, Some(Crio)),
            ),
            (format!("{slices}:cri-containerd:ID"), (true, false, Some(Containerd))),
            (format!("{slices}/crio-conmon-ID.scope"), (false, false, None)),
            ("/kubepods/besteffort/podUID/ID".into(), (true, true, None)),
            ("/kubepods/podUID/ID".into(), (true, true, None)),
            ("/kubepods/burstable/podUID/crio-ID".into(), (true, true, Some(Crio))),
            ("/docker/ID".into(), (true, false, Some(Docker))),
            ("/system.slice/docker-ID.scope".into(), (true, false, Some(Docker))),
            ("/libpod_parent/libpod-ID".into(), (true, false, Some(Podman))),
            ("/libpod_parent/web/libpod-ID".into(), (true, false, Some(Podman))),
            ("/machine.slice/libpod-ID.scope/container".into(), (true, false, Some(Podman))),
            ("/machine.slice/libpod-conmon-ID.scope".into(), (false, false, None)),
            ("/k8s.io/ID".into(), (true, false, None)),
            ("/docker/OUTER/kubelet/kubepods/podUID/ID".into(), (true, true, None)),
            ("/docker/OUTER/docker/ID".into(), (true, false, Some(Docker))),
            ("/".into(), (false, false, None)),
            ("/system.slice/ssh.service".into(), (false, false, None)),
            ("/../../podUID/ID".into(), (true, true, None)),
        ];
        for (path, expected) in table {
            assert_eq!(told(&path), expected, "{path}");
        }
    }

    #[test]
    fn of_the_hierarchies_of_version_1_the_one_that_tells_counts() {
        let text = format!(
            "12:pids:/kubepods/pod{UID}/{ID}\n11:rdma:/\n1:name=systemd:/system.slice/{}\n0::/\n",
            "x".repeat(200)
        );
        assert_eq!(membership(&text).container.as_deref(), Some(ID));
        assert_eq!(membership(&text).pod_uid.as_deref(), Some(UID));
    }

    proptest! {
        #[test]
        fn whatever_the_text_an_id_is_an_id(text in "[0-9a-f:/\\-\n.scopelikubd]{0,300}") {
            if let Some(id) = membership(&text).container {
                prop_assert!(is_id(&id) && text.contains(&id));
            }
        }
    }
}
