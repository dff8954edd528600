//! A FIN ends one direction and nothing else.

use std::thread::sleep;
use std::time::Duration;

use super::scene::{Link, Scene, Seen};
use crate::player::Side;

/// Bytes of each part of the talk: one ramp.
const LEN: u64 = 251;

/// Links whose FINs cross.
const ROUNDS: usize = 20;

/// The side `first` asks and sends its FIN; the other one answers after `delay`.
pub(super) fn reply(scene: &Scene<'_>, first: Side, delay: Duration) -> Seen {
    let Link { client, server } = scene.link()?;
    let (asks, answers) = match first {
        Side::Client => (client, server),
        Side::Server => (server, client),
    };
    asks.say(0, LEN)?;
    asks.fin()?;
    answers.hear("request", 0, LEN)?;
    answers.expect_fin()?;
    sleep(delay);
    let said = answers.say(0, LEN).and_then(|()| answers.fin());
    // That it does not arrive tells more than that it could not be sent.
    asks.hear("reply", 0, LEN)?;
    asks.expect_fin()?;
    said?;
    Ok("request, reply and both FINs".to_owned())
}

/// Both sides speak and send their FINs without waiting for the other, again and again.
pub(super) fn both_at_once(scene: &Scene<'_>) -> Seen {
    let reception = scene.reception()?;
    for _ in 0..ROUNDS {
        let Link { client, server } = reception.link()?;
        for one in [&server, &client] {
            one.say(0, LEN)?;
            one.fin()?;
        }
        client.hear("download", 0, LEN)?;
        server.hear("upload", 0, LEN)?;
        client.expect_fin()?;
        server.expect_fin()?;
    }
    Ok(format!("{ROUNDS} times both ways, whole"))
}
