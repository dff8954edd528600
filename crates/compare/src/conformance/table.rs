//! The behaviours, each an entry: what it is called, what is expected, how it is tried, and which
//! backend is known to differ.
//!
//! The conformance suite of the daemon plays all of them with every backend and expects just this.

use std::time::Duration;

use nsplice_backend::Choice;

use super::difference::{Difference, Known};
use super::scene::{Scene, Seen};
use super::Extent::{self, Full, Quick};
use super::{bytes, failing, flow, half_close, neighbours, opening, remains, resets};
use crate::player::Side::{Client, Server};
use crate::subject::{Means, Subject};

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
pub struct Case {
    /// Its key.
    pub name: &'static str,
    /// Its subject.
    pub group: &'static str,
    /// The expectation.
    pub expected: &'static str,
    /// The least extent that it is part of.
    pub extent: Extent,
    /// The time at which it is tried.
    pub(super) act: Act,
    /// The trial itself.
    pub(super) play: fn(&Scene<'_>) -> Seen,
    /// The backends that are known to differ.
    known: &'static [(Choice, Known)],
}

impl Case {
    /// Returns what is known of `subject` in this, if it is a backend that differs.
    pub fn known(&self, subject: &Subject) -> Option<Known> {
        let Means::Backend { backend, .. } = subject.means else { return None };
        self.known.iter().find(|(one, _)| *one == backend).map(|(_, known)| *known)
    }
}

/// Makes a table of lines `EXTENT ACT "NAME" "EXPECTED" FUNCTION;` under the group that they are
/// of. `but BACKEND KNOWN(DIFFERENCE)` before the semicolon says what is known of a backend.
macro_rules! cases {
    ($($group:literal {
        $($extent:ident $act:ident $name:literal $expected:literal $play:expr
            $(=> but $backend:ident $known:ident $difference:ident)?;)+
    })+) => {
        &[$($(Case {
            name: $name,
            group: $group,
            expected: $expected,
            extent: $extent,
            act: Act::$act,
            play: $play,
            known: &[$((Choice::$backend, Known::$known(Difference::$difference)))?],
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
        Quick Late "half-close-down-0.7s" "A reply that comes 0.7 s after the client's FIN arrives whole." |s| half_close::reply(s, Client, ms(700))
            => but External Never HalfCloseIsCut;
        Full Late "half-close-down-2s" "A reply that comes 2 s after the client's FIN arrives whole." |s| half_close::reply(s, Client, ms(2000))
            => but External Never HalfCloseIsCut;
        Full Late "half-close-down-10s" "A reply that comes 10 s after the client's FIN arrives whole." |s| half_close::reply(s, Client, ms(10_000))
            => but External Never HalfCloseIsCut;
        Quick Late "half-close-up-0s" "The server's FIN is passed on, and the reply to it arrives whole." |s| half_close::reply(s, Server, ms(0))
            => but External Never FinIsLate;
        Quick Late "half-close-up-0.7s" "A reply that comes 0.7 s after the server's FIN arrives whole." |s| half_close::reply(s, Server, ms(700))
            => but External Never HalfCloseIsCut;
        Full Late "half-close-up-2s" "A reply that comes 2 s after the server's FIN arrives whole." |s| half_close::reply(s, Server, ms(2000))
            => but External Never HalfCloseIsCut;
        Full Late "half-close-up-10s" "A reply that comes 10 s after the server's FIN arrives whole." |s| half_close::reply(s, Server, ms(10_000))
            => but External Never HalfCloseIsCut;
        Quick Short "half-close-both" "Where both sides speak and send their FINs at once, both are heard." half_close::both_at_once;
    }
    "reset" {
        Quick Short "reset-down-idle" "An RST of a client that is idle reaches the server as RST." |s| resets::while_idle(s, Client)
            => but External Never ResetMayBecomeFin;
        Quick Short "reset-down-busy" "An RST of a client amid a download reaches the server as RST." |s| resets::while_busy(s, Client)
            => but External ByChance ResetMayBecomeFin;
        Quick Short "reset-up-idle" "An RST of a server that is idle reaches the client as RST." |s| resets::while_idle(s, Server)
            => but External ByChance ResetIsNotTold;
        Quick Short "reset-up-busy" "An RST of a server amid an upload reaches the client as RST." |s| resets::while_busy(s, Server)
            => but External ByChance ResetIsNotTold;
        Quick Short "reset-down-sending" "An RST of a client amid its upload reaches the server as RST, and no wrong byte before it." |s| resets::while_sending(s, Client)
            => but External ByChance ResetMayBecomeFin;
        Quick Short "reset-up-sending" "An RST of a server amid its download reaches the client as RST, and no wrong byte before it." |s| resets::while_sending(s, Server)
            => but External ByChance ResetIsNotTold;
    }
    "opening" {
        Quick Short "refused" "Where nobody listens, the client gets RST, not a polite FIN." opening::refused;
        Quick Short "unreachable" "Where no route leads, the client gets RST." opening::unreachable;
        Quick Short "unresolvable" "Where a name does not resolve, the client gets RST." opening::unresolvable;
        Quick Short "ipv6-only" "A server that listens on ::1 only is reached." opening::ipv6_only
            => but External Never OnlyIpv4;
        Quick Short "cancel-while-opening" "When the client gives up before the server answers, so does the relay." opening::cancelled;
    }
    "flow" {
        Quick Short "server-first" "A server may speak first." flow::server_first;
        Quick Short "dribble" "Single bytes arrive whole, and none waits for an ACK." flow::dribble;
        Quick Short "urgent" "An urgent byte stalls nothing and spoils no other." flow::urgent;
        Quick Stuck "slow-reader-down" "A client that does not read costs bounded memory, and misses nothing." |s| flow::slow_reader(s, Client);
        Quick Stuck "slow-reader-up" "A server that does not read costs bounded memory, and misses nothing." |s| flow::slow_reader(s, Server);
        Quick Short "hundred-at-once" "A hundred links at once keep their bytes apart." flow::hundred_at_once;
        Quick Short "bad-neighbours" "Links that reset, flood or say nothing do no harm to others." neighbours::one_bad_link_never_harms_another;
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
