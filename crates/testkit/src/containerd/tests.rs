use super::*;
use std::time::Duration;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;

use crate::wait::PATIENCE;

/// What is left of a containerd: its directory, mounts, control groups, processes.
fn left_of(directory: &Path, ids: &[String]) -> Vec<String> {
    let mut left = Vec::new();
    let name = directory.to_string_lossy();
    left.extend(directory.exists().then(|| name.to_string()));
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    left.extend(mounts.lines().filter(|line| line.contains(&*name)).map(str::to_owned));
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let path = process.path();
        let command = fs::read_to_string(path.join("cmdline")).unwrap_or_default();
        let groups = fs::read_to_string(path.join("cgroup")).unwrap_or_default();
        if command.contains(&*name) || ids.iter().any(|id| groups.contains(id)) {
            left.push(format!("{}: {}", path.display(), command.replace('\0', " ")));
        }
    }
    if let Ok(results) = fs::read_dir("/var/lib/cni/results") {
        let names = results.flatten().map(|entry| entry.path().display().to_string());
        left.extend(names.filter(|name| ids.iter().any(|id| name.contains(id))));
    }
    // It complains of what goes while it looks.
    let groups = format!("*/{}*", directory.file_name().unwrap().to_string_lossy());
    let found = Command::new("find").args(["/sys/fs/cgroup", "-path", &groups]).output().unwrap();
    left.extend(String::from_utf8_lossy(&found.stdout).lines().map(str::to_owned));
    left
}

#[track_caller]
fn expect_nothing_left(directory: &Path, ids: &[String]) {
    let mut left = Vec::new();
    wait_until("everything to be taken away", || {
        left = left_of(directory, ids);
        left.is_empty()
    });
}

const SLEEP: [&str; 2] = ["/bin/sleep", "100000"];

#[test]
fn pods_and_containers_are_made_and_everything_goes() {
    let test = "pods_and_containers_are_made_and_everything_goes";
    let Some(containerd) = Containerd::for_test(test) else { return };
    let own = containerd.pod("default", "web", HasNetwork::Own);
    let node = containerd.pod("default", "node", HasNetwork::Node);
    let ids = [
        own.id.clone(),
        node.id.clone(),
        containerd.container(&own, "app", &SLEEP),
        containerd.container(&node, "app", &SLEEP),
        containerd.created_container(&own, "later", &SLEEP),
    ];
    let tasks = containerd.ctr(["-n", "k8s.io", "tasks", "ls"]);
    assert_eq!(tasks.matches("RUNNING").count(), 4, "{tasks}");
    containerd.stop_container(&ids[2]);
    containerd.remove_container(&ids[2]);
    containerd.stop_pod(&node);
    containerd.remove_pod(&node);
    let tasks = containerd.ctr(["-n", "k8s.io", "tasks", "ls"]);
    assert_eq!(tasks.matches("RUNNING").count(), 1, "{tasks}");
    let unknown = containerd.ask("StopContainer", &text(1, "nope")).unwrap();
    assert!(unknown.is_ok() || unknown.unwrap_err().to_string().contains("NOT_FOUND"));
    let directory = containerd.directory.clone();
    assert!(!left_of(&directory, &ids).is_empty());
    drop(containerd);
    expect_nothing_left(&directory, &ids);
}

const IN_CHILD: &str = "NSPLICE_TESTKIT_CONTAINERD";

/// A child of the test says what it has made, and is killed; containerd is killed before.
#[test]
fn everything_goes_also_when_the_test_is_killed() {
    let test = "containerd::tests::everything_goes_also_when_the_test_is_killed";
    if std::env::var_os(IN_CHILD).is_some() {
        let Some(containerd) = Containerd::for_test(test) else { return };
        let pod = containerd.pod("default", "web", HasNetwork::Own);
        let id = containerd.container(&pod, "app", &SLEEP);
        kill(Pid::from_raw(i32::try_from(containerd.pid()).unwrap()), Signal::SIGKILL).unwrap();
        println!("made {} {} {id}", containerd.directory.display(), pod.id);
        std::thread::sleep(PATIENCE + Duration::from_secs(20));
        return;
    }
    let Some(containerd) = Containerd::for_test(test) else { return };
    drop(containerd);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(IN_CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    let line = said.lines().map(Result::unwrap).find(|line| line.contains("made ")).unwrap();
    let words = line.split("made ").nth(1).unwrap();
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let [directory, ids @ ..] = &words[..] else { panic!("{line}") };
    assert!(!left_of(Path::new(directory), ids).is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    expect_nothing_left(Path::new(directory), ids);
}
