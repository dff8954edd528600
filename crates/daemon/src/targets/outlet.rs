//! A descriptor that is written to bit by bit, when there is room, so that a reader who is slow holds up
//! nobody who also waits for something else.
//!
//! The descriptor may block, and may be shared with others (see [`crate::output`]): so no more is written
//! at once than poll(2) has seen room for, PIPE_BUF bytes of a pipe (pipe(7)).

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::poll::PollFlags;

/// A descriptor, and what is to be written there.
#[derive(Debug)]
pub(super) struct Outlet<W> {
    sink: W,
    rest: Vec<u8>,
}

/// Whether somebody reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// Somebody may.
    There,
    /// Nobody does any more.
    Gone,
}

impl<W: Write + AsFd> Outlet<W> {
    /// An outlet to `sink`.
    pub(super) fn new(sink: W) -> Self {
        Self { sink, rest: Vec::new() }
    }

    /// Adds what is to be written.
    pub(super) fn push(&mut self, text: &str) {
        self.rest.extend_from_slice(text.as_bytes());
    }

    /// Drops what has not been written.
    pub(super) fn forget(&mut self) {
        self.rest.clear();
    }

    /// Returns whether everything has been written.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What poll(2) is to wait for; that nobody reads any more is told unasked.
    pub(super) fn interest(&self) -> PollFlags {
        if self.is_empty() {
            PollFlags::empty()
        } else {
            PollFlags::POLLOUT
        }
    }

    /// Goes on after poll(2) has seen `events`.
    ///
    /// # Errors
    /// When it cannot be written to for another reason than that nobody reads.
    pub(super) fn go_on(&mut self, events: PollFlags) -> io::Result<Reader> {
        if events.contains(PollFlags::POLLOUT) && !self.is_empty() {
            let piece = &self.rest[..self.rest.len().min(PIPE_BUF)];
            match self.sink.write(piece) {
                Ok(written) => drop(self.rest.drain(..written)),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::Interrupted => {}
                    ErrorKind::BrokenPipe => return Ok(Reader::Gone),
                    _ => return Err(error),
                },
            }
            return Ok(Reader::There);
        }
        let gone = PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL;
        Ok(if events.intersects(gone) { Reader::Gone } else { Reader::There })
    }
}

impl<W: AsFd> AsFd for Outlet<W> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sink.as_fd()
    }
}

/// What a pipe that poll(2) calls writable takes at once.
const PIPE_BUF: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{poll, PollFd, PollTimeout};
    use std::io::{pipe, PipeReader, PipeWriter, Read};

    /// What poll(2) sees at once.
    fn seen(outlet: &Outlet<PipeWriter>) -> PollFlags {
        let mut watched = [PollFd::new(outlet.as_fd(), outlet.interest())];
        poll(&mut watched, PollTimeout::ZERO).unwrap();
        watched[0].revents().unwrap()
    }

    fn full() -> (PipeReader, Outlet<PipeWriter>) {
        let (reader, writer) = pipe().unwrap();
        let mut outlet = Outlet::new(writer);
        outlet.push(&"0123456789abcdef".repeat(20_000));
        while seen(&outlet).contains(PollFlags::POLLOUT) {
            assert_eq!(outlet.go_on(seen(&outlet)).unwrap(), Reader::There);
        }
        (reader, outlet)
    }

    #[test]
    fn what_does_not_fit_into_a_pipe_that_blocks_is_written_when_it_does() {
        let (mut reader, mut outlet) = full();
        assert!(!outlet.is_empty(), "and we are not held up");
        let mut read = Vec::new();
        while !outlet.is_empty() {
            let mut piece = vec![0; 1 << 16];
            let count = reader.read(&mut piece).unwrap();
            read.extend_from_slice(&piece[..count]);
            outlet.go_on(seen(&outlet)).unwrap();
        }
        drop(outlet);
        reader.read_to_end(&mut read).unwrap();
        assert!(read == "0123456789abcdef".repeat(20_000).as_bytes());
    }

    #[test]
    fn that_nobody_reads_is_noticed_with_and_without_something_to_write() {
        let (reader, mut outlet) = full();
        drop(reader);
        assert_eq!(outlet.go_on(seen(&outlet)).unwrap(), Reader::Gone);
        let (reader, writer) = pipe().unwrap();
        let mut outlet = Outlet::new(writer);
        assert_eq!(outlet.go_on(seen(&outlet)).unwrap(), Reader::There);
        drop(reader);
        assert_eq!(outlet.go_on(seen(&outlet)).unwrap(), Reader::Gone);
    }
}
