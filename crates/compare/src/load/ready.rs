//! Is the relay up? One round trip through it is the answer; a port that accepts may lead nowhere
//! yet.
//!
//! Blocking sockets with timeouts are enough here, since one connection is made at a time. A failed
//! attempt may leave a half-made connection in the origin's queue, so each attempt first empties
//! that queue.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use super::dialer::Dialer;
use super::failure::Failure;
use super::job::SMALL_REQUEST;

/// Longest wait of one attempt on each of its steps.
const STEP: Duration = Duration::from_secs(2);

/// Between attempts: short against any start-up time, long against a connect.
const PAUSE: Duration = Duration::from_millis(5);

/// Returns once a small request has gone through the relay behind `relay` to `origin`, and its
/// reply back; says how long that took from connect(2) on.
///
/// # Errors
/// [`Failure::Relay`] with the last reason, when that does not happen within `patience`.
pub(crate) fn wait(
    relay: &Dialer<'_>,
    origin: &TcpListener,
    patience: Duration,
) -> Result<Duration, Failure> {
    let give_up = Instant::now() + patience;
    loop {
        match round_trip(relay, origin) {
            Ok(took) => return Ok(took),
            Err(error) if Instant::now() >= give_up => {
                return Err(Failure::Relay(format!(
                    "no round trip through {} within {} s: {error}",
                    relay.address(),
                    patience.as_secs()
                )))
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

fn round_trip(relay: &Dialer<'_>, origin: &TcpListener) -> io::Result<Duration> {
    while origin.accept().is_ok() {}

    let begun = Instant::now();
    let mut client = relay.connect_blocking(STEP)?;
    client.set_read_timeout(Some(STEP))?;
    client.write_all(&[b'?'; SMALL_REQUEST])?;

    let timeout = PollTimeout::try_from(STEP).unwrap_or(PollTimeout::MAX);
    if poll(&mut [PollFd::new(origin.as_fd(), PollFlags::POLLIN)], timeout)? == 0 {
        return Err(io::Error::other("it accepted, but did not connect to the origin"));
    }
    let (mut server, _) = origin.accept()?;
    server.set_nonblocking(false)?;
    server.set_read_timeout(Some(STEP))?;
    let mut message = [0; SMALL_REQUEST];
    server.read_exact(&mut message)?;
    server.write_all(&message)?;
    client.read_exact(&mut message)?;
    Ok(begun.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::net;
    use std::net::{Ipv4Addr, SocketAddr};

    #[test]
    fn an_origin_is_its_own_relay() {
        let origin = net::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a listener");
        let address = origin.local_addr().expect("its address");
        wait(&Dialer::here(address), &origin, Duration::from_secs(15)).expect("a round trip");
    }
}
