//! Bytes flow as they are sent and read: slowly, singly, urgently, and from many at once.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nsplice_trial::ramp;

use super::scene::{Link, Miss, Scene, Seen};
use super::threads::meanwhile;
use crate::load::process;
use crate::player::Side;

const MIB: u64 = 1 << 20;

/// The server speaks before the client has said anything.
pub(super) fn server_first(scene: &Scene<'_>) -> Seen {
    let Link { client, server } = scene.link()?;
    server.say(0, GREETING)?;
    client.hear("greeting", 0, GREETING)?;
    client.say(0, GREETING)?;
    server.hear("answer", 0, GREETING)?;
    Ok("greeting and answer".to_owned())
}

/// Write, write, read: where Nagle's algorithm meets delayed ACKs, each round takes 40 ms.
pub(super) fn dribble(scene: &Scene<'_>) -> Seen {
    let Link { client, server } = scene.link()?;
    let mut rounds = Vec::new();
    for offset in (0..ROUNDS).map(|round| 2 * round) {
        let start = Instant::now();
        for (from, to, what) in [(&client, &server, "upload"), (&server, &client, "download")] {
            from.say(offset, 1)?;
            from.say(offset + 1, 1)?;
            to.hear(what, offset, 2)?;
        }
        rounds.push(start.elapsed());
    }
    // The first rounds go without delay anyhow: TCP acknowledges at once in the beginning. Of the
    // others a busy machine delays some, and Nagle's algorithm all.
    let mut rounds = rounds.split_off(rounds.len() / 2);
    rounds.sort_unstable();
    let typical = rounds.get(rounds.len() / 4).copied().unwrap_or_default();
    let told = format!("a round of single bytes takes {:.2} ms", typical.as_secs_f64() * 1e3);
    if typical < STALL {
        Ok(told)
    } else {
        Err(Miss::fault(told))
    }
}

/// A byte out of band among others. It may arrive in line or be dropped; nothing else may change.
pub(super) fn urgent(scene: &Scene<'_>) -> Seen {
    let Link { client, server } = scene.link()?;
    client.say(0, GREETING)?;
    client.say_urgently(URGENT)?;
    client.say(GREETING, GREETING)?;
    client.fin()?;
    let mut heard = server.hear_all()?;
    let before = heard.len();
    heard.retain(|byte| *byte != URGENT);
    if let Err(at) = ramp::verify(0, &heard) {
        return Err(Miss::fault(format!("byte {} is another one", at.offset)));
    }
    if heard.len() as u64 != 2 * GREETING {
        return Err(Miss::fault(format!("{} of {} bytes arrived", heard.len(), 2 * GREETING)));
    }
    let fate = if heard.len() == before { "dropped" } else { "in line" };
    Ok(format!("the urgent byte is {fate}, the others are whole"))
}

/// The side `slow` does not read until the other one cannot send any more.
pub(super) fn slow_reader(scene: &Scene<'_>, slow: Side) -> Seen {
    let memory = || scene.running.pid().and_then(|pid| process::memory(pid).ok());
    let Link { client, server } = scene.link()?;
    // What the link has, it has before a byte moves: the process of a link is no buffer.
    server.say(0, 1)?;
    client.hear("first byte", 0, 1)?;
    let before = memory();
    let (reads, sends) = match slow {
        Side::Client => (client, server),
        Side::Server => (server, client),
    };
    let bound = buffers();
    let pushed = sends.say_until_stuck(bound)?;
    let grown = memory().zip(before).map(|(now, before)| now.saturating_sub(before));
    let in_mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / MIB as f64);
    let told = match grown {
        Some(grown) => format!("took {}, grew by {}", in_mib(pushed), in_mib(grown)),
        None => format!("took {}, its memory is not known", in_mib(pushed)),
    };
    if pushed >= bound || grown.is_some_and(|grown| grown > GROWTH) {
        return Err(Miss::fault(format!("{told}, and no end")));
    }
    thread::scope(|threads| {
        let rest = meanwhile(threads, || sends.say(pushed, MIB).and_then(|()| sends.fin()))?;
        let heard = reads.hear("stream", 0, pushed + MIB).and_then(|()| reads.expect_fin());
        if heard.is_err() {
            reads.give_up();
        }
        let said = rest.join();
        heard?;
        said.map_err(|_| Miss::fault("the sender failed"))??;
        Ok(told)
    })
}

/// Each of a hundred clients says where on the ramp it begins, and must hear what follows.
pub(super) fn hundred_at_once(scene: &Scene<'_>) -> Seen {
    let reception = scene.reception()?;
    let links: Vec<Link> = (0..MANY).map(|_| reception.link()).collect::<Result<_, _>>()?;
    drop(reception);
    for (Link { client, .. }, offset) in links.iter().zip(0..) {
        client.say(offset, ECHOED)?;
    }
    for (Link { server, .. }, offset) in links.iter().zip(0..) {
        server.hear("request", offset, ECHOED)?;
        server.say(offset + ECHOED, ECHOED)?;
    }
    for (Link { client, .. }, offset) in links.iter().zip(0..) {
        client.hear("reply", offset + ECHOED, ECHOED)?;
    }
    Ok(format!("{MANY} links, each with its own bytes"))
}

/// Bytes that the kernel may hold between two players with a relay in between, and some more for
/// the relay: whoever takes these has no bound.
fn buffers() -> u64 {
    let largest = |name: &str| {
        let sizes = fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default();
        let largest = sizes.split_whitespace().nth(2).and_then(|size| size.parse().ok());
        largest.unwrap_or(DEFAULT_BUFFER)
    };
    2 * (largest("tcp_rmem") + largest("tcp_wmem")) + RELAY_BUFFER
}

/// Bytes of a greeting.
const GREETING: u64 = 100;

const ROUNDS: u64 = 40;

/// Less than a delayed ACK, 40 ms, and far more than anything else on one machine.
const STALL: Duration = Duration::from_millis(30);

/// No byte of the ramp.
const URGENT: u8 = 255;

const MANY: usize = 100;

/// Bytes of each request and reply of many.
const ECHOED: u64 = 1000;

/// The largest size that kernels let a socket's buffer grow to, if this one does not tell.
const DEFAULT_BUFFER: u64 = 6 << 20;

/// Bytes that a relay may hold of one link in its own memory or in pipes.
const RELAY_BUFFER: u64 = 16 * MIB;

/// Bytes that a relay's memory may grow by for one link that is stuck.
const GROWTH: u64 = 16 * MIB;
