//! Openers for the tests: by connecting, and by scripts that do not.

use std::fmt;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nsplice_relay::queues::{confine, Queues, LEAST, NEAR};
use nsplice_relay::{
    Allowance, Attempt, Forward, Labels, OpenClass, OpenError, Opener, Progress, Upstream, Wake,
};
use nsplice_testkit::wait_until;
use socket2::{Domain, Socket, Type};

/// A forward with no limit but the default ones.
pub(crate) fn forward(opener: Box<dyn Opener>) -> Forward {
    Forward::new(Labels::new("test", "a test's"), opener)
}

/// An opener that makes each attempt with the same closure.
struct By<F>(F);

impl<F> fmt::Debug for By<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("By")
    }
}

impl<A: Attempt + 'static, F: FnMut() -> A + Send> Opener for By<F> {
    fn backend(&self) -> &'static str {
        "test"
    }

    fn open(&mut self, _downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        Box::new((self.0)())
    }

    fn queues(&self) -> usize {
        NEAR.total()
    }
}

/// An opener whose attempts are made by `make`.
pub(crate) fn by<A: Attempt + 'static>(
    make: impl FnMut() -> A + Send + 'static,
) -> Box<dyn Opener> {
    Box::new(By(make))
}

/// Connects to `target`.
pub(crate) fn connecting(target: SocketAddr) -> Box<dyn Opener> {
    by(move || connecting_attempt(target))
}

/// An attempt to connect to `target`.
pub(crate) fn connecting_attempt(target: SocketAddr) -> impl Attempt {
    Connecting::to(target)
}

/// Fails at once, with `class`.
pub(crate) fn failing(class: OpenClass) -> Box<dyn Opener> {
    by(move || failing_attempt(class))
}

/// An attempt that fails at once, with `class`.
pub(crate) fn failing_attempt(class: OpenClass) -> impl Attempt {
    Failing(class)
}

/// An attempt to connect.
#[derive(Debug)]
struct Connecting {
    target: SocketAddr,
    allowance: Allowance,
    socket: Option<OwnedFd>,
}

impl Connecting {
    fn to(target: SocketAddr) -> Self {
        Self { target, allowance: Allowance::default(), socket: None }
    }

    fn start(&mut self) -> io::Result<Progress> {
        let socket =
            Socket::new(Domain::for_address(self.target), Type::STREAM.nonblocking(), None)?;
        // As the backends do it.
        match self.allowance.queues {
            Queues::Tuned => {}
            Queues::Ample => confine(&socket, NEAR),
            Queues::Least => confine(&socket, LEAST),
        }
        match socket.connect(&self.target.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => Err(error),
            _ => {
                self.socket = Some(socket.into());
                Ok(Progress::Waiting)
            }
        }
    }

    fn finish(&mut self, wake: Wake) -> io::Result<Progress> {
        let Some(socket) = self.socket.take_if(|_| wake.writable || wake.error) else {
            return Ok(Progress::Pending);
        };
        let socket = Socket::from(socket);
        match socket.take_error()? {
            Some(error) => Err(error),
            None => Ok(Progress::Open(Upstream::Stream(socket.into()))),
        }
    }
}

impl Attempt for Connecting {
    fn advance(&mut self, wake: Wake) -> Progress {
        let result = if wake == Wake::START { self.start() } else { self.finish(wake) };
        let what = format!("cannot connect to {}", self.target);
        result.unwrap_or_else(|error| Progress::Failed(OpenError::from_io(what, &error)))
    }

    fn allow(&mut self, allowance: Allowance) {
        self.allowance = allowance;
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }
}

#[derive(Debug)]
struct Failing(OpenClass);

impl Attempt for Failing {
    fn advance(&mut self, _: Wake) -> Progress {
        Progress::Failed(OpenError::new(self.0, format!("as scripted: {}", self.0)))
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// What an attempt does when it is let go on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Then {
    /// It connects.
    Connects(SocketAddr),
    /// It fails.
    Fails(OpenClass),
}

/// Holds one attempt back until told otherwise.
#[derive(Debug)]
pub(crate) struct Leash(PipeWriter);

impl Leash {
    /// Lets the attempt go on.
    pub(crate) fn release(&self) {
        nix::unistd::write(&self.0, b"!").expect("the attempt waits");
    }

    /// Waits until the attempt has been dropped.
    #[track_caller]
    pub(crate) fn wait_dropped(&self) {
        wait_until("the end of the attempt", || {
            let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::empty())];
            poll(&mut fds, PollTimeout::ZERO).expect("poll") == 1
        });
    }
}

/// An opener of one attempt that waits until its leash is released.
pub(crate) fn leashed(then: Then) -> (Box<dyn Opener>, Leash) {
    let (reader, writer) = io::pipe().expect("a pipe");
    let mut reader = Some(reader);
    let make = move || Waiting { signal: reader.take(), connecting: None, then };
    (by(make), Leash(writer))
}

/// An attempt that waits for a byte in a pipe.
#[derive(Debug)]
struct Waiting {
    signal: Option<PipeReader>,
    connecting: Option<Connecting>,
    then: Then,
}

impl Attempt for Waiting {
    fn advance(&mut self, wake: Wake) -> Progress {
        if let Some(connecting) = &mut self.connecting {
            return connecting.advance(wake);
        }
        if wake == Wake::START {
            return Progress::Waiting;
        }
        let Some(mut signal) = self.signal.take_if(|_| wake.readable) else {
            return Progress::Pending;
        };
        signal.read_exact(&mut [0]).expect("the test lives longer than the attempt");
        match self.then {
            Then::Fails(class) => Failing(class).advance(wake),
            Then::Connects(target) => {
                self.connecting.insert(Connecting::to(target)).advance(Wake::START)
            }
        }
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        match &self.connecting {
            Some(connecting) => connecting.source(),
            None => self.signal.as_ref().map(AsFd::as_fd),
        }
    }
}
