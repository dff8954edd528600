//! Pipes to splice through, and the bounded pool they come from.
//!
//! splice(2) needs a pipe between two sockets. A pipe is taken only for the moment bytes must be in
//! it and goes back as soon as it is empty, so a handful of pipes serves thousands of links. A pipe
//! that still holds bytes is closed, never reused: the next link must not see them.
//!
//! A pipe holds slots, not bytes, and one slot can hold far more than a page; its nominal size says
//! nothing about how many bytes are in it, and is used here for one thing only: to notice that the
//! kernel has granted a crippled pipe. Beyond `pipe-user-pages-soft` pages per user, an
//! unprivileged process gets pipes of one or two slots (pipe(7)), with which splicing costs more
//! than copying; such a pipe is not worth having.

use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::unistd::pipe2;

/// A pipe smaller than this is crippled by the per-user limit.
const SMALLEST_USEFUL: usize = 64 * 1024;

/// A kernel pipe: what is written to `input` is read from `output`.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) output: OwnedFd,
    pub(crate) input: OwnedFd,
}

/// The pipes of a loop.
#[derive(Debug)]
pub(crate) struct PipePool {
    idle: Vec<Pipe>,
    /// Pipes that exist, idle or in use.
    alive: usize,
    limit: usize,
    size: usize,
    /// Whether larger pipes are asked for; not any more once the kernel has refused.
    grow: bool,
}

/// So many empty pipes are kept for the next bulk lane; beyond that they are closed when they come
/// back. An idle pipe of 1 MiB costs about 16 KiB of kernel memory for its ring.
const KEPT_IDLE: usize = 8;

impl PipePool {
    /// A pool of at most `limit` pipes of about `size` bytes.
    pub(crate) fn new(limit: usize, size: usize) -> Self {
        Self { idle: Vec::new(), alive: 0, limit, size, grow: true }
    }

    /// An empty pipe, or `None` when no useful one is to be had now: then the bytes are copied.
    pub(crate) fn take(&mut self) -> Option<Pipe> {
        if let Some(pipe) = self.idle.pop() {
            return Some(pipe);
        }
        if self.alive >= self.limit {
            return None;
        }
        let pipe = self.make().ok()?;
        self.alive += 1;
        Some(pipe)
    }

    /// Takes back a pipe that is empty.
    pub(crate) fn give_back(&mut self, pipe: Pipe) {
        if self.idle.len() < KEPT_IDLE {
            self.idle.push(pipe);
        } else {
            self.discard(pipe);
        }
    }

    /// Closes a pipe that may still hold bytes.
    pub(crate) fn discard(&mut self, pipe: Pipe) {
        drop(pipe);
        self.alive -= 1;
    }

    /// Closes the idle pipes, so that their descriptors are free for something more urgent; false if
    /// there are none.
    pub(crate) fn shed(&mut self) -> bool {
        let shed = self.idle.len();
        self.alive -= shed;
        self.idle.clear();
        shed > 0
    }

    /// Returns whether no pipe is left, neither idle nor in use.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.alive == 0
    }

    fn make(&mut self) -> io::Result<Pipe> {
        let (output, input) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let granted = self.grow_pipe(&input)?;
        if granted < SMALLEST_USEFUL {
            return Err(Errno::EDQUOT.into());
        }
        Ok(Pipe { output, input })
    }

    /// Grows a pipe to the wished size, or finds out the size it has.
    fn grow_pipe(&mut self, input: &OwnedFd) -> io::Result<usize> {
        if self.grow {
            let wished = i32::try_from(self.size).unwrap_or(i32::MAX);
            match fcntl(input, FcntlArg::F_SETPIPE_SZ(wished)) {
                Ok(granted) => return Ok(usize::try_from(granted).unwrap_or(0)),
                // No memory for so many slots now; there may be some for the next pipe.
                Err(Errno::ENOMEM) => {}
                // EPERM: more than pipe-max-size, or beyond the user's soft limit. Ask no more;
                // the default size will do.
                Err(_) => self.grow = false,
            }
        }
        let granted = fcntl(input, FcntlArg::F_GETPIPE_SZ)?;
        Ok(usize::try_from(granted).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_come_back_and_are_bounded() {
        let mut pool = PipePool::new(2, 1 << 16);
        let first = pool.take().expect("a first pipe");
        let second = pool.take().expect("a second pipe");
        assert!(pool.take().is_none(), "the pool is limited to two");
        pool.give_back(first);
        let again = pool.take().expect("the first pipe again");
        pool.discard(again);
        pool.discard(second);
        assert!(pool.take().is_some(), "discarded pipes make room for new ones");
    }

    #[test]
    fn shedding_closes_the_idle_pipes() {
        let mut pool = PipePool::new(1, 1 << 16);
        let pipe = pool.take().expect("a pipe");
        pool.give_back(pipe);
        assert!(pool.shed());
        assert_eq!(pool.alive, 0);
        assert!(!pool.shed(), "there are no more");
    }

    #[test]
    fn a_size_beyond_the_limit_is_not_an_error() {
        let mut pool = PipePool::new(1, usize::MAX);
        assert!(pool.take().is_some());
    }
}
