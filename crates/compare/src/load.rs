//! The load that relays are compared under.
//!
//! # Theory of operation
//!
//! One process and one thread hold both ends of every connection: the *client* side connects to the
//! relay under test, the *origin* side is what the relay connects to. So one clock times both ends,
//! one loop schedules them, and nothing but the relay stands between. A run is
//!
//! 1. [`ready`]: wait until one round trip through the relay works, which is the only honest sign
//!    that it is up;
//! 2. warm-up: the workload runs unmeasured, so that windows, buffers and allocators have grown;
//! 3. the window: counters start from zero, and the [`meter`] is read at both of its edges;
//! 4. [`report`]: figures are computed from the difference.
//!
//! What is compared is the CPU that the relay used, not the rate: on a shared machine rates swing
//! by a third from one minute to the next, CPU per byte or per request does so far less. The kernel
//! work of the relay's system calls is in that figure; so is the part of loopback delivery that
//! runs on the back of its sends, as is usual on loopback. The same holds for every relay measured,
//! so the comparison is fair though the absolute number is not a law.
//!
//! The generator must not be the bottleneck it measures. Payload is sent from one static block that
//! stays in cache, and received with `MSG_TRUNC`, which for TCP drops the bytes in the kernel
//! without a copy. Whether that was enough is part of each report: `load_busy` is the share of one
//! CPU this process used, and the row "direct", without a relay, shows what the load costs alone.
//!
//! [`start`] differs: it starts a program for each connection, so there is no relay that must be up
//! first, and what it counts is what its children used.
//!
//! Contents are not checked here; the tests of the relay do that. Lengths are.

pub(crate) mod bulk;
pub(crate) mod client;
pub(crate) mod connect;
pub(crate) mod dialer;
pub(crate) mod failure;
pub(crate) mod idle;
pub(crate) mod job;
pub(crate) mod latency;
pub(crate) mod meter;
pub(crate) mod net;
pub(crate) mod origin;
pub(crate) mod pingpong;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod ready;
pub(crate) mod report;
pub(crate) mod start;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use dialer::Dialer;
use failure::Failure;
use job::{Job, Workload};
use meter::Meter;
use report::Measurement;

use crate::placement::Placement;

/// The address at which an origin listens unless it is told another: a free port.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Runs a workload through the relay at `relay`, or without one, with its servers at `origin`, or on
/// a free port. The relay's costs are not counted.
///
/// # Errors
/// When the relay never answers, when a link that should live ends, or when the system refuses
/// sockets or counters.
pub fn measure_relay(
    job: &Job,
    relay: Option<SocketAddr>,
    origin: Option<SocketAddr>,
) -> Result<Measurement, Failure> {
    let listener = net::listen(origin.unwrap_or(ANY_PORT))?;
    let origin = listener
        .local_addr()
        .map_err(|error| Failure::system("read the origin's address", error))?;
    let meter = match relay {
        Some(_) => Meter::open(&[], None)?,
        None => Meter::of_nothing(),
    };
    measure(job, &Dialer::here(relay.unwrap_or(origin)), listener, &meter)
}

/// Starts `program` for each link, on a CPU of its own. Its processes are counted by themselves.
///
/// # Errors
/// When it does not relay, or the system refuses sockets or counters.
pub fn measure_programs(job: &Job, program: &Path) -> Result<Measurement, Failure> {
    let listener = net::listen(ANY_PORT)?;
    // The programs inherit the CPU.
    let _pinned = Placement::choose().map(|placement| placement.apply([]));
    start::run(job, program, &listener, &Meter::of_nothing())
}

/// Runs one workload: clients connect by `relay`, the origin is on `listener`.
///
/// # Errors
/// When the relay never answers, when a link that should live ends, or when the system refuses
/// sockets or counters.
pub(crate) fn measure(
    job: &Job,
    relay: &Dialer<'_>,
    listener: TcpListener,
    meter: &Meter,
) -> Result<Measurement, Failure> {
    net::raise_fd_limit(job.workload.fds_needed())?;
    ready::wait(relay, &listener, job.patience)?;
    match job.workload {
        Workload::Bulk { streams, direction } => {
            bulk::run(job, relay, listener, meter, streams, direction)
        }
        Workload::PingPong { links, size } => {
            pingpong::run(job, relay, listener, meter, links, size)
        }
        Workload::Connect { parallel } => connect::run(job, relay, listener, meter, parallel),
        Workload::Idle { links, opening } => {
            idle::run(job, relay, listener, meter, idle::Wish { links, opening })
        }
        Workload::Start => Err(Failure::Usage("start takes a program, not a relay".to_owned())),
    }
}
