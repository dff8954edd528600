//! Names behind `--to` and `to`, seen from outside: looked up as the target has them, from inside.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use nix::sys::signal::Signal;
use nsplice_testkit::peer::connect_expecting_reset;
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::talk::{echo, expect_eof, half_close, reset};
use nsplice_testkit::{
    connect, name_server, wait_until, NameKeeper, Namespace, NetnsFiles, Program, Server,
};

use crate::binary::{end_of, nsplice};
use crate::run::address_of;

/// The only one whom the namespace asks.
const CONF: &str = "search svc.local\nnameserver 127.0.0.1\noptions ndots:2 timeout:20\n";

/// Sends a byte there and back, and ends.
#[track_caller]
fn talk(mut client: &TcpStream) {
    client.write_all(b"x").expect("a link");
    let mut answer = [0];
    client.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"x");
    half_close(client);
    expect_eof(client);
}

#[test]
fn forward_leads_to_names_that_only_the_target_knows() {
    const TEST: &str = "forward_leads_to_names_that_only_the_target_knows";
    let Some(namespace) = Namespace::for_test(TEST) else { return };
    let Some(dnsmasq) = require_tool(TEST, "dnsmasq") else { return };
    let files = [("hosts", "127.0.0.2 db.internal\n"), ("resolv.conf", CONF)];
    let Some(_files) = NetnsFiles::new(TEST, &namespace, &files) else { return };
    let record = "--host-record=db.svc.local,127.0.0.2".to_owned();
    let _dnsmasq = namespace.inside(|| name_server(&dnsmasq, [record]));
    let server = Server::in_namespace(&namespace, "127.0.0.2:0", echo);
    let (name, port) = (namespace.name(), server.port());
    wait_until("dnsmasq answers", || {
        end_of(&mut nsplice(&format!("lookup netns/{name} db"))).code == 0
    });
    for host in ["db.internal", "db", "db.svc.local"] {
        let line = format!("forward netns/{name} :{port} --to {host} --address 127.0.0.1 -v");
        let mut program = Program::spawn(&mut nsplice(&line));
        talk(&connect(program.forwarded_address()));
        program.expect_stderr("outcome: clean");
        program.signal(Signal::SIGTERM);
        assert_eq!(program.wait().code(), Some(0));
    }
    let line = format!("forward netns/{name} :{port} --to nothing.local --address 127.0.0.1");
    let mut program = Program::spawn(&mut nsplice(&line));
    connect_expecting_reset(program.forwarded_address());
    let told = program.expect_stderr(&format!("cannot resolve nothing.local in netns/{name}: "));
    let files = format!("/etc/netns/{name}");
    for words in [
        "nothing.local at 127.0.0.1:53: no such name",
        &format!("; searched {files}/hosts and the name servers of {files}/resolv.conf"),
    ] {
        assert!(told.contains(words), "{words}\n{told}");
    }
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));

    let line = format!("check netns/{name} {port} --to db");
    let end = end_of(&mut nsplice(&line));
    let advice =
        format!("OK: `nsplice forward --to db netns/{name} {port}` works, with the backend ");
    assert!(end.stdout.lines().last().is_some_and(|line| line.starts_with(&advice)), "{end:?}");
    let end = end_of(&mut nsplice(&format!("check netns/{name} {port} --to no.local")));
    let advice =
        format!("no.local cannot be resolved: `nsplice lookup netns/{name} no.local` shows");
    assert!(end.stdout.lines().last().is_some_and(|line| line.starts_with(&advice)), "{end:?}");
}

/// Where one who waits for a name gives up, the others go on.
#[test]
fn run_looks_a_name_up_once_for_all_who_wait() {
    const TEST: &str = "run_looks_a_name_up_once_for_all_who_wait";
    let Some(namespace) = Namespace::for_test(TEST) else { return };
    let Some(_files) = NetnsFiles::new(TEST, &namespace, &[("resolv.conf", CONF)]) else { return };
    let keeper = NameKeeper::in_namespace(&namespace);
    let server = Server::in_namespace(&namespace, "127.0.0.2:0", echo);
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("nsplice.toml");
    let forward = |name: &str, to: &str| {
        format!(
            "[[forward]]\nname = '{name}'\nlisten = '127.0.0.1:0'\ntarget = 'netns/{}'\n\
             to = '{to}'\nport = {}\nconnect_timeout = '1m'\n",
            namespace.name(),
            server.port()
        )
    };
    let text =
        [("named", "db.at.svc.local"), ("numbered", "127.0.0.2"), ("none", "no.name.at.all")]
            .map(|(name, to)| forward(name, to))
            .concat();
    fs::write(&config, text).unwrap();
    let mut program = Program::spawn(nsplice("run --loops 2 --config").arg(&config));
    let all = ["named", "numbered", "none"];
    let [named, numbered, none] = all.map(|name| address_of(&program, name));
    let impatient = connect(named);
    let questions = keeper.take_both();
    let patient: Vec<_> = (0..20).map(|_| connect(named)).collect();
    // Whoever wants no name waits for none.
    talk(&connect(numbered));
    reset(impatient);
    program.expect_stderr("link ended, forward: named");
    program.expect_stderr("outcome: cancelled");
    for question in &questions {
        assert_eq!(question.name(), "db.at.svc.local");
        keeper.answer(question, Ipv4Addr::new(127, 0, 0, 2));
    }
    // Those who were accepted only now have asked anew.
    wait_until("all to be served", || {
        while let Some(question) = keeper.take() {
            keeper.answer(&question, Ipv4Addr::new(127, 0, 0, 2));
        }
        server.accepted() == 21
    });
    patient.iter().for_each(talk);
    drop(keeper);
    connect_expecting_reset(none);
    let told = program.expect_stderr("link ended, forward: none");
    assert!(
        told.contains("outcome: name-unknown, detail: cannot resolve no.name.at.all in "),
        "{told}"
    );
    assert!(told.contains("no.name.at.all at 127.0.0.1:53: Connection refused"), "{told}");
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));
}
