//! What is listed, for people and for programs.

use std::process::Command;

use nsplice_testkit::skip::require_tool;
use nsplice_testkit::Namespace;
use serde_json::{json, Value};

use crate::binary::{end_of, End};
use crate::node::{id, listed, of, ports, Listening, Node};

/// A pod with three listeners, its container, and a namespace that has a name.
struct Scene {
    node: Node,
    namespace: Namespace,
    listeners: Vec<Listening>,
}

impl Scene {
    fn new(test: &str) -> Option<Self> {
        let namespace = Namespace::for_test(test)?;
        let all = [("postgres", "127.0.0.1:5432"), ("nginx", "0.0.0.0:80"), ("six", "[::1]:8080")];
        let mut listeners = Vec::new();
        for (name, address) in all {
            listeners.push(Listening::start(test, &namespace, name, address)?);
        }
        let node = Node::new();
        node.pod(&id("aaaa"), "web", namespace.pid());
        node.container(&id("bbbb"), &id("aaaa"), "web", "app", listeners[0].pid());
        Some(Self { node, namespace, listeners })
    }
}

#[test]
fn ports_are_listed_with_their_addresses_and_processes() {
    let Some(scene) = Scene::new("ports_are_listed_with_their_addresses_and_processes") else {
        return;
    };
    let targets = scene.node.targets();
    let pod = of(&targets, "pod/default/web");
    assert_eq!(
        ports(pod),
        ["0.0.0.0:80 nginx", "127.0.0.1:5432 postgres local", "[::1]:8080 six local"]
    );
    assert_eq!(pod["ports"][1]["process"]["pid"], scene.listeners[0].pid());
    let namespace = format!("net:[{}]", scene.namespace.identity().1);
    let expected = json!({
        "target": "pod/default/web",
        "kind": "pod",
        "name": "web",
        "namespace": "default",
        "pod": null,
        "id": id("aaaa"),
        "runtime": "containerd",
        "pid": scene.namespace.pid(),
        "network": "own",
        "network_namespace": namespace,
        "shares": null,
        "addresses": [],
        "ports": pod["ports"],
    });
    assert_eq!(*pod, expected);
    // The pod's ports are not listed again with its container.
    let container = of(&targets, "container/app");
    assert_eq!(container["ports"], Value::Null);
    assert_eq!(
        (&container["shares"], &container["network"]),
        (&json!("pod/default/web"), &json!("shared"))
    );
    assert_eq!(
        (&container["pod"], &container["pid"]),
        (&json!("web"), &json!(scene.listeners[0].pid()))
    );
    // The words lead there.
    let port = format!("check {} 5432 --output json", pod["target"].as_str().unwrap());
    let told: Value = serde_json::from_str(&scene.node.end(&port).stdout).unwrap();
    assert_eq!(told["target"]["namespace"], namespace);
}

#[test]
fn a_table_has_a_line_for_each_target_and_says_what_needs_us() {
    let Some(scene) = Scene::new("a_table_has_a_line_for_each_target") else { return };
    let end = scene.node.end("targets default");
    assert_eq!((end.code, end.stderr.as_str()), (0, ""));
    let lines: Vec<Vec<&str>> = end
        .stdout
        .lines()
        .map(|line| line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(lines[0], ["TARGET", "RUNTIME", "ID", "PID", "NETNS", "IP", "PORTS"]);
    let (pid, inode) =
        (scene.namespace.pid().to_string(), scene.namespace.identity().1.to_string());
    let ports = "0.0.0.0:80 nginx, 127.0.0.1:5432 postgres (localhost only), [::1]:8080 six (localhost only)";
    assert_eq!(
        lines[1],
        ["pod/default/web", "containerd", "aaaa00000000", &pid, &inode, "-", ports]
    );
    assert_eq!(
        (lines[2][0], lines[2].last().copied()),
        ("container/app", Some("as pod/default/web"))
    );
    assert_eq!(lines.len(), 3);
}

#[test]
fn a_filter_takes_a_part_of_a_name_a_pattern_an_id_or_a_runtime() {
    let Some(namespace) = Namespace::for_test("a_filter_takes_a_part_of_a_name") else { return };
    let node = Node::new();
    for (number, name) in [("aa01", "web-1"), ("aa02", "web-2"), ("bb03", "db")] {
        node.pod(&id(number), name, namespace.pid());
    }
    let names = |filter: &str| {
        let end = node.end(&format!("targets {filter} --output json"));
        let mut names: Vec<String> = listed(&end)
            .iter()
            .filter(|each| each["kind"] == "pod")
            .map(|each| each["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        (names.join(" "), end.code)
    };
    assert_eq!(names("web"), ("web-1 web-2".to_owned(), 0));
    assert_eq!(names("pod/default/DB"), ("db".to_owned(), 0));
    assert_eq!(names("*b-2"), ("web-2".to_owned(), 0));
    assert_eq!(names("bb03"), ("db".to_owned(), 0));
    assert_eq!(names("containerd").0, "db web-1 web-2");
    assert_eq!(names("web-?").0, "web-1 web-2");
    let End { code, stdout, stderr } = node.end("targets no-such-thing");
    assert_eq!((code, stdout.as_str()), (7, ""));
    assert!(stderr.ends_with("no target passes the filter\n"), "{stderr}");
    assert_eq!(names("no-such-thing"), (String::new(), 7), "JSON is JSON all the same");
}

#[test]
fn a_named_namespace_is_listed_unless_it_is_a_pods() {
    const TEST: &str = "a_named_namespace_is_listed_unless_it_is_a_pods";
    let Some(namespace) = Namespace::for_test(TEST) else { return };
    let Some(_server) = Listening::start(TEST, &namespace, "server", "127.0.0.1:99") else {
        return;
    };
    let target = format!("netns/{}", namespace.name());
    let line = format!("targets {target} --output json");
    let all = listed(&end_of(&mut crate::binary::nsplice(&line)));
    let ours = of(&all, &target);
    assert_eq!(ports(ours), ["127.0.0.1:99 server local"]);
    assert_eq!(
        (&ours["kind"], &ours["pid"], &ours["id"]),
        (&json!("netns"), &Value::Null, &Value::Null)
    );
}

/// Who may not enter a namespace sees its ports in /proc; the processes behind them are for root.
#[test]
fn without_privileges_there_is_what_can_be_had() {
    const TEST: &str = "without_privileges_there_is_what_can_be_had";
    let Some(scene) = Scene::new(TEST) else { return };
    let Some(setpriv) = require_tool(TEST, "setpriv") else { return };
    let own = scene.node.command("targets web --output json");
    let mut command = Command::new(setpriv);
    command.args(["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]);
    command.arg(own.get_program()).args(own.get_args());
    let end = end_of(&mut command);
    let targets = listed(&end);
    let pod = of(&targets, "pod/default/web");
    assert_eq!(ports(pod), ["0.0.0.0:80 ?", "127.0.0.1:5432 ? local", "[::1]:8080 ? local"]);
    assert_eq!(pod["network_namespace"], Value::Null);
    assert_eq!(of(&targets, "container/app")["shares"], "pod/default/web");
    assert_eq!(end.code, 0, "{end:?}");
    assert!(
        end.stderr.starts_with("warning: cannot see the processes behind 3 ports: "),
        "{end:?}"
    );
    assert_eq!(end.stderr.lines().count(), 1, "{end:?}");
}
