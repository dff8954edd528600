//! Links side by side, some of which behave badly.

use std::thread;

use super::scene::{Link, Miss, Scene, Seen};
use super::threads::meanwhile;

/// Times that a good link is used while others behave badly.
const ROUNDS: u64 = 20;

/// Bytes that a flood has at most, if nothing stops it: more than all buffers on the way hold.
const FLOOD: u64 = 64 << 20;

/// While one client floods and does not read, one says nothing and others reset, a link that was there
/// before and those that are opened meanwhile are served.
pub(super) fn one_bad_link_never_harms_another(scene: &Scene<'_>) -> Seen {
    let reception = scene.reception()?;
    let good = reception.link()?;
    let silent = reception.link()?;
    let flooded = reception.link()?;
    ask(&good, 0)?;
    thread::scope(|threads| {
        let flood = meanwhile(threads, || flooded.client.say_until_stuck(FLOOD))?;
        for round in 1..=ROUNDS {
            let torn = reception.link()?;
            ask(&torn, 0)?;
            torn.client.reset();
            ask(&good, round)?;
            let next = reception.link()?;
            ask(&next, 0)?;
        }
        flood.join().map_err(|_| Miss::fault("the flood failed"))?.map_err(Miss::from)
    })?;
    // It is stuck still, and that makes no difference.
    ask(&good, ROUNDS + 1)?;
    ask(&silent, 0)?;
    Ok(format!("{ROUNDS} rounds beside a flood, silence and {ROUNDS} resets"))
}

/// A byte there and one back, those of the ramp at `offset`.
fn ask(Link { client, server }: &Link, offset: u64) -> Result<(), Miss> {
    client.say(offset, 1)?;
    server.hear("request", offset, 1)?;
    server.say(offset, 1)?;
    client.hear("reply", offset, 1)?;
    Ok(())
}
