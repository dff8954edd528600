//! `nsplice serve`: a node with a pod, and who forwards to it.

// A test may fail where it stands.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::fs::symlink;

use nix::sys::signal::Signal;
use nsplice_testkit::kubectl::{kubectl, kubectls};
use nsplice_testkit::talk::echo;
use nsplice_testkit::{connect, Census, Namespace, Program, Server};
use tempfile::TempDir;

use crate::binary::{end_of, nsplice, quiet};

/// The root of a node whose containerd has the pod `default/web`, whose first process is `pid`.
fn node(pid: u32) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    symlink("/proc", root.path().join("proc")).unwrap();
    let id = "ab".repeat(32);
    let bundle = root.path().join("run/containerd/io.containerd.runtime.v2.task/k8s.io").join(&id);
    fs::create_dir_all(&bundle).unwrap();
    let config = format!(
        r#"{{"annotations": {{"io.kubernetes.cri.container-type": "sandbox",
        "io.kubernetes.cri.sandbox-id": "{id}", "io.kubernetes.cri.sandbox-name": "web",
        "io.kubernetes.cri.sandbox-namespace": "default", "io.kubernetes.cri.sandbox-uid": "0f-1"}}}}"#
    );
    fs::write(bundle.join("config.json"), config).unwrap();
    write_pid(&root, pid);
    root
}

/// Adds a container of the pod, and a pod of the same name as that in another namespace.
fn crowd(root: &TempDir) {
    let tasks = root.path().join("run/containerd/io.containerd.runtime.v2.task/k8s.io");
    for (id, annotations) in [
        (
            "cd",
            r#""io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": "app",
            "io.kubernetes.cri.sandbox-name": "web", "io.kubernetes.cri.sandbox-namespace": "default""#,
        ),
        (
            "ef",
            r#""io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-name": "app",
            "io.kubernetes.cri.sandbox-namespace": "other""#,
        ),
    ] {
        let bundle = tasks.join(id.repeat(32));
        fs::create_dir_all(&bundle).unwrap();
        fs::write(bundle.join("config.json"), format!("{{\"annotations\": {{{annotations}}}}}"))
            .unwrap();
        fs::write(bundle.join("init.pid"), std::process::id().to_string()).unwrap();
    }
}

/// A name leads to what is listed under it: not to a container of a pod, nor into another namespace.
#[test]
fn what_is_forwarded_to_is_what_is_listed() {
    let root = node(std::process::id());
    crowd(&root);
    let (program, address) = serving(&root, "--api");
    for (path, is_there) in
        [("default/pods/web", true), ("default/pods/app", false), ("other/pods/app", true)]
    {
        let answer = get(address, &format!("/api/v1/namespaces/{path}"));
        let status = if is_there { "200 OK" } else { "404 Not Found" };
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{path}: {answer}");
    }
    let list = get(address, "/api/v1/namespaces/default/pods");
    assert!(!list.contains(r#""name":"app","namespace":"default""#), "{list}");
    drop(program);
}

/// Writes down which process the pod's first one is.
fn write_pid(root: &TempDir, pid: u32) {
    let tasks = root.path().join("run/containerd/io.containerd.runtime.v2.task/k8s.io");
    fs::write(tasks.join("ab".repeat(32)).join("init.pid"), pid.to_string()).unwrap();
}

/// `nsplice serve` for the node at `root`, and where it listens.
fn serving(root: &TempDir, words: &str) -> (Program, SocketAddr) {
    let mut command = nsplice(&format!("serve --listen 127.0.0.1:0 {words} --root"));
    let program = Program::spawn(command.arg(root.path()));
    let line = program.expect_stdout("Serving on http://");
    let address = line.trim_start_matches("Serving on http://").parse().unwrap();
    (program, address)
}

/// Sends `request`, and what comes back until the server ends.
fn asked(address: SocketAddr, request: &str) -> String {
    let mut socket = connect(address);
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

fn get(address: SocketAddr, path: &str) -> String {
    asked(address, &format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"))
}

/// Says something through a forward, and hears it.
fn exchange(address: SocketAddr, said: &str) -> String {
    let mut socket = connect(address);
    socket.write_all(said.as_bytes()).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut heard = String::new();
    socket.read_to_string(&mut heard).unwrap();
    heard
}

#[test]
fn kubectl_forwards_to_a_pod_in_its_namespace() {
    const TEST: &str = "kubectl_forwards_to_a_pod_in_its_namespace";
    let versions = kubectls(TEST);
    let Some(mut namespace) = Namespace::for_test(TEST) else { return };
    let root = node(namespace.pid());
    let (mut program, address) = serving(&root, "--api");
    for path in versions {
        println!("{}", path.display());
        let home = tempfile::tempdir().unwrap();
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", echo);
        let census = Census::settled(program.pid());
        let (good, closed) = (format!(":{}", server.port()), ":1".to_owned());
        let words = ["port-forward", "pod/web", "--address", "127.0.0.1", &good, &closed];
        let mut forward = kubectl(&path, address, home.path(), &words);
        let [good, closed] = forward.forwarded(2).try_into().unwrap();
        for _ in 0..2 {
            assert_eq!(exchange(good, "hello"), "hello");
            assert_eq!(connect(closed).read(&mut [0]).unwrap_or(0), 0);
        }
        assert_eq!(exchange(good, "still here"), "still here");
        program.expect_stderr("target: pod/default/web:1, ");
        assert!(forward.ended().is_none());

        // Gone: the next connection is told, and kubectl ends. Back: another kubectl reaches it.
        let port = server.port();
        drop(server);
        namespace.remove();
        let _ = connect(good).read(&mut [0]);
        forward.expect_stderr("lost connection to pod");
        assert!(!forward.wait().success());
        namespace.restart().unwrap();
        write_pid(&root, namespace.pid());
        let _server = Server::in_namespace(&namespace, &format!("127.0.0.1:{port}"), echo);
        let forward = kubectl(&path, address, home.path(), &words);
        assert_eq!(exchange(forward.forwarded(2)[0], "back"), "back");
        drop(forward);

        let mut list = kubectl(&path, address, home.path(), &["get", "pods"]);
        assert!(list.wait().success(), "{list}");
        list.expect_stdout("web ");
        drop(list);
        census.assert_restored();
    }
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));
}

#[test]
fn the_api_is_there_only_if_it_was_asked_for() {
    let root = node(std::process::id());
    let (program, address) = serving(&root, "--api --loops 2");
    assert!(get(address, "/api").starts_with("HTTP/1.1 200 OK\r\n"));
    let list = get(address, "/api/v1/namespaces/default/pods");
    assert!(list.contains(r#""name":"web""#) && list.contains(r#""uid":"0f-1""#), "{list}");
    let other = get(address, "/api/v1/namespaces/other/pods");
    assert!(!other.contains(r#""name":"web""#), "{other}");
    let missing = get(address, "/api/v1/namespaces/default/pods/wbe");
    assert!(missing.starts_with("HTTP/1.1 404 Not Found\r\n"), "{missing}");
    assert!(missing.contains("did you mean `pod/default/web`?"), "{missing}");
    drop(program);

    let (program, address) = serving(&root, "");
    assert!(get(address, "/api").starts_with("HTTP/1.1 404 Not Found\r\n"));
    let upgrade = "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
        X-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n";
    for (path, status) in [
        ("/portForward/default/web", "101 Switching Protocols"),
        ("/portForward/default/web/0f-1", "101 Switching Protocols"),
        ("/portForward/default/web/0f-2", "404 Not Found"),
        ("/portForward/other/web", "404 Not Found"),
    ] {
        let mut socket = connect(address);
        write!(socket, "POST {path} HTTP/1.1\r\n{upgrade}").unwrap();
        let mut line = vec![0; "HTTP/1.1 ".len() + status.len()];
        socket.read_exact(&mut line).unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), format!("HTTP/1.1 {status}"), "{path}");
    }
    let of_a_page = "GET /portForward/default/web HTTP/1.1\r\nOrigin: http://a\r\n\
        Connection: close\r\n\r\n";
    let page = asked(address, of_a_page);
    assert!(page.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{page}");
    drop(program);
}

#[test]
fn other_machines_are_let_in_by_a_word_only() {
    let end = end_of(&mut nsplice("serve --listen 0.0.0.0:0"));
    let told = "error: whoever reaches 0.0.0.0:0 would reach every pod of this node; \
        if that is meant, add --expose\n";
    assert_eq!(end, quiet(2, told));
    let taken = nsplice_testkit::listen("127.0.0.1:0");
    let address = taken.local_addr().unwrap();
    let end = end_of(&mut nsplice(&format!("serve --listen {address}")));
    assert_eq!(end.code, 4, "{end:?}");
    assert!(end.stderr.contains("--listen 127.0.0.1:0 takes a free one"), "{}", end.stderr);
}
