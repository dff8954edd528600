//! Descriptors, and how bytes are got from them or given to them without blocking.
//!
//! Sockets and pipes that we made are O_NONBLOCK. Descriptors that were handed to us (standard
//! input and output) may share their open file description with other processes, where O_NONBLOCK
//! would do harm; for those the call itself says that it must not block: MSG_DONTWAIT on sockets,
//! SPLICE_F_NONBLOCK on pipes, and for the rest a poll(2) first.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{fcntl, splice, FcntlArg, OFlag, SpliceFFlags};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::sockopt::SetUsize;
use nix::sys::socket::{recv, send, setsockopt, MsgFlags};
use nix::sys::stat::{fstat, SFlag};
use nix::unistd::{read, write};
use socket2::{Domain, SockRef};

use self::fault::Call;

pub(crate) mod fault;

/// The kind of descriptor that an end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    class: Class,
    nonblocking: bool,
    access: Access,
}

/// The directions in which a descriptor was opened, which open(2) decides for its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Both,
    Read,
    Write,
}

impl Access {
    /// Of the status flags that F_GETFL of fcntl(2) gives.
    fn of(flags: OFlag) -> Self {
        match flags & OFlag::O_ACCMODE {
            OFlag::O_RDONLY => Self::Read,
            OFlag::O_WRONLY => Self::Write,
            _ => Self::Both,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Socket,
    Pipe,
    /// A regular file: always ready, never EAGAIN.
    File,
    /// A terminal or another character device.
    Device,
}

/// The largest length handed to splice(2); above the signed 32-bit range some kernels answer
/// EINVAL.
const SPLICE_MOST: usize = 1 << 30;

/// Bytes that a pipe that polls writable takes without blocking (PIPE_BUF, pipe(7)).
const PIPE_BUF: usize = 4096;

impl Kind {
    /// A stream socket that is O_NONBLOCK.
    pub(crate) const STREAM: Self =
        Self { class: Class::Socket, nonblocking: true, access: Access::Both };

    /// An end of a pipe that is O_NONBLOCK, used as what it is.
    pub(crate) const PIPE: Self =
        Self { class: Class::Pipe, nonblocking: true, access: Access::Both };

    /// Finds out what `fd` is.
    pub(crate) fn of(fd: impl AsFd) -> nix::Result<Self> {
        let mode = SFlag::from_bits_truncate(fstat(&fd)?.st_mode) & SFlag::S_IFMT;
        let class = if mode == SFlag::S_IFSOCK {
            Class::Socket
        } else if mode == SFlag::S_IFIFO {
            Class::Pipe
        } else if mode == SFlag::S_IFREG {
            Class::File
        } else {
            Class::Device
        };
        let flags = OFlag::from_bits_truncate(fcntl(&fd, FcntlArg::F_GETFL)?);
        let nonblocking = flags.contains(OFlag::O_NONBLOCK);
        Ok(Self { class, nonblocking, access: Access::of(flags) })
    }

    /// Returns whether it can be read from.
    pub(crate) fn reads(self) -> bool {
        self.access != Access::Write
    }

    /// Returns whether it can be written to.
    pub(crate) fn writes(self) -> bool {
        self.access != Access::Read
    }

    pub(crate) fn is_socket(self) -> bool {
        self.class == Class::Socket
    }

    pub(crate) fn is_pipe(self) -> bool {
        self.class == Class::Pipe
    }

    /// Returns whether splice(2) can be used on it without the danger of blocking: whether a socket
    /// blocks is decided by its O_NONBLOCK alone, for a pipe SPLICE_F_NONBLOCK is enough.
    pub(crate) fn splices(self) -> bool {
        match self.class {
            Class::Socket => self.nonblocking,
            Class::Pipe | Class::File => true,
            Class::Device => false,
        }
    }

    /// Returns whether a plain read or write could block, so that poll(2) must be asked first.
    fn may_block(self) -> bool {
        !self.nonblocking && matches!(self.class, Class::Pipe | Class::Device)
    }
}

/// A descriptor that an end of a lane is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Descriptor<'a> {
    pub(crate) fd: BorrowedFd<'a>,
    pub(crate) kind: Kind,
}

impl Descriptor<'_> {
    /// Reads into `buffer`; 0 is the end, EAGAIN means dry.
    pub(crate) fn read(self, buffer: &mut [u8]) -> nix::Result<usize> {
        if self.kind.is_socket() {
            return call(Call::Receive, || {
                recv(self.fd.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)
            });
        }
        if self.kind.may_block() && !self.is_ready(PollFlags::POLLIN)? {
            return Err(Errno::EAGAIN);
        }
        call(Call::Read, || read(self.fd, buffer))
    }

    /// Writes from `bytes`; EAGAIN means full.
    pub(crate) fn write(self, bytes: &[u8]) -> nix::Result<usize> {
        if self.kind.is_socket() {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            return call(Call::Send, || send(self.fd.as_raw_fd(), bytes, flags));
        }
        let mut most = bytes.len();
        if self.kind.may_block() {
            if !self.is_ready(PollFlags::POLLOUT)? {
                return Err(Errno::EAGAIN);
            }
            most = most.min(PIPE_BUF);
        }
        call(Call::Write, || write(self.fd, &bytes[..most]))
    }

    /// Asks the kernel whether this end is ready for `flags`. Errors and hang-ups count as ready:
    /// the next call will tell them.
    pub(crate) fn is_ready(self, flags: PollFlags) -> nix::Result<bool> {
        let mut fds = [PollFd::new(self.fd, flags)];
        call(Call::Poll, || poll(&mut fds, PollTimeout::ZERO)).map(|ready| ready > 0)
    }

    /// Sets how many bytes must be queued before a TCP socket counts as readable (SO_RCVLOWAT).
    ///
    /// A Unix socket is readable with any byte all the same (`unix_poll`), but with a mark above
    /// what is queued a read takes a reset behind it away, and then answers with an end
    /// (`unix_stream_read_generic`).
    pub(crate) fn set_low_water(self, bytes: usize) -> nix::Result<()> {
        if !matches!(SockRef::from(&self.fd).domain(), Ok(Domain::IPV4 | Domain::IPV6)) {
            return Err(Errno::EOPNOTSUPP);
        }
        call(Call::LowWater, || setsockopt(&self.fd, ReceiveLowWater, &bytes))
    }

    /// Splices at most `most` bytes from this end to `sink`; one of the two must be a pipe.
    pub(crate) fn splice_to(self, sink: Descriptor<'_>, most: usize) -> nix::Result<usize> {
        let most = most.min(SPLICE_MOST);
        let flags = SpliceFFlags::SPLICE_F_NONBLOCK;
        call(Call::Splice, || splice(self.fd, None, sink.fd, None, most, flags))
    }
}

/// The low-water mark of a receive queue, for which nix has no name.
#[derive(Debug, Clone, Copy)]
struct ReceiveLowWater;

nix::setsockopt_impl!(ReceiveLowWater, libc::SOL_SOCKET, libc::SO_RCVLOWAT, usize, SetUsize);

/// Makes a call, and makes it again if a signal interrupted it. Nothing was moved by it then, so
/// nothing is counted twice.
fn call<T>(name: Call, mut make: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        let answer = fault::due(name).map_or_else(&mut make, Err);
        match answer {
            Err(Errno::EINTR) => {}
            answer => return answer,
        }
    }
}
