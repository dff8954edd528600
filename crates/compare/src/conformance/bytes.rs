//! Bytes arrive whole and in order, whatever goes the other way at the same time.

use std::sync::{Mutex, PoisonError};
use std::thread;

use super::scene::{Link, Miss, Scene, Seen};
use super::threads::meanwhile;

/// Sends `len` bytes of the ramp each way at once, and the FINs after them.
pub(super) fn both_ways(scene: &Scene<'_>, len: u64) -> Seen {
    let link = scene.link()?;
    exchange(&link, len)?;
    link.client.fin()?;
    link.server.expect_fin()?;
    link.server.fin()?;
    link.client.expect_fin()?;
    Ok(format!("{} each way, whole", amount(len)))
}

fn exchange(link: &Link, len: u64) -> Result<(), Miss> {
    let first = Mutex::new(None);
    // What fails first is told; the other three would only wait for their time limits.
    let note = |result: Result<(), Miss>| {
        if let Err(miss) = result {
            first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(miss);
            link.client.give_up();
            link.server.give_up();
        }
    };
    thread::scope(|threads| {
        for (player, what) in [(&link.client, "download"), (&link.server, "upload")] {
            let note = &note;
            let saying = meanwhile(threads, move || note(player.say(0, len).map_err(Miss::from)));
            let hearing =
                meanwhile(threads, move || note(player.hear(what, 0, len).map_err(Miss::from)));
            note(saying.and(hearing).map(drop));
        }
    });
    first.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// A number of bytes, in the largest unit that divides it.
fn amount(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.iter().find(|(shift, _)| bytes >> shift << shift == bytes && bytes >> shift > 0) {
        Some((shift, unit)) => format!("{} {unit}", bytes >> shift),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::amount;

    #[test]
    fn amounts_are_told_in_round_units() {
        let told = [1, 1 << 10, 64 << 20, 1 << 30, 1025].map(amount);
        assert_eq!(told, ["1 B", "1 KiB", "64 MiB", "1 GiB", "1025 B"]);
    }
}
