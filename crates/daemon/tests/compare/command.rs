//! `nsplice compare` as people type it. No figure is asserted, only what there is an answer about.

use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{self, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use nsplice_compare::{change, free_ports, json, Comparison, Finding, SubjectKind};
use nsplice_testkit::skip::{require_root_or_userns, require_tool, skipped};
use nsplice_testkit::{wait_until, Program};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_nsplice");

/// In the environment of a comparison, and so of everything that it starts.
const MARK: &str = "COMPARE_TEST_MARK";

/// A comparison to be run, which can be recognised by its mark.
struct Run {
    command: Command,
    mark: String,
}

impl Run {
    fn new(words: &str) -> Self {
        Self::by(Command::new(PROGRAM), words)
    }

    /// The same by a `command` that runs the program.
    fn by(mut command: Command, words: &str) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{MARK}={}-{count}-", process::id());
        command.arg("compare").args(words.split_whitespace()).stdin(Stdio::null());
        command.env(MARK, &mark[MARK.len() + 1..]);
        Self { command, mark }
    }

    fn output(mut self) -> Output {
        let output = self.command.output().unwrap();
        expect_nothing_left(&self.mark);
        output
    }
}

/// Whether a process of the comparison with this mark lives.
fn is_alive(mark: &str) -> bool {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let mut environments = entries.flat_map(|entry| fs::read(entry.path().join("environ")));
    environments.any(|text| text.windows(mark.len()).any(|part| part == mark.as_bytes()))
}

#[track_caller]
fn expect_nothing_left(mark: &str) {
    wait_until("the last process to go", || !is_alive(mark));
}

/// Directories of control groups that the process `pid` has made, wherever they are mounted.
fn groups_of(pid: u32) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let roots = mounts.lines().filter(|line| line.contains(" cgroup"));
    let entries = roots.filter_map(|line| fs::read_dir(line.split(' ').nth(1)?).ok()).flatten();
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains("nsplice") && name.contains(&format!("-{pid}-"))).collect()
}

/// Reads what `--output json` has printed.
#[track_caller]
fn comparison(printed: &[u8]) -> Comparison {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("new.json");
    fs::write(&path, printed).unwrap();
    json::read(&path).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn names(comparison: &Comparison) -> Vec<&str> {
    comparison.subjects.iter().map(|subject| subject.name.as_str()).collect()
}

const SHORT: &str = "--backends setns,setns-copy --workloads idle --rounds 1 --seconds 0.05";

#[test]
fn a_comparison_is_written_and_read_back() {
    if !require_root_or_userns("a_comparison_is_written_and_read_back") {
        return;
    }
    let directory = TempDir::new().unwrap();
    let (old, page) = (directory.path().join("old.json"), directory.path().join("page.html"));
    let output = Run::new(&format!("{SHORT} --output json --report {}", page.display())).output();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let found = comparison(&output.stdout);
    assert_eq!(names(&found), ["direct", "floor", "setns", "setns-copy"]);
    for subject in &found.subjects {
        assert_eq!(subject.missing, None);
        // Nothing of a connect made inside is left to be counted while it idles.
        let is_measured = subject.kind == SubjectKind::Direct
            || found.measurements.iter().any(|m| m.subject == subject.name);
        assert!(is_measured, "{}: {:?}", subject.name, found.warnings);
    }
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("</html>") && page.contains("setns-copy"));

    fs::write(&old, &output.stdout).unwrap();
    let output = Run::new(&format!("{SHORT} --compare {}", old.display())).output();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let table = String::from_utf8(output.stdout).unwrap();
    for name in names(&found) {
        assert!(table.contains(name), "{name}: {table}");
    }
    assert!(table.contains(&found.started), "{table}");

    // One round shows no change ever, so there are as many as are told apart.
    let once = found.measurements.clone();
    let mut repeated = found;
    repeated.measurements = (0..8).flat_map(|_| once.clone()).collect();
    let change = change::between(&repeated, &repeated);
    assert!(!change.figures.is_empty() && change.behaviours.is_empty());
    assert!(change.figures.iter().all(|figure| figure.finding == Finding::Same), "{change:?}");
}

#[test]
fn words_that_make_no_sense_are_refused_with_a_sentence() {
    for (words, hint) in [
        ("--backends nsenter", "setns-copy"),
        ("--workloads speed", "conformance"),
        ("--rounds 0", "1 to 1000"),
        ("--seconds 0", "0.5"),
        ("--output xml", "table or json"),
        ("--peer haproxy", "name and `=`"),
        ("--peer haproxy=there:1", "127.0.0.1:9000"),
        ("--command nc={what}", "{address}"),
        ("--peer setns=127.0.0.1:1", "two subjects"),
        ("--peer floor=127.0.0.1:1", "yardstick"),
    ] {
        let output = Run::new(words).output();
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(said(&output).contains(hint), "{words}: {}", said(&output));
    }
}

#[test]
fn what_cannot_be_had_is_told_before_anything_is_measured() {
    let directory = TempDir::new().unwrap();
    let page = directory.path().join("page.html");
    let output = Run::new(&format!("pid/4194305 --report {}", page.display())).output();
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    assert!(!page.exists(), "a page about nothing");
    for words in ["--report /proc/page.html", "--compare /proc/none.json", "--compare /proc/mounts"]
    {
        let output = Run::new(words).output();
        assert_eq!(output.status.code(), Some(1), "{words}: {}", said(&output));
        assert!(said(&output).contains("/proc/"), "{words}: {}", said(&output));
    }
}

#[test]
fn a_signal_gives_what_there_is_by_then() {
    if !require_root_or_userns("a_signal_gives_what_there_is_by_then") {
        return;
    }
    let mut run = Run::new("--backends setns --quick --output json");
    let mut program = Program::spawn(&mut run.command);
    let pid = program.pid();
    program.expect_stderr("[1/");
    program.signal(Signal::SIGINT);
    assert_eq!(program.wait().code(), Some(130), "{program}");
    let found = comparison(program.stdout().join("\n").as_bytes());
    let verdicts: Vec<usize> = found.behaviours.iter().map(|b| b.verdicts.len()).collect();
    assert!(verdicts.contains(&1) && verdicts.contains(&0), "{verdicts:?}");
    assert!(found.measurements.is_empty());
    assert!(found.warnings.iter().any(|w| w.contains("SIGINT")), "{:?}", found.warnings);
    expect_nothing_left(&run.mark);
    assert_eq!(groups_of(pid), [""; 0]);
}

#[test]
fn a_second_signal_ends_it_at_once_and_leaves_nothing() {
    if !require_root_or_userns("a_second_signal_ends_it_at_once_and_leaves_nothing") {
        return;
    }
    let words = "--backends setns,external --workloads requests --seconds 600 --output json";
    let mut run = Run::new(words);
    let mut program = Program::spawn(&mut run.command);
    let pid = program.pid();
    program.expect_stderr("[0/");
    assert!(is_alive(&run.mark));
    program.signal(Signal::SIGINT);
    program.signal(Signal::SIGTERM);
    // The one measurement alone would take longer than anyone waits here.
    assert_eq!(program.wait().code(), Some(143), "{program}");
    assert_eq!(program.stdout(), [""; 0]);
    expect_nothing_left(&run.mark);
    assert_eq!(groups_of(pid), [""; 0]);
}

/// Waits until the signals of `program` are awaited.
#[track_caller]
fn expect_awaiting(program: &Program) {
    wait_until("signals to be awaited", || {
        let tasks = fs::read_dir(format!("/proc/{}/task", program.pid())).unwrap().flatten();
        let mut names = tasks.flat_map(|task| fs::read_to_string(task.path().join("comm")));
        names.any(|name| name.trim_end() == "signals")
    });
}

/// A step that takes long is not waited for: what has been found before it is told.
#[test]
fn a_signal_during_a_long_step_gives_what_there_is_before_it() {
    let directory = TempDir::new().unwrap();
    let page = directory.path().join("page.html");
    let words = format!(
        "tcp/127.0.0.1 --backends dial --workloads conformance,requests --quick --seconds 600 \
         --output json --report {}",
        page.display()
    );
    let mut run = Run::new(&words);
    let mut program = Program::spawn(&mut run.command);
    let pid = program.pid();
    // After the last behaviour come measurements of ten minutes each.
    wait_until("the last behaviour", || {
        let counts = |line: &String| {
            let (done, rest) = line.strip_prefix('[')?.split_once('/')?;
            Some(done == rest.split_once(']')?.0)
        };
        program.stderr().iter().any(|line| counts(line) == Some(true))
    });
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(143), "{program}");
    let found = comparison(program.stdout().join("\n").as_bytes());
    assert!(names(&found).contains(&"dial"), "{:?}", found.subjects);
    assert!(!found.behaviours.is_empty());
    assert!(found.behaviours.iter().all(|b| b.verdicts.len() == 1), "{:?}", found.behaviours);
    assert!(found.warnings.iter().any(|w| w.contains("SIGTERM")), "{:?}", found.warnings);
    assert!(fs::read_to_string(&page).unwrap().contains("</html>"));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    expect_nothing_left(&run.mark);
    assert_eq!(groups_of(pid), [""; 0]);

    let mut run = Run::new("tcp/127.0.0.1 --backends dial --workloads requests --seconds 600");
    let mut program = Program::spawn(&mut run.command);
    program.expect_stderr("[0/");
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(143), "{program}");
    assert!(program.stdout().iter().any(|line| line.contains("SIGTERM")), "{program}");
    expect_nothing_left(&run.mark);
}

/// Before anything is measured there is nothing to be told.
#[test]
fn a_signal_while_it_prepares_ends_it() {
    let directory = TempDir::new().unwrap();
    let fifo = directory.path().join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let socket = directory.path().join("docker.sock");
    let docker = UnixListener::bind(&socket).unwrap();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT] {
        for words in [
            format!("tcp/127.0.0.1 --compare {}", fifo.display()),
            format!("tcp/127.0.0.1 --report {}", fifo.display()),
            "docker/web".to_owned(),
        ] {
            let mut run = Run::new(&words);
            run.command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
            let mut program = Program::spawn(&mut run.command);
            expect_awaiting(&program);
            // It never gets an answer.
            let asked = words.starts_with("docker").then(|| docker.accept().unwrap());
            program.signal(signal);
            assert_eq!(program.wait().code(), Some(128 + signal as i32), "{words}: {program}");
            assert_eq!(program.stdout(), [""; 0]);
            expect_nothing_left(&run.mark);
            drop(asked);
        }
    }
}

/// A page goes to whoever reads it, and where it cannot be written the one of before stays.
#[test]
fn a_page_is_written_whole_or_not_at_all() {
    const NAME: &str = "a_page_is_written_whole_or_not_at_all";
    if require_tool(NAME, "prlimit").is_none() {
        return;
    }
    let directory = TempDir::new().unwrap();
    let (fifo, page) = (directory.path().join("fifo"), directory.path().join("page.html"));
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let words = "tcp/127.0.0.1 --backends dial --workloads idle --rounds 1 --seconds 0.05 --report";
    let reader = thread::spawn({
        let fifo = fifo.clone();
        move || fs::read_to_string(fifo).unwrap()
    });
    let output = Run::new(&format!("{words} {}", fifo.display())).output();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(reader.join().unwrap().contains("</html>"));

    fs::write(&page, "the one of before").unwrap();
    let mut limited = Command::new("prlimit");
    limited.arg("--fsize=1000").arg(PROGRAM);
    let output = Run::by(limited, &format!("{words} {}", page.display())).output();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let message = format!("cannot write the page {}: File too large", page.display());
    assert!(said(&output).contains(&message), "{}", said(&output));
    assert!(String::from_utf8(output.stdout).unwrap().contains("dial"));
    assert_eq!(fs::read_to_string(&page).unwrap(), "the one of before");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn whoever_may_have_a_user_namespace_may_compare() {
    const NAME: &str = "whoever_may_have_a_user_namespace_may_compare";
    let Some(nobody) = user(NAME, 65_534) else { return };
    let output = Run::by(nobody(PROGRAM), &format!("{SHORT} --output json")).output();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let found = comparison(&output.stdout);
    assert!(found.subjects.iter().all(|subject| subject.missing.is_none()), "{found:?}");
}

/// Where no more threads may be started, what can be tried side by side is tried one after the other.
/// How many threads there are when something needs one more is not known, so several limits are tried.
#[test]
fn where_threads_are_few_nothing_breaks() {
    const NAME: &str = "where_threads_are_few_nothing_breaks";
    if require_tool(NAME, "prlimit").is_none() {
        return;
    }
    let limits = 10..=13;
    // Threads are counted by user, so they are users that no other run has. A user namespace may have
    // no numbers beyond 65,535.
    let first = 60_000 + process::id() % 5_000;
    let users: Option<Vec<_>> = limits.clone().map(|limit| user(NAME, first + limit)).collect();
    let Some(users) = users else { return };
    thread::scope(|threads| {
        for (limit, user) in limits.zip(&users) {
            threads.spawn(move || {
                let mut command = user("prlimit");
                command.arg(format!("--nproc={limit}")).arg(PROGRAM);
                let words = "--quick --backends dial --workloads conformance";
                let output = Run::by(command, words).output();
                assert_eq!(output.status.code(), Some(0), "{limit}: {}", said(&output));
            });
        }
    });
}

/// What starts a program as the user `number`, who is not root but may have a user namespace; says so
/// if there is none such.
fn user(test: &str, number: u32) -> Option<impl Fn(&str) -> Command + Sync> {
    let setpriv = require_tool(test, "setpriv")?;
    let user = move |program: &str| {
        let mut command = Command::new(&setpriv);
        command.arg(format!("--reuid={number}")).arg(format!("--regid={number}"));
        command.args(["--clear-groups", program]);
        command
    };
    let tried = user("unshare").args(["-Urn", PROGRAM, "--version"]).output().unwrap();
    if !tried.status.success() {
        let why = format_args!("user {number} may have no user namespace, or not run {PROGRAM}");
        skipped(test, why);
        return None;
    }
    Some(user)
}

#[test]
fn a_peer_that_runs_already_is_measured_too() {
    const NAME: &str = "a_peer_that_runs_already_is_measured_too";
    let Some(haproxy) = require_tool(NAME, "haproxy") else { return };
    let free = free_ports(2).unwrap();
    let (port, listen) = (free[0], free[1]);
    let directory = TempDir::new().unwrap();
    let config = directory.path().join("haproxy.cfg");
    let text = format!(
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n\
         listen peer\n bind 127.0.0.1:{listen}\n server origin 127.0.0.1:{port}\n"
    );
    fs::write(&config, text).unwrap();
    let peer = Program::start(haproxy, [Path::new("-db"), Path::new("-f"), &config]);
    wait_until("haproxy to listen", || TcpStream::connect(("127.0.0.1", listen)).is_ok());
    let words = format!(
        "tcp/127.0.0.1 {port} --backends dial --peer haproxy=127.0.0.1:{listen},pid={} \
         --workloads idle --rounds 1 --seconds 0.05 --output json",
        peer.pid()
    );
    let output = Run::new(&words).output();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let found = comparison(&output.stdout);
    assert_eq!(names(&found), ["direct", "floor", "dial", "haproxy"]);
    let is_measured = found.measurements.iter().any(|m| m.subject == "haproxy");
    assert!(is_measured, "{:?}", found.warnings);
}
