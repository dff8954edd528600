//! `docker/NAME-OR-ID` against a real Docker daemon, which the tests start themselves.

mod engine;
mod lives;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::Stdio;
use std::thread;

use nsplice_compare::{json, Passed};
use nsplice_testkit::peer::connect_expecting_reset;
use nsplice_testkit::ramp::{Ramp, RampSink};
use nsplice_testkit::talk::{expect_eof, expect_ramp, half_close, send_ramp};
use nsplice_testkit::{connect, Census, Program};

use engine::{docker, Nsplice, ECHO_PORT};

/// The backends that reach a namespace.
const BACKENDS: [&str; 2] = ["setns", "external"];

/// More than all buffers on the way hold together.
const BULK: u64 = 8_000_003;

/// Both ends of the empty pipes that the relay keeps for the next links.
const IDLE_PIPES: usize = 2 * 8;

/// The exit code for a target that does not exist.
const NO_SUCH_TARGET: i32 = 7;

/// Sends `len` bytes through the echo server at the other end of `address` and checks them.
fn round_trip(address: SocketAddr, len: u64) {
    let client = connect(address);
    thread::scope(|scope| {
        scope.spawn(|| {
            send_ramp(&client, 0, len);
            half_close(&client);
        });
        expect_ramp(&client, 0, len);
    });
    expect_eof(&client);
}

#[test]
fn a_container_is_reached_by_name_and_by_id() {
    let Some(engine) = docker("a_container_is_reached_by_name_and_by_id") else { return };
    let container = engine.container("by-name-and-id");
    for backend in BACKENDS {
        for name in [container.name(), container.id(), &container.id()[..12]] {
            let forward = engine.forward(name, backend);
            round_trip(forward.forwarded_address(), BULK);
        }
    }
}

#[test]
fn nothing_is_left_of_links_into_a_container() {
    let Some(engine) = docker("nothing_is_left_of_links_into_a_container") else {
        return;
    };
    let container = engine.container("census");
    for backend in BACKENDS {
        let forward = engine.forward(container.name(), backend);
        let address = forward.forwarded_address();
        // The addresses are printed before the loops run; a link that was served shows that they
        // do. It is too short to need a pipe of the relay's own.
        round_trip(address, 1);
        let census = Census::settled(forward.pid());
        for len in [0, 1, 100_000, BULK] {
            round_trip(address, len);
        }
        census.assert_restored_up_to("pipe", IDLE_PIPES);
        assert_eq!(census.children(), 0);
    }
}

#[test]
fn a_restarted_container_is_followed() {
    let Some(engine) = docker("a_restarted_container_is_followed") else { return };
    let container = engine.container("restarted");
    let forwards = BACKENDS.map(|backend| engine.forward(container.name(), backend));
    let first = container.place();
    forwards.iter().for_each(|forward| round_trip(forward.forwarded_address(), 1000));

    container.stop();
    for forward in &forwards {
        connect_expecting_reset(forward.forwarded_address());
        let told = forward.expect_stderr("container not running");
        assert!(told.contains(&format!("container not running ({})", container.id())), "{told}");
    }

    container.start();
    let second = container.place();
    assert_ne!(first.0, second.0, "the process is the same");
    forwards.iter().for_each(|forward| round_trip(forward.forwarded_address(), 1000));
}

#[test]
fn a_restart_ends_the_links_of_the_old_container_only() {
    let Some(engine) = docker("a_restart_ends_the_links_of_the_old_container") else {
        return;
    };
    let (container, other) = (engine.container("ended"), engine.container("untouched"));
    for backend in BACKENDS {
        let ended = engine.forward(container.name(), backend);
        let untouched = engine.forward(other.name(), backend);
        let open = |forward: &Program| {
            let client = connect(forward.forwarded_address());
            send_ramp(&client, 0, 100);
            expect_ramp(&client, 0, 100);
            client
        };
        let (old, kept) = (open(&ended), open(&untouched));
        container.stop();
        let mut rest = Vec::new();
        // FIN or RST: as the dying server's kernel has it.
        let _ = io::Read::read_to_end(&mut &old, &mut rest);
        assert_eq!(rest, b"");
        send_ramp(&kept, 100, 100);
        expect_ramp(&kept, 100, 100);
        container.start();
        round_trip(ended.forwarded_address(), 1000);
    }
}

#[test]
fn a_stopped_container_is_told_from_a_missing_one() {
    let Some(engine) = docker("a_stopped_container_is_told_from_a_missing_one") else {
        return;
    };
    let container = engine.container("stopped");
    container.stop();
    let not_running = format!("container not running ({})", container.id());
    let port = ECHO_PORT.to_string();
    let refusals = [
        ("docker/stopped", not_running.as_str()),
        ("docker/no-such", "no such container: no-such"),
    ];
    for (target, words) in refusals {
        for args in [["connect", target, &port], ["forward", target, &format!(":{port}")]] {
            let mut program = Program::spawn(&mut engine.nsplice(args));
            assert_eq!(program.wait().code(), Some(NO_SUCH_TARGET), "{args:?}: {program}");
            let told = program.expect_stderr(words);
            assert!(told.contains(target), "{told}");
            assert_eq!(program.stdout(), [""; 0]);
        }
    }
}

#[test]
fn docker_host_names_the_docker_that_is_asked() {
    let Some(engine) = docker("docker_host_names_the_docker_that_is_asked") else {
        return;
    };
    let container = engine.container("asked");
    let port = ECHO_PORT.to_string();
    let target = format!("docker/{}", container.name());
    let ask = |host: &str| {
        let mut command = engine.nsplice(["connect", &target, &port]);
        Program::spawn(command.env("DOCKER_HOST", host))
    };
    let mut right = ask(&engine.host());
    assert!(right.wait().success(), "{right}");
    for (wrong, code, words) in [
        (format!("{}.not", engine.host()), 1, "docker.sock.not"),
        ("tcp://127.0.0.1:2375".to_owned(), 2, "only unix:///PATH"),
    ] {
        let mut program = ask(&wrong);
        assert_eq!(program.wait().code(), Some(code), "{program}");
        program.expect_stderr(words);
    }
}

#[test]
fn connect_carries_standard_input_and_output() {
    let Some(engine) = docker("connect_carries_standard_input_and_output") else {
        return;
    };
    let container = engine.container("connected");
    let (target, port) = (format!("docker/{}", container.id()), ECHO_PORT.to_string());
    for backend in BACKENDS {
        let mut command = engine.nsplice(["connect", &target, &port, "--backend", backend]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let sender = thread::spawn(move || {
            io::copy(&mut Ramp::new(BULK), &mut input).and_then(|_| input.flush())
        });
        let mut sink = RampSink::new();
        io::copy(&mut output, &mut sink).unwrap();
        sender.join().unwrap().unwrap();
        assert_eq!(sink.count(), BULK, "{backend}");
        assert!(child.wait().unwrap().success(), "{backend}");
    }
}

#[test]
fn a_container_is_compared_into_and_left_as_it_was() {
    let Some(engine) = docker("a_container_is_compared_into_and_left_as_it_was") else {
        return;
    };
    let container = engine.container("compared");
    let target = format!("docker/{}", container.name());
    let words = "--backends setns,external --workloads conformance,idle --quick --seconds 0.05";
    let args = ["compare", &target, "--output", "json"].into_iter().chain(words.split(' '));
    let result = tempfile::NamedTempFile::new().unwrap();
    let output = engine.nsplice(args).stdout(result.reopen().unwrap()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let found = json::read(result.path()).unwrap();
    let (_, namespace) = container.place();
    assert_eq!(found.stage.target.as_deref(), Some(target.as_str()));
    assert_eq!(found.stage.namespace.as_deref(), namespace.to_str());
    for backend in BACKENDS {
        let behaviour = |name| found.behaviours.iter().find(|one| one.name == name).unwrap();
        let verdict = |name| behaviour(name).verdict(backend).unwrap().result;
        assert_eq!(verdict("bytes-1MiB"), Passed::Yes, "{backend}");
        // The container is the user's own.
        assert_eq!(verdict("target-gone"), Passed::NotTried, "{backend}");
        assert!(
            found.measurements.iter().any(|one| one.subject == backend),
            "{:?}",
            found.warnings
        );
    }
    let forward = engine.forward(container.name(), "setns");
    round_trip(forward.forwarded_address(), 1000);
}
