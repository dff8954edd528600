//! The cost of a link that does nothing: memory, kernel memory included, between before and after
//! opening N of them; processes and descriptors, likewise; and the CPU that goes into doing
//! nothing.
//!
//! Each link does one round trip, so it is established end to end and the relay has had every
//! reason to allocate what it will; then nothing moves. The kernel charges memory to a group in
//! batches of up to 64 pages per CPU, so single readings are off by as much; over thousands of
//! links that is a few hundred bytes each at worst. The reading is taken when it has stopped
//! changing, since relays free their buffers late.
//!
//! A relay with a process for each link takes thousands of times as long to get N links as one
//! without. When the time for opening is over, the links that are there are what is measured, and
//! the report says how many.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use mio::{Events, Poll};

use super::client::{Client, Progress};
use super::dialer::Dialer;
use super::failure::Failure;
use super::job::{Job, SMALL_REQUEST};
use super::meter::Meter;
use super::net::{self, Bin};
use super::origin::{Origin, Side};
use super::report::{Figure, Measurement};

/// Links that are being established at the same time: enough to be quick, few against any relay's
/// accept queue.
const AT_A_TIME: usize = 32;

/// Longest time in which no link at all gets established.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two readings of a memory counter that should have settled; less where there is little
/// time.
const SETTLE_STEP: Duration = Duration::from_millis(200);

/// Readings this close are the same: a quarter of the kernel's charge batch, and less than one link
/// of any relay that grows by processes.
const SAME: u64 = 64 * 1024;

/// The links that are wanted, and the time for opening them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    /// So many,
    pub links: usize,
    /// or as many as can be opened in this time.
    pub opening: Duration,
}

struct Bench {
    poll: Poll,
    events: Events,
    bin: Bin,
    origin: Origin,
    clients: Vec<Client>,
    established: usize,
}

/// Measures it.
///
/// # Errors
/// When links are refused, or end while idle.
pub(crate) fn run(
    job: &Job,
    relay: &Dialer<'_>,
    listener: TcpListener,
    meter: &Meter,
    wish: Wish,
) -> Result<Measurement, Failure> {
    let (poll, events) = net::open_poll(AT_A_TIME)?;
    let origin = Origin::new(listener, SMALL_REQUEST, poll.registry())?;
    let mut bench = Bench {
        poll,
        events,
        bin: Bin::default(),
        origin,
        clients: Vec::with_capacity(wish.links),
        established: 0,
    };

    let before = bench.settled(meter, job.window)?;
    let held_before = meter.holdings()?;
    let links = bench.open(relay, wish)?;
    let after = bench.settled(meter, job.window)?;
    let held_after = meter.holdings()?;
    let window = meter.open_window()?;
    bench.turn_for(job.window)?;
    let usage = window.close()?;
    if bench.origin.open() < links {
        return Err(Failure::Relay(format!(
            "only {} of {links} links are still open",
            bench.origin.open()
        )));
    }

    let mut report = Measurement::new(job, meter, &usage);
    report.set(Figure::Links, links);
    report.idling(&usage, links);
    if let (Some(before), Some(after)) = (held_before, held_after) {
        report.holdings(before, after, links);
    }
    if let (Some(before), Some(after)) = (before, after) {
        report.memory(before, after, links);
    }
    Ok(report)
}

impl Bench {
    /// One pass of the loop.
    fn turn(&mut self, timeout: Duration) -> Result<(), Failure> {
        net::wait(&mut self.poll, &mut self.events, timeout)?;
        for event in &self.events {
            match Side::from(event.token()) {
                Side::Listener => self.origin.accept(self.poll.registry())?,
                Side::Origin(index) => self.origin.turn(index, &mut self.bin),
                Side::Client(index) => {
                    let client = &mut self.clients[index];
                    let ended = |error| Failure::Relay(format!("link {index} ended: {error}"));
                    if client.turn(&mut self.bin).map_err(ended)? == Progress::Replied {
                        self.established += 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// Opens the links that are wished for, and says how many there are.
    fn open(&mut self, relay: &Dialer<'_>, wish: Wish) -> Result<usize, Failure> {
        let start = Instant::now();
        let mut progress = start;
        let mut links = wish.links;
        while self.established < links {
            let was = self.established;
            if start.elapsed() > wish.opening {
                // Those that have been begun are waited for, so that none is half open.
                links = self.clients.len().max(1);
            }
            while self.clients.len() < links && self.clients.len() - self.established < AT_A_TIME {
                let index = self.clients.len();
                let client = Client::connect(relay, index, SMALL_REQUEST, self.poll.registry())?;
                self.clients.push(client);
            }
            self.turn(SETTLE_STEP)?;
            if self.established > was {
                progress = Instant::now();
            } else if progress.elapsed() > PATIENCE {
                return Err(Failure::Relay(format!(
                    "only {was} of {links} links could be established"
                )));
            }
        }
        Ok(links)
    }

    /// Passes of the loop for a time.
    fn turn_for(&mut self, time: Duration) -> Result<(), Failure> {
        let start = Instant::now();
        while start.elapsed() < time {
            self.turn(time.saturating_sub(start.elapsed()))?;
        }
        Ok(())
    }

    /// The memory in use once it no longer changes, or when `longest` is over.
    fn settled(&mut self, meter: &Meter, longest: Duration) -> Result<Option<u64>, Failure> {
        let step = SETTLE_STEP.min(longest / 2);
        let start = Instant::now();
        let Some(mut last) = meter.memory()? else { return Ok(None) };
        loop {
            self.turn_for(step)?;
            let Some(now) = meter.memory()? else { return Ok(None) };
            if now.abs_diff(last) <= SAME || start.elapsed() >= longest {
                return Ok(Some(now));
            }
            last = now;
        }
    }
}
