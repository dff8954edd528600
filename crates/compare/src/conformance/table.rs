//! The behaviours, each an entry: what it is called, what is expected, and how it is tried.

use std::time::Duration;

use super::scene::{Scene, Seen};
use super::Extent::{self, Full, Quick};
use super::{bytes, failing, flow, half_close, opening, remains, resets};
use crate::player::Side::{Client, Server};

/// A time at which behaviours are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// It waits for its time, and all that do so wait at once.
    Late,
    /// It waits until nothing moves; both directions at once.
    Stuck,
    /// It is over soon.
    Short,
    /// It takes all the CPUs there are.
    Heavy,
}

impl Act {
    /// All, in their order.
    pub(super) const ALL: [Self; 4] = [Self::Late, Self::Stuck, Self::Short, Self::Heavy];

    /// Returns whether its cases are played at once, because they wait.
    pub(super) fn is_waiting(self) -> bool {
        matches!(self, Self::Late | Self::Stuck)
    }
}

/// A behaviour.
#[derive(Debug)]
pub(super) struct Case {
    /// Its key.
    pub(super) name: &'static str,
    /// Its subject.
    pub(super) group: &'static str,
    /// What is expected.
    pub(super) expected: &'static str,
    /// The least extent that it is part of.
    pub(super) extent: Extent,
    /// The time at which it is tried.
    pub(super) act: Act,
    /// The trial itself.
    pub(super) play: fn(&Scene<'_>) -> Seen,
}

/// Makes a table of lines `EXTENT ACT "NAME" "EXPECTED" FUNCTION;` under the group that they are
/// of.
macro_rules! cases {
    ($($group:literal { $($extent:ident $act:ident $name:literal $expected:literal $play:expr;)+ })+) => {
        &[$($(Case {
            name: $name,
            group: $group,
            expected: $expected,
            extent: $extent,
            act: Act::$act,
            play: $play,
        },)+)+]
    };
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// All behaviours, in the order of a report.
pub(super) static CASES: &[Case] = cases! {
    "bytes" {
        Quick Short "bytes-1B" "One byte each way arrives." |s| bytes::both_ways(s, 1);
        Quick Short "bytes-1KiB" "1 KiB each way at once arrives whole and in order." |s| bytes::both_ways(s, KIB);
        Quick Short "bytes-1MiB" "1 MiB each way at once arrives whole and in order." |s| bytes::both_ways(s, MIB);
        Full Heavy "bytes-64MiB" "64 MiB each way at once arrive whole and in order." |s| bytes::both_ways(s, 64 * MIB);
        Full Heavy "bytes-1GiB" "1 GiB each way at once arrives whole and in order." |s| bytes::both_ways(s, GIB);
    }
    "half-close" {
        Quick Late "half-close-down-0s" "The client's FIN is passed on, and the reply to it arrives whole." |s| half_close::reply(s, Client, ms(0));
        Quick Late "half-close-down-0.7s" "A reply that comes 0.7 s after the client's FIN arrives whole." |s| half_close::reply(s, Client, ms(700));
        Full Late "half-close-down-2s" "A reply that comes 2 s after the client's FIN arrives whole." |s| half_close::reply(s, Client, ms(2000));
        Full Late "half-close-down-10s" "A reply that comes 10 s after the client's FIN arrives whole." |s| half_close::reply(s, Client, ms(10_000));
        Quick Late "half-close-up-0s" "The server's FIN is passed on, and the reply to it arrives whole." |s| half_close::reply(s, Server, ms(0));
        Quick Late "half-close-up-0.7s" "A reply that comes 0.7 s after the server's FIN arrives whole." |s| half_close::reply(s, Server, ms(700));
        Full Late "half-close-up-2s" "A reply that comes 2 s after the server's FIN arrives whole." |s| half_close::reply(s, Server, ms(2000));
        Full Late "half-close-up-10s" "A reply that comes 10 s after the server's FIN arrives whole." |s| half_close::reply(s, Server, ms(10_000));
    }
    "reset" {
        Quick Short "reset-down-idle" "An RST of a client that is idle reaches the server as RST." |s| resets::while_idle(s, Client);
        Quick Short "reset-down-busy" "An RST of a client amid a download reaches the server as RST." |s| resets::while_busy(s, Client);
        Quick Short "reset-up-idle" "An RST of a server that is idle reaches the client as RST." |s| resets::while_idle(s, Server);
        Quick Short "reset-up-busy" "An RST of a server amid an upload reaches the client as RST." |s| resets::while_busy(s, Server);
    }
    "opening" {
        Quick Short "refused" "Where nobody listens, the client gets RST, not a polite FIN." opening::refused;
        Quick Short "unreachable" "Where no route leads, the client gets RST." opening::unreachable;
        Quick Short "unresolvable" "Where a name does not resolve, the client gets RST." opening::unresolvable;
        Quick Short "ipv6-only" "A server that listens on ::1 only is reached." opening::ipv6_only;
        Quick Short "cancel-while-opening" "When the client gives up before the server answers, so does the relay." opening::cancelled;
    }
    "flow" {
        Quick Short "server-first" "A server may speak first." flow::server_first;
        Quick Short "dribble" "Single bytes arrive whole, and none waits for an ACK." flow::dribble;
        Quick Short "urgent" "An urgent byte stalls nothing and spoils no other." flow::urgent;
        Quick Stuck "slow-reader-down" "A client that does not read costs bounded memory, and misses nothing." |s| flow::slow_reader(s, Client);
        Quick Stuck "slow-reader-up" "A server that does not read costs bounded memory, and misses nothing." |s| flow::slow_reader(s, Server);
        Quick Short "hundred-at-once" "A hundred links at once keep their bytes apart." flow::hundred_at_once;
    }
    "failing" {
        Quick Short "target-gone" "When the target ends, its links end, and new clients get RST." failing::target_gone;
        Quick Short "child-killed" "When the process of a link is killed, the client gets RST." failing::child_killed;
    }
    "remains" {
        Quick Short "left-behind" "When links have ended, so have their descriptors and processes." remains::left_behind;
    }
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_keys() {
        let names: HashSet<_> = CASES.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), CASES.len());
    }
}
