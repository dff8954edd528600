//! A PID that another process has got since: in a PID namespace of its own, where the next one can be
//! chosen.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use nsplice_runtime::{Directory, Place, Root, Wanted, Why};
use nsplice_testkit::skip;

const TEST: &str = "reuse::no_process_that_got_the_number_is_taken_for_the_container";
const INSIDE: &str = "NSPLICE_RUNTIME_INSIDE";
const BUNDLE: &str = "run/containerd/io.containerd.runtime.v2.task/default/web";

/// Runs itself as the first process of a PID namespace.
#[test]
fn no_process_that_got_the_number_is_taken_for_the_container() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let test = "no_process_that_got_the_number_is_taken";
    if !skip::require_root_or_userns(test) || skip::require_tool(test, "unshare").is_none() {
        return;
    }
    let output = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "--"])
        .arg(std::env::current_exe().unwrap())
        .args([TEST, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("Operation not permitted") && said.starts_with("unshare") {
        skip::unavailable(test, "no PID namespace can be made");
        return;
    }
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stdout));
}

fn sleeper() -> Child {
    Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().expect("run sleep")
}

fn end(mut child: Child) {
    child.kill().expect("kill");
    child.wait().expect("wait");
}

fn inside() {
    let node = tempfile::tempdir().expect("a directory");
    let bundle = node.path().join(BUNDLE);
    fs::create_dir_all(&bundle).expect("should go");
    fs::write(bundle.join("config.json"), "{}").expect("should go");
    let root = Root::at(node.path()).expect("should go").with_proc(Path::new("/proc"));
    let directory = Directory::of(root, None);
    let wanted = Wanted::container("web").expect("should go");

    let first = sleeper();
    let pid = first.id();
    fs::write(bundle.join("init.pid"), pid.to_string()).expect("should go");
    let found = directory.find(&wanted).expect("should go");
    assert!(matches!(&found.place, Place::Process(process) if process.pid() == pid));
    assert!(found.is_alive());
    end(first);
    assert!(!found.is_alive());

    // The kernel gives the next number, and that is the one.
    fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).expect("should go");
    let second = sleeper();
    assert_eq!(second.id(), pid, "the number is had again");
    assert!(!found.is_alive(), "another process is not the container");
    // The file was written when the first one was started, some time ago.
    let written = SystemTime::now() - Duration::from_secs(60);
    let file = fs::File::options().write(true).open(bundle.join("init.pid")).expect("should go");
    file.set_modified(written).expect("should go");
    let error = directory.find(&wanted).expect_err("nothing");
    assert!(matches!(error.why, Why::Stopped { .. }), "{error}");
    end(second);
}
