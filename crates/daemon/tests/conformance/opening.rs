//! Rows 13 to 19: what becomes of a client while its upstream is being opened, and when it cannot be.

use std::fs;
use std::io::Write;
use std::time::Duration;

use nsplice_testkit::talk::{expect_eof, expect_reset, half_close, reset, sink};
use nsplice_testkit::{wait_until, Census};

use crate::peers::{dropped_port, echo_to_any_end, name_of, ping, Full};
use crate::testbed::children_of;
use crate::{cases, Daemon, Difference, Relay, Testbed};

cases! {
    clients_that_say_nothing on setns no_splice external dial;
    client_gone_while_syns_are_dropped on setns external dial;
    client_with_a_fin_while_opening on setns no_splice external dial;
    refused_is_one_clear_line on setns external dial;
    connect_timeout on setns external dial;
    connect_timeout_when_syns_are_dropped on setns external dial;
    unreachable on setns external;
    unreachable_by_dial on dial;
    out_of_local_ports on setns no_splice external;
}

/// Half of the clients close at once, the other half reset: a port scan.
fn clients_that_say_nothing(testbed: &Testbed) {
    const EACH: usize = 20;
    let server = testbed.serve(echo_to_any_end);
    let relay = testbed.daemon(server.port()).start();
    for _ in 0..EACH {
        drop(relay.connect());
        reset(relay.connect());
    }
    // One that resets at once may be gone before it is accepted, or while its upstream is opened.
    let count = |outcome: &str| relay.ends().iter().filter(|end| end.outcome == outcome).count();
    wait_until("the ends of those who close", || count("clean") == EACH);
    relay.expect_restored();
    let ends = relay.ends();
    let others = count("reset-by-downstream") + count("cancelled");
    assert_eq!(EACH + others, ends.len(), "{ends:?}");
    assert!(ends.iter().all(|end| (end.up, end.down) == (0, 0)));
    assert!(server.join().len() <= 2 * EACH);
    relay.finish();
}

fn client_gone_while_syns_are_dropped(testbed: &Testbed) {
    let Some(port) = dropped_port("client_gone_while_syns_are_dropped", testbed.container()) else {
        return;
    };
    client_gone(testbed, port);
}

fn client_gone(testbed: &Testbed, port: u16) {
    let relay = testbed.daemon(port).start();
    let client = relay.connect();
    let name = name_of(&client);
    if testbed.backend.has_child() {
        wait_until("a child", || !children_of(relay.pid()).is_empty());
    } else {
        let sockets = relay.baseline().descriptors("socket");
        let now = || Census::of(relay.pid()).descriptors("socket");
        // The client's, and one for each address that has been tried.
        wait_until("a socket that connects", || now() >= sockets + 2);
    }
    reset(client);
    let early = testbed.differs(Difference::OpensEarly);
    let end = relay.expect_end(name, if early { "reset-by-downstream" } else { "cancelled" });
    assert_eq!(end.open_us.is_some(), early);
    // The child is gone: the census says so.
    relay.finish();
}

/// A FIN before the upstream is open is no reason to give up: it is passed on in its turn.
fn client_with_a_fin_while_opening(testbed: &Testbed) {
    let full = Full::new(testbed.container());
    let relay = testbed.daemon(full.port()).start();
    let mut client = relay.connect();
    client.write_all(b"last words").unwrap();
    half_close(&client);
    // The kernel tries again a second after its first try.
    let server = full.serve(sink);
    expect_eof(&client);
    relay.expect_end(name_of(&client), "clean");
    assert_eq!(server.join(), [b"last words"]);
    relay.finish();
}

/// A port that nobody listens on: the namespace has none but those of the case.
const CLOSED: u16 = 9;

fn refused_is_one_clear_line(testbed: &Testbed) {
    let relay = Relay::forward(testbed, CLOSED, "");
    relay.connect_refused();
    let (local, target) = (relay.address().port(), testbed.target());
    let line = relay.program().expect_stderr("an error occurred");
    let start = format!(
        "error: an error occurred forwarding {local} -> {CLOSED}: \
         error forwarding port {CLOSED} to {target}: "
    );
    assert!(line.starts_with(&start) && line.contains("Connection refused"), "{line}");
    let program = relay.finish();
    assert_eq!(program.stderr(), [line]);
}

fn connect_timeout(testbed: &Testbed) {
    let full = Full::new(testbed.container());
    times_out(testbed, full.port());
}

fn connect_timeout_when_syns_are_dropped(testbed: &Testbed) {
    let Some(port) = dropped_port("connect_timeout_when_syns_are_dropped", testbed.container())
    else {
        return;
    };
    times_out(testbed, port);
}

fn times_out(testbed: &Testbed, port: u16) {
    let relay = testbed.daemon(port).option("connect_timeout = '700ms'").start();
    let client = relay.connect();
    if testbed.differs(Difference::OpensEarly) {
        std::thread::sleep(Duration::from_millis(1500));
        assert_eq!(relay.ends().len(), 0, "it is for socat to give up");
        reset(client);
        relay.expect_only_end("reset-by-downstream");
    } else {
        expect_reset(&client);
        let end = relay.expect_end(name_of(&client), "connect-timeout");
        assert!(end.duration_ms >= 700, "{end:?}");
        assert_eq!(end.open_us, None);
        if testbed.backend.word() == "setns" {
            let silent = format!("within 700ms: 127.0.0.1:{port}: no answer; [::1]:{port}: ");
            assert!(end.detail.contains(&silent), "{end:?}");
        }
    }
    relay.finish();
}

/// Routes, an address behind each, the class, and the kernel's words.
const NOWHERE: [(&str, &str, &str, &str); 4] = [
    ("", "10.78.0.1", "unreachable", "Network is unreachable"),
    ("unreachable", "10.78.1.1", "unreachable", "No route to host"),
    ("prohibit", "10.78.2.1", "denied", "Permission denied"),
    ("blackhole", "10.78.3.1", "unreachable", "Invalid argument"),
];

fn unreachable(testbed: &Testbed) {
    lead_nowhere(testbed, |testbed, address| {
        testbed.daemon(80).option(&format!("to = '{address}'"))
    });
}

fn unreachable_by_dial(testbed: &Testbed) {
    lead_nowhere(testbed, |testbed, address| testbed.daemon(80).target(format!("tcp/{address}")));
}

fn lead_nowhere(testbed: &Testbed, daemon: impl for<'a> Fn(&'a Testbed, &str) -> Daemon<'a>) {
    for (route, address, class, words) in NOWHERE {
        if !route.is_empty() {
            testbed.container().run("ip", ["route", "add", route, address]);
        }
        let relay = daemon(testbed, address).start();
        relay.connect_refused();
        let is_vague = route == "blackhole" && testbed.differs(Difference::VagueWordsAreAFailure);
        let end = relay.expect_only_end(if is_vague { "child-failed" } else { class });
        assert!(end.detail.contains(words), "{end:?}");
        assert!(end.duration_ms < 2000, "{end:?}");
        relay.finish();
    }
}

fn out_of_local_ports(testbed: &Testbed) {
    const PORTS: usize = 4;
    let server = testbed.serve(echo_to_any_end);
    let allow = |range: &str| {
        let path = "/proc/sys/net/ipv4/ip_local_port_range";
        testbed.container().inside(|| fs::write(path, range)).unwrap();
    };
    allow("20000 20003");
    let relay = testbed.daemon(server.port()).start();
    let mut clients: Vec<_> = (0..PORTS).map(|_| relay.connect()).collect();
    clients.iter().for_each(ping);
    for _ in 0..3 {
        relay.connect_refused();
    }
    for end in relay.expect_ends(3) {
        assert_eq!(end.outcome, "exhausted", "{end:?}");
        assert!(end.detail.contains("Cannot assign requested address"), "{end:?}");
    }
    // A reset frees its port at once; after a FIN it rests for a minute in TIME_WAIT.
    clients.drain(..).for_each(reset);
    if testbed.differs(Difference::ResetMayBecomeFin) {
        allow("20000 20007");
    }
    wait_until("the links to end", || relay.ends().len() == 3 + PORTS);
    relay.expect_restored();
    let client = relay.connect();
    ping(&client);
    reset(client);
    server.join();
    relay.finish();
}
