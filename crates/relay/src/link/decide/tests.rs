//! Every combination of facts: none of them may lead to what a peer must never see.

use super::*;

const SIDES: [Side; 2] = [Side::Downstream, Side::Upstream];
const BOTH: [bool; 2] = [false, true];

/// All values of `count` facts.
fn facts<const COUNT: usize>() -> impl Iterator<Item = [bool; COUNT]> {
    (0..1_u32 << COUNT).map(|bits| std::array::from_fn(|place| bits >> place & 1 == 1))
}

fn partings() -> impl Iterator<Item = Parting> {
    let sides = Outcome::ALL.into_iter().flat_map(|outcome| SIDES.map(|side| (outcome, side)));
    sides.flat_map(|(outcome, side)| {
        facts().map(move |facts| {
            let [gentle, shared, has_child, handed_over, was_told, has_ended, starves] = facts;
            Parting {
                outcome,
                side,
                gentle,
                shared,
                has_child,
                handed_over,
                was_told,
                has_ended,
                starves,
            }
        })
    })
}

#[test]
fn nobody_is_reset_where_nobody_is_ever_reset() {
    for parting in partings().filter(|parting| parting.gentle || parting.shared) {
        assert_ne!(parting.farewell(), Farewell::Abort, "{parting:?}");
    }
}

#[test]
fn an_end_that_is_not_clean_is_told_to_whoever_was_not_served() {
    for parting in partings().filter(|parting| !parting.gentle && !parting.shared) {
        let is_served = parting.was_told && !parting.has_child;
        let is_reset = matches!(parting.outcome, Outcome::Reset(_));
        if parting.outcome != Outcome::Clean && !(is_reset && is_served) {
            assert_eq!(parting.farewell(), Farewell::Abort, "{parting:?}");
        }
    }
}

#[test]
fn no_reset_follows_a_clean_end() {
    for parting in partings().filter(|parting| parting.outcome == Outcome::Clean) {
        // A link is clean when both ends were passed on; or, with a child or one way only, when the
        // client has everything.
        if parting.side == Side::Downstream || parting.was_told || parting.has_ended {
            let is_child = parting.side == Side::Upstream && parting.has_child;
            if !is_child && !parting.starves {
                assert_ne!(parting.farewell(), Farewell::Abort, "{parting:?}");
            }
        }
    }
}

#[test]
fn what_was_delivered_is_not_taken_back_because_the_other_side_resets() {
    for parting in partings() {
        let is_reset = matches!(parting.outcome, Outcome::Reset(_));
        if is_reset && parting.was_told && !parting.has_child && !parting.shared {
            assert_eq!(parting.farewell(), Farewell::Leave, "{parting:?}");
        }
    }
}

/// Whoever starves is sending perhaps: closing over unread bytes would be a reset.
#[test]
fn nobody_is_closed_over_bytes_that_come_late() {
    for parting in partings().filter(|parting| !parting.shared && parting.starves) {
        assert_ne!(parting.farewell(), Farewell::Close, "{parting:?}");
    }
}

#[test]
fn a_fin_before_the_close_is_for_those_who_would_get_none() {
    for parting in partings().filter(|parting| !parting.gentle) {
        let is_needed = parting.side == Side::Downstream
            && parting.outcome == Outcome::Clean
            && (parting.handed_over || parting.has_child);
        assert_eq!(parting.needs_fin(), is_needed, "{parting:?}");
    }
}

const PHASES: [Phase; 5] =
    [Phase::Flowing, Phase::Draining, Phase::Ended, Phase::Done, Phase::Dead];

fn endings() -> impl Iterator<Item = Ended> {
    let children =
        [None, Some(ChildIs::Over), Some(ChildIs::Awaited), Some(ChildIs::Alive)].into_iter();
    children.flat_map(|child| {
        PHASES.into_iter().flat_map(move |phase| {
            SIDES.into_iter().flat_map(move |from| {
                BOTH.map(move |other_is_done| Ended { from, phase, other_is_done, child })
            })
        })
    })
}

#[test]
fn no_fin_overtakes_a_byte_and_none_is_sent_twice() {
    for ended in endings().filter(|ended| ended.phase != Phase::Ended) {
        assert!(matches!(ended.due(), Due::Nothing | Due::Verdict), "{ended:?}");
    }
}

/// Nothing but the end of a child, which an event and a grace tell of, keeps an end waiting.
#[test]
fn an_end_is_not_forgotten() {
    for ended in endings().filter(|ended| ended.phase == Phase::Ended) {
        let waits = ended.from == Side::Upstream && ended.child == Some(ChildIs::Awaited);
        assert_eq!(ended.due() == Due::Nothing, waits, "{ended:?}");
    }
}

#[test]
fn only_the_output_of_a_child_that_is_over_is_judged() {
    for ended in endings().filter(|ended| ended.due() == Due::Verdict) {
        assert_eq!((ended.from, ended.child), (Side::Upstream, Some(ChildIs::Over)));
    }
}

fn alarms() -> impl Iterator<Item = Alarm> {
    SIDES.into_iter().flat_map(|side| {
        facts().map(move |facts| {
            let [gentle, heard, hears_nothing, owed, is_pair, is_child, meets_it, has_sink] = facts;
            let is_child = is_child && side == Side::Upstream;
            Alarm {
                side,
                gentle,
                heard,
                hears_nothing,
                owed,
                is_pair,
                is_child,
                meets_it,
                has_sink,
            }
        })
    })
}

/// The bytes before an error are read first: what a side has sent is owed to the other one.
#[test]
fn an_error_that_is_met_is_left_to_the_lane() {
    for alarm in alarms().filter(|alarm| alarm.meets_it && !alarm.is_pair && !alarm.heard) {
        assert!(!matches!(alarm.response(), Response::End(_)), "{alarm:?}");
    }
}

/// An error that no lane meets and that ends nothing would be waited on for ever, unless somebody
/// still hears, or the sink that had it is closed.
#[test]
fn an_error_that_no_lane_meets_is_answered() {
    for alarm in alarms().filter(|alarm| alarm.response() == Response::Nothing) {
        let is_met = alarm.meets_it && !alarm.is_pair;
        let goes_on = alarm.gentle && (!alarm.heard || !alarm.hears_nothing);
        assert!(is_met || goes_on || !alarm.has_sink, "{alarm:?}");
    }
}

#[test]
fn a_child_that_reads_no_more_may_still_speak() {
    for alarm in alarms().filter(|alarm| alarm.is_child && alarm.is_pair) {
        assert!(!matches!(alarm.response(), Response::End(_)), "{alarm:?}");
    }
}
