//! Targets that are none, that go, that move, or whose name another one has by now.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;

use nsplice_backend::{Choice, Destination, ErrorKind, Host};
use nsplice_relay::OpenClass;
use nsplice_testkit::skip::{require_root_or_userns, require_tool, unavailable};
use nsplice_testkit::{wait_for, wait_until, Census, Namespace, Server};

use crate::common::{self, counted, expect_echo, failure, opener, plan, stream, to};

/// No name is looked up for a process that is gone: the answer is about the process.
#[test]
fn a_process_that_is_gone_is_told_before_a_name_that_is_unknown() {
    counted(|| {
        let Some(mut namespace) = Namespace::for_test("a_process_is_told_first") else { return };
        let host = Host::Name("nowhere.invalid".to_owned());
        let target = format!("pid/{}", namespace.pid());
        let mut opener = opener(&Destination { host, ..to(target, 80) }, Choice::Setns);
        namespace.kill_holder();
        assert_eq!(failure(opener.as_mut()).class, OpenClass::TargetGone);
    });
}

#[test]
fn what_is_no_network_namespace_is_no_target() {
    counted(|| {
        if !require_root_or_userns("what_is_no_network_namespace") {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let fifo = fifo.display().to_string();
        let table = [
            ("/etc/passwd", "is not a network namespace"),
            (fifo.as_str(), "is not a network namespace"),
            ("/proc/self/ns/mnt", "is not a network namespace"),
            ("/proc/self/ns", "is not a network namespace"),
            ("/run/netns/nsplice-no-such-name", "does not exist"),
            ("/etc/passwd/x", "does not exist"),
        ];
        for (path, words) in table {
            for choice in [Choice::Setns, Choice::Auto] {
                let error = plan(&to(format!("netns/{path}"), 80), choice).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NoSuchTarget, "{error}");
                assert!(error.to_string().contains(words), "{error}");
            }
        }
        let error = plan(&to("netns/nsplice-no-such-name", 80), Choice::Auto).unwrap_err();
        assert!(
            error.to_string().starts_with("netns/nsplice-no-such-name does not exist"),
            "{error}"
        );
    });
}

#[test]
fn a_process_that_is_gone_is_a_target_that_is_gone() {
    counted(|| {
        let Some(mut namespace) = Namespace::for_test("a_process_that_is_gone") else { return };
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        let target = format!("pid/{}", namespace.pid());
        let mut opener = opener(&to(&target, server.port()), Choice::Setns);
        expect_echo(&stream(opener.as_mut()));
        namespace.kill_holder();
        let error = failure(opener.as_mut());
        assert_eq!(error.class, OpenClass::TargetGone);
        assert_eq!(error.detail, format!("{target} is gone: its process has ended"));
        let error = plan(&to(&target, 80), Choice::Auto).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSuchTarget);
    });
}

#[test]
fn a_thread_is_not_taken_for_a_process() {
    counted(|| {
        let (told, heard) = channel();
        let (go, gate) = channel::<()>();
        let thread = std::thread::spawn(move || {
            told.send(nix::unistd::gettid()).unwrap();
            // Until the other end is dropped.
            let _ = gate.recv();
        });
        let target = format!("pid/{}", heard.recv().unwrap());
        let error = plan(&to(&target, 80), Choice::Auto).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSuchTarget);
        assert!(error.to_string().contains("is a thread"), "{error}");
        drop(go);
        thread.join().unwrap();
    });
}

#[test]
fn a_reused_pid_is_never_entered() {
    const TEST: &str = "a_reused_pid_is_never_entered";
    counted(|| {
        let Some(new) = Namespace::for_test(TEST) else { return };
        if !may_choose_pids() {
            unavailable(TEST, "this kernel gives no PID on request (ns_last_pid)");
            return;
        }
        let server = Server::in_namespace(&new, "127.0.0.1:0", common::echo);
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        let (mut openers, mut impostor) = wait_for("a PID to be given twice", || {
            let mut old = Namespace::new().unwrap();
            let pid = old.pid();
            let _ = fs::remove_file(&link);
            symlink(format!("/proc/{pid}/ns/net"), &link).unwrap();
            let targets = [
                format!("pid/{pid}"),
                format!("netns//proc/{pid}/ns/net"),
                format!("netns//proc/{pid}/task/{pid}/ns/net"),
                format!("netns//proc/self/root/proc/{pid}/ns/net"),
                format!("netns/{}", link.display()),
            ];
            let mut openers = Vec::new();
            for target in targets {
                for choice in [Choice::Setns, Choice::External] {
                    let opener = opener(&to(&target, server.port()), choice);
                    openers.push((target.clone(), opener));
                }
            }
            // Nobody serves there, but it is the right place.
            for (target, opener) in openers.iter_mut().step_by(2) {
                assert_eq!(failure(opener.as_mut()).class, OpenClass::Refused, "{target}");
            }
            old.kill_holder();
            Some((openers, impostor_of(pid, &new)?))
        });
        for (target, opener) in &mut openers {
            assert_eq!(failure(opener.as_mut()).class, OpenClass::TargetGone, "{target}");
        }
        assert_eq!(server.accepted(), 0);
        // A link that is made anew means whoever has the number now.
        fs::remove_file(&link).unwrap();
        symlink(format!("/proc/{}/ns/net", new.pid()), &link).unwrap();
        let (_, linked) = &mut openers[8];
        expect_echo(&stream(linked.as_mut()));
        drop(impostor.stdin.take());
        impostor.wait().unwrap();
    });
}

/// The number that was given last; the one after it is given next. Written back as it was, it tells
/// whether it may be written at all.
const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

fn may_choose_pids() -> bool {
    fs::read(LAST_PID).is_ok_and(|last| fs::write(LAST_PID, last).is_ok())
}

/// A process inside `namespace` that has the number `pid`, which nobody had before. None if somebody
/// else was quicker, who may keep it.
fn impostor_of(pid: u32, namespace: &Namespace) -> Option<Child> {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped());
    // The thread that goes inside takes a number as well, and may have to skip one that is in use.
    (0..9).find_map(|attempt| {
        fs::write(LAST_PID, (pid - 1 - attempt % 3).to_string()).ok()?;
        let mut child = namespace.spawn(&mut command).expect("cat can be started");
        if child.id() == pid {
            return Some(child);
        }
        child.kill().expect("a child can be killed");
        child.wait().expect("a child can be waited for");
        None
    })
}

#[test]
fn a_path_is_followed_and_pins_nothing() {
    counted(|| {
        let Some(mut namespace) = Namespace::for_test("a_path_is_followed") else { return };
        let target = format!("netns/{}", namespace.name());
        let before = Census::own();
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", |_| "old");
        let mut opener = opener(&to(&target, server.port()), Choice::Setns);
        drop(stream(opener.as_mut()));
        assert_eq!(server.join(), ["old"]);
        let namespaces = Census::own().descriptors("net") - before.descriptors("net");
        assert_eq!(namespaces, 1, "home is the only namespace that is held");

        namespace.remove_name();
        let error = failure(opener.as_mut());
        assert_eq!(error.class, OpenClass::TargetGone);
        assert!(error.detail.starts_with(&format!("{target} does not exist")), "{error}");

        // Opening a FIFO that nobody writes to would hold the loop up.
        nix::unistd::mkfifo(&namespace.path(), nix::sys::stat::Mode::S_IRUSR).unwrap();
        let error = failure(opener.as_mut());
        fs::remove_file(namespace.path()).unwrap();
        assert_eq!(error.class, OpenClass::TargetGone);
        assert!(error.detail.contains("is not a network namespace"), "{error}");

        namespace.restart().unwrap();
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", |_| "new");
        // The old one's port was another; this opener's is the old one's.
        assert_eq!(failure(opener.as_mut()).class, OpenClass::Refused);
        let mut opener = common::opener(&to(&target, server.port()), Choice::Setns);
        drop(stream(opener.as_mut()));
        assert_eq!(server.join(), ["new"]);
    });
}

/// A process that moves is followed: its namespace is asked for at each opening.
#[test]
fn a_process_that_moves_is_followed() {
    counted(|| {
        let Some(namespace) = Namespace::for_test("a_process_that_moves") else { return };
        if require_tool("a_process_that_moves", "nsenter").is_none() {
            return;
        }
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        // Begins at home, and goes inside when it is told to.
        let script = format!("read go; exec nsenter --net={} cat", namespace.path().display());
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdin(Stdio::piped());
        let mut mover = command.spawn().unwrap();
        let mut opener = opener(&to(format!("pid/{}", mover.id()), server.port()), Choice::Setns);
        assert_eq!(failure(opener.as_mut()).class, OpenClass::Refused, "it is at home still");
        mover.stdin.as_ref().unwrap().write_all(b"go\n").unwrap();
        let inside = format!("net:[{}]", namespace.identity().1);
        let link = format!("/proc/{}/ns/net", mover.id());
        wait_until("the process to move", || {
            fs::read_link(&link).is_ok_and(|link| link == Path::new(&inside))
        });
        expect_echo(&stream(opener.as_mut()));
        drop(mover.stdin.take());
        mover.wait().unwrap();
    });
}
