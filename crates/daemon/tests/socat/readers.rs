//! Readers that pause after the first end of a link: nothing is lost, and no time runs.

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nsplice_testkit::talk::{expect_eof, half_close, read_exactly, send_ramp};
use nsplice_testkit::wait::poll_for;
use nsplice_testkit::{ramp, Namespace, Server, PATIENCE};

use crate::node::{client, FRONT};
use crate::subject::Subject;

/// More than all buffers on the way take.
const LEN: usize = 8 << 20;

/// Longer than the time that ends a silent link in these tests.
const STALL: Duration = Duration::from_secs(2);

fn status_of(mut child: Child) -> Option<i32> {
    let ended = poll_for(PATIENCE, || child.try_wait().unwrap());
    if ended.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    ended.expect("it does not end").code()
}

/// The same with the time told by `-t`, by the variable, and by nobody.
#[test]
fn standard_output_that_stalls() {
    const TEST: &str = "standard_output_that_stalls";
    let Some(node) = Namespace::for_test(TEST) else { return };
    let socat = Subject::called("socat");
    let server = Server::in_namespace(&node, "127.0.0.1:0", |stream| {
        expect_eof(&stream);
        send_ramp(&stream, 0, LEN as u64);
    });
    std::thread::scope(|scope| {
        for (flags, linger) in [("-t 0.5", None), ("", Some("0.5")), ("", None)] {
            let (node, socat, port) = (&node, &socat, server.port());
            scope.spawn(move || {
                let mut command = socat.command(&format!("{flags} - TCP4:127.0.0.1:{port}"));
                command.envs(linger.map(|linger| ("NSPLICE_SOCAT_LINGER", linger)));
                command.stdout(Stdio::piped());
                let mut child = node.spawn(&mut command).unwrap();
                sleep(STALL);
                let mut came = Vec::new();
                child.stdout.take().unwrap().read_to_end(&mut came).unwrap();
                assert!(came == ramp::bytes(LEN), "{} bytes of {LEN} came", came.len());
                assert_eq!(status_of(child), Some(0));
            });
        }
    });
    assert_eq!(server.join().len(), 3);
}

#[test]
fn a_client_that_stalls() {
    const TEST: &str = "a_client_that_stalls";
    let Some(node) = Namespace::for_test(TEST) else { return };
    let socat = Subject::called("socat");
    let server = Server::in_namespace(&node, "127.0.0.1:0", |stream| {
        expect_eof(&stream);
        send_ramp(&stream, 0, LEN as u64);
    });
    let line = format!("-t 0.5 TCP-LISTEN:{FRONT} TCP4:127.0.0.1:{}", server.port());
    let child = node.spawn(&mut socat.command(&line)).unwrap();
    let stream = client(&node);
    half_close(&stream);
    sleep(STALL);
    assert!(read_exactly(&stream, LEN) == ramp::bytes(LEN), "it is not the ramp");
    expect_eof(&stream);
    assert_eq!(status_of(child), Some(0));
    assert_eq!(server.join().len(), 1);
}

/// A reader that has gone ends it at once, whatever time is left, with socat's status.
#[test]
fn a_reader_that_has_gone() {
    const TEST: &str = "a_reader_that_has_gone";
    let Some(node) = Namespace::for_test(TEST) else { return };
    let socat = Subject::called("socat");
    let server = Server::in_namespace(&node, "127.0.0.1:0", |stream| {
        expect_eof(&stream);
        // Fails once the reader is known to have gone.
        while (&stream).write_all(&[0; 65_536]).is_ok() {}
    });
    let mut command = socat.command(&format!("-t 1000 - TCP4:127.0.0.1:{}", server.port()));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = node.spawn(&mut command).unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 1000]).unwrap();
    drop(stdout);
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(status_of(child), Some(1));
    assert!(told.contains(" E write(1, ") && told.contains("Broken pipe"), "{told}");
    assert_eq!(server.join().len(), 1);
}
