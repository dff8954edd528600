//! Words of a scripted peer on a stream, and words it expects to hear.
//!
//! Everything here works on blocking sockets with time limits (see [`crate::peer::patient`]) and
//! panics with a sentence if the other side does anything else. Streams are taken by reference, so
//! that one thread may read while another writes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{send, MsgFlags};
use socket2::SockRef;

use crate::ramp;
use crate::wait::PATIENCE;

/// One read or write of a script.
const BLOCK: usize = 256 * 1024;

/// A stream on which nothing was taken for this long is stuck. The kernel offers a moved window at
/// once, so on one machine this is many round trips.
const STUCK: Duration = Duration::from_millis(500);

/// Sends a FIN; reading goes on.
#[track_caller]
pub fn half_close(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).expect("send a FIN");
}

/// Aborts the connection by RST. The stream must not have been cloned.
#[track_caller]
pub fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("set linger 0");
    drop(stream);
}

/// Sends `byte` out of band.
#[track_caller]
pub fn send_out_of_band(stream: &TcpStream, byte: u8) {
    let sent = send(stream.as_raw_fd(), &[byte], MsgFlags::MSG_OOB).expect("send out of band");
    assert_eq!(sent, 1, "the byte was not sent");
}

/// Sends `len` bytes of the ramp from `offset` on.
#[track_caller]
pub fn send_ramp(mut stream: &TcpStream, offset: u64, len: u64) {
    let mut block = vec![0; BLOCK];
    let mut sent = 0;
    while sent < len {
        let size = usize::try_from(len - sent).unwrap_or(BLOCK).min(BLOCK);
        ramp::fill(offset + sent, &mut block[..size]);
        if let Err(error) = stream.write_all(&block[..size]) {
            panic!("send the ramp, at about byte {} of {len}: {error}", offset + sent);
        }
        sent += size as u64;
    }
}

/// Reads `len` bytes that must be the ramp from `offset` on.
#[track_caller]
pub fn expect_ramp(mut stream: &TcpStream, offset: u64, len: u64) {
    let mut block = vec![0; BLOCK];
    let mut seen = 0;
    while seen < len {
        let size = usize::try_from(len - seen).unwrap_or(BLOCK).min(BLOCK);
        match stream.read(&mut block[..size]) {
            Ok(0) => panic!("the stream ended after {seen} bytes of {len}"),
            Ok(read) => {
                if let Err(mismatch) = ramp::verify(offset + seen, &block[..read]) {
                    panic!("{mismatch}");
                }
                seen += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("read the ramp, at byte {seen} of {len}: {}", told(&error)),
        }
    }
}

/// Writes the ramp from `offset` on until the other side takes no more for half a second, and
/// returns how many bytes went out.
#[track_caller]
pub fn send_until_stuck(mut stream: &TcpStream, offset: u64) -> u64 {
    stream.set_write_timeout(Some(STUCK)).expect("a socket takes timeouts");
    let mut block = vec![0; BLOCK];
    let mut sent = 0;
    let sent = loop {
        ramp::fill(offset + sent, &mut block);
        match stream.write(&block) {
            Ok(written) => sent += written as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break sent,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("send until stuck, after {sent} bytes: {error}"),
        }
    };
    stream.set_write_timeout(Some(PATIENCE)).expect("a socket takes timeouts");
    sent
}

/// Reads exactly `len` bytes.
#[track_caller]
pub fn read_exactly(mut stream: &TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    if let Err(error) = stream.read_exact(&mut bytes) {
        panic!("read {len} bytes: {}", told(&error));
    }
    bytes
}

/// Reads up to the FIN.
#[track_caller]
pub fn read_to_eof(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        panic!("read to the end, after {} bytes: {}", bytes.len(), told(&error));
    }
    bytes
}

/// Expects a FIN, and no byte before it.
#[track_caller]
pub fn expect_eof(stream: &TcpStream) {
    match read_some(stream) {
        Ok(bytes) if bytes.is_empty() => {}
        Ok(bytes) => panic!("expected the end, got {} bytes: {bytes:02x?}", bytes.len()),
        Err(error) => panic!("expected the end: {}", told(&error)),
    }
}

/// Expects an RST, and no byte before it.
#[track_caller]
pub fn expect_reset(stream: &TcpStream) {
    let bytes = read_to_reset(stream);
    assert!(bytes.is_empty(), "expected a reset, got {} bytes before it", bytes.len());
}

/// Reads up to an RST and returns the bytes that came before it.
#[track_caller]
pub fn read_to_reset(stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        match read_some(stream) {
            Ok(more) if more.is_empty() => {
                panic!("expected a reset, got a FIN after {} bytes", bytes.len())
            }
            Ok(more) => bytes.extend(more),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return bytes,
            Err(error) => panic!("expected a reset: {}", told(&error)),
        }
    }
}

/// Expects an RST on a stream whose FIN was read already.
///
/// There, reading goes on to tell of the FIN; the reset only shows as the socket's pending error
/// (EPIPE, as Linux has it for a connection in CLOSE_WAIT).
#[track_caller]
pub fn expect_reset_after_eof(stream: &TcpStream) {
    let mut fds = [PollFd::new(stream.as_fd(), PollFlags::empty())];
    let patience = PollTimeout::try_from(PATIENCE).expect("a time that poll takes");
    let reported = poll(&mut fds, patience).expect("poll");
    assert_eq!(reported, 1, "expected a reset, nothing came for {} s", PATIENCE.as_secs());
    let error = stream.take_error().expect("ask for the pending error");
    let code = error.as_ref().and_then(io::Error::raw_os_error).map(Errno::from_raw);
    assert!(
        matches!(code, Some(Errno::EPIPE | Errno::ECONNRESET)),
        "expected a reset, the stream ended with {error:?}"
    );
}

/// Sends back what comes until the FIN, then sends its own. Returns how many bytes those were.
// A script takes the stream as the server gives it, and its end is the stream's.
#[allow(clippy::needless_pass_by_value)]
#[track_caller]
pub fn echo(stream: TcpStream) -> u64 {
    let mut count = 0;
    loop {
        match read_some(&stream) {
            Ok(bytes) if bytes.is_empty() => break,
            Ok(bytes) => {
                count += bytes.len() as u64;
                if let Err(error) = (&stream).write_all(&bytes) {
                    panic!("send back what came, at byte {count}: {error}");
                }
            }
            Err(error) => panic!("echo, after {count} bytes: {}", told(&error)),
        }
    }
    half_close(&stream);
    count
}

/// Reads to the FIN and returns what came: a script.
// A script takes the stream as the server gives it, and its end is the stream's.
#[allow(clippy::needless_pass_by_value)]
#[track_caller]
pub fn sink(stream: TcpStream) -> Vec<u8> {
    read_to_eof(&stream)
}

/// Reads the ramp to the FIN and returns its length: a script for gigabytes.
#[track_caller]
pub fn ramp_sink(mut stream: TcpStream) -> u64 {
    let mut sink = ramp::RampSink::new();
    let mut block = vec![0; BLOCK];
    loop {
        let read = match stream.read(&mut block) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => panic!("at byte {}: {}", sink.count(), told(&error)),
        };
        if read == 0 {
            return sink.count();
        }
        if let Err(mismatch) = sink.write_all(&block[..read]) {
            panic!("{mismatch}");
        }
    }
}

fn read_some(mut stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut block = vec![0; BLOCK];
    loop {
        match stream.read(&mut block) {
            Ok(read) => {
                block.truncate(read);
                return Ok(block);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The words for an error of a read with a time limit.
fn told(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::WouldBlock => format!("nothing came for {} s", PATIENCE.as_secs()),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::{connect, connect_with_receive_buffer, listen, Server};
    use std::panic::{catch_unwind, AssertUnwindSafe};
    use std::sync::Arc;

    use crate::wait::Gate;

    #[test]
    fn the_ramp_goes_through_an_echo() {
        const LEN: u64 = 3_000_001;
        let server = Server::start(listen("127.0.0.1:0"), echo);
        let client = connect(server.address());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                send_ramp(&client, 0, LEN);
                half_close(&client);
            });
            expect_ramp(&client, 0, LEN);
        });
        expect_eof(&client);
        assert_eq!(server.join(), [LEN]);
    }

    #[test]
    fn a_reset_is_told_from_an_end() {
        let server = Server::start(listen("127.0.0.1:0"), |stream| {
            match read_exactly(&stream, 1)[0] {
                b'R' => reset(stream),
                b'B' => {
                    // The end that was read leaves an error when a reset follows.
                    half_close(&stream);
                    read_exactly(&stream, 1);
                    reset(stream);
                }
                _ => drop(stream),
            }
        });
        let ask = |how: u8| {
            let client = connect(server.address());
            (&client).write_all(&[how]).unwrap();
            client
        };
        expect_reset(&ask(b'R'));
        expect_eof(&ask(b'E'));
        assert!(catch_unwind(AssertUnwindSafe(|| expect_eof(&ask(b'R')))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| expect_reset(&ask(b'E')))).is_err());
        let both = ask(b'B');
        expect_eof(&both);
        (&both).write_all(b"x").unwrap();
        expect_reset_after_eof(&both);
        assert_eq!(server.join().len(), 5);
    }

    #[test]
    fn who_does_not_read_stops_the_sender() {
        let gate = Arc::new(Gate::new());
        let server = Server::start(listen("127.0.0.1:0"), {
            let gate = gate.clone();
            move |stream| {
                let sent = send_until_stuck(&stream, 0);
                gate.open();
                sent
            }
        });
        let client = connect_with_receive_buffer(server.address(), Some(4096));
        gate.wait();
        let sent = server.join()[0];
        assert!((4096..64 << 20).contains(&sent), "{sent} bytes");
        expect_ramp(&client, 0, sent);
        expect_eof(&client);
    }

    #[test]
    fn a_byte_out_of_band_is_not_in_the_stream() {
        let server = Server::start(listen("127.0.0.1:0"), sink);
        let client = connect(server.address());
        (&client).write_all(b"a").unwrap();
        send_out_of_band(&client, b'!');
        (&client).write_all(b"b").unwrap();
        drop(client);
        assert_eq!(server.join(), [b"ab".to_vec()]);
    }
}
