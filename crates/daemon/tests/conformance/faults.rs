//! Calls that fail: whatever the kernel answers to one that moves bytes, the link goes on or says why
//! it has ended, to its client and in the log, its child ends with it, and the next link is served.
//!
//! Each error in each call is tried without the kernel's help in the relay's own tests; here it is a
//! few of them, in the loop of the real program.

use std::io;
use std::net::Shutdown;

use nsplice_testkit::ramp::{self, Ramp};
use nsplice_testkit::skip::require_tool;

use crate::peers::{echo_to_any_end, hang_up, name_of, ping, read_to_any_end};
use crate::{cases, Relay, Testbed};

cases! {
    calls_that_fail_once on setns no_splice external;
}

/// More than fits into a pipe, so that a child's is full at times.
const BYTES: u64 = 2 << 20;

/// Calls of the loop's thread, and which of them fails.
const CALLS: [(&str, &[u32]); 5] = [
    ("splice", &[1, 2, 3, 4]),
    // The first may be the one by which std learns whether a child could be started.
    ("recvfrom", &[2, 3]),
    ("sendto", &[1, 2]),
    // The main thread registers four descriptors, and strace counts for each thread.
    ("epoll_ctl", &[5, 6, 7]),
    ("shutdown", &[1]),
];

fn calls_that_fail_once(testbed: &Testbed) {
    const NAME: &str = "calls_that_fail_once";
    if require_tool(NAME, "strace").is_none() {
        return;
    }
    let (directory, server) = (tempfile::tempdir().unwrap(), testbed.serve(echo_to_any_end));
    let log = directory.path().join("calls").display().to_string();
    for (call, numbers) in CALLS {
        let mut injected = 0;
        for (number, (errno, words)) in
            numbers.iter().flat_map(|number| ERRORS.map(|error| (number, error)))
        {
            let trace = format!("trace={call}");
            let inject = format!("inject={call}:error={errno}:when={number}");
            let strace = ["strace", "-f", "-qq", "-o", &log, "-e", "signal=none"];
            let faults = ["-e", &trace, "-e", &inject];
            // A child of the operator's, so that it is not socat's half second that ends the link.
            let command = if testbed.backend.has_child() { "command = 'cat'" } else { "" };
            let relay = testbed.daemon(server.port()).option(command);
            let relay = relay.under(&strace).under(&faults).start();
            // A link that goes before makes the numbers of a later one high enough.
            let before = usize::from(call == "epoll_ctl" && !testbed.backend.has_child());
            for _ in 0..before {
                let first = relay.connect();
                ping(&first);
                hang_up(&first);
                relay.expect_end(name_of(&first), "clean");
            }
            let told = one_link(&relay, words, before);
            // If it has not been met yet, it is this link that meets it.
            let calls = std::fs::read_to_string(&log).unwrap();
            if calls.contains("(INJECTED)") {
                injected += 1;
                let next = relay.connect();
                ping(&next);
                hang_up(&next);
                relay.expect_end(name_of(&next), "clean");
            }
            eprintln!("{errno} in {call} {number}: {told}");
            relay.finish();
        }
        let is_made = match call {
            "splice" => testbed.backend.splices(),
            "shutdown" => !testbed.backend.has_child(),
            _ => call == "recvfrom",
        };
        assert!(injected > 0 || !is_made, "nothing was injected into {call}");
    }
    server.join();
}

const ERRORS: [(&str, &str); 2] =
    [("EIO", "Input/output error"), ("ENOMEM", "Cannot allocate memory")];

/// Sends a ramp to be echoed, and checks that the client is told what the log says; `before` links
/// have ended already.
fn one_link(relay: &Relay<'_>, words: &str, before: usize) -> String {
    let client = relay.connect();
    let name = name_of(&client);
    let (got, was_reset) = std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let sent = io::copy(&mut Ramp::new(BYTES), &mut &client).map(drop);
            sent.and_then(|()| client.shutdown(Shutdown::Write))
        });
        let (got, was_reset) = read_to_any_end(&client);
        // A reset is told once, to whoever asks first.
        let sent = sending.join().unwrap();
        (got, was_reset || sent.is_err())
    });
    ramp::verify(0, &got).expect("the beginning of the ramp");
    drop(client);
    relay.program().expect_stderr_lines("\"msg\":\"link ended\"", before + 1);
    let end = relay.ends().remove(before);
    assert_eq!(end.client, name);
    if end.outcome == "clean" {
        assert!(!was_reset && got.len() as u64 == BYTES, "{} bytes, {end:?}", got.len());
    } else {
        assert!(was_reset && end.detail.ends_with(words), "reset: {was_reset}, {end:?}");
    }
    end.outcome
}
