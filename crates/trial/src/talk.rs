//! Words that one end of a link says to the other: the [`ramp`], and the ends of a stream.
//!
//! Everything here works on blocking sockets; the time limits that these have are its only patience.
//! Streams are taken by reference, so that one thread may read while another writes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{send, MsgFlags};
use socket2::SockRef;

use crate::ending::Ending;
use crate::ramp::{self, Mismatch};

/// Bytes of one read or write.
pub const BLOCK: usize = 256 * 1024;

/// Bytes of one write to whoever may stop reading: so many it takes whole or in part.
const PIECE: usize = BLOCK / 4;

/// A stream on which nothing was taken for this long is stuck. The kernel offers a moved window at
/// once, so on one machine this is many round trips.
const STUCK: Duration = Duration::from_millis(500);

/// A stream that ended too early.
#[derive(Debug)]
pub struct Cut {
    /// Bytes that went before.
    pub after: u64,
    /// Bytes that should have gone.
    pub of: u64,
    /// The end that it had.
    pub by: Ending,
}

/// A payload that did not come as it was sent.
#[derive(Debug)]
pub enum Unheard {
    /// Some of it did not come.
    Cut(Cut),
    /// Something else came.
    Wrong(Mismatch),
}

/// Sends `len` bytes of the ramp from `offset` on.
///
/// # Errors
/// When they are not taken.
pub fn say(stream: &TcpStream, offset: u64, len: u64) -> Result<(), Cut> {
    let mut block = vec![0; block_of(len)];
    let mut said = 0;
    while said < len {
        let size = block_of(len - said);
        ramp::fill(offset + said, &mut block[..size]);
        match write(stream, &block[..size]) {
            Ok(taken) => said += taken as u64,
            Err(error) => {
                let by = Ending::of_write(error, stream);
                return Err(Cut { after: said, of: len, by });
            }
        }
    }
    Ok(())
}

/// Hears `len` bytes that must be the ramp from `offset` on.
///
/// # Errors
/// When others come, or fewer.
pub fn hear(stream: &TcpStream, offset: u64, len: u64) -> Result<(), Unheard> {
    let mut block = vec![0; block_of(len)];
    let mut heard = 0;
    while heard < len {
        let size = block_of(len - heard);
        let by = match read(stream, &mut block[..size]) {
            Ok(0) => Ending::Fin,
            Ok(count) => {
                ramp::verify(offset + heard, &block[..count]).map_err(Unheard::Wrong)?;
                heard += count as u64;
                continue;
            }
            Err(error) => Ending::of_read(error, stream),
        };
        return Err(Unheard::Cut(Cut { after: heard, of: len, by }));
    }
    Ok(())
}

/// Hears what comes until the stream ends, and how it does.
pub fn hear_all(stream: &TcpStream) -> (Vec<u8>, Ending) {
    let mut bytes = Vec::new();
    let mut from = stream;
    match from.read_to_end(&mut bytes) {
        Ok(_) => (bytes, Ending::Fin),
        Err(error) => (bytes, Ending::of_read(error, stream)),
    }
}

/// Sends the ramp from `offset` on until nothing more is taken for half a second, or `limit` bytes
/// are, and returns how many were.
///
/// # Errors
/// When the stream ends.
pub fn say_until_stuck(stream: &TcpStream, offset: u64, limit: u64) -> Result<u64, Cut> {
    let mut said = 0;
    let cut = |after, error| Cut { after, of: limit, by: Ending::Other(error) };
    let patience = stream.write_timeout().map_err(|error| cut(0, error))?;
    stream.set_write_timeout(Some(STUCK)).map_err(|error| cut(0, error))?;
    while said < limit {
        match say_once(stream, offset + said) {
            Ok(taken) => said += taken,
            Err(Ending::Silence(_)) => break,
            Err(by) => return Err(Cut { after: said, of: limit, by }),
        }
    }
    stream.set_write_timeout(patience).map_err(|error| cut(said, error))?;
    Ok(said)
}

/// Sends the ramp until the stream ends, or `limit` bytes are taken, and returns how it did.
pub fn say_to_the_end(stream: &TcpStream, limit: u64) -> Ending {
    let mut said = 0;
    loop {
        if said >= limit {
            return Ending::Never(said);
        }
        match say_once(stream, said) {
            Ok(taken) => said += taken,
            Err(ending) => return ending,
        }
    }
}

fn say_once(stream: &TcpStream, offset: u64) -> Result<u64, Ending> {
    let mut piece = [0; PIECE];
    ramp::fill(offset, &mut piece);
    match write(stream, &piece) {
        Ok(taken) => Ok(taken as u64),
        Err(error) => Err(Ending::of_write(error, stream)),
    }
}

/// Sends `byte` out of band.
///
/// # Errors
/// When it is not taken.
pub fn say_urgently(stream: &TcpStream, byte: u8) -> io::Result<()> {
    match send(stream.as_raw_fd(), &[byte], MsgFlags::MSG_OOB)? {
        1 => Ok(()),
        _ => Err(io::Error::new(ErrorKind::WriteZero, "the urgent byte was not taken")),
    }
}

/// Ends the connection by RST, if this is the only descriptor of it.
///
/// # Errors
/// When it has no linger time any more: it has no connection either.
pub fn reset(stream: TcpStream) -> io::Result<()> {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))
}

/// Hears what comes next, which should be an end.
pub fn ending(stream: &TcpStream) -> Ending {
    let mut block = vec![0; BLOCK];
    match read(stream, &mut block) {
        Ok(0) => Ending::Fin,
        Ok(count) => {
            block.truncate(count);
            Ending::Bytes(block)
        }
        Err(error) => Ending::of_read(error, stream),
    }
}

/// Reads once, however often a signal comes in between; zero bytes are the FIN.
///
/// # Errors
/// When nothing comes in time, or the connection has ended in another way.
pub fn read(mut stream: &TcpStream, block: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(block) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Writes once, however often a signal comes in between.
fn write(mut stream: &TcpStream, block: &[u8]) -> io::Result<usize> {
    loop {
        match stream.write(block) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            written => return written,
        }
    }
}

/// The next block of `left` bytes.
fn block_of(left: u64) -> usize {
    usize::try_from(left).unwrap_or(BLOCK).min(BLOCK)
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener};
    use std::thread;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn pair() -> [TcpStream; 2] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let pair = [client, listener.accept().unwrap().0];
        for stream in &pair {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.set_write_timeout(Some(PATIENCE)).unwrap();
        }
        pair
    }

    #[test]
    fn what_is_said_is_heard_to_the_end() {
        const LEN: u64 = 3_000_001;
        let [one, other] = pair();
        thread::scope(|threads| {
            threads.spawn(|| {
                say(&one, 7, LEN).unwrap();
                one.shutdown(Shutdown::Write).unwrap();
            });
            hear(&other, 7, LEN).unwrap();
        });
        assert!(matches!(ending(&other), Ending::Fin));
        say(&other, 0, 3).unwrap();
        assert!(matches!(ending(&one), Ending::Bytes(bytes) if bytes == [0, 1, 2]));
    }

    #[test]
    fn too_little_and_something_else_are_told_apart() {
        let [one, other] = pair();
        say(&one, 0, 10).unwrap();
        assert!(matches!(hear(&other, 1, 10), Err(Unheard::Wrong(at)) if at.found == 0));
        say(&one, 0, 10).unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        let cut = Cut { after: 10, of: 11, by: Ending::Fin };
        let Err(Unheard::Cut(seen)) = hear(&other, 0, 11) else { panic!("it was heard") };
        assert_eq!(format!("{seen:?}"), format!("{cut:?}"));
    }

    #[test]
    fn a_reset_is_no_fin() {
        let [one, other] = pair();
        reset(one).unwrap();
        assert!(matches!(ending(&other), Ending::Reset));
        let [one, other] = pair();
        drop(one);
        assert!(matches!(hear_all(&other), (bytes, Ending::Fin) if bytes.is_empty()));
    }

    #[test]
    fn a_full_stream_is_stuck_and_one_without_end_is_not() {
        let [one, other] = pair();
        let stuck = say_until_stuck(&one, 0, u64::MAX).unwrap();
        assert!(stuck > 0);
        assert_eq!(one.write_timeout().unwrap(), Some(PATIENCE));
        thread::scope(|threads| {
            threads.spawn(|| say(&one, stuck, 10).unwrap());
            hear(&other, 0, stuck + 10).unwrap();
        });
        assert_eq!(say_until_stuck(&one, 0, 1).unwrap(), PIECE as u64);
        assert!(matches!(say_to_the_end(&one, 1), Ending::Never(_)));
    }
}
