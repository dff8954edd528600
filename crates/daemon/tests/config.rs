//! What `nsplice run` makes of its configuration, good and bad, seen from outside.

mod binary;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use binary::{end_of, nsplice, quiet};
use nix::sys::signal::Signal;
use nsplice_testkit::Program;
use tempfile::TempDir;

/// A directory with a configuration in it.
struct Configured {
    directory: TempDir,
}

impl Configured {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory for the configuration");
        fs::write(directory.path().join("nsplice.toml"), text)
            .expect("the configuration can be written");
        Self { directory }
    }

    /// `nsplice run` in that directory.
    fn run(&self) -> Command {
        let mut command = nsplice("run --config nsplice.toml");
        command.current_dir(self.directory.path());
        command
    }

    /// Asserts that the configuration is refused with exactly `line`.
    #[track_caller]
    fn assert_refused(&self, line: &str) {
        assert_eq!(end_of(&mut self.run()), quiet(3, format!("{line}\n")));
    }
}

/// One forward; its keys are on lines 2 to 5, `extra` ones from line 6.
fn forward(listen: &str, target: &str, extra: &str) -> String {
    format!(
        "[[forward]]\nname = 'web'\nlisten = '{listen}'\ntarget = '{target}'\nport = 80\n{extra}\n"
    )
}

#[test]
fn an_unknown_key_is_refused_with_those_that_exist() {
    Configured::new(&forward("127.0.0.1:0", "tcp/127.0.0.1", "conect_timeout = '1s'"))
        .assert_refused(
            "nsplice.toml:6: unknown field `conect_timeout`, expected one of `name`, `listen`, \
             `target`, `to`, `pod_ip`, `port`, `backend`, `command`, `connect_timeout`, \
             `idle_timeout`, `linger`, `max_links`, `wait_for_target`; did you mean `connect_timeout`?",
        );
    Configured::new("drain = '1s'").assert_refused(
        "nsplice.toml:1: unknown field `drain`, expected one of `drain_timeout`, `log_format`, \
         `log`, `loops`, `splice`, `root`, `forward`; did you mean `drain_timeout`?",
    );
}

#[test]
fn a_bad_value_is_refused_with_those_that_are_allowed() {
    for (extra, line) in [
        (
            "backend = 'nsenter'",
            "nsplice.toml:6: backend: `nsenter` is not a backend: write auto, setns, external or dial",
        ),
        (
            "max_links = 0",
            "nsplice.toml:6: max_links: `0` is not a number of links: 1 to 4294967295",
        ),
        (
            "\nconnect_timeout = '0s'",
            "nsplice.toml:7: connect_timeout: `0s` is not a time: write for example 500ms, 10s \
             or 5m, at most 365days",
        ),
        ("linger = 5", "nsplice.toml:6: linger: `5` is not in quotes: write \"5s\""),
        (
            "wait_for_target = true",
            "nsplice.toml:1: wait_for_target: tcp/127.0.0.1 cannot be waited for: another machine is \
             looked for by each connection only",
        ),
    ] {
        Configured::new(&forward("127.0.0.1:0", "tcp/127.0.0.1", extra)).assert_refused(line);
    }
    Configured::new(&forward("127.0.0.1:0", "service/web", "")).assert_refused(
        "nsplice.toml:4: target: there is no kind of target called `service`; write pod/NAME or \
         pod/NAMESPACE/NAME, container/NAME-OR-ID, docker/NAME-OR-ID, pid/PID, netns/NAME or \
         netns/ABSOLUTE-PATH, or tcp/HOST",
    );
    Configured::new(&forward("localhost:1", "tcp/127.0.0.1", "")).assert_refused(
        "nsplice.toml:3: listen: `localhost:1` is not an address with a port: write \
         127.0.0.1:8080 or [::1]:8080",
    );
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let itself = forward("127.0.0.1:80", "tcp/127.0.0.1", "");
    Configured::new(&itself)
        .assert_refused("nsplice.toml:1: target: tcp/127.0.0.1:80 is this forward's own listener");

    let first = forward("127.0.0.1:1", "tcp/127.0.0.1", "");
    let second = forward("127.0.0.1:2", "tcp/127.0.0.1", "");
    Configured::new(&format!("{first}{second}"))
        .assert_refused("nsplice.toml:7: name: `web` is already the name of the forward in line 1");

    // Only the backend knows what fits its target.
    Configured::new(&forward("127.0.0.1:0", "tcp/127.0.0.1", "backend = 'setns'")).assert_refused(
        "nsplice.toml:1: forward `web`: the backend setns does not fit tcp/127.0.0.1, which has \
         no namespace; dial and external do",
    );
}

#[test]
fn no_forward_and_no_toml_are_refused() {
    Configured::new("")
        .assert_refused("nsplice.toml:1: there is no [[forward]]: at least one is needed");
    let end = end_of(&mut Configured::new("loops = 1\n[[forward]\n").run());
    assert_eq!(end.code, 3);
    assert!(end.stderr.starts_with("nsplice.toml:2: "), "{}", end.stderr);
}

#[test]
fn a_file_that_is_not_there_is_told() {
    assert_eq!(
        end_of(&mut nsplice("run --config /nonexistent/nsplice.toml")),
        quiet(
            3,
            "error: cannot read the configuration /nonexistent/nsplice.toml: \
             No such file or directory\n"
        )
    );
}

#[test]
fn what_stands_in_the_way_of_a_forward_is_told_with_its_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let free = forward("127.0.0.1:0", "tcp/127.0.0.1", "").replace("web", "other");
    let text = free + &forward(&address.to_string(), "tcp/127.0.0.1", "");
    let end = end_of(&mut Configured::new(&text).run());
    let start = format!(
        "nsplice.toml:7: forward `web`: cannot listen on {address}: Address already in use; "
    );
    assert!(end.stderr.starts_with(&start), "{}", end.stderr);
    let hint = "shows who has it, listen = \"127.0.0.1:0\" takes a free one\n";
    assert!(end.stderr.ends_with(hint), "{}", end.stderr);
    assert_eq!(end.code, 4);

    // All of it is told, not only the first.
    let text = forward(&address.to_string(), "tcp/127.0.0.1", "")
        + &forward("192.0.2.1:80", "tcp/127.0.0.1", "").replace("web", "far")
        + &forward("127.0.0.1:0", "tcp/127.0.0.1", "backend = 'setns'").replace("web", "unfit");
    let end = end_of(&mut Configured::new(&text).run());
    let starts = [
        "nsplice.toml:13: forward `unfit`: the backend setns does not fit",
        "nsplice.toml:1: forward `web`: cannot listen on",
        "nsplice.toml:7: forward `far`: cannot listen on 192.0.2.1:80: Cannot assign requested",
    ];
    let lines: Vec<_> = end.stderr.lines().collect();
    assert_eq!((end.code, lines.len()), (3, starts.len()), "{}", end.stderr);
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{}", end.stderr);
    }
}

#[test]
fn the_example_is_understood() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/nsplice.toml");
    let text = fs::read_to_string(&example).unwrap();
    let line = 1 + text.lines().position(|line| line == "[[forward]]").unwrap();
    // Its numbers may be in use here.
    let text: String = text
        .lines()
        .map(|line| match line.split_once("= \"127.0.0.1:") {
            Some((key, _)) if key.starts_with("listen") => "listen = \"127.0.0.1:0\"\n".to_owned(),
            _ => line.replace("1:8080\"", "1:0\"").replace("]:8080\"", "]:0\"") + "\n",
        })
        .collect();
    let configured = Configured::new(&text);
    let mut command = configured.run();
    let mut program = Program::spawn(command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock"));
    // It comes as far as asking Docker, and serves what needs none.
    let told = program.expect_stderr("forward: web, at: nsplice.toml:");
    assert!(told.contains(&format!(":{line}, error: cannot ask Docker")), "{told}");
    program.expect_stderr("listening, forward: mirror");
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));
}

#[test]
fn what_is_typed_wins_over_the_file() {
    let text = "log_format = 'json'\n".to_owned() + &forward("127.0.0.1:0", "tcp/127.0.0.1", "");
    let configured = Configured::new(&text);
    let mut program = Program::spawn(&mut configured.run());
    let line = program.expect_stderr("listening");
    assert!(line.starts_with("{\"ts\":\"") && line.contains("\"forward\":\"web\""), "{line}");
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));

    let mut program = Program::spawn(configured.run().args(["--log-format", "text"]));
    let line = program.expect_stderr("listening");
    assert!(line.contains(" INFO listening, forward: web, address: 127.0.0.1:"), "{line}");
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));
}
