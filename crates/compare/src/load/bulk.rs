//! Bytes one way, as fast as they go.
//!
//! Every stream has a *source* end and a *sink* end; which of them is the client is the direction.
//! Both ends are edge triggered, so an end that could go on when its budget is spent waits on a
//! ready list, and while that list is not empty the loop only glances at epoll. Bytes are counted
//! where they arrive.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

use super::dialer::Dialer;
use super::failure::Failure;
use super::job::{Direction, Job};
use super::meter::{Meter, Window};
use super::net::{self, Bin, Movement};
use super::report::{Figure, Measurement};

/// Bytes one end may move before the next one has its turn: large against a system call, small
/// against a window.
const BUDGET: usize = 1024 * 1024;

/// Longest sleep of a turn: the window's end is noticed this late at worst.
const TICK: Duration = Duration::from_millis(20);

/// Longest time of the relay, beyond the warm-up, until all streams are connected to the origin.
const PATIENCE: Duration = Duration::from_secs(10);

const LISTENER: Token = Token(usize::MAX - 1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Source,
    Sink,
}

struct End {
    stream: TcpStream,
    role: Role,
    /// True if it is on the ready list.
    queued: bool,
}

#[derive(Default)]
struct EndTable {
    table: Vec<End>,
    ready: VecDeque<usize>,
    bin: Bin,
    received: u64,
}

impl EndTable {
    fn add(
        &mut self,
        mut stream: TcpStream,
        role: Role,
        registry: &Registry,
    ) -> Result<(), Failure> {
        let interest = match role {
            Role::Source => Interest::WRITABLE,
            Role::Sink => Interest::READABLE,
        };
        registry
            .register(&mut stream, Token(self.table.len()), interest)
            .map_err(|error| Failure::system("watch a stream", error))?;
        self.table.push(End { stream, role, queued: false });
        Ok(())
    }

    fn wake(&mut self, index: usize) {
        if let Some(end) = self.table.get_mut(index) {
            if !end.queued {
                end.queued = true;
                self.ready.push_back(index);
            }
        }
    }

    /// Gives each ready end one budget.
    fn turn(&mut self) -> Result<(), Failure> {
        for _ in 0..self.ready.len() {
            let Some(index) = self.ready.pop_front() else { break };
            let end = &mut self.table[index];
            end.queued = false;
            let moved = match end.role {
                Role::Source => pump(|| net::send(&end.stream, BUDGET)),
                Role::Sink => pump(|| self.bin.discard(&end.stream)),
            };
            let role = end.role;
            let (bytes, step) =
                moved.map_err(|error| Failure::Relay(format!("a stream ended: {error}")))?;
            if role == Role::Sink {
                self.received += u64::try_from(bytes).unwrap_or(0);
            }
            match step {
                Movement::Moved(_) => self.wake(index),
                Movement::Blocked => {}
                Movement::Ended => {
                    return Err(Failure::Relay("a stream ended before its time".to_owned()))
                }
            }
        }
        Ok(())
    }
}

/// Repeats `step` until it blocks or ends or the budget is spent; says how much moved and why it
/// stopped.
fn pump(mut step: impl FnMut() -> io::Result<Movement>) -> io::Result<(usize, Movement)> {
    let mut bytes = 0;
    loop {
        match step()? {
            Movement::Moved(n) => bytes += n,
            stopped => return Ok((bytes, stopped)),
        }
        if bytes >= BUDGET {
            return Ok((bytes, Movement::Moved(bytes)));
        }
    }
}

/// Measures it.
///
/// # Errors
/// When a stream ends, or the relay never connects one to the origin.
pub(crate) fn run(
    job: &Job,
    relay: &Dialer<'_>,
    listener: std::net::TcpListener,
    meter: &Meter,
    streams: usize,
    direction: Direction,
) -> Result<Measurement, Failure> {
    let (client, origin) = match direction {
        Direction::Up => (Role::Source, Role::Sink),
        Direction::Down => (Role::Sink, Role::Source),
    };
    let (mut poll, mut events) = net::open_poll(streams)?;
    let mut listener = TcpListener::from_std(listener);
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)
        .map_err(|error| Failure::system("watch the origin's listener", error))?;

    let mut ends = EndTable::default();
    for _ in 0..streams {
        ends.add(relay.connect()?.0, client, poll.registry())?;
    }
    let start = Instant::now();
    let mut received_before = 0;
    let mut window: Option<Window<'_>> = None;
    loop {
        let timeout = if ends.ready.is_empty() { TICK } else { Duration::ZERO };
        net::wait(&mut poll, &mut events, timeout)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Some(stream) = net::accept(&listener)? {
                    ends.add(stream, origin, poll.registry())?;
                }
            } else {
                ends.wake(event.token().0);
            }
        }
        ends.turn()?;

        let now = Instant::now();
        let complete = ends.table.len() == streams * 2;
        match &window {
            Some(open) if open.is_over(now, job.window, ends.received > received_before) => break,
            Some(_) => {}
            None if complete && ends.received > 0 && now - start >= job.warmup => {
                received_before = ends.received;
                window = Some(meter.open_window()?);
            }
            None if now - start >= job.warmup + PATIENCE => {
                return Err(Failure::Relay(format!(
                    "{} of {streams} streams reached the origin, {} bytes arrived",
                    ends.table.len() - streams,
                    ends.received
                )));
            }
            None => {}
        }
    }

    let Some(window) = window else {
        return Err(Failure::Relay("the measured window never opened".to_owned()));
    };
    let usage = window.close()?;
    let mut report = Measurement::new(job, meter, &usage);
    report.bytes(ends.received - received_before, &usage)?;
    report.set(Figure::Links, streams);
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pumping_stops_at_the_budget_or_when_blocked() {
        let mut calls = 0;
        let (bytes, step) = pump(|| {
            calls += 1;
            Ok(Movement::Moved(BUDGET / 2))
        })
        .expect("no error");
        assert_eq!((bytes, step, calls), (BUDGET, Movement::Moved(BUDGET), 2));

        let mut script = [Movement::Moved(5), Movement::Blocked].into_iter();
        let (bytes, step) =
            pump(|| Ok(script.next().unwrap_or(Movement::Ended))).expect("no error");
        assert_eq!((bytes, step), (5, Movement::Blocked));
    }
}
