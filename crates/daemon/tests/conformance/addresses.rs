//! Rows 43, 50 and 51: addresses of all kinds, a forward to itself, and kernels without splice.

use std::net::{IpAddr, SocketAddr};

use nix::sys::signal::Signal;
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::talk::{echo, expect_eof, expect_ramp, half_close, read_to_eof, send_ramp};
use nsplice_testkit::Server;

use crate::peers::{free_port, hang_up, name_of, ping};
use crate::{cases, end_of, nsplice, Relay, Testbed};

cases! {
    listen_addresses on setns external dial;
    listen_on_a_mapped_address on setns;
    listen_addresses_of_forward on setns;
    target_addresses on setns no_splice external;
    target_addresses_of_dial on dial;
    own_listener_as_target_of_run on dial;
    own_listener_as_target_of_forward on dial;
    splice_refused_by_the_kernel on setns external dial;
    two_loops on setns no_splice external dial;
}

/// One link from `client` to its end, through a relay whose log has the client by its real name.
#[track_caller]
fn expect_link(testbed: &Testbed, relay: &Relay<'_>, to: SocketAddr) {
    let client = testbed.connect(to);
    ping(&client);
    hang_up(&client);
    relay.expect_end(name_of(&client), "clean");
}

fn listen_addresses(testbed: &Testbed) {
    let table: [(&str, &[&str]); 5] = [
        ("127.0.0.1:0", &["127.0.0.1"]),
        ("127.0.0.2:0", &["127.0.0.2"]),
        ("[::1]:0", &["::1"]),
        ("0.0.0.0:0", &["127.0.0.1", "127.0.0.3"]),
        ("[::]:0", &["::1"]),
    ];
    let server = testbed.serve(echo);
    for (listen, reached) in table {
        let relay = testbed.daemon(server.port()).listen(listen).start();
        for address in reached {
            let to = SocketAddr::new(address.parse::<IpAddr>().unwrap(), relay.address().port());
            expect_link(testbed, &relay, to);
        }
        relay.finish();
    }
    server.join();
}

/// An IPv4 address as IPv6 writes it is an IPv4 address.
fn listen_on_a_mapped_address(testbed: &Testbed) {
    let server = testbed.serve(echo);
    let relay = testbed.daemon(server.port()).listen("[::ffff:127.0.0.1]:0").start();
    let to = SocketAddr::from(([127, 0, 0, 1], relay.address().port()));
    expect_link(testbed, &relay, to);
    assert_eq!(server.join(), [1]);
    relay.finish();
}

/// kubectl's default: the same port of 127.0.0.1 and ::1.
fn listen_addresses_of_forward(testbed: &Testbed) {
    let server = testbed.serve(echo);
    let line = format!("forward {} :{}", testbed.target_words(), server.port());
    let mut program = testbed.start(&mut nsplice(&line));
    let addresses = program.forwarded(2);
    let port = addresses[0].port();
    assert_eq!(
        addresses,
        [SocketAddr::from(([127, 0, 0, 1], port)), format!("[::1]:{port}").parse().unwrap()]
    );
    for address in addresses {
        let client = testbed.connect(address);
        ping(&client);
        hang_up(&client);
    }
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));
    assert_eq!(server.join(), [1, 1]);
}

fn target_addresses(testbed: &Testbed) {
    testbed.container().run("ip", ["addr", "add", "10.77.0.1/32", "dev", "lo"]);
    let table = [
        ("localhost", "127.0.0.1:0"),
        ("127.0.0.1", "127.0.0.1:0"),
        ("127.0.0.2", "127.0.0.2:0"),
        ("10.77.0.1", "10.77.0.1:0"),
        ("::1", "[::1]:0"),
        ("::ffff:127.0.0.1", "127.0.0.1:0"),
    ];
    for (to, listen) in table {
        let server = Server::in_namespace(testbed.container(), listen, echo);
        let relay = testbed.daemon(server.port()).option(&format!("to = '{to}'")).start();
        expect_link(testbed, &relay, relay.address());
        assert_eq!(server.join(), [1], "{to}");
        relay.finish();
    }
}

fn target_addresses_of_dial(testbed: &Testbed) {
    let table = [
        ("tcp/localhost", "127.0.0.1:0"),
        ("tcp/localhost", "[::1]:0"),
        ("tcp/127.0.0.2", "127.0.0.2:0"),
        ("tcp/::1", "[::1]:0"),
        ("tcp/::ffff:127.0.0.1", "127.0.0.1:0"),
    ];
    for (target, listen) in table {
        let server = Server::in_namespace(testbed.container(), listen, echo);
        let relay = testbed.daemon(server.port()).target(target).start();
        expect_link(testbed, &relay, relay.address());
        assert_eq!(server.join(), [1], "{target}");
        relay.finish();
    }
}

fn own_listener_as_target_of_run(testbed: &Testbed) {
    let port = free_port(testbed.node());
    for (listen, target) in [
        (format!("127.0.0.1:{port}"), "tcp/127.0.0.1"),
        (format!("0.0.0.0:{port}"), "tcp/127.0.0.1"),
        (format!("[::1]:{port}"), "tcp/::1"),
    ] {
        let (mut command, _directory) =
            testbed.daemon(port).listen(&listen).target(target).command();
        let end = testbed.node().inside(|| end_of(&mut command));
        assert_eq!((end.code, end.stdout.as_str()), (3, ""), "{end:?}");
        assert!(end.stderr.contains("is this forward's own listener"), "{end:?}");
    }
}

/// The same, in the words that a slip of the pen takes: `8080` for `8080:80`.
fn own_listener_as_target_of_forward(testbed: &Testbed) {
    let port = free_port(testbed.node());
    let mut command = nsplice(&format!("forward tcp/127.0.0.1 {port} --address 127.0.0.1"));
    let mut program = testbed.start(&mut command);
    let status = program.wait();
    assert_eq!(status.code(), Some(2), "{program}");
    assert!(program.stderr().concat().contains("own listener"), "{program}");
}

/// splice(2) that does not exist is told once and not missed; one that refuses these descriptors
/// is not even told.
fn splice_refused_by_the_kernel(testbed: &Testbed) {
    const LEN: u64 = 4 << 20;
    if require_tool("splice_refused_by_the_kernel", "strace").is_none() {
        return;
    }
    for (errno, told) in [("ENOSYS", 1), ("EINVAL", 0)] {
        let server = testbed.serve(echo);
        let inject = format!("inject=splice:error={errno}");
        let strace =
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=splice", "-e", &inject];
        let relay = testbed.daemon(server.port()).under(&strace).start();
        for _ in 0..2 {
            let client = relay.connect();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    send_ramp(&client, 0, LEN);
                    // socat would end half a second later, with the echo on its way.
                    if !testbed.backend.has_child() {
                        half_close(&client);
                    }
                });
                expect_ramp(&client, 0, LEN);
            });
            if testbed.backend.has_child() {
                half_close(&client);
            }
            expect_eof(&client);
            relay.expect_end(name_of(&client), "clean");
        }
        assert_eq!(server.join(), [LEN, LEN]);
        let program = relay.finish();
        let lines = program.stderr();
        let lines = lines.iter().filter(|line| line.contains("splice(2) unavailable"));
        assert_eq!(lines.count(), told, "{errno}: {program}");
    }
}

fn two_loops(testbed: &Testbed) {
    const CLIENTS: usize = 32;
    let server = testbed.serve(echo);
    let relay = testbed.daemon(server.port()).loops(2).start();
    let clients: Vec<_> = (0..CLIENTS).map(|_| relay.connect()).collect();
    clients.iter().for_each(ping);
    for client in &clients {
        half_close(client);
        assert_eq!(read_to_eof(client), b"");
        relay.expect_end(name_of(client), "clean");
    }
    assert_eq!(server.join(), [1; CLIENTS]);
    relay.finish();
}
