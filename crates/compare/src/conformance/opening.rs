//! The fate of a client whose server cannot be reached, or does not answer.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use super::census::Census;
use super::scene::{wait_for, Link, Miss, Reception, Scene, Seen};
use crate::player::Fault;
use crate::stage::Birth;
use crate::subject::{Means, SubjectError};

/// An address that TCP has no route to in any namespace: the limited broadcast address.
const NOWHERE: &str = "255.255.255.255";

/// A name that is reserved for not being there (RFC 6761).
const NO_NAME: &str = "nsplice-compare.invalid";

/// Longest time of a relay to notice: to begin with an opening, or to give one up.
const NOTICE: Duration = Duration::from_secs(3);

/// Longest time that an opening goes on which its relay has not given up. Where nobody listens, its next
/// try is its last: the kernel tries again 1, 3, 7 and 15 s after the first, or every second to
/// begin with (tcp_syn_linear_timeouts).
const LAST_TRY: Duration = Duration::from_secs(13);

/// TCP_SYN_SENT, as /proc/net/tcp has it.
const SYN_SENT: &str = "02";

/// Nobody listens where the relay leads to.
pub(super) fn refused(scene: &Scene<'_>) -> Seen {
    let _closed = scene.nobody_listens();
    expect_reset(scene)
}

/// The relay leads to an address without a route.
pub(super) fn unreachable(scene: &Scene<'_>) -> Seen {
    leads_to(scene, NOWHERE)
}

/// The relay leads to a name that does not resolve.
pub(super) fn unresolvable(scene: &Scene<'_>) -> Seen {
    leads_to(scene, NO_NAME)
}

fn leads_to(scene: &Scene<'_>, host: &str) -> Seen {
    match &scene.subject.means {
        Means::Command(template) if !template.to_string().contains("{address}") => {
            return Err(Miss::not_tried("the command has no {address}, and leads to one place"));
        }
        _ => {}
    }
    match scene.start(Some(host)) {
        Ok(running) => expect_reset(&scene.with(&running)),
        Err(error @ SubjectError::Fixed) => Err(Miss::not_tried(error.to_string())),
        Err(error) => Err(Miss::fault(error.to_string())),
    }
}

/// A client must be told by RST; it may come before connect(2) returns.
fn expect_reset(scene: &Scene<'_>) -> Seen {
    let start = Instant::now();
    match scene.client() {
        Ok(client) => client.expect_reset()?,
        Err(Miss::Fault(Fault::Unconnected(error)))
            if error.kind() == ErrorKind::ConnectionReset => {}
        Err(other) => return Err(other),
    }
    Ok(format!("RST after {:.1} ms", start.elapsed().as_secs_f64() * 1e3))
}

/// The server listens on ::1 and nowhere else.
pub(super) fn ipv6_only(scene: &Scene<'_>) -> Seen {
    let Link { client, server } = scene.reception_on(Ipv6Addr::LOCALHOST.into(), 1)?.link()?;
    client.say(0, 1)?;
    server.hear("request", 0, 1)?;
    server.say(0, 1)?;
    client.hear("reply", 0, 1)?;
    Ok("reached over IPv6".to_owned())
}

/// The accept queue of the server is full, so an opening stays one; then the client resets.
pub(super) fn cancelled(scene: &Scene<'_>) -> Seen {
    let reception = scene.reception_on(Ipv4Addr::LOCALHOST.into(), 0)?;
    let seen = cancel(scene, &reception);
    // A relay that does not give up would be let in by the next who listens, in the place of one
    // that was asked for. The entrance is ours until the reception is dropped.
    reception.listener.shut();
    wait_for(LAST_TRY, || openings(scene) == 0);
    seen
}

fn cancel(scene: &Scene<'_>, reception: &Reception<'_>) -> Seen {
    let mut waiting = Vec::new();
    // The first client that is not let in may have met a busy machine instead of a full queue.
    wait_for(NOTICE, || match reception.fill() {
        Some(client) => {
            waiting.push(client);
            false
        }
        None => !waiting.is_empty(),
    });
    // What has filled the queue is tried again for a while; it is not the relay's.
    let before = openings(scene);
    let held = scene.running.pid().map(Census::of);
    let client = scene.client()?;
    if wait_for(NOTICE, || openings(scene) > before).is_none() {
        return Err(Miss::fault("no opening was seen"));
    }
    client.reset();
    let Some(took) = wait_for(NOTICE, || openings(scene) <= before) else {
        let seconds = NOTICE.as_secs();
        return Err(Miss::fault(format!("it was still opening {seconds} s after the RST")));
    };
    if let Some((pid, before)) = scene.running.pid().zip(held) {
        let left = || Census::of(pid).beyond(&before);
        if wait_for(NOTICE, || left().is_empty()).is_none() {
            return Err(Miss::fault(format!("{} left behind", left())));
        }
    }
    Ok(format!("given up after {:.1} ms", took.as_secs_f64() * 1e3))
}

/// Connections on their way to the relay's port, on both sides.
fn openings(scene: &Scene<'_>) -> usize {
    let port = format!(":{:04X}", scene.port());
    let count = |table: &str| {
        let lines = table.lines().filter(|line| {
            let mut fields = line.split_whitespace().skip(2);
            let remote = fields.next().is_some_and(|remote| remote.ends_with(&port));
            remote && fields.next() == Some(SYN_SENT)
        });
        lines.count()
    };
    let of = |birth| {
        let table = scene.stage.visit(birth, || fs::read_to_string("/proc/thread-self/net/tcp"));
        table.and_then(|table| table).map_or(0, |table| count(&table))
    };
    of(Birth::Node) + of(Birth::Target)
}
