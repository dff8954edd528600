//! What only versions of socat after 1.7.4.4 know, and ours as well.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;

use nsplice_testkit::talk::echo;
use nsplice_testkit::{connect, listen, Namespace, Program, Server};

use crate::node::{hang_up, ping};
use crate::subject::Subject;

/// A listener that somebody else has made, as systemd passes it on.
#[test]
fn a_listener_that_is_passed_on() {
    let socat = Subject::called("socat");
    let listener = listen("127.0.0.1:0");
    let address = listener.local_addr().unwrap();
    let mut command = socat.command("ACCEPT-FD:0,fork PIPE");
    command.stdin(Stdio::from(OwnedFd::from(listener)));
    let mut program = Program::spawn(&mut command);
    let (one, two) = (connect(address), connect(address));
    for stream in [&one, &two] {
        ping(stream);
    }
    hang_up(&one);
    ping(&two);
    hang_up(&two);
    assert_eq!(program.ended(), None, "{program}");
}

/// An address in another namespace, by name and by path; the other address stays at home.
#[test]
fn an_address_in_another_namespace() {
    const TEST: &str = "an_address_in_another_namespace";
    let Some(container) = Namespace::for_test(TEST) else { return };
    let socat = Subject::called("socat");
    let server = Server::in_namespace(&container, "127.0.0.1:0", echo);
    for namespace in [container.name().to_owned(), container.path().display().to_string()] {
        let line = format!("- TCP4:127.0.0.1:{},netns={namespace}", server.port());
        let mut command = socat.command(&line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // Fails where it has ended already, which its output tells.
        let _ = stdin.write_all(b"ping");
        drop(stdin);
        let mut came = String::new();
        child.stdout.take().unwrap().read_to_string(&mut came).unwrap();
        let mut told = String::new();
        child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.code(), came.as_str(), told.as_str()), (Some(0), "ping", ""));
    }
    server.join();
}
