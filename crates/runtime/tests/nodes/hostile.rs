//! Files that somebody has damaged, or laid out to lead astray.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::node::Node;
use nsplice_runtime::Why;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const BUNDLE: &str = "run/containerd/io.containerd.runtime.v2.task/k8s.io/\
    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A pod called `name` that runs as the process 70.
fn pod(name: &str) -> Node {
    let node = Node::empty();
    node.write(format!("{BUNDLE}/config.json"), config(name));
    node.write(format!("{BUNDLE}/init.pid"), "70");
    node.process(70, &format!("0::/k8s.io/{ID}"));
    node
}

fn config(name: &str) -> String {
    serde_json::json!({ "annotations": {
        "io.kubernetes.cri.container-type": "sandbox",
        "io.kubernetes.cri.sandbox-name": name,
        "io.kubernetes.cri.sandbox-namespace": "default",
    }})
    .to_string()
}

#[test]
fn a_damaged_config_costs_its_names_and_nothing_else() {
    let good = config("web");
    let huge = format!("{}{}", good.trim_end_matches('}'), " ".repeat(2 << 20));
    let damaged = [
        "".to_owned(),
        good[..good.len() / 2].to_owned(),
        "\u{0}".repeat(100),
        r#"{"annotations":{"io.kubernetes.cri.sandbox-name":["web"]}}"#.to_owned(),
        r#"{"annotations":"web"}"#.to_owned(),
        format!("{}{}", "[".repeat(50_000), "]".repeat(50_000)),
        format!("{huge}}}}}"),
    ];
    for text in damaged {
        let node = pod("web");
        node.write(format!("{BUNDLE}/config.json"), &text);
        let about = text.chars().take(60).collect::<String>();
        assert!(node.find("pod/web").unwrap_err().is_missing(), "{about}");
        assert_eq!(node.pid(&format!("container/{ID}")), 70, "{about}");
        // Its neighbour is found all the same.
        let neighbour = BUNDLE.replace("0123", "ffff");
        node.write(format!("{neighbour}/config.json"), &good);
        node.write(format!("{neighbour}/init.pid"), "71");
        node.process(71, &format!("0::/k8s.io/{}", ID.replace("0123", "ffff")));
        assert_eq!(node.pid("pod/web"), 71, "{about}");
    }
}

#[test]
fn what_is_no_plain_file_is_not_read() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("config.json"), config("web")).unwrap();
    type Lay = fn(&Node, &std::path::Path);
    let laid: [(&str, Lay); 5] = [
        ("a FIFO", |node, _| {
            let made =
                Command::new("mkfifo").arg(node.path(format!("{BUNDLE}/config.json"))).status();
            assert!(made.unwrap().success());
        }),
        ("a directory", |node, _| {
            fs::create_dir(node.path(format!("{BUNDLE}/config.json"))).unwrap();
        }),
        ("a link to itself", |node, _| {
            symlink("config.json", node.path(format!("{BUNDLE}/config.json"))).unwrap();
        }),
        ("an absolute link out of the root", |node, outside| {
            symlink(outside.join("config.json"), node.path(format!("{BUNDLE}/config.json")))
                .unwrap();
        }),
        ("a relative link out of the root", |node, outside| {
            let up = "../".repeat(40);
            let way = format!("{up}{}", outside.join("config.json").display());
            symlink(way, node.path(format!("{BUNDLE}/config.json"))).unwrap();
        }),
    ];
    for (what, lay) in laid {
        let node = pod("web");
        fs::remove_file(node.path(format!("{BUNDLE}/config.json"))).unwrap();
        lay(&node, outside.path());
        assert!(node.find("pod/web").unwrap_err().is_missing(), "{what}");
        assert_eq!(node.pid(&format!("container/{ID}")), 70, "{what}");
    }
    // A link that stays inside is followed, an absolute one from the root of the node.
    let node = pod("web");
    fs::rename(node.path(format!("{BUNDLE}/config.json")), node.path("elsewhere.json")).unwrap();
    symlink("/elsewhere.json", node.path(format!("{BUNDLE}/config.json"))).unwrap();
    assert_eq!(node.pid("pod/web"), 70);
}

#[test]
fn a_directory_that_leads_out_of_the_root_leads_nowhere() {
    let (node, other) = (Node::empty(), pod("web"));
    fs::create_dir(node.path("proc")).unwrap();
    symlink(other.path("run"), node.path("run")).unwrap();
    assert!(node.find("pod/web").unwrap_err().is_missing());
    let listing = node.directory().list();
    assert_eq!(listing.seen, []);
}

#[test]
fn a_pid_that_is_none_is_none() {
    let huge = "7".repeat(1 << 20);
    for text in ["", "0", "-70", "seventy", "70 71", "4294967296", "\u{0}", &huge, "../70", "1e2"] {
        let node = pod("web");
        node.write(format!("{BUNDLE}/init.pid"), text);
        let error = node.find("pod/web").unwrap_err();
        let about = text.chars().take(20).collect::<String>();
        assert!(matches!(error.why, Why::Unreachable { is_denied: false, .. }), "{about}: {error}");
    }
    let node = pod("web");
    node.write(format!("{BUNDLE}/init.pid"), "4194399\n");
    assert!(matches!(node.find("pod/web").unwrap_err().why, Why::Stopped { .. }));
}

#[test]
fn a_name_that_a_terminal_would_obey_is_shown_escaped() {
    let node = pod("web\u{1b}[2J\n\u{202e}");
    let told = node.find("pod/web").unwrap_err().to_string();
    assert!(told.contains("did you mean `pod/default/web\\u{1b}[2J\\n"), "{told}");
    assert!(!told.chars().any(|letter| letter.is_control() || letter == '\u{202e}'), "{told:?}");
}

#[test]
fn a_socket_that_is_none_is_told() {
    let node = pod("web");
    node.write("var/run/docker.sock", "");
    node.write("run/podman/podman.sock", "");
    assert_eq!(node.pid("pod/web"), 70, "whoever knows it is enough");
    let told = node.find("pod/other").unwrap_err();
    assert!(matches!(told.why, Why::Unanswered { .. }), "{told}");
    let told = told.to_string();
    assert!(
        told.contains("cannot ask Docker at ") && told.contains("/var/run/docker.sock"),
        "{told}"
    );
}
