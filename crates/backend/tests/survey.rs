//! What `survey` tells of a real target.

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use common::{counted, to};
use nsplice_backend::{survey, Options, Template};
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::{Namespace, Server};
use serde_json::{json, Value};

fn told(target: &str, port: u16) -> Value {
    let survey = survey(&Options::default(), Some(&to(target, port)));
    serde_json::to_value(survey).expect("a survey is plain data")
}

fn backend<'a>(survey: &'a Value, name: &str) -> &'a Value {
    let backends = survey["backends"].as_array().expect("a list");
    backends.iter().find(|backend| backend["backend"] == name).expect("every backend")
}

#[test]
fn every_backend_is_tried_on_the_target() {
    counted(|| {
        let Some(namespace) = Namespace::for_test("every_backend_is_tried") else { return };
        let tools = ["nsenter", "socat"];
        if tools.iter().any(|t| require_tool("every_backend", t).is_none()) {
            return;
        }
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        let target = format!("pid/{}", namespace.pid());
        let open = told(&target, server.port());
        assert_eq!(open["target"]["target"], json!(target));
        assert_eq!(open["target"]["namespace"], json!(format!("net:[{}]", namespace.identity().1)));
        assert_eq!(open["target"]["own"], json!(false));
        for name in ["setns", "external"] {
            let backend = backend(&open, name);
            assert_eq!(backend["usable"], json!(true), "{backend}");
            assert_eq!(backend["connect"]["connected"], json!(true), "{backend}");
            assert!(backend["connect"]["microseconds"].is_u64(), "{backend}");
        }
        let connect = &backend(&open, "external")["connect"];
        assert_eq!(connect["detail"], json!("the time to start a child and to connect"));
        let dial = backend(&open, "dial");
        assert_eq!(dial["usable"], json!(false));
        assert!(dial["reason"].as_str().unwrap().contains("setns and external"), "{dial}");

        let closed = told(&target, 9);
        for name in ["setns", "external"] {
            let connect = &backend(&closed, name)["connect"];
            assert_eq!(connect["connected"], json!(false), "{connect}");
            assert_eq!(connect["class"], json!("refused"), "{connect}");
            assert!(connect["detail"].as_str().unwrap().contains(&target), "{connect}");
        }
    });
}

/// Like is measured with like: the time until the connection stands, whoever connects.
#[test]
fn the_time_of_a_child_is_that_until_it_has_connected() {
    const TEST: &str = "the_time_of_a_child_is_that_until_it_has_connected";
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        let tools = ["nsenter", "socat"].map(|tool| require_tool(TEST, tool));
        let [Some(nsenter), Some(_)] = tools else { return };
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        let directory = tempfile::tempdir().unwrap();
        let slow = directory.path().join("nsenter");
        let script = format!("#!/bin/sh\nsleep 0.3\nexec {} \"$@\"\n", nsenter.display());
        fs::write(&slow, script).unwrap();
        fs::set_permissions(&slow, Permissions::from_mode(0o755)).unwrap();
        let options = Options { nsenter: Some(slow), ..Options::default() };
        let destination = to(format!("pid/{}", namespace.pid()), server.port());
        let survey = serde_json::to_value(survey(&options, Some(&destination))).unwrap();
        let connect = &backend(&survey, "external")["connect"];
        assert_eq!(connect["connected"], json!(true), "{connect}");
        assert!(connect["microseconds"].as_u64().unwrap() >= 300_000, "{connect}");
    });
}

#[test]
fn a_child_that_connects_unseen_is_told_as_such() {
    counted(|| {
        let command = Template::parse("sh -c 'cat; exit 3'").unwrap();
        let options = Options { command: Some(command), ..Options::default() };
        let survey = survey(&options, Some(&to("tcp/127.0.0.1", 9)));
        let survey = serde_json::to_value(survey).expect("a survey is plain data");
        let connect = &backend(&survey, "external")["connect"];
        assert_eq!(connect["microseconds"], Value::Null, "{connect}");
        assert!(connect["detail"].as_str().unwrap().contains("cannot be seen"), "{connect}");
    });
}

#[test]
fn a_target_that_is_not_there_is_told_everywhere() {
    counted(|| {
        let survey = told("netns/nsplice-no-such-name", 80);
        assert!(survey["target"]["problem"].as_str().unwrap().contains("does not exist"));
        assert_eq!(survey["target"]["namespace"], Value::Null);
        for name in ["setns", "external"] {
            assert_eq!(backend(&survey, name)["usable"], json!(false));
        }
    });
}

#[test]
fn our_own_namespace_is_known_as_such() {
    counted(|| {
        let survey = told(&format!("pid/{}", std::process::id()), 9);
        assert_eq!(survey["target"]["own"], json!(true));
    });
}
