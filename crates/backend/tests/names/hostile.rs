//! Files of a container that lead out of it, hold up whoever reads them, or have no end.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use nsplice_relay::OpenClass;
use nsplice_testkit::Namespace;

use crate::common::{counted, Container};
use crate::upstreams::{behind, refused};

#[test]
fn files_of_a_container_are_read_within_its_root_or_not_at_all() {
    const TEST: &str = "files_of_a_container_are_read_within_its_root_or_not_at_all";
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        let files = [("resolv.conf", "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n")];
        let Some(container) = Container::new(TEST, &namespace, &files) else { return };
        let secret = container.root().with_file_name("secret");
        fs::write(&secret, "127.0.0.1 db\n").unwrap();
        let told = || refused(&behind(&container.target(), "db", 9));
        let path = format!("/proc/{}/root/etc/hosts", container.pid());
        let unread =
            |reason: &str| format!("cannot read {path} for {}: {reason}", container.target());

        // In the container's root these lead nowhere, so the name is asked for, where nobody serves.
        let by_name = secret.to_str().unwrap();
        for link in ["../../secret", "/../../secret", by_name] {
            container.replace("hosts", |hosts| symlink(link, hosts).unwrap());
            let error = told();
            assert_eq!(error.class, OpenClass::NameUnknown, "{link}: {error}");
            assert!(error.detail.contains("; searched no hosts file and "), "{link}: {error}");
        }
        // The way out through a process is none.
        let through = format!("/proc/{}/root{by_name}", std::process::id());
        for link in [through.as_str(), "hosts"] {
            container.replace("hosts", |hosts| symlink(link, hosts).unwrap());
            let error = told();
            assert_eq!(error.detail, unread("Too many levels of symbolic links"), "{link}");
            assert_eq!(error.class, OpenClass::Other);
        }
        let fifo = |hosts: &Path| mkfifo(hosts, Mode::from_bits_truncate(0o600)).unwrap();
        container.replace("hosts", fifo);
        assert_eq!(told().detail, unread("not a plain file"));
        container.replace("hosts", |hosts| symlink("/proc", hosts).unwrap());
        assert_eq!(told().detail, unread("not a plain file"));
        container.replace("hosts", |hosts| {
            File::create(hosts).unwrap().set_len(1 << 40).unwrap();
        });
        assert_eq!(told().detail, unread("longer than 4194304 bytes"));
        // One that is good again is good again.
        container.replace("hosts", |hosts| fs::write(hosts, "127.0.0.1 db\n").unwrap());
        assert_eq!(told().class, OpenClass::Refused);
    });
}
