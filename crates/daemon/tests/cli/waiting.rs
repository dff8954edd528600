//! `--wait-for-target` and `wait_for_target`: nothing is listened on before the target is there.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;

use nix::sys::signal::Signal;
use nsplice_testkit::talk::{expect_ramp, send_ramp};
use nsplice_testkit::{
    connect, listen, wait_until, waiting_at, Dockerd, Namespace, Program, Server,
};

use crate::binary::{end_of, nsplice};
use crate::run::address_of;

/// A free port of `ip`, which no other test uses.
fn free(ip: &str) -> SocketAddr {
    listen(&format!("{ip}:0")).local_addr().expect("an address")
}

/// Sends back what comes until the stream ends; with the program it ends by a reset.
#[expect(clippy::needless_pass_by_value, reason = "it is the script of a server")]
fn echo(stream: TcpStream) {
    let _ = io::copy(&mut &stream, &mut &stream);
}

#[track_caller]
fn expect_service(address: SocketAddr) {
    let client = connect(address);
    send_ramp(&client, 0, 100);
    expect_ramp(&client, 0, 100);
}

#[track_caller]
fn expect_nobody(address: SocketAddr) {
    assert_eq!(waiting_at(address), None, "it is listened on");
    let refused = TcpStream::connect(address).map(drop).expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_forward_listens_when_its_target_is_there_and_tells_both() {
    let Some(namespace) = Namespace::for_test("a_forward_listens_when_its_target_is_there") else {
        return;
    };
    let server = Server::in_namespace(&namespace, "127.0.0.1:0", echo);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("later");
    for (options, ip) in [("", "127.11.0.1"), ("--loops 2", "127.11.0.2")] {
        let address = free(ip);
        let (local, remote) = (address.port(), server.port());
        let line = format!(
            "forward netns/{} {local}:{remote} :80 --address {ip} --wait-for-target {options}",
            path.display()
        );
        let mut program = Program::spawn(&mut nsplice(&line));
        let told = program.expect_stderr("waiting until it is there: netns/");
        assert!(told.contains("later does not exist"), "{told}");
        expect_nobody(address);
        assert_eq!(program.stdout(), [""; 0]);

        symlink(namespace.path(), &path).unwrap();
        program.expect_stdout(&format!("Forwarding from {address} -> {remote}"));
        let there = program.expect_stderr("later is there");
        expect_service(address);
        program.signal(Signal::SIGTERM);
        assert_eq!(program.wait().code(), Some(0));
        assert_eq!(program.stderr(), [told, there], "each is told once");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_quiet_forward_waits_without_a_word() {
    let Some(namespace) = Namespace::for_test("a_quiet_forward_waits_without_a_word") else {
        return;
    };
    let server = Server::in_namespace(&namespace, "127.0.0.1:0", echo);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("later");
    let address = free("127.11.0.3");
    let line = format!(
        "forward netns/{} {}:{} --address 127.11.0.3 --wait-for-target --quiet",
        path.display(),
        address.port(),
        server.port()
    );
    let mut program = Program::spawn(&mut nsplice(&line));
    symlink(namespace.path(), &path).unwrap();
    wait_until("it listens", || waiting_at(address).is_some());
    expect_service(address);
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));
    assert_eq!((program.stdout(), program.stderr()), (vec![], vec![]));
}

/// Also while a look is under way that would take longer.
#[test]
fn whoever_waits_ends_when_that_is_asked_for() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let line = "forward netns/nsplice-no-such-name :80 --wait-for-target";
        let mut program = Program::spawn(&mut nsplice(line));
        program.expect_stderr("waiting until it is there: netns/nsplice-no-such-name");
        program.signal(signal);
        assert_eq!(program.wait().code(), Some(0));
        assert_eq!(program.stdout(), [""; 0]);
    }
    let dockerd = Dockerd::start();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("nsplice.toml");
    let text = forward("web", "docker/web".to_owned(), 80, "wait_for_target = true");
    fs::write(&config, text).unwrap();
    let run = format!("run --config {}", config.display());
    for (number, line) in ["forward docker/web :80 --wait-for-target", &run].iter().enumerate() {
        let _silence = dockerd.silence();
        let mut program = Program::spawn(nsplice(line).env("DOCKER_HOST", dockerd.host()));
        wait_until("the look", || dockerd.asked() == number + 1);
        program.signal(Signal::SIGTERM);
        assert_eq!(program.wait().code(), Some(0), "{program}");
    }
}

#[test]
fn what_does_not_come_by_itself_is_not_waited_for() {
    let taken = listen("127.0.0.1:0");
    let port = taken.local_addr().unwrap().port();
    let line = format!("forward netns/nsplice-no-such-name {port}:80 --wait-for-target");
    let end = end_of(&mut nsplice(&(line + " --address 127.0.0.1")));
    assert_eq!((end.code, end.stdout.as_str()), (4, ""), "{end:?}");
    let empty = tempfile::tempdir().unwrap();
    let line = "forward netns/nsplice-no-such-name :80 --backend external --wait-for-target";
    let mut program = Program::spawn(nsplice(line).env("PATH", empty.path()));
    // That the target is missing is seen first.
    program.expect_stderr("waiting until it is there");
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));
    let own = format!("netns/{}/ns", empty.path().display());
    symlink("/proc/self/ns/net", empty.path().join("ns")).unwrap();
    let line = format!("forward {own} :80 --backend external --wait-for-target");
    let end = end_of(nsplice(&line).env("PATH", empty.path()));
    assert_eq!((end.code, end.stdout.as_str()), (6, ""), "{end:?}");
}

/// A forward of a configuration.
fn forward(name: &str, target: String, port: u16, extra: &str) -> String {
    let listen = "listen = '127.0.0.1:0'";
    let listen = if extra.contains("listen = ") { "" } else { listen };
    format!("[[forward]]\nname = '{name}'\ntarget = '{target}'\nport = {port}\n{listen}\n{extra}\n")
}

#[test]
fn forwards_that_wait_hold_up_no_other() {
    let Some(namespace) = Namespace::for_test("forwards_that_wait_hold_up_no_other") else {
        return;
    };
    let server = Server::in_namespace(&namespace, "127.0.0.1:0", echo);
    let outside = Server::start(listen("127.0.0.1:0"), echo);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("later");
    let config = directory.path().join("nsplice.toml");
    for (loops, with_another) in [(1, true), (2, true), (2, false)] {
        let address = free("127.11.0.4");
        let held = format!("listen = '{address}'\nwait_for_target = true");
        let later = format!("netns/{}", path.display());
        let mut text =
            format!("loops = {loops}\n") + &forward("later", later, server.port(), &held);
        if with_another {
            text += &forward("there", "tcp/127.0.0.1".to_owned(), outside.port(), "");
        }
        fs::write(&config, text).unwrap();
        let mut program = Program::spawn(nsplice("run --config").arg(&config));
        let told = program
            .expect_stderr("target unavailable: not listening until it is there, forward: later");
        assert!(told.contains("nsplice.toml:2, target: netns/"), "{told}");
        if with_another {
            let there = address_of(&program, "there");
            expect_service(there);
        }
        expect_nobody(address);

        symlink(namespace.path(), &path).unwrap();
        program.expect_stderr("target available: serving its links, forward: later");
        assert_eq!(address_of(&program, "later"), address);
        for _ in 0..4 {
            expect_service(address);
        }
        program.signal(Signal::SIGTERM);
        assert_eq!(program.wait().code(), Some(0), "{program}");
        let waited =
            program.stderr().iter().filter(|line| line.contains("not listening until")).count();
        assert_eq!(waited, 1, "{program}");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_daemon_that_only_waits_ends_when_that_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("nsplice.toml");
    let never = "netns/nsplice-no-such-name".to_owned();
    fs::write(&config, forward("never", never, 80, "wait_for_target = true")).unwrap();
    let mut program = Program::spawn(nsplice("run --config").arg(&config));
    program.expect_stderr("not listening until it is there, forward: never");
    program.signal(Signal::SIGHUP);
    program.expect_stderr("ignoring signal");
    assert_eq!(program.ended(), None);
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));
}

/// Somebody else may listen there before the target comes: that is told, and tried again.
#[test]
fn an_address_that_was_taken_meanwhile_is_tried_again() {
    let Some(namespace) = Namespace::for_test("an_address_that_was_taken_meanwhile") else {
        return;
    };
    let server = Server::in_namespace(&namespace, "127.0.0.1:0", echo);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("later");
    let config = directory.path().join("nsplice.toml");
    let address = free("127.11.0.5");
    let held = format!("listen = '{address}'\nwait_for_target = true");
    let later = format!("netns/{}", path.display());
    fs::write(&config, forward("later", later, server.port(), &held)).unwrap();
    let mut program = Program::spawn(nsplice("run --config").arg(&config));
    program.expect_stderr("not listening until it is there");
    let thief = listen(&address.to_string());
    symlink(namespace.path(), &path).unwrap();
    let told = program.expect_stderr("cannot listen: retrying, forward: later");
    assert!(told.contains("Address already in use"), "{told}");
    drop(thief);
    program.expect_stderr("target available: serving its links, forward: later");
    expect_service(address);
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));
}

/// None waits for the answer that another one waits for.
#[test]
fn forwards_are_prepared_side_by_side() {
    const COUNT: u16 = 12;
    let dockerd = Dockerd::start();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("nsplice.toml");
    let one = |number| forward(&format!("f{number}"), format!("docker/c{number}"), 80, "");
    fs::write(&config, (0..COUNT).map(one).collect::<String>()).unwrap();
    let silence = dockerd.silence();
    let mut command = nsplice("run --config");
    command.arg(&config).env("DOCKER_HOST", dockerd.host());
    let mut program = Program::spawn(&mut command);
    wait_until("all to ask", || dockerd.asked() == usize::from(COUNT));
    drop(silence);
    program.expect_stderr(&format!("listening, forward: f{},", COUNT - 1));
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));
}
