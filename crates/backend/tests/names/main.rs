//! Names as targets resolve them: the files of a process with another root, those of ip-netns(8), and a name
//! server that only the target reaches. Here as they are looked up alone, below as the way to an upstream.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod crowds;
mod hostile;
mod upstreams;

use common::{counted, Container};
use nsplice_backend::{look_up, BackendError, Options, Target};
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::{name_server, wait_until, Namespace, NetnsFiles, PATIENCE};

fn found(target: &Target, name: &str) -> Result<String, BackendError> {
    look_up(target, &Options::default(), name, PATIENCE).map(|found| {
        let addresses: Vec<_> = found.addresses.iter().map(ToString::to_string).collect();
        format!("{} ({})", addresses.join(" "), found.origin)
    })
}

#[test]
fn a_container_has_its_own_names_and_servers() {
    const TEST: &str = "a_container_has_its_own_names_and_servers";
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        let Some(dnsmasq) = require_tool(TEST, "dnsmasq") else { return };
        let files = [
            ("hosts", "10.7.7.7 web\n"),
            ("resolv.conf", "search svc.local\nnameserver 127.0.0.1\n"),
        ];
        let Some(container) = Container::new(TEST, &namespace, &files) else { return };
        let target: Target = container.target().parse().unwrap();
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
    });
}

#[test]
fn a_namespace_of_ip_netns_has_the_files_that_are_for_it() {
    const TEST: &str = "a_namespace_of_ip_netns_has_the_files_that_are_for_it";
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        let target: Target = format!("netns/{}", namespace.name()).parse().unwrap();
        let files = NetnsFiles::new(TEST, &namespace, &[("hosts", "10.8.8.8 web\n")]);
        if files.is_some() {
            assert_eq!(found(&target, "web").unwrap(), "10.8.8.8 (/etc/hosts, line 1)");
        }
    });
}
