//! Upstreams behind names that only their target resolves.

use std::fs;
use std::net::Ipv4Addr;

use nsplice_backend::{Choice, Destination};
use nsplice_relay::{OpenClass, OpenError, Progress, Wake};
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::{name_server, wait_until, NameKeeper, Namespace, NetnsFiles, Server};

use crate::common::{self, counted, expect_echo, failed, failure, finish, opener, stream, to};
use crate::common::{Container, Piped};

/// The port `port` of the host `host` in `target`.
pub(crate) fn behind(target: &str, host: &str, port: u16) -> Destination {
    Destination { host: host.parse().expect("a host"), ..to(target, port) }
}

#[track_caller]
pub(crate) fn refused(destination: &Destination) -> OpenError {
    failure(opener(destination, Choice::Setns).as_mut())
}

#[test]
fn names_of_a_containers_files_and_servers_lead_there() {
    const TEST: &str = "names_of_a_containers_files_and_servers_lead_there";
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        let Some(dnsmasq) = require_tool(TEST, "dnsmasq") else { return };
        let files = [
            ("hosts", "127.0.0.1 localhost\n127.0.0.2 web\n"),
            ("resolv.conf", "search svc.local local\nnameserver 127.0.0.1\noptions ndots:2\n"),
        ];
        let Some(container) = Container::new(TEST, &namespace, &files) else { return };
        let server = Server::in_namespace(&namespace, "127.0.0.2:0", common::echo);
        let target = container.target();
        let record = "--host-record=db.svc.local,127.0.0.2".to_owned();
        let _dnsmasq = namespace.inside(|| name_server(&dnsmasq, [record]));
        wait_until("dnsmasq answers", || crate::found(&target.parse().unwrap(), "db").is_ok());
        // By the hosts file; by the first domain; by the second one, which is tried before the name
        // itself; by the whole name.
        for host in ["web", "WEB", "db", "db.svc", "db.svc.local", "db.svc.local."] {
            let mut opener = opener(&behind(&target, host, server.port()), Choice::Setns);
            expect_echo(&stream(opener.as_mut()));
        }

        let error = refused(&behind(&target, "nothing.local", server.port()));
        assert_eq!(error.class, OpenClass::NameUnknown, "{error}");
        let etc = format!("/proc/{}/root/etc", container.pid());
        let asked = ["nothing.local.svc.local", "nothing.local.local", "nothing.local"];
        let asked = asked.map(|name| format!("{name} at 127.0.0.1:53: no such name"));
        let told = format!(
            "cannot resolve nothing.local in {target}: no such name: {}; searched {etc}/hosts and \
             the name servers of {etc}/resolv.conf",
            asked.join("; ")
        );
        assert_eq!(error.detail, told);
        // Of what is not below `local` it does not say that it does not exist.
        let error = refused(&behind(&target, "nothing", server.port()));
        assert_eq!(error.class, OpenClass::Other, "{error}");
        let told = "the name server failed: nothing.svc.local at 127.0.0.1:53: no such name; ";
        assert!(error.detail.contains(told), "{error}");
        // A server that is there and listens elsewhere is another thing.
        let closed = refused(&behind(&target, "db", 9));
        assert_eq!(closed.class, OpenClass::Refused);
        let told = format!("cannot connect to 127.0.0.2:9 in {target}: Connection refused");
        assert_eq!(closed.detail, told);
    });
}

#[test]
fn names_of_a_namespace_of_ip_netns_lead_there() {
    const TEST: &str = "names_of_a_namespace_of_ip_netns_lead_there";
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        let Some(_files) = NetnsFiles::new(TEST, &namespace, &[("hosts", "127.0.0.3 db.blue\n")])
        else {
            return;
        };
        let server = Server::in_namespace(&namespace, "127.0.0.3:0", common::echo);
        let target = format!("netns/{}", namespace.name());
        let destination = behind(&target, "db.blue", server.port());
        expect_echo(&stream(opener(&destination, Choice::Auto).as_mut()));
        // The holder lives there, too, with the files of the machine, as they are by its own root.
        let by_process = format!("pid/{}", namespace.pid());
        let error = refused(&behind(&by_process, "db.blue", server.port()));
        assert!(error.detail.contains("; searched /etc/hosts and "), "{error}");
    });
}

#[test]
fn silent_name_servers_are_told_from_names_that_there_are_not() {
    const TEST: &str = "silent_name_servers_are_told_from_names_that_there_are_not";
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        let conf = "nameserver 127.0.0.1\nnameserver 127.0.0.9\noptions timeout:1 attempts:1\n";
        let Some(container) = Container::new(TEST, &namespace, &[("resolv.conf", conf)]) else {
            return;
        };
        let _silent = NameKeeper::in_namespace(&namespace);
        let error = refused(&behind(&container.target(), "db", 80));
        assert_eq!(error.class, OpenClass::TimedOut);
        let told = format!(
            "cannot resolve db in {}: no name server answers: db at 127.0.0.1:53: no answer in \
             time; db at 127.0.0.9:53: Connection refused; searched no hosts file and the name \
             servers of /proc/{}/root/etc/resolv.conf",
            container.target(),
            container.pid()
        );
        assert_eq!(error.detail, told);
    });
}

/// Its own file would give it minutes, and it is waited for less long than a link waits.
#[test]
fn a_silent_name_server_is_not_waited_for_as_long_as_its_file_says() {
    const TEST: &str = "a_silent_name_server_is_not_waited_for_as_long_as_its_file_says";
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        let conf = "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n";
        let Some(container) = Container::new(TEST, &namespace, &[("resolv.conf", conf)]) else {
            return;
        };
        let _silent = NameKeeper::in_namespace(&namespace);
        let error = refused(&behind(&container.target(), "db", 80));
        assert_eq!(error.class, OpenClass::TimedOut, "{error}");
    });
}

#[test]
fn addresses_and_localhost_ask_nobody() {
    const TEST: &str = "addresses_and_localhost_ask_nobody";
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        let files = [("hosts", "127.0.0.9 localhost\n"), ("resolv.conf", "nameserver 127.0.0.1\n")];
        let Some(container) = Container::new(TEST, &namespace, &files) else { return };
        let keeper = NameKeeper::in_namespace(&namespace);
        let target = container.target();
        let v4 = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        let v6 = Server::in_namespace(&namespace, "[::1]:0", common::echo);
        for (host, port) in [
            ("localhost", v4.port()),
            ("localhost", v6.port()),
            ("127.0.0.1", v4.port()),
            ("::1", v6.port()),
        ] {
            expect_echo(&stream(opener(&behind(&target, host, port), Choice::Setns).as_mut()));
        }
        assert!(keeper.take().is_none());
    });
}

#[test]
fn a_target_that_ends_while_its_name_is_looked_up_is_gone() {
    const TEST: &str = "a_target_that_ends_while_its_name_is_looked_up_is_gone";
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        let conf = [("resolv.conf", "nameserver 127.0.0.1\n")];
        let Some(mut container) = Container::new(TEST, &namespace, &conf) else { return };
        let keeper = NameKeeper::in_namespace(&namespace);
        let target = container.target();
        let mut opener = opener(&behind(&target, "db", 80), Choice::Setns);
        let mut attempt = opener.open(None);
        assert!(matches!(attempt.advance(Wake::START), Progress::Waiting));
        let told = format!("no answer to the lookup of db in {target}");
        assert_eq!(attempt.so_far(), Some(told));
        let questions = keeper.take_both();
        container.kill();
        for question in &questions {
            keeper.answer(question, Ipv4Addr::LOCALHOST);
        }
        let gone = format!("{target} is gone: its process has ended");
        for error in [finish(attempt.as_mut()).unwrap_err(), failure(opener.as_mut())] {
            assert_eq!((error.class, &error.detail), (OpenClass::TargetGone, &gone));
        }
    });
}

/// What programs do is theirs: they are started inside the network namespace, and nowhere else.
#[test]
fn programs_of_external_look_names_up_by_the_nodes_files() {
    const TEST: &str = "programs_of_external_look_names_up_by_the_nodes_files";
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        if require_tool(TEST, "nsenter").is_none() || require_tool(TEST, "socat").is_none() {
            return;
        }
        let name = "only.the.container.knows.example";
        let hosts = format!("127.0.0.1 {name}\n");
        let Some(container) = Container::new(TEST, &namespace, &[("hosts", &hosts)]) else {
            return;
        };
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        let destination = behind(&container.target(), name, server.port());
        expect_echo(&stream(opener(&destination, Choice::Setns).as_mut()));
        let mut piped = Piped::open(opener(&destination, Choice::External).as_mut());
        let error = failed(piped.verdict());
        assert_eq!(error.class, OpenClass::NameUnknown, "{error}");
        assert!(fs::read_to_string("/etc/hosts").is_ok_and(|hosts| !hosts.contains(name)));
        let surveyed = nsplice_backend::survey(&Default::default(), Some(&destination));
        let details = surveyed.backends.iter().filter_map(|report| {
            let connect = report.connect.as_ref()?;
            Some((report.backend, connect.connected, connect.detail.clone().unwrap_or_default()))
        });
        let details: Vec<_> = details.collect();
        assert!(details.contains(&("setns", true, String::new())), "{details:?}");
        let words = "the program looks the name up by itself, by the node's files";
        let is_told = |(backend, connected, detail): &(&str, bool, String)| {
            *backend == "external" && !connected && detail.ends_with(words)
        };
        assert!(details.iter().any(is_told), "{details:?}");
    });
}
