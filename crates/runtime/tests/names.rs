//! Names beside the C library: dnsmasq answers in a network namespace, and for each name getent(1),
//! with the same files over its own, and we have to find the same addresses.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nsplice_runtime::names::{Names, Reason, Sockets};
use nsplice_runtime::Root;
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::{name_server, wait_until, Namespace, Program, PATIENCE};
use socket2::{Domain, Socket, Type};

/// Sockets of the namespace that the thread is in.
struct Here;

impl Sockets for Here {
    fn socket(&self, domain: Domain, kind: Type) -> io::Result<Socket> {
        Socket::new(domain, kind, None)
    }
}

/// The names of one record, so many that a reply over UDP has no room for their addresses.
const MANY: u8 = 60;

const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n10.0.0.77 here here.example\n";

const CONF: &str = "search svc.local local\nnameserver 127.0.0.1\noptions ndots:3 timeout:1\n";

fn write_files(directory: &Path) {
    fs::create_dir(directory.join("etc")).unwrap();
    for (name, text) in
        [("hosts", HOSTS), ("resolv.conf", CONF), ("nsswitch.conf", "hosts: files dns\n")]
    {
        fs::write(directory.join("etc").join(name), text).unwrap();
    }
}

/// getent leaves out kinds of address that the machine has none of (AI_ADDRCONFIG), so the namespace
/// gets one of each.
fn give_addresses() {
    for line in [
        "link add one type veth peer name other",
        "address add 10.9.0.1/16 dev one",
        "address add fd09::1/64 dev one nodad",
        "link set one up",
        "link set other up",
    ] {
        let status = Command::new("ip").args(line.split(' ')).status().unwrap();
        assert!(status.success(), "ip {line}");
    }
}

fn server(dnsmasq: &Path) -> Program {
    let records = [
        "--host-record=db.svc.local,10.0.0.9,fd00::9",
        "--cname=alias.svc.local,db.svc.local",
        "--host-record=four.local,10.0.0.4",
        "--host-record=six.local,fd00::6",
        "--host-record=a.b.c.example,10.0.0.5",
        "--txt-record=text.svc.local,hello",
    ];
    let many = (1..=MANY).map(|last| format!("--host-record=many.svc.local,10.1.0.{last}"));
    name_server(dnsmasq, records.into_iter().map(str::to_owned).chain(many))
}

/// What the C library finds.
fn of_getent(directory: &Path, name: &str) -> BTreeSet<IpAddr> {
    let script = "for f in hosts resolv.conf nsswitch.conf; do mount --bind \"$1/etc/$f\" /etc/$f || exit 9; \
                  done; getent ahostsv4 \"$2\"; getent ahostsv6 \"$2\"; true";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .args([directory.as_os_str(), name.as_ref()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let first_word = |line: &str| line.split(' ').next()?.parse::<IpAddr>().ok();
    let found = String::from_utf8(output.stdout).unwrap();
    // With no IPv6 address getent says ::ffff:10.0.0.4 (AI_V4MAPPED).
    found.lines().filter_map(first_word).map(|address| address.to_canonical()).collect()
}

#[test]
fn names_are_resolved_as_the_c_library_does() {
    const TEST: &str = "names_are_resolved_as_the_c_library_does";
    let Some(namespace) = Namespace::for_test(TEST) else { return };
    let Some(dnsmasq) = require_tool(TEST, "dnsmasq") else { return };
    let (Some(_), Some(_)) = (require_tool(TEST, "getent"), require_tool(TEST, "unshare")) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    write_files(directory.path());
    namespace.inside(|| {
        give_addresses();
        let server = server(&dnsmasq);
        let names =
            Names::read(&Root::at(directory.path()).unwrap(), &[Path::new("/etc")]).unwrap();
        let ours = |name: &str| -> BTreeSet<IpAddr> {
            let found = names.look_up(name, &Here, Instant::now() + PATIENCE);
            found.map(|found| found.addresses.into_iter().collect()).unwrap_or_default()
        };
        wait_until("dnsmasq answers", || !ours("db").is_empty());
        for (name, count) in [
            ("db", 2),
            ("DB", 2),
            ("db.svc.local", 2),
            ("db.svc.local.", 2),
            ("db.", 0),
            ("alias", 2),
            ("four", 1),
            ("six", 1),
            ("many", MANY.into()),
            ("a.b.c.example", 1),
            ("here", 1),
            ("here.example", 1),
            ("text", 0),
            ("nothing", 0),
            ("localhost", 2),
            ("10.1.2.3", 1),
            ("fd00::1", 1),
        ] {
            let (found, expected) = (ours(name), of_getent(directory.path(), name));
            assert_eq!(found, expected, "{name}: {:?}", server.stderr());
            assert_eq!(found.len(), count, "{name}: {found:?}");
        }
    });
}

#[test]
fn a_server_that_is_gone_is_an_answer_and_not_a_wait() {
    let Some(namespace) = Namespace::for_test("a_server_that_is_gone") else { return };
    namespace.inside(|| {
        let mut names = Names::default();
        let nobody: SocketAddr = "127.0.0.1:53".parse().unwrap();
        assert_eq!(names.conf.servers, [nobody]);
        names.conf.timeout = PATIENCE;
        let began = Instant::now();
        let error = names.look_up("db", &Here, began + PATIENCE).unwrap_err();
        assert!(error.to_string().contains("db at 127.0.0.1:53: Connection refused"), "{error}");
        assert_eq!(error.reason, Reason::Unreached);
        assert!(began.elapsed() < PATIENCE.saturating_sub(Duration::from_secs(1)), "{error}");
    });
}

/// The files are the container's owner's, who may put anything there.
#[test]
fn files_that_are_none_or_lead_out_are_not_read() {
    let root = tempfile::tempdir().unwrap();
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "10.6.6.6 secret\n").unwrap();
    let hosts = root.path().join("etc/hosts");
    fs::create_dir(root.path().join("etc")).unwrap();
    let read = || Names::read(&Root::at(root.path()).unwrap(), &[Path::new("/etc")]);

    // Absolute, it stays below the root, where there is nothing.
    std::os::unix::fs::symlink(outside.path(), &hosts).unwrap();
    assert_eq!(read().unwrap().hosts.find("secret"), None);
    fs::remove_file(&hosts).unwrap();

    // Nobody would ever write to it.
    nix::unistd::mkfifo(&hosts, nix::sys::stat::Mode::S_IRUSR).unwrap();
    let (path, error) = read().unwrap_err();
    assert!(path.ends_with("etc/hosts") && error.to_string() == "not a plain file", "{error}");
    fs::remove_file(&hosts).unwrap();

    fs::File::create(&hosts).unwrap().set_len(1 << 40).unwrap();
    assert!(read().unwrap_err().1.to_string().starts_with("longer than"));
}
