//! The remains of links that have ended.
//!
//! The same links are made twice. What a relay keeps for the next ones, a pool of pipes say, it has
//! after the first time; what it has more of after the second is a leak.

use std::time::Duration;

use super::census::Census;
use super::scene::{wait_for, Link, Miss, Scene, Seen};

/// Links of each kind.
const EACH: usize = 10;

/// Bytes that are on their way when a link is torn.
const TORN: u64 = 64 << 10;

/// A pool may be fuller than before by this many descriptors: far fewer than there were links.
const POOL: usize = 16;

/// Longest time of a relay to clean up.
const CLEANING: Duration = Duration::from_secs(3);

/// The time in which nothing must change for a relay to be at rest.
const REST: Duration = Duration::from_millis(150);

/// Ends links in all ways, twice, and counts.
pub(super) fn left_behind(scene: &Scene<'_>) -> Seen {
    let pid = scene.pid()?;
    make_links(scene)?;
    let before = at_rest(pid);
    make_links(scene)?;
    let left = || Census::of(pid).beyond(&before);
    let is_clean = || {
        let left = left();
        left.processes == 0 && left.sockets + left.others == 0 && left.pipes <= POOL
    };
    if wait_for(CLEANING, is_clean).is_none() {
        return Err(Miss::fault(format!("{} more after {} links", left(), 3 * EACH)));
    }
    Ok(format!("nothing after {} links", 3 * EACH))
}

/// The holdings of a relay once they do not change any more.
fn at_rest(pid: u32) -> Census {
    let mut census = Census::of(pid);
    let mut changes = || {
        let now = Census::of(pid);
        let changed = now != census;
        census = now;
        changed
    };
    // Ten times as often as anything that ends slowly would need.
    for _ in 0..CLEANING.as_millis() / REST.as_millis() {
        if wait_for(REST, &mut changes).is_none() {
            break;
        }
    }
    census
}

fn make_links(scene: &Scene<'_>) -> Result<(), Miss> {
    let reception = scene.reception()?;
    let mut links = Vec::new();
    for _ in 0..3 * EACH {
        let link = reception.link()?;
        link.client.say(0, TORN)?;
        link.server.say(0, TORN)?;
        links.push(link);
    }
    for (index, Link { client, server }) in links.into_iter().enumerate() {
        match index % 3 {
            0 => client.reset(),
            1 => server.reset(),
            _ => {
                client.hear("stream", 0, TORN)?;
                server.hear("stream", 0, TORN)?;
                client.fin()?;
                server.fin()?;
                // How the FINs arrive is not the question here.
                let _ = (client.ending(), server.ending());
            }
        }
    }
    Ok(())
}
