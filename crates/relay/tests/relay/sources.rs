//! Sources of events that the loop's owner brings: descriptors and deadlines of its own, and orders.

use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{channel, Receiver, Sender};
use std::time::{Duration, Instant};

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nsplice_relay::{
    Clock, EventSource, Need, Outcome, RelayError, Settings, SourceId, SourceTurn, Wake, Watched,
};
use nsplice_testkit::talk::{expect_ramp, send_ramp};
use nsplice_testkit::{connect, listen, ramp};

use crate::bench::{accept, listening, ANY_PORT};
use crate::openers::{connecting, forward};
use crate::running::Running;
use crate::scene::scene;

/// A pipe that is read without blocking.
fn pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("non-blocking");
    (reader, writer)
}

/// A loop that goes on although it has nothing to do.
fn idle_loop() -> Running {
    Running::start(Settings { stays: true, ..Settings::default() }, |_| {})
}

#[track_caller]
fn add(relay: &Running, source: impl EventSource + 'static) -> SourceId {
    let added = relay.handle.add_source(Box::new(source)).expect("tell the loop").wait();
    added.expect("an answer").expect("add a source")
}

#[track_caller]
fn remove(relay: &Running, source: SourceId) -> bool {
    let removed = relay.handle.remove_source(source).expect("tell the loop").wait();
    removed.expect("an answer")
}

/// Tells of each byte that comes through a pipe, one in each call.
#[derive(Debug)]
struct Listening {
    pipe: PipeReader,
    heard: Sender<u8>,
}

impl Listening {
    fn to(pipe: PipeReader) -> (Self, Receiver<u8>) {
        let (heard, hears) = channel();
        (Self { pipe, heard }, hears)
    }
}

impl EventSource for Listening {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.pipe.as_fd())
    }

    fn wake(&mut self, _: Wake, _: &mut SourceTurn<'_>) -> Need {
        let mut byte = [0];
        match self.pipe.read(&mut byte) {
            Ok(0) => Need::Over,
            Ok(_) => {
                self.heard.send(byte[0]).expect("the test listens");
                Need::Again
            }
            Err(_) => Need::Wait,
        }
    }
}

#[test]
fn sources_come_and_go_while_the_loop_runs() {
    scene(|| {
        let relay = idle_loop();
        let (reader, mut writer) = pipe();
        let (source, hears) = Listening::to(reader.try_clone().expect("duplicate"));
        let first = add(&relay, source);
        // It takes one byte in a call, and of all of them it is told once.
        writer.write_all(b"word").expect("write");
        let heard: Vec<u8> = hears.iter().take(4).collect();
        assert_eq!(heard, b"word");
        assert!(remove(&relay, first));
        assert!(hears.recv().is_err(), "it has been dropped");
        assert!(!remove(&relay, first), "it is there still");
        // What is left of the descriptor, which others hold as well, stands in nobody's way.
        let (source, hears) = Listening::to(reader);
        let second = add(&relay, source);
        assert!(second != first && !remove(&relay, first), "two of one name");
        writer.write_all(b"!").expect("write");
        assert_eq!(hears.recv(), Ok(b'!'));
        // It goes by itself at the end of what it reads.
        drop(writer);
        assert!(hears.recv().is_err(), "it has gone");
        assert!(!remove(&relay, second));
        relay.assert_at_rest(Duration::from_millis(100));
        relay.close();
    });
}

/// Tells of each of its deadlines, which are so far apart.
#[derive(Debug)]
struct Ticking {
    next: Instant,
    apart: Duration,
    ticks: Sender<Instant>,
}

impl EventSource for Ticking {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn wake(&mut self, _: Wake, _: &mut SourceTurn<'_>) -> Need {
        unreachable!("nothing is watched for it")
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.next)
    }

    fn expire(&mut self, turn: &mut SourceTurn<'_>) -> Need {
        self.ticks.send(turn.now()).expect("the test listens");
        self.next = turn.now() + self.apart;
        Need::Wait
    }
}

#[test]
fn a_source_is_called_at_its_deadlines_and_not_before() {
    scene(|| {
        let clock = Clock::movable();
        let settings = Settings { stays: true, clock: clock.clone(), ..Settings::default() };
        let relay = Running::start(settings, |_| {});
        let (ticks, ticked) = channel();
        let apart = Duration::from_secs(600);
        let first = clock.now() + apart;
        add(&relay, Ticking { next: first, apart, ticks });
        relay.advance(apart / 2);
        assert!(ticked.try_recv().is_err(), "it was called before its time");
        relay.advance(apart / 2);
        let at = ticked.try_recv().expect("it is called at its time");
        assert!(at >= first && ticked.try_recv().is_err(), "it is called once");
        relay.advance(apart / 2);
        assert!(ticked.try_recv().is_err(), "it was called before its time again");
        relay.advance(apart / 2);
        ticked.try_recv().expect("it is called each time");
        relay.close();
    });
}

/// Sends the ramp as fast as its socket takes it, and goes.
#[derive(Debug)]
struct Sending {
    socket: UnixStream,
    left: Vec<u8>,
    is_full: bool,
}

impl EventSource for Sending {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn watched(&self) -> Watched {
        if self.is_full {
            Watched::Both
        } else {
            Watched::Reads
        }
    }

    fn wake(&mut self, wake: Wake, _: &mut SourceTurn<'_>) -> Need {
        assert!(wake.readable || (self.is_full && wake.writable), "called for nothing: {wake:?}");
        match self.socket.write(&self.left) {
            Ok(sent) => {
                self.left.drain(..sent);
                if self.left.is_empty() {
                    return Need::Over;
                }
                self.is_full = true;
                Need::Wait
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Need::Wait,
            Err(error) => panic!("write: {error}"),
        }
    }

    fn keeps_loop(&self) -> bool {
        true
    }
}

#[test]
fn a_source_that_waits_for_room_is_told_of_it_and_keeps_the_loop_that_long() {
    const BYTES: usize = 4 << 20;
    scene(|| {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
        ours.set_nonblocking(true).expect("non-blocking");
        let relay = Running::start(Settings::default(), |relay| {
            let source = Sending { socket: ours, left: ramp::bytes(BYTES), is_full: false };
            relay.add_source(Box::new(source)).expect("add a source");
        });
        theirs.write_all(b"go").expect("write");
        let mut got = vec![0; BYTES];
        theirs.read_exact(&mut got).expect("read");
        assert!(got == ramp::bytes(BYTES), "the ramp arrives whole");
        relay.wait_returned();
        relay.close();
    });
}

/// Stays when the loop drains, and goes when its peer has heard of it.
#[derive(Debug)]
struct Leaving(UnixStream);

impl EventSource for Leaving {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }

    fn wake(&mut self, wake: Wake, _: &mut SourceTurn<'_>) -> Need {
        if wake.closed {
            Need::Over
        } else {
            Need::Wait
        }
    }

    fn drain(&mut self, _: &mut SourceTurn<'_>) -> Need {
        self.0.write_all(b"bye").expect("a word always fits");
        Need::Wait
    }

    fn keeps_loop(&self) -> bool {
        true
    }
}

#[test]
fn a_source_may_take_its_time_when_the_loop_drains() {
    scene(|| {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
        let relay = idle_loop();
        add(&relay, Leaving(ours));
        let (reader, _writer) = pipe();
        let (other, hears) = Listening::to(reader);
        add(&relay, other);
        relay.handle.drain(None).expect("tell the loop");
        assert!(hears.recv().is_err(), "one that does not say otherwise goes at once");
        let mut word = [0; 3];
        theirs.read_exact(&mut word).expect("read");
        assert_eq!(&word, b"bye");
        // The loop runs as long as there is one, and takes no other.
        let (reader, _writer) = pipe();
        let added = relay.handle.add_source(Box::new(Listening::to(reader).0));
        let added = added.expect("tell the loop").wait().expect("an answer");
        assert!(matches!(added, Err(RelayError::Draining)), "{added:?}");
        drop(theirs);
        relay.wait_returned();
        relay.close();
    });
}

/// Gives an order for each byte that comes through a pipe.
#[derive(Debug)]
struct Ordering {
    pipe: PipeReader,
    links: Sender<usize>,
}

impl EventSource for Ordering {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.pipe.as_fd())
    }

    fn wake(&mut self, _: Wake, turn: &mut SourceTurn<'_>) -> Need {
        let mut byte = [0];
        if self.pipe.read(&mut byte).is_err() {
            return Need::Wait;
        }
        match byte[0] {
            b'd' => {
                let links = self.links.clone();
                turn.drain_then(move |alive| links.send(alive).expect("heard"));
            }
            b's' => turn.stop(),
            _ => turn.report(),
        }
        Need::Again
    }
}

#[test]
fn a_source_drains_or_stops_the_loop() {
    scene(|| {
        for stop in [false, true] {
            let (pipe, mut orders) = pipe();
            let (links, heard) = channel();
            let upstream = listen("127.0.0.1:0");
            upstream.set_nonblocking(true).expect("non-blocking");
            let opener = connecting(upstream.local_addr().expect("an address"));
            let mut address = ANY_PORT;
            let relay = Running::start(Settings::default(), |relay| {
                address = listening(relay, forward(opener));
                let source = Box::new(Ordering { pipe, links });
                relay.add_source(source).expect("add a source");
            });
            let (client, server) = (connect(address), accept(&upstream));
            orders.write_all(b"r").expect("a report, and at the same time");
            if stop {
                orders.write_all(b"s").expect("stop");
                assert_eq!(relay.only_end().outcome, Outcome::Stopped);
            } else {
                orders.write_all(b"d").expect("drain");
                assert_eq!(heard.recv(), Ok(1), "links that were alive");
                assert!(TcpStream::connect(address).is_err(), "the listener is gone");
                send_ramp(&client, 0, 10);
                expect_ramp(&server, 0, 10);
                drop((client, server));
                assert_eq!(relay.only_end().outcome, Outcome::Clean);
            }
            relay.wait_returned();
            relay.close();
        }
    });
}
