//! An RST is passed on as an RST: whoever gets a FIN instead takes a torn stream for a whole one.

use std::thread;

use nsplice_trial::{ramp, Ending};

use super::scene::{Link, Miss, Scene, Seen};
use super::threads::meanwhile;
use crate::player::{Player, Side};

/// Bytes that have gone through a busy link before it is reset.
const BUSY: u64 = 1 << 20;

/// Bytes that are sent before an RST: more than are heard, and few enough to be under way.
const SENT: u64 = BUSY + (512 << 10);

/// Bytes that nobody takes after an RST: more than any buffers on the way hold.
const ENDLESS: u64 = 512 << 20;

/// The side `from` resets a link on which nothing is under way.
pub(super) fn while_idle(scene: &Scene<'_>, from: Side) -> Seen {
    let (from, to) = opened(scene, from)?;
    from.reset();
    to.expect_reset()?;
    Ok("RST".to_owned())
}

/// The side `from` resets a link over which the other one sends all it can.
pub(super) fn while_busy(scene: &Scene<'_>, from: Side) -> Seen {
    let (from, to) = opened(scene, from)?;
    let ending = thread::scope(|threads| {
        let sending = meanwhile(threads, || to.say_to_the_end(ENDLESS))?;
        let heard = from.hear("stream", 0, BUSY);
        from.reset();
        let ending = sending.join().map_err(|_| Miss::fault("the sender failed"))?;
        heard.map(|()| ending).map_err(Miss::from)
    })?;
    match ending {
        Ending::Reset => Ok("RST".to_owned()),
        seen => Err(to.otherwise("RST", seen).into()),
    }
}

/// The side `from` resets a link amid what it sends itself. A reset takes with it what was sent and has
/// not arrived.
pub(super) fn while_sending(scene: &Scene<'_>, from: Side) -> Seen {
    let (from, to) = opened(scene, from)?;
    thread::scope(|threads| {
        let sending = meanwhile(threads, || from.say(0, SENT))?;
        let heard = to.hear("stream", 0, BUSY);
        if heard.is_err() {
            from.give_up();
        }
        let said = sending.join().map_err(|_| Miss::fault("the sender failed"))?;
        heard?;
        said.map_err(Miss::from)
    })?;
    from.reset();
    let (bytes, ending) = to.hear_to_the_end();
    if let Err(at) = ramp::verify(BUSY, &bytes) {
        return Err(Miss::fault(format!("byte {} is another one", at.offset)));
    }
    match ending {
        Ending::Reset => Ok("RST".to_owned()),
        seen => Err(to.otherwise("RST", seen).into()),
    }
}

/// A link that has proved to be open both ways: the side `first`, and the other.
fn opened(scene: &Scene<'_>, first: Side) -> Result<(Player, Player), Miss> {
    let Link { client, server } = scene.link()?;
    client.say(0, 1)?;
    server.hear("first byte", 0, 1)?;
    server.say(0, 1)?;
    client.hear("first byte", 0, 1)?;
    Ok(match first {
        Side::Client => (client, server),
        Side::Server => (server, client),
    })
}
