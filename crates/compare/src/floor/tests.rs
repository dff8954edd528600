use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::thread::{scope, spawn, JoinHandle};

use nsplice_testkit::talk::{expect_eof, expect_ramp, half_close, send_ramp};
use nsplice_testkit::{connect, listen, Namespace, Server};

use super::*;

/// A floor in a thread of its own, which ends with it.
struct Running {
    address: SocketAddr,
    input: Option<OwnedFd>,
    thread: Option<JoinHandle<Result<(), Failure>>>,
}

impl Running {
    fn start(floor: Floor) -> Self {
        let (input, held) = nix::unistd::pipe().unwrap();
        let (said, output) = nix::unistd::pipe().unwrap();
        let thread = spawn(move || floor.serve(input, File::from(output)));
        let mut line = String::new();
        BufReader::new(File::from(said)).read_line(&mut line).unwrap();
        let address = line.strip_prefix("Forwarding from ").unwrap().split(' ').next().unwrap();
        let address = address.parse().unwrap();
        Self { address, input: Some(held), thread: Some(thread) }
    }

    fn end(mut self) {
        drop(self.input.take());
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

fn at(origin: SocketAddr, namespace: Option<PathBuf>) -> Floor {
    Floor { listen: SocketAddr::from(([127, 0, 0, 1], 0)), namespace, origin }
}

/// Large enough for the buffer to fill, so that lanes splice, and for pipes to be held.
const BULK: u64 = 30_000_001;

#[test]
fn bytes_go_whole_both_ways_and_ends_are_passed_on() {
    let server = Server::start(listen("127.0.0.1:0"), |stream| {
        expect_ramp(&stream, 0, BULK);
        expect_eof(&stream);
        send_ramp(&stream, 7, BULK);
    });
    let floor = Running::start(at(server.address(), None));
    for _ in 0..3 {
        let client = connect(floor.address);
        send_ramp(&client, 0, BULK);
        half_close(&client);
        expect_ramp(&client, 7, BULK);
        expect_eof(&client);
    }
    floor.end();
    server.join();
}

#[test]
fn many_at_once_do_not_mix() {
    let server = Server::start(listen("127.0.0.1:0"), nsplice_testkit::talk::echo);
    let floor = Running::start(at(server.address(), None));
    scope(|scope| {
        for offset in 0..20 {
            let client = connect(floor.address);
            scope.spawn(move || {
                for round in 0..20 {
                    send_ramp(&client, offset * 1000 + round, 1024);
                    expect_ramp(&client, offset * 1000 + round, 1024);
                }
                half_close(&client);
                expect_eof(&client);
            });
        }
    });
    floor.end();
    server.join();
}

#[test]
fn it_listens_at_home_and_connects_inside() {
    let Some(namespace) = Namespace::for_test("it_listens_at_home_and_connects_inside") else {
        return;
    };
    let origin = namespace.inside(|| listen("127.0.0.1:0"));
    let server = Server::start(origin, nsplice_testkit::talk::echo);
    let floor = Running::start(at(server.address(), Some(namespace.path())));
    let client = connect(floor.address);
    send_ramp(&client, 0, 100);
    expect_ramp(&client, 0, 100);
    half_close(&client);
    expect_eof(&client);
    floor.end();
    server.join();
}

#[test]
fn words_come_back_as_they_went() {
    for namespace in [None, Some(PathBuf::from("/proc/1/ns/net"))] {
        let floor = at(SocketAddr::from(([127, 0, 0, 1], 80)), namespace);
        let words = floor.words();
        assert_eq!(words[0], ARGUMENT);
        assert_eq!(Floor::read(&words[1..]), Some(floor));
    }
    assert_eq!(Floor::read(&["here".into()]), None);
    assert_eq!(Floor::read(&["here".into(), "there".into()]), None);
}
