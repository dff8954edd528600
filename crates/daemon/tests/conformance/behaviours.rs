//! The behaviours of `nsplice compare`, tried with every backend.
//!
//! They are specified once, in the table of [`cases`]: what is expected of a relay, how it is tried, and
//! which backend is known to differ, for what reason. Here its relays are daemons on a [`Testbed`], so
//! that the log must agree as well: how the links have ended, and how many bytes they carried.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use nsplice_backend::Options;
use nsplice_compare::{
    cases as behaviours, try_cases, Case, Known, Launch, Milestone, Passed, Route, Running,
    Scenery, Subject, SubjectError,
};

use crate::journal::End;
use crate::{cases, Backend, Difference, Relay, Testbed};

cases! {
    bytes on setns no_splice external dial;
    half_close on setns no_splice external dial;
    reset on setns no_splice external dial;
    opening on setns no_splice external dial;
    flow on setns no_splice external dial;
    failing on setns no_splice external dial;
    remains on setns no_splice external dial;
}

const GROUPS: [&str; 7] = ["bytes", "half-close", "reset", "opening", "flow", "failing", "remains"];

/// Daemons as the relays of behaviours. They run until all have been tried.
#[derive(Debug)]
struct Daemons<'a> {
    testbed: &'a Testbed,
    relays: Mutex<Vec<Relay<'a>>>,
}

impl Launch for Daemons<'_> {
    fn start(
        &self,
        _: &Subject,
        _: &nsplice_compare::Stage,
        route: &Route,
    ) -> Result<Running, SubjectError> {
        let daemon = self.testbed.daemon(route.port.expect("a port"));
        let host = route.host.as_deref();
        let daemon = match host {
            _ if self.testbed.backend == Backend::Dial => {
                daemon.target(format!("tcp/{}", host.unwrap_or("localhost")))
            }
            Some(host) => daemon.option(&format!("to = '{host}'")),
            None => daemon,
        };
        let relay = daemon.start();
        let running = Running::at(relay.address(), relay.pid());
        self.relays.lock().unwrap_or_else(PoisonError::into_inner).push(relay);
        Ok(running)
    }
}

/// Tries the behaviours of `group`, sees that they are as the table says, and returns the ends of all
/// links, by relay.
fn play(testbed: &Testbed, group: &str) -> Vec<Vec<End>> {
    let tried: Vec<&Case> = behaviours().iter().filter(|case| case.group == group).collect();
    let subject = testbed.backend.subject();
    let daemons = Daemons { testbed, relays: Mutex::default() };
    let found = testbed.node().inside(|| {
        let theatre = nsplice_compare::Stage::open(Scenery {
            target: Some(testbed.target().parse().expect("a target")),
            port: None,
            program: env!("CARGO_BIN_EXE_nsplice").into(),
            options: Options::default(),
        });
        let subjects = [subject.clone()];
        let go_on = |_: &Milestone<'_>| ControlFlow::Continue(());
        try_cases(&theatre.expect("a stage"), &daemons, &subjects, &tried, &go_on).unwrap().0
    });
    let mut wrong = Vec::new();
    for (case, behaviour) in tried.iter().zip(&found) {
        let verdict = behaviour.verdict(&subject.name).expect("a verdict");
        let is_tried = !is_not_ours(case, testbed.backend);
        let is_as_expected = match (case.known(&subject), verdict.result) {
            (_, Passed::NotTried) => !is_tried,
            (None, result) => is_tried && result == Passed::Yes,
            (Some(Known::Never(_)), result) => result == Passed::No,
            (Some(Known::ByChance(_)), _) => true,
        };
        if !is_as_expected {
            wrong.push(format!("{}: {:?}, {}", case.name, verdict.result, verdict.seen));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let relays = daemons.relays.into_inner().unwrap_or_else(PoisonError::into_inner);
    // A daemon that has ended has told everything.
    let ends = |relay: Relay<'_>| End::all_of(&relay.finish().stderr());
    relays.into_iter().map(ends).collect()
}

/// What cannot be tried here: the container is not the comparison's own, and only some backends have a
/// child.
fn is_not_ours(case: &Case, backend: Backend) -> bool {
    case.name == "target-gone" || (case.name == "child-killed" && !backend.has_child())
}

/// The number of ends of each outcome.
fn outcomes(ends: &[End]) -> BTreeMap<&str, usize> {
    let mut outcomes = BTreeMap::new();
    ends.iter().for_each(|end| *outcomes.entry(end.outcome.as_str()).or_default() += 1);
    outcomes
}

/// Asserts that all links have ended well, and that so many of them carried this each way.
#[track_caller]
fn expect_carried(ends: &[End], carried: &[(u64, usize)]) {
    let mut counts: BTreeMap<(u64, u64), usize> = BTreeMap::new();
    ends.iter().for_each(|end| *counts.entry((end.up, end.down)).or_default() += 1);
    let expected: BTreeMap<_, _> =
        carried.iter().map(|&(bytes, links)| ((bytes, bytes), links)).collect();
    assert_eq!(counts, expected);
    assert!(ends.iter().all(|end| end.outcome == "clean"), "{ends:?}");
}

#[test]
fn every_behaviour_is_of_a_group() {
    let groups: BTreeSet<_> = behaviours().iter().map(|case| case.group).collect();
    assert_eq!(groups, BTreeSet::from(GROUPS));
}

fn bytes(testbed: &Testbed) {
    let ends = play(testbed, "bytes");
    expect_carried(&ends[0], &[(1, 1), (1 << 10, 1), (1 << 20, 1), (64 << 20, 1), (1 << 30, 1)]);
}

fn half_close(testbed: &Testbed) {
    let ends = play(testbed, "half-close");
    if testbed.differs(Difference::HalfCloseIsCut) {
        assert_eq!(outcomes(&ends[0]), BTreeMap::from([("clean", 8 + 20)]));
    } else {
        expect_carried(&ends[0], &[(251, 8 + 20)]);
    }
}

fn reset(testbed: &Testbed) {
    let ends = play(testbed, "reset");
    let told = outcomes(&ends[0]);
    assert_eq!(told.get("reset-by-downstream"), Some(&3), "{told:?}");
    if testbed.differs(Difference::ResetIsNotTold) {
        let others = ["reset-by-downstream", "clean", "child-failed-midway"];
        assert!(told.keys().all(|outcome| others.contains(outcome)), "{told:?}");
    } else {
        assert_eq!(told.get("reset-by-upstream"), Some(&3), "{told:?}");
    }
    assert_eq!(ends[0].len(), 6, "{told:?}");
}

fn opening(testbed: &Testbed) {
    let ends = play(testbed, "opening");
    let early = testbed.differs(Difference::OpensEarly);
    // The first leads to the container, the others to nowhere and to no name.
    let (here, nowhere) = ends.split_first().expect("a relay");
    let told = outcomes(here);
    if early {
        assert_eq!(told, BTreeMap::from([("refused", 2), ("reset-by-downstream", 1)]));
    } else {
        assert_eq!(told, BTreeMap::from([("refused", 1), ("cancelled", 1), ("clean", 1)]));
    }
    for refused in here.iter().filter(|end| end.outcome == "refused") {
        assert!(refused.detail.contains("Connection refused"), "{refused:?}");
        assert_eq!((refused.up, refused.down), (0, 0));
        assert_eq!(refused.open_us.is_some(), early);
    }
    let nowhere: Vec<_> = nowhere.iter().map(|ends| outcomes(ends)).collect();
    let one = |outcome| BTreeMap::from([(outcome, 1)]);
    assert_eq!(nowhere, [one("unreachable"), one("name-unknown")]);
}

fn flow(testbed: &Testbed) {
    let ends = play(testbed, "flow");
    // Some were torn amid others, and the flooded one was left amid its bytes. So many lines at once
    // are not all told.
    let told = outcomes(&ends[0]);
    let others = ["clean", "reset-by-downstream", "reset-by-upstream"];
    let of_child =
        |outcome: &str| testbed.backend.has_child() && outcome.starts_with("child-failed");
    assert!(told.keys().all(|one| others.contains(one) || of_child(one)), "{told:?}");
    assert!(told["clean"] > 50 && told["reset-by-downstream"] <= 21, "{told:?}");
}

fn failing(testbed: &Testbed) {
    let ends = play(testbed, "failing");
    if testbed.backend.has_child() {
        assert_eq!(outcomes(&ends[0]), BTreeMap::from([("child-failed-midway", 1)]));
    } else {
        assert!(ends[0].is_empty(), "{ends:?}");
    }
}

fn remains(testbed: &Testbed) {
    let ends = play(testbed, "remains");
    let told = outcomes(&ends[0]);
    // Twice ten of each: those that end well, and those that either side has torn.
    assert_eq!(told.get("clean"), Some(&(2 * 10)), "{told:?}");
    let others = ["clean", "reset-by-downstream", "reset-by-upstream", "child-failed-midway"];
    assert!(told.keys().all(|outcome| others.contains(outcome)), "{told:?}");
    assert_eq!(ends[0].len(), 2 * 30, "{told:?}");
}
