//! Requests and replies of one size, one outstanding on each link: the cost of a small message, and
//! its delay.
//!
//! The latency of an operation runs from the moment its request is sent to the moment its reply is
//! whole. With many links it includes waiting behind the others, in the relay and here; it is
//! comparable between relays, not absolute.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::client::{Client, Progress};
use super::dialer::Dialer;
use super::failure::Failure;
use super::job::Job;
use super::latency::Latencies;
use super::meter::{Meter, Window};
use super::net::{self, Bin};
use super::origin::{Origin, Side};
use super::report::{Figure, Measurement};

/// Longest time of all links together to their first reply, beyond the warm-up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest sleep of a turn: the window's end is noticed this late at worst.
const TICK: Duration = Duration::from_millis(20);

struct Link {
    client: Client,
    asked: Instant,
    replied_before: bool,
}

/// Measures it.
///
/// # Errors
/// When a link ends or never answers.
pub(crate) fn run(
    job: &Job,
    relay: &Dialer<'_>,
    listener: TcpListener,
    meter: &Meter,
    links: usize,
    size: usize,
) -> Result<Measurement, Failure> {
    let (mut poll, mut events) = net::open_poll(links)?;
    let mut origin = Origin::new(listener, size, poll.registry())?;
    let mut bin = Bin::default();
    let mut latencies = Latencies::default();
    let start = Instant::now();
    let mut established = 0;
    let mut window: Option<Window<'_>> = None;

    let mut table = Vec::with_capacity(links);
    for index in 0..links {
        table.push(Link {
            client: Client::connect(relay, index, size, poll.registry())?,
            asked: Instant::now(),
            replied_before: false,
        });
    }

    loop {
        net::wait(&mut poll, &mut events, TICK)?;
        for event in &events {
            match Side::from(event.token()) {
                Side::Listener => origin.accept(poll.registry())?,
                Side::Origin(index) => origin.turn(index, &mut bin),
                Side::Client(index) => {
                    let ended =
                        |error| Failure::Relay(format!("link {index} of {links} ended: {error}"));
                    let link = &mut table[index];
                    if link.client.turn(&mut bin).map_err(ended)? == Progress::Replied {
                        let now = Instant::now();
                        latencies.add(now - link.asked);
                        if !link.replied_before {
                            link.replied_before = true;
                            established += 1;
                        }
                        link.asked = now;
                        link.client.ask_again().map_err(ended)?;
                    }
                }
            }
        }
        let now = Instant::now();
        match &window {
            Some(open) if open.is_over(now, job.window, latencies.count() > 0) => break,
            Some(_) => {}
            None if established == links && now - start >= job.warmup => {
                latencies.clear();
                window = Some(meter.open_window()?);
            }
            None if now - start >= job.warmup + PATIENCE => {
                return Err(Failure::Relay(format!(
                    "only {established} of {links} links gave a reply within {:.1} s",
                    (job.warmup + PATIENCE).as_secs_f64()
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
    report.operations(latencies.count(), &usage)?;
    report.set(Figure::Links, links);
    report.latencies(latencies);
    Ok(report)
}
