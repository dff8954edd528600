//! Ten thousand links through one listener, in one process; fewer where the hard limit of
//! descriptors does not allow so many and may not be raised.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use nix::sys::resource::{getrlimit, setrlimit, Resource};
use nsplice_testkit::census::resident_memory;
use nsplice_testkit::peer::patient;
use nsplice_testkit::wait::wait_for;
use nsplice_testkit::{listen, wait_until, Namespace, Program};

use crate::node::{client, front, FRONT};
use crate::subject::Subject;

const MOST_LINKS: u64 = 10_000;

/// Descriptors that are not those of links: of the listener's loop, of tests that run beside this
/// one.
const OTHERS: u64 = 1_000;

/// What a link may cost: far more than two sockets and what is kept about them, far less than a
/// process or a buffer.
const BYTES_PER_LINK: u64 = 8 * 1024;

/// Raises the limit of descriptors as far as it may be, also for the programs that are started from
/// now on, and answers for how many links it is good: each takes two, here and in the listener.
fn possible_links() -> usize {
    let wanted = 2 * MOST_LINKS + OTHERS;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let granted = if setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted)).is_ok() {
        wanted
    } else {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
        hard
    };
    usize::try_from(granted.saturating_sub(OTHERS) / 2).unwrap()
}

#[test]
fn ten_thousand_links() {
    const TEST: &str = "ten_thousand_links";
    let Some(node) = Namespace::for_test(TEST) else { return };
    let count = possible_links();
    println!("{count} links");
    assert!(
        count >= 1_000,
        "the hard limit of descriptors is far too low for this machine's tests"
    );
    let socat = Subject::called("socat");
    let back = node.inside(|| listen("127.0.0.1:0"));
    let port = back.local_addr().unwrap().port();
    let line = format!("TCP-LISTEN:{FRONT},fork,reuseaddr TCP4:127.0.0.1:{port}");
    let mut program = node.inside(|| Program::spawn(&mut socat.command(&line)));
    let one = client(&node);
    drop((accept(&back), one));
    let before = resident_memory(program.pid());
    let links = node.inside(|| {
        let mut links = Vec::with_capacity(count);
        for _ in 0..count {
            let client = patient(TcpStream::connect(front()).expect("the listener is there"));
            links.push((client, accept(&back)));
        }
        links
    });
    for (index, (client, server)) in links.iter().enumerate() {
        let word = u32::try_from(index).unwrap().to_be_bytes();
        (&*client).write_all(&word).unwrap();
        expect_word(server, word);
        (&*server).write_all(&word).unwrap();
        expect_word(client, word);
    }
    let cost = resident_memory(program.pid()).saturating_sub(before) / count as u64;
    assert!(cost < BYTES_PER_LINK, "{cost} bytes for each link");
    let path = format!("/proc/{0}/task/{0}/children", program.pid());
    assert_eq!(fs::read_to_string(path).unwrap(), "", "it has children");
    drop(links);
    wait_until("the descriptors to be back", || {
        let directory = format!("/proc/{}/fd", program.pid());
        fs::read_dir(directory).unwrap().count() < 100
    });
    let last = client(&node);
    (&last).write_all(b"last").unwrap();
    expect_word(&accept(&back), *b"last");
    assert_eq!(program.ended(), None);
}

fn accept(listener: &TcpListener) -> TcpStream {
    // The connection comes through the program, which may take its time.
    patient(wait_for("the other end of a link", || listener.accept().ok()).0)
}

#[track_caller]
fn expect_word(mut stream: &TcpStream, word: [u8; 4]) {
    let mut came = [0; 4];
    stream.read_exact(&mut came).expect("a word");
    assert_eq!(came, word);
}
