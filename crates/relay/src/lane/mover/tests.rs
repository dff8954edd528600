//! Each error that there is, in each call that moves bytes, on real descriptors.
//!
//! A lane has everything it needs: its source holds all bytes and their end, its sink has room or
//! will be told to have it. So whatever one call answers, the lane either goes on by itself until
//! everything is delivered, or says which side has failed. A lane that waits would wait for ever.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Seek, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::fcntl::{fcntl, FcntlArg};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SndBuf;
use nsplice_testkit::ramp;

use super::*;
use crate::lane::mode::{Mode, COPY_BUFFER};
use crate::lane::{Budget, Lane, Phase, Stop};
use crate::net::fd::fault::{Call, Fault};
use crate::net::readiness::Readiness;

const CALLS: [Call; 6] =
    [Call::Receive, Call::Send, Call::Read, Call::Write, Call::Splice, Call::Poll];

/// Less than what any source holds, and more than a sink.
const BYTES: usize = 60_000;

/// What a pipe or a socket that is a sink holds, in bytes, more or less.
const ROOM: i32 = 8192;

/// What the ends of a lane are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    Socket,
    Pipe,
    /// A pipe that others hold, too, and that is not O_NONBLOCK.
    Shared,
    File,
}

use Thing::{File as Regular, Pipe as Fifo, Shared, Socket};

/// Ends and the mode to begin with.
const LANES: [(Thing, Thing, Mode); 11] = [
    (Socket, Socket, Mode::CopyOnly),
    (Socket, Socket, Mode::Splicing { small: 0 }),
    (Socket, Fifo, Mode::Direct),
    (Fifo, Socket, Mode::Direct),
    (Fifo, Fifo, Mode::Direct),
    (Regular, Fifo, Mode::Direct),
    (Fifo, Regular, Mode::Direct),
    (Socket, Regular, Mode::Splicing { small: 0 }),
    (Fifo, Fifo, Mode::CopyOnly),
    (Shared, Socket, Mode::CopyOnly),
    (Socket, Shared, Mode::CopyOnly),
];

/// How a lane ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Whole,
    SourceFailed(Errno),
    SinkFailed(Errno),
}

fn nonblocking<T: AsFd>(fd: T) -> T {
    fcntl(&fd, FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).unwrap();
    fd
}

/// A source that holds all bytes and their end.
fn source(thing: Thing) -> OwnedFd {
    let bytes = ramp::bytes(BYTES);
    match thing {
        Socket => {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            theirs.write_all(&bytes).unwrap();
            theirs.shutdown(Shutdown::Write).unwrap();
            nonblocking(ours).into()
        }
        Fifo => nonblocking(source(Shared)),
        Shared => {
            let (ours, mut theirs) = io::pipe().unwrap();
            theirs.write_all(&bytes).unwrap();
            ours.into()
        }
        Regular => {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            file.rewind().unwrap();
            file.into()
        }
    }
}

/// Where the bytes of a lane come out.
enum Outlet {
    Socket(UnixStream),
    Pipe(PipeReader),
    File(File),
}

fn sink(thing: Thing) -> (OwnedFd, Outlet) {
    match thing {
        Socket => {
            let (ours, theirs) = UnixStream::pair().unwrap();
            setsockopt(&ours, SndBuf, &(ROOM as usize)).unwrap();
            (nonblocking(ours).into(), Outlet::Socket(nonblocking(theirs)))
        }
        Fifo => {
            let (ours, outlet) = sink(Shared);
            (nonblocking(ours), outlet)
        }
        Shared => {
            let (theirs, ours): (PipeReader, PipeWriter) = io::pipe().unwrap();
            fcntl(&ours, FcntlArg::F_SETPIPE_SZ(ROOM)).unwrap();
            (ours.into(), Outlet::Pipe(nonblocking(theirs)))
        }
        Regular => {
            let file = tempfile::NamedTempFile::new().unwrap();
            let reader = File::open(file.path()).unwrap();
            (file.into_file().into(), Outlet::File(reader))
        }
    }
}

impl Outlet {
    /// Takes what has come out.
    fn collect(&mut self, bytes: &mut Vec<u8>) {
        // The error is EAGAIN, after all there is.
        let _ = match self {
            Self::Socket(end) => end.read_to_end(bytes),
            Self::Pipe(end) => end.read_to_end(bytes),
            Self::File(end) => end.read_to_end(bytes),
        };
    }
}

/// Runs a lane to its end. Events come only from a sink that has been read from.
fn run(from: Thing, to: Thing, mode: Mode) -> Ended {
    let source = source(from);
    let (sink, mut outlet) = sink(to);
    let end = |fd| End::of(fd, Kind::of(fd).unwrap());
    let (source, sink): (BorrowedFd<'_>, BorrowedFd<'_>) = (source.as_fd(), sink.as_fd());
    let mut readiness = [Readiness::of_accepted(); 2];
    readiness[0].set_something_behind();
    let (mut in_flight, mut buffer) = (InFlight::default(), vec![0; COPY_BUFFER]);
    let (mut pool, mut refusal) = (PipePool::new(4, 1 << 16), None);
    let mut sessions = EventSources::default();
    let (mut lane, mut got) = (Lane::new(mode), Vec::new());
    let ended = loop {
        let before = lane.traffic();
        let mut mover = LaneMover {
            source: end(source),
            sink: end(sink),
            ends: Belief::Believed,
            filter: None,
            in_flight: &mut in_flight,
            buffer: &mut buffer,
            pool: &mut pool,
            sessions: &mut sessions,
            refusal: &mut refusal,
        };
        let [source, sink] = &mut readiness;
        let stop = lane.run(&mut mover, source, sink, Budget::TURN);
        let had = got.len();
        outlet.collect(&mut got);
        if got.len() > had {
            readiness[1].set_writable(true);
        }
        match stop {
            Stop::SourceFailed(errno) => break Ended::SourceFailed(errno),
            Stop::SinkFailed(errno) => break Ended::SinkFailed(errno),
            Stop::Waiting if lane.phase() == Phase::Ended => break Ended::Whole,
            Stop::Waiting if lane.traffic() == before && got.len() == had => {
                panic!("it waits for ever, with {before:?}")
            }
            Stop::Waiting | Stop::Again => {}
        }
    };
    in_flight.discard(&mut pool);
    pool.shed();
    assert!(pool.is_empty(), "a pipe was lost");
    ramp::verify(0, &got).expect("the beginning of the ramp");
    assert_eq!(got.len() as u64, lane.traffic().written);
    assert!(ended != Ended::Whole || got.len() == BYTES, "{} bytes", got.len());
    ended
}

/// How lanes end with `errno` in one of the calls `call`.
fn ends_with(call: Call, errno: Errno) -> impl Iterator<Item = ((Thing, Thing, Mode), u32, Ended)> {
    LANES.into_iter().flat_map(move |lane| {
        let (from, to, mode) = lane;
        (0..4).map_while(move |after| {
            let (ended, met) = Fault { call, errno, after }.during(|| run(from, to, mode));
            met.then_some((lane, after, ended))
        })
    })
}

fn errnos() -> impl Iterator<Item = Errno> {
    // EAGAIN is no error but a promise: that something will tell when it is over.
    (1..=133)
        .map(Errno::from_raw)
        .filter(|errno| *errno != Errno::UnknownErrno && *errno != Errno::EAGAIN)
}

#[test]
fn no_error_of_any_call_leaves_a_lane_waiting() {
    for call in CALLS {
        let mut met = BTreeSet::new();
        for errno in errnos() {
            for ((from, to, mode), after, ended) in ends_with(call, errno) {
                met.insert(format!("{from:?} {to:?} {mode:?}"));
                let told = [Ended::SourceFailed(errno), Ended::SinkFailed(errno), Ended::Whole];
                let what = format!("{errno} in {call:?} {after}, {from:?} to {to:?}, {mode:?}");
                assert!(told.contains(&ended), "{what}: {ended:?}");
            }
        }
        assert!(!met.is_empty(), "nothing calls {call:?}");
    }
}

#[test]
fn a_splice_that_wants_memory_or_is_not_wanted_loses_nothing() {
    let fallbacks = [Errno::EINTR, Errno::ENOMEM, Errno::ENOBUFS, Errno::EINVAL, Errno::EPERM];
    for errno in fallbacks.into_iter().chain([Errno::ENOSYS]) {
        for (lane, after, ended) in ends_with(Call::Splice, errno) {
            assert_eq!(ended, Ended::Whole, "{errno} in splice {after}, {lane:?}");
        }
    }
}

#[test]
fn an_error_of_splice_is_that_of_the_end_that_has_it() {
    for errno in [Errno::EIO, Errno::ECONNRESET, Errno::ETIMEDOUT, Errno::EHOSTUNREACH] {
        for ((from, to, mode), after, ended) in ends_with(Call::Splice, errno) {
            let of_sink = match mode {
                Mode::Direct => from == Fifo,
                // Out of the source into the pipe, out of the pipe into the sink.
                _ => after % 2 == 1,
            };
            let expected =
                if of_sink { Ended::SinkFailed(errno) } else { Ended::SourceFailed(errno) };
            assert_eq!(ended, expected, "splice {after}, {from:?} to {to:?}, {mode:?}");
        }
    }
    for ((from, to, mode), after, ended) in ends_with(Call::Splice, Errno::EPIPE) {
        if mode == Mode::Direct {
            let expected = Ended::SinkFailed(Errno::EPIPE);
            assert_eq!(ended, expected, "splice {after}, {from:?} to {to:?}");
        }
    }
}
