//! `nsplice run`, seen from outside: the log of a link, and the way to the end.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;

use nix::sys::signal::Signal;
use nsplice_testkit::peer::patient;
use nsplice_testkit::talk::echo;
use nsplice_testkit::talk::expect_reset;
use nsplice_testkit::{connect, listen, wait_until, Namespace, Program, Server};

use crate::binary::nsplice;

#[test]
fn run_drains_and_a_second_signal_stops() {
    let server = Server::start(listen("127.0.0.1:0"), |stream| {
        let _: Result<u64, _> = std::io::copy(&mut &stream, &mut &stream);
    });
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("nsplice.toml");
    let text = format!(
        "[[forward]]\nname = 'echo'\nlisten = '127.0.0.1:0'\ntarget = 'tcp/127.0.0.1'\nport = {}\n",
        server.port()
    );
    fs::write(&config, text).unwrap();
    for loops in ["1", "2"] {
        let mut program =
            Program::spawn(nsplice("run --loops").arg(loops).arg("--config").arg(&config));
        let listening = program.expect_stderr("listening");
        let address = listening.split("address: ").nth(1).unwrap().split(',').next().unwrap();
        let address: SocketAddr = address.parse().unwrap();
        let talk = |mut client: &TcpStream| {
            client.write_all(b"x").unwrap();
            client.read_exact(&mut [0]).unwrap();
        };
        let (patient, stubborn) = (connect(address), connect(address));
        talk(&patient);
        talk(&stubborn);

        program.signal(Signal::SIGHUP);
        program.expect_stderr("ignoring signal, signal: SIGHUP");
        program.signal(Signal::SIGTERM);
        program
            .expect_stderr("draining: no new links, signal: SIGTERM, drain_timeout: 30s, links: 2");
        wait_until("the listeners are closed", || TcpStream::connect(address).is_err());
        talk(&patient);
        patient.shutdown(Shutdown::Write).unwrap();
        assert_eq!((&patient).read(&mut [0]).unwrap(), 0);
        let client = patient.local_addr().unwrap();
        // The wait for the listeners may have got in as well, and ended cleanly, too.
        let told = program.expect_stderr(&format!("client: {client}"));
        assert!(told.contains("outcome: clean"), "{told}");
        let start = format!(
            " INFO link ended, forward: echo, target: tcp/127.0.0.1, backend: dial, \
             client: {client}, up: 2, down: 2, open_us: "
        );
        assert!(told.contains(&start) && told.contains(", duration_ms: "), "{told}");
        assert_eq!(program.ended(), None, "one link is left");

        program.expect_stderr("still draining, links: 1");
        talk(&stubborn);
        program.signal(Signal::SIGTERM);
        program.expect_stderr("stopping now, signal: SIGTERM, links: 1");
        assert_eq!(program.wait().code(), Some(0));
        expect_reset(&stubborn);
        program.expect_stderr("outcome: stopped");
    }
}

/// The address of the forward `name`, which `program` listens on.
pub(crate) fn address_of(program: &Program, name: &str) -> SocketAddr {
    let listening = program.expect_stderr(&format!("listening, forward: {name},"));
    let address = listening.split("address: ").nth(1).and_then(|rest| rest.split(',').next());
    address.and_then(|address| address.parse().ok()).expect("it says where it listens")
}

#[test]
fn a_missing_target_refuses_its_own_links_only_until_it_is_there() {
    let Some(namespace) = Namespace::for_test("a_missing_target_refuses_its_own_links_only") else {
        return;
    };
    let server = Server::in_namespace(&namespace, "127.0.0.1:0", echo);
    let outside = Server::start(listen("127.0.0.1:0"), echo);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("later");
    let config = directory.path().join("nsplice.toml");
    let forward = |name: &str, target: String, port: u16| {
        format!(
            "[[forward]]\nname = '{name}'\nlisten = '127.0.0.1:0'\ntarget = '{target}'\n\
             port = {port}\n"
        )
    };
    // The largest PID there can be (PID_MAX_LIMIT is 2^22) and then some.
    let text = forward("never", "pid/2147483647".to_owned(), 80)
        + &forward("later", format!("netns/{}", path.display()), server.port())
        + &forward("there", "tcp/127.0.0.1".to_owned(), outside.port());
    fs::write(&config, text).unwrap();
    let mut program = Program::spawn(nsplice("run --config").arg(&config));
    for (name, line, error) in
        [("never", 1, "error: pid/2147483647: no such process"), ("later", 6, "does not exist: ")]
    {
        let told = program.expect_stderr(&format!("retrying, forward: {name}, at: "));
        assert!(told.contains(&format!("nsplice.toml:{line}, ")) && told.contains(error), "{told}");
    }
    let [never, later, there] = ["never", "later", "there"].map(|name| address_of(&program, name));

    let serves = |address: SocketAddr| {
        let Ok(client) = TcpStream::connect(address) else { return false };
        let mut client = patient(client);
        let mut answer = [0];
        client.write_all(b"x").is_ok() && client.read_exact(&mut answer).is_ok() && answer == *b"x"
    };
    assert!(serves(there));
    for missing in [never, later] {
        assert!(!serves(missing));
    }
    let told = program.expect_stderr("link ended, forward: never");
    assert!(
        told.contains("outcome: target-gone, detail: pid/2147483647: no such process"),
        "{told}"
    );

    symlink(namespace.path(), &path).unwrap();
    wait_until("its links are served", || serves(later));
    program.expect_stderr("target available: serving its links, forward: later, backend: setns");
    assert!(serves(there) && !serves(never));
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));
}
