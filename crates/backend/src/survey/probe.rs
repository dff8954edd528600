//! One real connect, driven outside of a loop.
//!
//! The opener and the attempt are the very ones that a relay would use ([`drive`]). What is opened is
//! closed at once.
//!
//! The time is that until the connection stands, for each backend: that of a child is looked for from
//! outside, for what is told when it has started is only that.

use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nsplice_relay::open::{drive, Driven};
use nsplice_relay::{
    Child, OpenClass, OpenError, Opener, Upstream, Verdict, DEFAULT_CONNECT_TIMEOUT,
};

use crate::survey::sight::{self, Sight};

/// A connect that went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connected {
    /// We have connected ourselves, after this time.
    Here(Duration),
    /// A child has: its start is part of the time.
    ByChild(Duration),
    /// A child is alive, or has ended well, but when it connects cannot be seen.
    Unseen,
}

/// Connects through `opener` to `port`.
pub(crate) fn connect(opener: &mut dyn Opener, port: u16) -> Result<Connected, OpenError> {
    let begun = Instant::now();
    let mut attempt = opener.open(None);
    let upstream = match drive(attempt.as_mut(), Some(begun + DEFAULT_CONNECT_TIMEOUT), None) {
        Driven::Open(upstream) => upstream,
        Driven::Failed(error) => return Err(error),
        Driven::TimedOut | Driven::Stopped => return Err(unanswered(attempt.so_far())),
    };
    match upstream {
        Upstream::Stream(_) | Upstream::Pair { .. } | Upstream::Held { .. } => {
            Ok(Connected::Here(begun.elapsed()))
        }
        Upstream::Piped { input, output, child } => {
            // Held open while the child is watched: the end of its input would end it.
            let watched = watch(child, port, begun);
            drop((input, output));
            watched
        }
    }
}

fn unanswered(so_far: Option<String>) -> OpenError {
    let seconds = DEFAULT_CONNECT_TIMEOUT.as_secs();
    let mut told = format!("no answer within {seconds} s");
    if let Some(so_far) = so_far {
        told.push_str(&format!(": {so_far}"));
    }
    OpenError::new(OpenClass::TimedOut, told)
}

/// Watches a child until it has connected to `port` or ended. One that is seen connecting gets as
/// long as a connect of ours; of others it is only known that they have not failed.
fn watch(mut child: Box<dyn Child>, port: u16, begun: Instant) -> Result<Connected, OpenError> {
    let started = Instant::now();
    let pid = pid_of(child.exit_source());
    loop {
        let sight = pid.map_or(Sight::Nothing, |pid| sight::of(pid, port));
        if sight == Sight::Connected {
            return Ok(Connected::ByChild(begun.elapsed()));
        }
        match child.verdict() {
            None => {}
            Some(Verdict::Success) => return Ok(Connected::Unseen),
            Some(Verdict::Failure(error)) => return Err(error),
        }
        if sight == Sight::Nothing && started.elapsed() > UNSEEN {
            return Ok(Connected::Unseen);
        }
        if begun.elapsed() > DEFAULT_CONNECT_TIMEOUT {
            return Err(unanswered(None));
        }
        sleep(GLANCE);
    }
}

/// The number behind a pidfd (proc_pid_fdinfo(5)): the child's own until it has been collected.
fn pid_of(pidfd: BorrowedFd<'_>) -> Option<u32> {
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
    let told = fs::read_to_string(path).ok()?;
    told.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()
}

/// How long is waited for a connection to be seen: two execs and a connect take about 10 ms, and on a
/// busy machine much longer.
const UNSEEN: Duration = Duration::from_secs(2);

/// How often it is looked: how exact the time of a child's connect is.
const GLANCE: Duration = Duration::from_micros(100);
