//! Rows 34 to 38: programs that carry a link and do not behave.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nsplice_testkit::census::resident_memory;
use nsplice_testkit::talk::{
    echo, expect_eof, expect_ramp, half_close, read_exactly, read_to_eof, read_to_reset, reset,
    send_ramp, send_until_stuck,
};
use nsplice_testkit::wait_until;

use crate::peers::{name_of, ping};
use crate::testbed::{children_of, is_alive};
use crate::{cases, Relay, Testbed};

cases! {
    ends_before_a_byte on external;
    ends_midway on external;
    floods_standard_error on external;
    closes_standard_error on external;
    ignores_sigterm on external;
    leaves_a_helper_that_holds_the_pipes on external;
    closes_its_output_and_lives_on on external;
    leaves_bytes_unread on external;
    is_heard_to_the_end_by_a_slow_client on external;
    is_given_up_by_a_client_that_reads_nothing on external;
    has_three_descriptors on external;
    dies_with_nsplice on external;
    template_is_filled_in on external;
}

/// Why port 9: it goes nowhere but into the template.
const PORT: u16 = 9;

fn carried<'a>(testbed: &'a Testbed, command: &str) -> Relay<'a> {
    assert!(!command.contains('"'), "the configuration has it in double quotes");
    testbed.daemon(PORT).option(&format!("command = \"{command}\"")).start()
}

/// A shell script as a command.
fn script(text: &str) -> String {
    format!("sh -c '{text}'")
}

fn ends_before_a_byte(testbed: &Testbed) {
    let table = [
        ("exit 1", "child-failed", "exit status 1"),
        ("echo out of cheese >&2; exit 3", "child-failed", "exit status 3: out of cheese"),
        ("kill -9 $$", "child-failed", "killed by signal 9 (SIGKILL)"),
        ("kill -TERM $$", "child-failed", "killed by signal 15 (SIGTERM)"),
        ("exit 127", "tool-missing", "exit status 127"),
    ];
    for (text, outcome, words) in table {
        let relay = carried(testbed, &script(text));
        relay.connect_refused();
        let end = relay.expect_only_end(outcome);
        assert!(end.detail.ends_with(words), "{end:?}");
        relay.finish();
    }
    // One that ends well has said all there is to say: nothing.
    let relay = carried(testbed, "true");
    let client = relay.connect();
    expect_eof(&client);
    relay.expect_end(name_of(&client), "clean");
    relay.finish();
}

fn ends_midway(testbed: &Testbed) {
    let table = [
        ("printf some; exit 1", "child-failed-midway", "exit status 1"),
        ("printf some; kill -9 $$", "child-failed-midway", "killed by signal 9 (SIGKILL)"),
        ("printf some; read x; exit 4", "child-failed-midway", "exit status 4"),
        ("printf some; exit 0", "clean", ""),
    ];
    for (text, outcome, words) in table {
        let relay = carried(testbed, &script(text));
        let mut client = relay.connect();
        assert_eq!(read_exactly(&client, 4), b"some");
        if text.contains("read") {
            client.write_all(b"x\n").unwrap();
        }
        if outcome == "clean" {
            assert_eq!(read_to_eof(&client), b"");
        } else {
            assert_eq!(read_to_reset(&client), b"");
        }
        let end = relay.expect_end(name_of(&client), outcome);
        assert!(end.detail.ends_with(words), "{end:?}");
        assert_eq!(end.down, 4);
        relay.finish();
    }
}

/// Nobody reads it all, and nobody waits for it.
fn floods_standard_error(testbed: &Testbed) {
    const LEN: u64 = 8 << 20;
    let relay = carried(testbed, &script("while :; do echo noise; done >&2 & exec cat"));
    let memory = resident_memory(relay.pid());
    let client = relay.connect();
    std::thread::scope(|scope| {
        scope.spawn(|| send_ramp(&client, 0, LEN));
        expect_ramp(&client, 0, LEN);
    });
    let grown = resident_memory(relay.pid()).saturating_sub(memory);
    assert!(grown < 8 << 20, "{grown} bytes more than before");
    let name = name_of(&client);
    half_close(&client);
    expect_eof(&client);
    relay.expect_end(name, "clean");
    relay.finish();
}

fn closes_standard_error(testbed: &Testbed) {
    let relay = carried(testbed, &script("printf half >&2; exec 2>&-; cat; exit 5"));
    let client = relay.connect();
    ping(&client);
    half_close(&client);
    assert_eq!(read_to_reset(&client), b"");
    let end = relay.expect_end(name_of(&client), "child-failed-midway");
    assert!(end.detail.ends_with("exit status 5: half"), "{end:?}");
    relay.finish();
}

fn ignores_sigterm(testbed: &Testbed) {
    let text = "trap : TERM; echo ready; while :; do sleep 1000 <&- >&- 2>&-; done";
    let relay = carried(testbed, &script(text));
    let client = relay.connect();
    let name = name_of(&client);
    assert_eq!(read_exactly(&client, 6), b"ready\n");
    let children = children_of(relay.pid());
    assert_eq!(children.len(), 1);
    let start = Instant::now();
    reset(client);
    relay.expect_end(name, "reset-by-downstream");
    assert!(!is_alive(children[0]));
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(900), "it got {waited:?} and not a second");
    relay.finish();
}

/// The program ends and leaves a process behind that has its standard input and output.
fn leaves_a_helper_that_holds_the_pipes(testbed: &Testbed) {
    let relay = carried(testbed, &script("sleep 1000 & echo $!"));
    let client = relay.connect();
    let told = read_to_eof(&client);
    let helper: u32 = String::from_utf8(told).unwrap().trim().parse().unwrap();
    relay.expect_end(name_of(&client), "clean");
    wait_until("the helper to be gone", || !is_alive(helper));
    relay.finish();
}

/// A FIN, not an end: what the client sends still arrives.
fn closes_its_output_and_lives_on(testbed: &Testbed) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("heard").display().to_string();
    let relay = carried(testbed, &script(&format!("printf bye; exec >&-; cat >{file}")));
    let client = relay.connect();
    assert_eq!(read_to_eof(&client), b"bye");
    send_ramp(&client, 0, 300_000);
    half_close(&client);
    let end = relay.expect_end(name_of(&client), "clean");
    assert_eq!((end.up, end.down), (300_000, 3));
    assert_eq!(std::fs::read(file).unwrap(), nsplice_testkit::ramp::bytes(300_000));
    relay.finish();
}

/// What the log says is what the client saw, at whatever moment its bytes come.
fn leaves_bytes_unread(testbed: &Testbed) {
    let relay = carried(testbed, "echo hi");
    for number in 0..30 {
        let mut client = relay.connect();
        let name = name_of(&client);
        if number % 3 > 0 {
            // Whoever is quick enough writes before the program has ended.
            let _ = client.write_all(b"hello");
        }
        if number % 3 > 1 {
            let _ = client.shutdown(Shutdown::Write);
        }
        let mut seen = Vec::new();
        let end = client.read_to_end(&mut seen);
        assert_eq!(seen, b"hi\n");
        let outcome = if end.is_ok() { "clean" } else { "reset-by-upstream" };
        let end = relay.expect_end(name, outcome);
        assert_eq!(end.down, 3);
    }
    relay.finish();

    // Here they are there when the program ends, in the program's pipe or still with the client.
    let directory = tempfile::tempdir().unwrap();
    let gate = directory.path().join("gate");
    let text = format!("while [ ! -e {} ]; do sleep .01; done; echo hi", gate.display());
    let relay = carried(testbed, &script(&text));
    for fills_all in [false, true] {
        let mut client = relay.connect();
        if fills_all {
            send_until_stuck(&client, 0);
        } else {
            client.write_all(b"hello").unwrap();
        }
        std::fs::write(&gate, "").unwrap();
        assert_eq!(read_to_reset(&client), b"hi\n");
        let end = relay.expect_end(name_of(&client), "reset-by-upstream");
        assert!(end.detail.contains("unread"), "{end:?}");
        std::fs::remove_file(&gate).unwrap();
    }
    relay.finish();
}

/// Everything that was read from it comes before anything that the client is told of its end.
fn is_heard_to_the_end_by_a_slow_client(testbed: &Testbed) {
    const LEN: usize = 60_000;
    let table = [
        ("exit 3", "child-failed-midway", "exit status 3"),
        ("kill -9 $$", "child-failed-midway", "killed by signal 9 (SIGKILL)"),
        ("exit 0", "reset-by-upstream", "unread"),
        ("exec cat >/dev/null", "clean", ""),
    ];
    for (end, outcome, words) in table {
        let text = format!("read go; head -c {LEN} /dev/zero; {end}");
        let relay = carried(testbed, &script(&text));
        let mut client = relay.connect_narrow();
        let name = name_of(&client);
        client.write_all(b"go\n").unwrap();
        match outcome {
            "clean" => half_close(&client),
            "reset-by-upstream" => client.write_all(b"and more").unwrap(),
            _ => {}
        }
        wait_until("the program to have ended", || children_of(relay.pid()).is_empty());
        let seen = if outcome == "clean" { read_to_eof(&client) } else { read_to_reset(&client) };
        assert_eq!(seen.len(), LEN, "{outcome}");
        let end = relay.expect_end(name, outcome);
        assert!(end.detail.contains(words), "{end:?}");
        relay.finish();
    }
}

/// The linger time bounds the wait, or else the idle time, and neither is a reason to take a clean end
/// back.
fn is_given_up_by_a_client_that_reads_nothing(testbed: &Testbed) {
    const LEN: usize = 60_000;
    let (clean, failed) = (("exit 0", "clean"), ("exit 3", "child-failed-midway"));
    for ((end, outcome), limit) in
        [(clean, "linger = '500ms'"), (failed, "linger = '500ms'"), (failed, "idle_timeout = '4s'")]
    {
        let command = script(&format!("sleep 1; head -c {LEN} /dev/zero; {end}"));
        let options = format!("command = \"{command}\"\n{limit}");
        let relay = testbed.daemon(PORT).option(&options).start();
        let client = relay.connect_narrow();
        relay.expect_end(name_of(&client), outcome);
        if outcome == "clean" {
            assert_eq!(read_to_eof(&client).len(), LEN);
        } else {
            assert!(read_to_reset(&client).len() < LEN);
        }
        relay.finish();
    }
}

fn has_three_descriptors(testbed: &Testbed) {
    let relay = carried(testbed, "ls -l /proc/self/fd");
    // One that is alive has descriptors of its own, which are nobody else's.
    let clients: [TcpStream; 3] = [(); 3].map(|()| relay.connect());
    for client in &clients {
        let listed = String::from_utf8(read_to_eof(client)).unwrap();
        let open = listed.lines().filter_map(|line| line.split_once(" -> "));
        let (numbers, kinds): (Vec<_>, Vec<_>) =
            open.map(|(left, right)| (left.rsplit(' ').next().unwrap(), right)).unzip();
        assert_eq!(numbers, ["0", "1", "2", "3"], "{listed}");
        assert!(kinds[..3].iter().all(|kind| kind.starts_with("pipe:")), "{listed}");
        assert!(kinds[3].starts_with("/proc/"), "the listing itself: {listed}");
    }
    relay.finish();
}

fn dies_with_nsplice(testbed: &Testbed) {
    let server = testbed.serve(crate::peers::echo_to_any_end);
    let mut relay = testbed.daemon(server.port()).start();
    let clients = [relay.connect(), relay.connect()];
    clients.iter().for_each(ping);
    let children = children_of(relay.pid());
    assert_eq!(children.len(), 2);
    relay.signal(Signal::SIGKILL);
    relay.program_mut().wait();
    wait_until("the children to be gone", || !children.iter().any(|child| is_alive(*child)));
    server.join();
}

fn template_is_filled_in(testbed: &Testbed) {
    let server = testbed.serve(echo);
    let pid = testbed.container().pid();
    let relay = carried(testbed, "echo {pid} {netns} {address} {port} {{}}");
    let client = relay.connect();
    let told = String::from_utf8(read_to_eof(&client)).unwrap();
    assert_eq!(told, format!("{pid} /proc/{pid}/ns/net localhost {PORT} {{}}\n"));
    relay.finish();

    let command = "nsenter --net={netns} socat -T 60 - TCP:{address}:{port}";
    let option = format!("command = '{command}'");
    let relay = testbed.daemon(server.port()).option(&option).start();
    let client = relay.connect();
    ping(&client);
    half_close(&client);
    expect_eof(&client);
    relay.expect_end(name_of(&client), "clean");
    assert_eq!(server.join(), [1]);
    relay.finish();
}
