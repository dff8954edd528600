//! Names as targets resolve them: the files of a process in another mount namespace, those of ip-netns(8),
//! and a name server that only the target reaches.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nsplice_backend::{look_up, BackendError, Options, Target};
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::{name_server, wait_until, Namespace, PATIENCE};

/// A process with files of its own over those of /etc. It ends with its input.
struct Container {
    child: Child,
    _files: tempfile::TempDir,
}

impl Container {
    fn new(namespace: &Namespace, files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut script = "mount --make-rprivate /".to_owned();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            script += &format!("; mount --bind {} /etc/{name}", path.display());
        }
        script += "; touch \"$0\"; exec cat";
        let ready = directory.path().join("ready");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", &script]).arg(&ready).stdin(Stdio::piped());
        let child = namespace.inside(|| command.spawn().unwrap());
        wait_until("the container to be there", || ready.exists());
        Self { child, _files: directory }
    }

    fn target(&self) -> Target {
        Target::Pid(self.child.id())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory that is removed at the end whatever happens.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn found(target: &Target, name: &str) -> Result<String, BackendError> {
    look_up(target, &Options::default(), name, PATIENCE).map(|found| {
        let addresses: Vec<_> = found.addresses.iter().map(ToString::to_string).collect();
        format!("{} ({})", addresses.join(" "), found.origin)
    })
}

#[test]
fn a_container_has_its_own_names_and_servers() {
    const TEST: &str = "a_container_has_its_own_names_and_servers";
    let Some(namespace) = Namespace::for_test(TEST) else { return };
    let (Some(dnsmasq), Some(_)) = (require_tool(TEST, "dnsmasq"), require_tool(TEST, "unshare"))
    else {
        return;
    };
    let container = Container::new(
        &namespace,
        &[("hosts", "10.7.7.7 web\n"), ("resolv.conf", "search svc.local\nnameserver 127.0.0.1\n")],
    );
    let target = container.target();
    assert_eq!(found(&target, "web").unwrap(), "10.7.7.7 (/etc/hosts, line 1)");
    // Nobody serves names there yet, and the node's server is not asked.
    let told = found(&target, "db").unwrap_err().to_string();
    assert!(
        told.starts_with(&format!("cannot resolve db in {target}: no name server answers")),
        "{told}"
    );
    assert!(told.contains("db.svc.local at 127.0.0.1:53: Connection refused"), "{told}");
    let record = "--host-record=db.svc.local,10.0.0.9".to_owned();
    let _server = namespace.inside(|| name_server(&dnsmasq, [record]));
    wait_until("dnsmasq answers", || found(&target, "db").is_ok());
    let expected = "10.0.0.9 (127.0.0.1:53, as db.svc.local)";
    assert_eq!(found(&target, "db").unwrap(), expected);
}

#[test]
fn a_namespace_of_ip_netns_has_the_files_that_are_for_it() {
    const TEST: &str = "a_namespace_of_ip_netns_has_the_files_that_are_for_it";
    let Some(namespace) = Namespace::for_test(TEST) else { return };
    let target: Target = format!("netns/{}", namespace.name()).parse().unwrap();
    let files = Removed(Path::new("/etc/netns").join(namespace.name()));
    if fs::create_dir_all(&files.0).is_err() {
        nsplice_testkit::skip!(TEST, "/etc/netns cannot be made; root would help");
    }
    fs::write(files.0.join("hosts"), "10.8.8.8 web\n").unwrap();
    assert_eq!(found(&target, "web").unwrap(), "10.8.8.8 (/etc/hosts, line 1)");
}
