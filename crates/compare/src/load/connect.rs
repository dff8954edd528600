//! Connect, one small request, its reply, close: the cost of a connection rather than of its bytes.
//!
//! A slot goes through *asking* (connect and request), *closing* (our FIN is sent, the relay's is
//! awaited) and then starts anew. Awaiting the end keeps at most K connections in the relay, so the
//! rate cannot run ahead of its clean-up. The latency of an operation is the time to open: from
//! connect(2) to the first byte back, with which the whole of so small a reply comes.
//!
//! Who closes first keeps a TIME_WAIT. Here the client does: its FIN goes through the relay to the
//! origin, which closes in turn. So one TIME_WAIT stands on the client's port and one on the
//! relay's outgoing port; both pairs of addresses are new for each run, as script and relay use
//! fresh ports. Linux lets loopback connections take over such ports after a second (`tcp_tw_reuse`
//! = 2, the default), so 28,000 ports carry up to as many connections per second. Where that is
//! switched off a long run ends with a message that says so.

use std::io;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::client::{Client, Progress};
use super::dialer::Dialer;
use super::failure::Failure;
use super::job::{Job, SMALL_REQUEST};
use super::latency::Latencies;
use super::meter::{Meter, Window};
use super::net::{self, Bin};
use super::origin::{Origin, Side};
use super::report::{Figure, Measurement};

/// Longest sleep of a turn: the window's end is noticed this late at worst.
const TICK: Duration = Duration::from_millis(20);

/// Longest time in which no connection at all succeeds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Failed connections after which the relay is not worth measuring.
const MOST_FAILURES: usize = 1000;

struct Slot {
    client: Client,
    closing: bool,
}

/// The state of a slot after a turn.
enum State {
    Open,
    Replied,
    Over,
}

impl Slot {
    fn new(relay: &Dialer<'_>, index: usize, registry: &mio::Registry) -> Result<Self, Failure> {
        Ok(Self { client: Client::connect(relay, index, SMALL_REQUEST, registry)?, closing: false })
    }

    fn turn(&mut self, bin: &mut Bin) -> io::Result<State> {
        if self.closing {
            return Ok(if self.client.has_ended(bin)? { State::Over } else { State::Open });
        }
        if self.client.turn(bin)? == Progress::Waiting {
            return Ok(State::Open);
        }
        self.closing = true;
        self.client.close_write()?;
        Ok(State::Replied)
    }
}

/// Measures it.
///
/// # Errors
/// When connections fail by the hundred, or none succeeds for long.
pub(crate) fn run(
    job: &Job,
    relay: &Dialer<'_>,
    listener: TcpListener,
    meter: &Meter,
    parallel: usize,
) -> Result<Measurement, Failure> {
    let (mut poll, mut events) = net::open_poll(parallel)?;
    let mut origin = Origin::new(listener, SMALL_REQUEST, poll.registry())?;
    let mut bin = Bin::default();
    let mut latencies = Latencies::default();
    let mut failed = 0;
    let mut last_failure = String::new();
    let start = Instant::now();
    let mut progress = start;
    let mut window: Option<Window<'_>> = None;

    let mut slots = Vec::with_capacity(parallel);
    for index in 0..parallel {
        slots.push(Slot::new(relay, index, poll.registry())?);
    }

    loop {
        net::wait(&mut poll, &mut events, TICK)?;
        let now = Instant::now();
        for event in &events {
            match Side::from(event.token()) {
                Side::Listener => origin.accept(poll.registry())?,
                Side::Origin(index) => origin.turn(index, &mut bin),
                Side::Client(index) => match slots[index].turn(&mut bin) {
                    Ok(State::Open) => {}
                    Ok(State::Replied) => {
                        latencies.add(slots[index].client.begun().elapsed());
                        progress = now;
                    }
                    Ok(State::Over) => slots[index] = Slot::new(relay, index, poll.registry())?,
                    Err(error) => {
                        failed += 1;
                        last_failure = error.to_string();
                        slots[index] = Slot::new(relay, index, poll.registry())?;
                    }
                },
            }
        }
        if failed > MOST_FAILURES {
            return Err(Failure::Relay(format!(
                "{failed} connections failed, the last one with: {last_failure}"
            )));
        }
        if now - progress > PATIENCE {
            return Err(Failure::Relay(format!(
                "no connection got its reply for {} s",
                PATIENCE.as_secs()
            )));
        }
        match &window {
            Some(open) if open.is_over(now, job.window, latencies.count() > 0) => break,
            None if latencies.count() > 0 && now - start >= job.warmup => {
                latencies.clear();
                failed = 0;
                window = Some(meter.open_window()?);
            }
            _ => {}
        }
    }

    let Some(window) = window else {
        return Err(Failure::Relay("the measured window never opened".to_owned()));
    };
    let usage = window.close()?;
    let mut report = Measurement::new(job, meter, &usage);
    report.operations(latencies.count(), &usage)?;
    report.set(Figure::Failed, failed);
    report.latencies(latencies);
    Ok(report)
}
