//! The loop of the floor.
//!
//! For each connection: accept4, socket, connect, TCP_NODELAY and epoll_ctl at both ends, close at
//! both. For each message: epoll_wait, recv, send. For bulk: splice into a pipe of 1 MiB and out of
//! it, pipes being taken from the top of a stack and put back when they are empty. A lane splices
//! from its first read on that fills the whole buffer. FIN is passed on as shutdown; when both
//! sides have ended, or one has failed, both are closed.
//!
//! Sockets are edge-triggered and registered once; a read that is shorter than the buffer has
//! emptied the queue, unless the FIN is behind it. The listener is level-triggered, so no accept4
//! is wasted on finding out that nobody is there.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use mio::net::{TcpListener, TcpStream};
use nix::errno::Errno;
use nix::fcntl::{fcntl, splice, FcntlArg, OFlag, SpliceFFlags};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::unistd::pipe2;

/// Relays from `listener` to `origin` until `input` has something to say, which may be its end.
pub(super) fn relay(
    listener: &TcpListener,
    origin: SocketAddr,
    input: &impl AsFd,
) -> io::Result<()> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    epoll.add(input, EpollEvent::new(EpollFlags::EPOLLIN, INPUT))?;
    let mut relay = Loop { epoll, pairs: Vec::new(), free: Vec::new(), pipes: Vec::new() };
    let mut events = [EpollEvent::empty(); EVENTS];
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = match relay.epoll.wait(&mut events, EpollTimeout::NONE) {
            Err(Errno::EINTR) => 0,
            count => count?,
        };
        for event in &events[..count] {
            match event.data() {
                INPUT => return Ok(()),
                LISTENER => relay.accept(listener, origin)?,
                token => relay.turn(token, event.events(), &mut buffer),
            }
        }
    }
}

/// Two sockets. Lane 0 goes from the first to the second, lane 1 back.
struct Pair {
    ends: [End; 2],
    lanes: [Lane; 2],
}

struct End {
    stream: TcpStream,
    readable: bool,
    writable: bool,
    /// The FIN is in the queue.
    hung_up: bool,
}

#[derive(Default)]
struct Lane {
    splices: bool,
    done: bool,
    pending: Pending,
}

/// Bytes that were taken and not yet given.
#[derive(Default)]
enum Pending {
    #[default]
    Nothing,
    Bytes(Vec<u8>),
    InPipe(Pipe, usize),
}

/// A pipe: what is written to the second is read from the first.
type Pipe = (OwnedFd, OwnedFd);

struct Loop {
    epoll: Epoll,
    pairs: Vec<Option<Pair>>,
    free: Vec<usize>,
    pipes: Vec<Pipe>,
}

impl Loop {
    fn accept(&mut self, listener: &TcpListener, origin: SocketAddr) -> io::Result<()> {
        let Ok((downstream, _)) = listener.accept() else { return Ok(()) };
        let upstream = TcpStream::connect(origin)?;
        let index = self.free.pop().unwrap_or_else(|| {
            self.pairs.push(None);
            self.pairs.len() - 1
        });
        for (side, stream) in [&downstream, &upstream].into_iter().enumerate() {
            stream.set_nodelay(true)?;
            self.epoll.add(stream, EpollEvent::new(edges(), (index * 2 + side) as u64))?;
        }
        let end = |stream| End { stream, readable: false, writable: false, hung_up: false };
        self.pairs[index] =
            Some(Pair { ends: [end(downstream), end(upstream)], lanes: Default::default() });
        Ok(())
    }

    fn turn(&mut self, token: u64, events: EpollFlags, buffer: &mut [u8]) {
        let Ok(token) = usize::try_from(token) else { return };
        let (index, side) = (token / 2, token % 2);
        // It may have been closed by an event of the same batch.
        let Some(Some(pair)) = self.pairs.get_mut(index) else { return };
        let failed = EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP;
        let end = &mut pair.ends[side];
        end.hung_up |= events.intersects(EpollFlags::EPOLLRDHUP | failed);
        end.readable |= events.contains(EpollFlags::EPOLLIN) || end.hung_up;
        end.writable |= events.intersects(EpollFlags::EPOLLOUT | failed);
        let moved = (0..2).try_for_each(|lane| pair.run(lane, buffer, &mut self.pipes));
        if moved.is_err() || pair.lanes.iter().all(|lane| lane.done) {
            self.pairs[index] = None;
            self.free.push(index);
        }
    }
}

impl Pair {
    /// Moves what one lane can move.
    fn run(&mut self, lane: usize, buffer: &mut [u8], pipes: &mut Vec<Pipe>) -> io::Result<()> {
        let [downstream, upstream] = &mut self.ends;
        let (source, sink) =
            if lane == 0 { (downstream, upstream) } else { (upstream, downstream) };
        let lane = &mut self.lanes[lane];
        while sink.writable {
            lane.pending = match std::mem::take(&mut lane.pending) {
                Pending::Bytes(bytes) => sink.give(&bytes)?,
                Pending::InPipe(pipe, count) => sink.drain(pipe, count, pipes)?,
                Pending::Nothing if lane.done || !source.readable => return Ok(()),
                Pending::Nothing if lane.splices => match source.fill(pipes)? {
                    Filled::Bytes(pipe, count) => sink.drain(pipe, count, pipes)?,
                    Filled::Dry => Pending::Nothing,
                    Filled::Ended => lane.end(sink)?,
                },
                Pending::Nothing => match none_if_blocked(source.stream.read(buffer))? {
                    Some(0) => lane.end(sink)?,
                    Some(count) => {
                        lane.splices = count == buffer.len();
                        source.readable = lane.splices || source.hung_up;
                        sink.give(&buffer[..count])?
                    }
                    None => {
                        source.readable = false;
                        Pending::Nothing
                    }
                },
            };
        }
        Ok(())
    }
}

impl Lane {
    fn end(&mut self, sink: &End) -> io::Result<Pending> {
        self.done = true;
        sink.stream.shutdown(Shutdown::Write)?;
        Ok(Pending::Nothing)
    }
}

enum Filled {
    Bytes(Pipe, usize),
    Dry,
    Ended,
}

impl End {
    fn fill(&mut self, pipes: &mut Vec<Pipe>) -> io::Result<Filled> {
        let pipe = pipes.pop().map_or_else(new_pipe, Ok)?;
        match none_if_blocked(through(&self.stream, &pipe.1, PIPE))? {
            Some(count) if count > 0 => Ok(Filled::Bytes(pipe, count)),
            other => {
                pipes.push(pipe);
                self.readable = other.is_some();
                Ok(if self.readable { Filled::Ended } else { Filled::Dry })
            }
        }
    }

    fn drain(&mut self, pipe: Pipe, count: usize, pipes: &mut Vec<Pipe>) -> io::Result<Pending> {
        let given = none_if_blocked(through(&pipe.0, &self.stream, count))?.unwrap_or(0);
        self.writable = given == count;
        Ok(if self.writable {
            pipes.push(pipe);
            Pending::Nothing
        } else {
            Pending::InPipe(pipe, count - given)
        })
    }

    fn give(&mut self, bytes: &[u8]) -> io::Result<Pending> {
        let given = none_if_blocked(self.stream.write(bytes))?.unwrap_or(0);
        self.writable = given == bytes.len();
        Ok(if self.writable { Pending::Nothing } else { Pending::Bytes(bytes[given..].to_vec()) })
    }
}

fn new_pipe() -> io::Result<Pipe> {
    let pipe = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    // Refused: it stays as small as it is, which shows.
    let _ = fcntl(&pipe.1, FcntlArg::F_SETPIPE_SZ(i32::try_from(PIPE).unwrap_or(i32::MAX)));
    Ok(pipe)
}

fn through(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
    Ok(splice(from, None, to, None, most, SpliceFFlags::SPLICE_F_NONBLOCK)?)
}

fn none_if_blocked(moved: io::Result<usize>) -> io::Result<Option<usize>> {
    match moved {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        moved => moved.map(Some),
    }
}

fn edges() -> EpollFlags {
    EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET
}

/// Sizes of what nsplice copies through, and of what it splices through.
const BUFFER: usize = 64 * 1024;
const PIPE: usize = 1024 * 1024;

/// Most events taken at once, as many as nsplice takes.
const EVENTS: usize = 1024;

const LISTENER: u64 = u64::MAX;
const INPUT: u64 = u64::MAX - 1;
