use std::net::{Ipv4Addr, SocketAddr};

use super::*;
use crate::load::dialer::Dialer;
use crate::load::meter::Meter;
use crate::model::SubjectKind;

fn contender(name: &str, kind: SubjectKind) -> Contender<'static> {
    Contender {
        name: name.to_owned(),
        kind,
        dialer: Dialer::here(SocketAddr::from((Ipv4Addr::LOCALHOST, 1))),
        meter: Meter::of_nothing(),
    }
}

fn contenders() -> [Contender<'static>; 3] {
    [
        contender("direct", SubjectKind::Direct),
        contender("setns", SubjectKind::Backend),
        contender("external", SubjectKind::Backend),
    ]
}

/// As they are on a usual machine.
const LINK: [Duration; 3] =
    [Duration::from_micros(50), Duration::from_micros(400), Duration::from_millis(9)];

fn planned(schedule: &Schedule<'_>) -> Duration {
    schedule.turns.iter().map(|turn| turn.expected).sum()
}

#[test]
fn subjects_alternate_and_idle_comes_first() {
    let all = contenders();
    let fit: Vec<_> = all.iter().zip(LINK).collect();
    let choices = Choices { rounds: 2, ..Choices::default() };
    let schedule = Schedule::make(&choices, &fit);
    let order: Vec<_> = schedule
        .turns
        .iter()
        .map(|turn| (turn.contender.name.as_str(), turn.workload.case(), turn.round))
        .collect();
    assert_eq!(order.len(), 2 + 2 * 11 * 3);
    assert!(order[..2].iter().all(|(name, case, _)| *name != "direct" && case == "idle links"));
    assert!(order[2..].chunks(3).all(|row| {
        let names: Vec<_> = row.iter().map(|turn| turn.0).collect();
        names == ["direct", "setns", "external"] && row.iter().all(|turn| turn.1 == row[0].1)
    }));
    assert!(order[2..].is_sorted_by_key(|turn| turn.2));
}

#[test]
fn few_descriptors_give_few_idle_links() {
    let links = [0, 256, 1024, 4256, u64::MAX].map(schedule::idle_links);
    assert_eq!(links, [1, 1, 384, 2000, 2000]);
}

#[test]
fn the_whole_keeps_to_its_time() {
    let all = contenders();
    let fit: Vec<_> = all.iter().zip(LINK).collect();
    for (choices, seconds) in [(Choices::quick(), 12.0), (Choices::default(), 120.0)] {
        let planned = planned(&Schedule::make(&choices, &fit)).as_secs_f64();
        assert!((seconds * 0.8..seconds * 1.05).contains(&planned), "{planned} s for {seconds} s");
    }
    let choices = Choices {
        families: vec![Family::Bulk],
        rounds: 5,
        timing: Timing::Window(Duration::from_secs(3)),
    };
    let schedule = Schedule::make(&choices, &fit);
    assert_eq!(schedule.turns.len(), 5 * 4 * 3);
    assert!(schedule.turns.iter().all(|turn| turn.window == Duration::from_secs(3)));
}

#[test]
fn who_fails_is_told_of_and_left_alone() {
    let mut failures = Failures::default();
    let failure = Failure::Relay("a stream ended".to_owned());
    assert!(!failures.rule_out("a", "w1"));
    failures.add("a", "w1", &failure);
    assert!(failures.rule_out("a", "w1"));
    assert!(!failures.rule_out("a", "w2") && !failures.rule_out("b", "w1"));
    failures.add("a", "w2", &failure);
    failures.add("a", "w3", &failure);
    assert!(failures.rule_out("a", "w4") && !failures.rule_out("b", "w4"));
    assert_eq!(failures.sentences[0], "a failed at w1: relay: a stream ended.");
    assert!(failures.sentences[3].contains("not tried"));
}

#[test]
fn the_estimate_follows_experience() {
    let seconds = Duration::from_secs;
    assert_eq!(remaining(seconds(9), seconds(1), seconds(100)), seconds(99));
    assert_eq!(remaining(seconds(100), seconds(50), seconds(100)), seconds(100));
    assert_eq!(remaining(seconds(100), seconds(100), seconds(100)), Duration::ZERO);
}
