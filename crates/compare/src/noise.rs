//! Doubts about figures: others at work on the machine, and rounds that disagree. Each is
//! told in a sentence.
//!
//! Nothing is corrected and nothing is left out on account of it; the reader has to know.

use std::collections::BTreeMap;
use std::fs;

use crate::load::report::{Figure, Measurement};
use crate::placement;
use crate::report::digest::{is_calm, DISTURBED};
use crate::report::stats::{Spread, WIDE};

/// The state of the machine when a comparison began.
#[derive(Debug)]
pub(crate) struct Watch {
    stolen: Option<Ticks>,
}

/// CPU time of the whole machine.
#[derive(Debug, Clone, Copy)]
struct Ticks {
    stolen: u64,
    all: u64,
}

impl Watch {
    /// Looks at the machine before anything is measured.
    pub(crate) fn begin() -> Self {
        Self { stolen: ticks() }
    }

    /// Returns the warnings about the time since, and about what was measured in it.
    pub(crate) fn end(&self, measurements: &[Measurement]) -> Vec<String> {
        let steal = self.stolen.zip(ticks()).and_then(|(before, now)| stolen(before, now));
        let others = others(measurements, placement::allowed().len());
        [others, steal, apart(measurements)].into_iter().flatten().collect()
    }
}

fn stolen(before: Ticks, now: Ticks) -> Option<String> {
    let share = now.stolen.saturating_sub(before.stolen) as f64
        / now.all.saturating_sub(before.all).max(1) as f64;
    (share > STOLEN).then(|| {
        format!(
            "The hypervisor took {:.0} % of the CPU time away from this machine (steal): compare CPU time, and rates only \
             with care.",
            share * 100.0
        )
    })
}

/// The CPU time that others used while something was measured: not the load average, in which our
/// own work of the minutes before is, but the machine's CPU time less that of the load and of the
/// relay under it. What goes on between two measurements disturbs none.
fn others(measurements: &[Measurement], cpus: usize) -> Option<String> {
    let busy = |one: &Measurement| one.figures.get(&Figure::OthersBusy).copied();
    let known: Vec<_> = measurements.iter().filter_map(|m| Some((m, busy(m)?))).collect();
    let disturbed = known.iter().filter(|(one, _)| !is_calm(one)).count();
    if disturbed as f64 <= MANY * known.len() as f64 {
        return None;
    }
    let seconds: f64 = known.iter().map(|(one, _)| one.seconds).sum();
    let used: f64 = known.iter().map(|(one, busy)| one.seconds * busy).sum();
    Some(format!(
        "Programs that are no part of this used {:.1} of {cpus} CPUs on average while it measured, and in {disturbed} of \
         {} measurements more than {:.0} % of a CPU: rates and latencies are worse than they could be. Measure again when \
         the machine is quiet.",
        used / seconds,
        known.len(),
        DISTURBED * 100.0
    ))
}

/// The subjects and workloads that have rounds far apart, by what is compared first: CPU time, or else
/// the rate.
fn apart(measurements: &[Measurement]) -> Option<String> {
    let mut rounds: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    for one in measurements {
        if let Some(value) = FIRST.iter().find_map(|figure| one.figures.get(figure)) {
            rounds.entry((&one.workload, &one.subject)).or_default().push(*value);
        }
    }
    rounds.retain(|_, values| values.len() > 1);
    let compared = rounds.len();
    let wide: Vec<String> = rounds
        .iter()
        .filter(|(_, values)| Spread::of(values).is_some_and(|spread| spread.is_wide()))
        .map(|((workload, subject), _)| format!("{subject} ({workload})"))
        .collect();
    let (first, rest) = wide.split_at(wide.len().min(NAMED));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    (!wide.is_empty()).then(|| {
        format!(
            "Rounds lie more than {:.0} % of their median apart for {} of {compared}: {}{more}. More rounds or a quieter \
             machine would help.",
            WIDE * 100.0,
            wide.len(),
            first.join(", ")
        )
    })
}

fn ticks() -> Option<Ticks> {
    parse_ticks(&fs::read_to_string("/proc/stat").ok()?)
}

/// The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal; what
/// follows is in user already.
fn parse_ticks(stat: &str) -> Option<Ticks> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let counts: Vec<u64> = fields.take(8).filter_map(|field| field.parse().ok()).collect();
    Some(Ticks { stolen: *counts.get(7)?, all: counts.iter().sum() })
}

/// Steal beyond this share of the CPU time is told.
const STOLEN: f64 = 0.02;

/// So large a share of disturbed measurements is told.
const MANY: f64 = 0.1;

/// So many of those are named.
const NAMED: usize = 5;

/// Figures that rounds are judged by, the best that there is.
const FIRST: [Figure; 4] = [
    Figure::CpuSecondsPerGb,
    Figure::CpuMicrosPerOperation,
    Figure::GbitPerSecond,
    Figure::PerSecond,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(subject: &str, cpu: f64, others: f64) -> Measurement {
        let line = format!(
            "{{\"subject\":\"{subject}\",\"workload\":\"w\",\"round\":1,\"meter\":\"none\",\"seconds\":1.0,\
             \"figures\":{{\"cpu_micros_per_operation\":{cpu},\"others_busy\":{others}}}}}"
        );
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn a_quiet_machine_has_nothing_to_tell() {
        let quiet = [measurement("a", 1.0, 0.1), measurement("a", 1.1, 0.0)];
        assert_eq!((others(&quiet, 2), apart(&quiet)), (None, None));
        let (before, now) = (Ticks { stolen: 5, all: 100 }, Ticks { stolen: 6, all: 300 });
        assert_eq!(stolen(before, now), None);
    }

    #[test]
    fn each_kind_of_noise_has_its_sentence() {
        let noisy =
            [measurement("a", 1.0, 0.3), measurement("a", 3.0, 0.0), measurement("b", 9.0, 0.0)];
        let words = others(&noisy, 2).unwrap();
        assert!(words.contains("used 0.1 of 2 CPUs on average"), "{words}");
        assert!(words.contains("in 1 of 3 measurements more than 20 % of a CPU"), "{words}");
        let words = apart(&noisy).unwrap();
        assert!(words.contains("for 1 of 1: a (w)."), "{words}");
        let (before, now) = (Ticks { stolen: 5, all: 100 }, Ticks { stolen: 25, all: 300 });
        assert!(stolen(before, now).unwrap().contains("10 %"));
    }

    #[test]
    fn only_what_others_use_disturbs() {
        // The load and the relay may be as busy as they like, and longer windows weigh more.
        let mut own = [measurement("a", 1.0, 0.0), measurement("a", 1.0, 0.2)];
        for one in &mut own {
            one.figures.extend([(Figure::LoadBusy, 1.0), (Figure::RelayBusy, 0.9)]);
        }
        assert_eq!(others(&own, 2), None);
        own[1].figures.insert(Figure::OthersBusy, 2.0);
        own[1].seconds = 3.0;
        assert!(others(&own, 4).unwrap().contains("used 1.5 of 4 CPUs"));
        // Where it cannot be told, nothing is.
        own.iter_mut()
            .for_each(|one| one.figures.retain(|figure, _| *figure != Figure::OthersBusy));
        assert_eq!(others(&own, 2), None);
    }

    #[test]
    fn steal_is_the_eighth_field() {
        let ticks = parse_ticks("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1\n").unwrap();
        assert_eq!((ticks.stolen, ticks.all), (8, 36));
        assert!(parse_ticks("cpu  1 2 3\n").is_none());
    }
}
