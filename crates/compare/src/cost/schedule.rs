//! The schedule: who does what, when, and for how long.
//!
//! Either the length of a window is given, or the time for all of it. Then the windows are what is
//! left of that time once what cannot be shortened is taken off: the opening of links, which takes
//! a relay with a process for each link hundreds of times as long as one without. How long one link
//! takes each contender was measured beforehand.

use std::time::Duration;

use nix::sys::resource::{getrlimit, Resource};

use super::Contender;
use crate::load::job::{Direction, Workload};
use crate::model::SubjectKind;

/// A group of workloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Connections.
    Open,
    /// Requests and replies.
    Requests,
    /// Bytes.
    Bulk,
    /// Links that do nothing.
    Idle,
}

/// The length of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// Each measured window takes this long.
    Window(Duration),
    /// All of it takes about this long, however many contenders there are.
    Whole(Duration),
}

/// A choice of what is to be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    /// The groups of workloads.
    pub families: Vec<Family>,
    /// The number of times each is measured.
    pub rounds: u32,
    /// The length of each.
    pub timing: Timing,
}

impl Default for Choices {
    /// Everything, in two minutes.
    fn default() -> Self {
        let families = vec![Family::Open, Family::Requests, Family::Bulk, Family::Idle];
        Self { families, rounds: 4, timing: Timing::Whole(Duration::from_secs(120)) }
    }
}

impl Choices {
    /// Everything once, in twelve seconds: to see whether it works, and by what order of magnitude.
    pub fn quick() -> Self {
        Self { rounds: 1, timing: Timing::Whole(Duration::from_secs(12)), ..Self::default() }
    }
}

impl Family {
    /// Its workloads but idle links, which are there once.
    fn workloads(self) -> Vec<Workload> {
        let ping_pong = |links, size| Workload::PingPong { links, size };
        let bulk = |streams, direction| Workload::Bulk { streams, direction };
        match self {
            Self::Open => [1, 8, 64].map(|parallel| Workload::Connect { parallel }).into(),
            // The first is the round trip of one message that nothing else is in the way of.
            Self::Requests => vec![
                ping_pong(1, 64),
                ping_pong(64, 64),
                ping_pong(64, 1024),
                ping_pong(16, 16 * 1024),
            ],
            Self::Bulk => vec![
                bulk(1, Direction::Up),
                bulk(1, Direction::Down),
                bulk(16, Direction::Up),
                bulk(16, Direction::Down),
            ],
            Self::Idle => Vec::new(),
        }
    }
}

/// One measurement that is to be made.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) contender: &'a Contender<'a>,
    pub(super) workload: Workload,
    pub(super) round: u32,
    pub(super) window: Duration,
    pub(super) warmup: Duration,
    /// The time from its beginning to its end.
    pub(super) expected: Duration,
}

/// All of them, in their order.
#[derive(Debug)]
pub(super) struct Schedule<'a> {
    pub(super) turns: Vec<Turn<'a>>,
}

impl<'a> Schedule<'a> {
    /// Plans `choices` for contenders, for each of whom it is known how long one link takes to be
    /// opened.
    pub(super) fn make(choices: &Choices, contenders: &[(&'a Contender<'a>, Duration)]) -> Self {
        let relays = contenders.iter().filter(|(c, _)| c.kind != SubjectKind::Direct).count();
        let idle = choices.families.contains(&Family::Idle).then(|| Idle::of(choices.timing));
        let mut turns = Vec::new();
        if let Some(idle) = idle {
            for &(contender, link) in contenders {
                // Without a relay there is nothing whose memory could be asked for.
                if contender.kind != SubjectKind::Direct {
                    turns.push(idle.turn(contender, link));
                }
            }
        }
        let workloads: Vec<Workload> =
            choices.families.iter().flat_map(|family| family.workloads()).collect();
        let fixed: Duration = contenders
            .iter()
            .flat_map(|&(_, link)| workloads.iter().map(move |workload| overhead(*workload, link)))
            .sum();
        let each = match choices.timing {
            Timing::Window(window) => window + window / WARMUP,
            Timing::Whole(whole) => {
                let idling = idle.map_or(Duration::ZERO, |idle| idle.longest()) * count(relays);
                let slots = choices.rounds * count(contenders.len() * workloads.len());
                let rest = whole.saturating_sub(idling + fixed * choices.rounds);
                (rest / slots.max(1)).clamp(SHORTEST, LONGEST)
            }
        };
        let warmup = each / (WARMUP + 1);
        for round in 1..=choices.rounds {
            for &workload in &workloads {
                turns.extend(contenders.iter().map(|&(contender, link)| Turn {
                    contender,
                    workload,
                    round,
                    window: each - warmup,
                    warmup,
                    expected: each + overhead(workload, link),
                }));
            }
        }
        Self { turns }
    }
}

/// The measurement of idle links.
#[derive(Debug, Clone, Copy)]
struct Idle {
    opening: Duration,
    window: Duration,
}

impl Idle {
    fn of(timing: Timing) -> Self {
        match timing {
            Timing::Window(window) => Self { opening: window * 2, window },
            Timing::Whole(whole) => Self { opening: whole / 60, window: whole / 120 },
        }
    }

    fn workload(self) -> Workload {
        Workload::Idle { links: idle_links(descriptors()), opening: self.opening }
    }

    /// Memory settles before and after; then the window.
    fn longest(self) -> Duration {
        self.opening + self.window * 3
    }

    fn turn<'a>(self, contender: &'a Contender<'a>, link: Duration) -> Turn<'a> {
        let opening = (link * count(IDLE_LINKS) / IDLE_AT_A_TIME).min(self.opening);
        Turn {
            contender,
            workload: self.workload(),
            round: 1,
            window: self.window,
            warmup: Duration::ZERO,
            expected: opening + self.window * 2,
        }
    }
}

/// As many descriptors as we may have.
fn descriptors() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(_, hard)| hard)
}

/// As many idle links as can be had with so many `descriptors`: both ends of a link are ours.
pub(super) fn idle_links(descriptors: u64) -> usize {
    let most = usize::try_from(descriptors / 2).unwrap_or(usize::MAX);
    most.saturating_sub(128).clamp(1, IDLE_LINKS)
}

/// A warning if there are so few idle links that their memory says little.
pub(super) fn few_idle_links() -> Option<String> {
    let (descriptors, links) = (descriptors(), idle_links(descriptors()));
    (links < IDLE_LINKS).then(|| {
        format!(
            "The limit of {descriptors} descriptors leaves {links} idle links at most where \
             {IDLE_LINKS} are wanted, so what one takes in memory is coarse; a higher hard limit \
             (ulimit -n) would help."
        )
    })
}

/// The time of a workload besides its window: a listener, a first round trip, and the opening of its
/// links.
fn overhead(workload: Workload, link: Duration) -> Duration {
    let links = match workload {
        Workload::Bulk { streams, .. } => streams,
        Workload::PingPong { links, .. } | Workload::Idle { links, .. } => links,
        Workload::Connect { parallel } => parallel,
        Workload::Start => 0,
    };
    FIXED + link * (count(links) + 1)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Enough that the batches in which the kernel counts memory do not show.
const IDLE_LINKS: usize = 2000;

/// Links are opened side by side, which shortens it where the time is waiting and not work.
const IDLE_AT_A_TIME: u32 = 2;

/// The warm-up is one part of so many and one.
const WARMUP: u32 = 4;

/// The time of each measurement besides, apart from links.
const FIXED: Duration = Duration::from_millis(3);

/// Warm-up and window together: shorter ones would measure the counters' own steps.
const SHORTEST: Duration = Duration::from_millis(60);

/// Longer ones only make it longer.
const LONGEST: Duration = Duration::from_secs(4);
