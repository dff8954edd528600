//! A container's lives beside a running forward: killed, stopped, restarted, renamed, removed, and its name
//! taken by another one. Whatever happens, a link reaches what goes by the name, or nobody.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use nsplice_testkit::engine::{Container, Engine, Kind, ECHO_PORT};
use nsplice_testkit::peer::patient;
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::{wait_for, wait_until, Program};

use crate::BACKENDS;

/// `nsplice forward` to the container `name` of an engine whose directory stands in for the machine's root.
fn forward(engine: &Engine, name: &str, backend: &str) -> Program {
    let root = engine.directory();
    // Another test may have made it.
    let _ = symlink("/proc", root.join("proc"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_nsplice"));
    command.env_remove("DOCKER_HOST").stdin(Stdio::null());
    command.args(["forward", &format!("container/{name}"), &format!(":{ECHO_PORT}")]);
    command.args(["--address", "127.0.0.1", "--backend", backend, "--root"]).arg(root);
    Program::spawn(&mut command)
}

/// A link that is served, if one is.
fn link(address: SocketAddr) -> Option<TcpStream> {
    let mut client = patient(TcpStream::connect(address).ok()?);
    let mut answer = [0];
    let is_served = client.write_all(b"?").is_ok() && client.read_exact(&mut answer).is_ok();
    is_served.then_some(client)
}

/// Links that are open inside `container`.
fn links_inside(container: &Container) -> usize {
    let (pid, _) = container.place();
    let of =
        |table: &str| fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
    let is_link = |line: &&str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let port = words.get(1).and_then(|local| local.rsplit_once(':')).map(|(_, port)| port);
        port == Some(&format!("{ECHO_PORT:04X}")) && words.get(3) == Some(&"01")
    };
    ["tcp", "tcp6"].map(|table| of(table).lines().filter(is_link).count()).iter().sum()
}

/// Waits for links to be served, and expects that they are in `container`, and none in `other`.
#[track_caller]
fn expect_reached(address: SocketAddr, container: &Container, other: Option<&Container>) {
    let first = wait_for("a link", || link(address));
    let links = [first, link(address).expect("another link"), link(address).expect("a third one")];
    wait_until("all of them inside", || links_inside(container) >= links.len());
    if let Some(other) = other {
        assert_eq!(links_inside(other), 0, "a link to the one that has another name");
    }
}

/// Waits for links to be refused, and expects that all are.
#[track_caller]
fn expect_refused(address: SocketAddr) {
    wait_until("links to be refused", || link(address).is_none());
    for _ in 0..3 {
        assert!(link(address).is_none(), "somebody is reached");
    }
}

#[test]
fn a_name_is_followed_through_all_lives() {
    let test = "a_name_is_followed_through_all_lives";
    for tool in ["nsenter", "socat"] {
        if require_tool(test, tool).is_none() {
            return;
        }
    }
    for kind in [Kind::Docker, Kind::Podman] {
        let Some(engine) = Engine::for_test(kind, test) else { continue };
        for backend in BACKENDS {
            let name = format!("lives-{backend}");
            let old = format!("{name}-old");
            let first = engine.container(&name);
            let program = forward(&engine, &name, backend);
            let address = program.forwarded_address();
            expect_reached(address, &first, None);

            engine.run(["kill", first.id()]);
            expect_refused(address);
            first.start();
            expect_reached(address, &first, None);
            first.stop();
            expect_refused(address);
            first.start();
            expect_reached(address, &first, None);
            engine.run(["restart", first.id()]);
            expect_reached(address, &first, None);

            // It lives on by another name.
            engine.run(["rename", &name, &old]);
            expect_refused(address);
            wait_until("its links to end", || links_inside(&first) == 0);
            let second = engine.container(&name);
            expect_reached(address, &second, Some(&first));
            // The names are exchanged.
            engine.run(["rename", &name, &format!("{name}-new")]);
            engine.run(["rename", &old, &name]);
            let is_in_first = || {
                let link = link(address);
                link.is_some() && links_inside(&first) > 0
            };
            wait_until("the first one again", is_in_first);
            wait_until("its links to end", || links_inside(&second) == 0);
            expect_reached(address, &first, Some(&second));

            // It is removed, and another one takes its name.
            drop(first);
            expect_refused(address);
            let third = engine.container(&name);
            expect_reached(address, &third, Some(&second));
            drop(program);
        }
    }
}
