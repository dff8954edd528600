//! Standard output and standard error, which are not ours alone.
//!
//! O_NONBLOCK belongs to the open file description (open(2)): any program that shares a terminal or a
//! pipe with us may have set it. A full pipe then answers EAGAIN, and what was to be written would
//! be lost, although there is somebody who reads. So whoever writes here waits until there is room,
//! as it would with a pipe that blocks.
//!
//! A file may be full. SIGXFSZ does not end the program (see [`crate::signals`]), so a limit of the
//! file's size (setrlimit(2)) is an error like that of a full disk, which may be over one day.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

/// Standard output without the buffer that std puts before it, which would keep what could not be
/// written for another try.
#[derive(Debug)]
pub(crate) struct Stdout;

static STDOUT: OnceLock<io::Stdout> = OnceLock::new();

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(nix::unistd::write(self.as_fd(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Stdout {
    fn as_fd(&self) -> BorrowedFd<'_> {
        STDOUT.get_or_init(io::stdout).as_fd()
    }
}

/// Writes to a descriptor that waits, whether it blocks or not.
#[derive(Debug)]
pub(crate) struct Waiting<W>(pub(crate) W);

impl<W: Write + AsFd> Write for Waiting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.insist(|sink| sink.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.insist(W::flush)
    }
}

impl<W: AsFd> Waiting<W> {
    fn insist<T>(&mut self, mut attempt: impl FnMut(&mut W) -> io::Result<T>) -> io::Result<T> {
        loop {
            match attempt(&mut self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait()?,
                done => return done,
            }
        }
    }

    /// Waits for room, or for a reason why there will be none: the next attempt finds out which.
    fn wait(&self) -> io::Result<()> {
        let mut watched = [PollFd::new(self.0.as_fd(), PollFlags::POLLOUT)];
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Writes pieces of whole lines. Of one that does not fit (ENOSPC, EFBIG) some part may be there; the
/// next one begins on a line of its own all the same.
#[derive(Debug)]
pub(crate) struct Lines<W> {
    sink: W,
    place: Place,
}

/// The place in a line at which what has been written ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Middle,
}

impl<W: Write> Lines<W> {
    /// Lines that go to `sink`.
    pub(crate) fn new(sink: W) -> Self {
        Self { sink, place: Place::Start }
    }

    /// Writes one or more lines, newlines included.
    pub(crate) fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.place == Place::Middle {
            self.write_bytes(b"\n")?;
        }
        self.write_bytes(piece)?;
        self.sink.flush()
    }

    fn write_bytes(&mut self, mut rest: &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            let written = match self.sink.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let (done, left) = rest.split_at(written);
            self.place = if done.ends_with(b"\n") { Place::Start } else { Place::Middle };
            rest = left;
        }
        Ok(())
    }
}

/// Writes `text` to standard output, all of it.
///
/// A reader that has seen enough, such as head(1), is no error.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = Waiting(Stdout);
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes a line to `sink`, for somebody who need not be there.
pub(crate) fn tell(sink: impl Write + AsFd, text: &str) {
    let _: io::Result<()> = writeln!(Waiting(sink), "{}", text.trim_end());
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{fcntl, FcntlArg, OFlag};
    use std::io::{pipe, Read};
    use std::thread;

    #[test]
    fn what_does_not_fit_into_a_pipe_that_does_not_block_is_written_when_it_does() {
        let (mut reader, writer) = pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let text = b"0123456789abcdef".repeat(1 << 16);
        let expected = text.clone();
        let writing = thread::spawn(move || Waiting(writer).write_all(&text));
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        writing.join().unwrap().unwrap();
        assert!(read == expected, "{} of {} bytes", read.len(), expected.len());
    }

    /// Room for so many bytes.
    struct Disk {
        room: usize,
        written: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            if taken == 0 {
                return Err(Errno::ENOSPC.into());
            }
            self.room -= taken;
            self.written.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn half_a_line_is_not_joined_by_the_next() {
        let mut lines = Lines::new(Disk { room: 9, written: Vec::new() });
        lines.write(b"first\n").unwrap();
        for lost in ["second\n", "third\n"] {
            let error = lines.write(lost.as_bytes()).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(Errno::ENOSPC as i32));
        }
        lines.sink.room = 100;
        lines.write(b"fourth\n").unwrap();
        lines.write(b"fifth\n").unwrap();
        let written = String::from_utf8(lines.sink.written).unwrap();
        assert_eq!(written, "first\nsec\nfourth\nfifth\n");
    }

    #[test]
    fn a_reader_that_goes_while_there_is_no_room_is_noticed() {
        let (reader, writer) = pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let mut sink = Waiting(writer);
        while sink.0.write(&[0; 4096]).is_ok() {}
        let writing = thread::spawn(move || sink.write_all(b"more"));
        drop(reader);
        let error = writing.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
