//! `nsplice run`, seen from outside: the log of a link, and the way to the end.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use nix::sys::signal::Signal;
use nsplice_testkit::talk::expect_reset;
use nsplice_testkit::{connect, listen, wait_until, Program, Server};

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
        program.expect_stderr("this signal changes nothing, signal: SIGHUP");
        program.signal(Signal::SIGTERM);
        program.expect_stderr("draining: no new links, signal: SIGTERM, drain_timeout: 30s");
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

        talk(&stubborn);
        program.signal(Signal::SIGTERM);
        assert_eq!(program.wait().code(), Some(0));
        expect_reset(&stubborn);
        program.expect_stderr("outcome: stopped");
    }
}
