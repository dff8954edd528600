//! Words of a scripted peer on a stream, and words it expects to hear.
//!
//! Everything here works on blocking sockets with time limits (see [`crate::peer::patient`]) and
//! panics with a sentence if the other side does anything else. Streams are taken by reference, so
//! that one thread may read while another writes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nsplice_trial::talk::{self, Unheard, BLOCK};
use nsplice_trial::Ending;

use crate::ramp;
use crate::wait::PATIENCE;

/// Sends a FIN; reading goes on.
#[track_caller]
pub fn half_close(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).expect("send a FIN");
}

/// Aborts the connection by RST. The stream must not have been cloned.
#[track_caller]
pub fn reset(stream: TcpStream) {
    talk::reset(stream).expect("set linger 0");
}

/// Sends `byte` out of band.
#[track_caller]
pub fn send_out_of_band(stream: &TcpStream, byte: u8) {
    talk::say_urgently(stream, byte).expect("send out of band");
}

/// Sends `len` bytes of the ramp from `offset` on.
#[track_caller]
pub fn send_ramp(stream: &TcpStream, offset: u64, len: u64) {
    if let Err(cut) = talk::say(stream, offset, len) {
        panic!("send the ramp, at byte {} of {len}: {}", offset + cut.after, cut.by);
    }
}

/// Reads `len` bytes that must be the ramp from `offset` on.
#[track_caller]
pub fn expect_ramp(stream: &TcpStream, offset: u64, len: u64) {
    match talk::hear(stream, offset, len) {
        Ok(()) => {}
        Err(Unheard::Wrong(mismatch)) => panic!("{mismatch}"),
        Err(Unheard::Cut(cut)) => panic!("{} after {} bytes of {len}", cut.by, cut.after),
    }
}

/// Writes the ramp from `offset` on until the other side takes no more for half a second, and
/// returns how many bytes went out.
#[track_caller]
pub fn send_until_stuck(stream: &TcpStream, offset: u64) -> u64 {
    match talk::say_until_stuck(stream, offset, u64::MAX) {
        Ok(sent) => sent,
        Err(cut) => panic!("send until stuck, after {} bytes: {}", cut.after, cut.by),
    }
}

/// Reads exactly `len` bytes.
#[track_caller]
pub fn read_exactly(mut stream: &TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    if let Err(error) = stream.read_exact(&mut bytes) {
        panic!("read {len} bytes: {}", Ending::of_read(error, stream));
    }
    bytes
}

/// Reads up to the FIN.
#[track_caller]
pub fn read_to_eof(stream: &TcpStream) -> Vec<u8> {
    match talk::hear_all(stream) {
        (bytes, Ending::Fin) => bytes,
        (bytes, end) => panic!("read to the end, after {} bytes: {end}", bytes.len()),
    }
}

/// Expects a FIN, and no byte before it.
#[track_caller]
pub fn expect_eof(stream: &TcpStream) {
    match talk::ending(stream) {
        Ending::Fin => {}
        Ending::Bytes(bytes) => {
            panic!("expected the end, got {} bytes: {bytes:02x?}", bytes.len())
        }
        end => panic!("expected the end, got {end}"),
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
    match talk::hear_all(stream) {
        (bytes, Ending::Reset) => bytes,
        (bytes, end) => panic!("expected a reset, got {end} after {} bytes", bytes.len()),
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
        match talk::ending(&stream) {
            Ending::Fin => break,
            Ending::Bytes(bytes) => {
                count += bytes.len() as u64;
                if let Err(error) = (&stream).write_all(&bytes) {
                    panic!("send back what came, at byte {count}: {error}");
                }
            }
            end => panic!("echo, after {count} bytes: {end}"),
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
// A script takes the stream as the server gives it, and its end is the stream's.
#[allow(clippy::needless_pass_by_value)]
#[track_caller]
pub fn ramp_sink(stream: TcpStream) -> u64 {
    let mut sink = ramp::RampSink::new();
    let mut block = vec![0; BLOCK];
    loop {
        match talk::read(&stream, &mut block) {
            Ok(0) => return sink.count(),
            Ok(read) => {
                if let Err(mismatch) = sink.write_all(&block[..read]) {
                    panic!("{mismatch}");
                }
            }
            Err(error) => panic!("at byte {}: {}", sink.count(), Ending::of_read(error, &stream)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::{connect, connect_with_receive_buffer, listen};
    use crate::server::Server;
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
