//! What real subjects cost on a real stage. No figure is asserted but those that are counts.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use nsplice_backend::Choice;
use nsplice_compare::{run, Choices, Comparison, Family, Figure, Means, Measurement, Milestone};
use nsplice_compare::{Peer, Request, Stage, Subject, Timing};
use nsplice_testkit::skip::{require_root_or_userns, require_tool};
use nsplice_testkit::Program;

use crate::{on_a_thread, scenery};

/// Short windows: enough for a count, too short for a figure.
fn short(families: &[Family]) -> Choices {
    let timing = Timing::Window(Duration::from_millis(60));
    Choices { families: families.to_vec(), rounds: 1, timing }
}

/// Measures `subjects`, and lets `tell` hear of each step of the costs.
fn measure(
    stage: &Stage,
    subjects: &[Subject],
    families: &[Family],
    tell: &(dyn Fn(&Milestone<'_>) -> ControlFlow<()> + Sync),
) -> Comparison {
    let request = Request {
        scenery: scenery(None),
        subjects: subjects.to_vec(),
        extent: None,
        choices: Some(short(families)),
    };
    run(&request, stage, tell).unwrap()
}

fn go_on(_: &Milestone<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn of<'a>(comparison: &'a Comparison, subject: &str) -> Vec<&'a Measurement> {
    comparison.measurements.iter().filter(|m| m.subject == subject).collect()
}

/// A relay of ours to the port of `stage`, as one that runs already.
fn peer(stage: &Stage, name: &str, cgroup: Option<PathBuf>) -> (Program, Subject) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nsplice"));
    command.args(["forward", &stage.target().to_string(), &format!(":{}", stage.port())]);
    command.args(["--address", "127.0.0.1"]).stdin(Stdio::null());
    let relay = Program::spawn(&mut command);
    let peer = Peer { address: relay.forwarded_address(), pid: Some(relay.pid()), cgroup };
    (relay, Subject { name: name.to_owned(), means: Means::Peer(peer) })
}

#[test]
fn everything_is_measured_for_everyone() {
    if !require_root_or_userns("everything_is_measured_for_everyone") {
        return;
    }
    on_a_thread(|| {
        let stage = Stage::open(scenery(None)).unwrap();
        let subjects = [Choice::Setns, Choice::Dial].map(Subject::backend);
        let all = Choices::default().families;
        let costs = measure(&stage, &subjects, &all, &go_on);
        let failed: Vec<_> = costs.warnings.iter().filter(|w| w.contains("failed")).collect();
        assert!(failed.is_empty(), "{failed:?}");
        // Each has opened links alone, without a relay, as well; but the floor is one.
        assert_eq!(of(&costs, "direct").len(), 1 + 11);
        for (subject, alone) in [("floor", 0), ("setns", 1), ("dial", 1)] {
            let measured = of(&costs, subject);
            assert_eq!(measured.len(), alone + 12, "{subject}");
            let (first, rest) = measured[alone..].split_first().unwrap();
            assert_eq!(first.workload, "idle links");
            let idle = &first.figures;
            assert!(idle[&Figure::Links] >= 1.0, "{subject}: {idle:?}");
            // Two sockets, and now and then one of the relay's own.
            let descriptors = idle[&Figure::DescriptorsPerLink];
            assert!((2.0..2.5).contains(&descriptors), "{subject}: {descriptors}");
            assert!(idle[&Figure::ProcessesPerLink].abs() < 1e-9, "{subject}: {idle:?}");
            assert!(rest.iter().all(|m| m.figures[&Figure::LoadBusy] > 0.0));
        }
        let opened = costs.measurements.iter().filter(|m| m.workload.starts_with("connect"));
        assert!(opened.clone().count() == 12 && opened.clone().all(|m| m.latencies.len() == 11));
        let machine = &costs.machine;
        assert!(!machine.meter.is_empty() && !machine.placement.is_empty(), "{machine:?}");
    });
}

#[test]
fn children_are_counted_with_their_relay() {
    const TEST: &str = "children_are_counted_with_their_relay";
    let tools = ["nsenter", "socat"].iter().all(|tool| require_tool(TEST, tool).is_some());
    if !require_root_or_userns(TEST) || !tools {
        return;
    }
    on_a_thread(|| {
        let stage = Stage::open(scenery(None)).unwrap();
        let external = [Subject::backend(Choice::External)];
        let costs = measure(&stage, &external, &[Family::Idle], &go_on);
        let idle = &of(&costs, "external")[0].figures;
        assert!((idle[&Figure::ProcessesPerLink] - 1.0).abs() < 1e-9, "{idle:?}");
        assert!(idle[&Figure::DescriptorsPerLink] > 4.0, "{idle:?}");
    });
}

#[test]
fn one_that_does_not_relay_is_a_warning_and_the_rest_goes_on() {
    if !require_root_or_userns("one_that_does_not_relay_is_a_warning") {
        return;
    }
    on_a_thread(|| {
        let stage = Stage::open(scenery(None)).unwrap();
        // It dies when the second kind of requests begins, having been fit before.
        let (relay, dying) = peer(&stage, "dying", None);
        let (relay, last) = (Mutex::new(Some(relay)), Mutex::new(None));
        let costs = measure(&stage, &[dying], &[Family::Requests], &|step| {
            if step.done == 3 {
                relay.lock().unwrap().take();
            }
            *last.lock().unwrap() = Some((step.done, step.total));
            // Each failure of a relay that is gone takes its patience; one is enough here.
            if step.done == 6 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert_eq!(last.into_inner().unwrap(), Some((6, 12)));
        assert_eq!((of(&costs, "dying").len(), of(&costs, "direct").len()), (1, 2));
        let told = costs.warnings.iter().find(|warning| warning.starts_with("dying failed at"));
        assert!(told.is_some_and(|told| told.contains("64 x 64 B")), "{:?}", costs.warnings);
    });
}

#[test]
fn a_group_that_does_not_count_is_told() {
    if !require_root_or_userns("a_group_that_does_not_count_is_told") {
        return;
    }
    on_a_thread(|| {
        let stage = Stage::open(scenery(None)).unwrap();
        let (_relay, grouped) = peer(&stage, "grouped", Some("/proc".into()));
        let costs = measure(&stage, &[grouped], &[Family::Idle], &|_| ControlFlow::Break(()));
        let told = costs.warnings.iter().find(|w| w.starts_with("grouped was not measured: "));
        assert!(told.is_some_and(|told| told.contains("cpuacct.usage")), "{:?}", costs.warnings);
    });
}

#[test]
fn what_has_been_measured_stays_when_the_origin_cannot_listen_any_more() {
    if !require_root_or_userns("what_has_been_measured_stays") {
        return;
    }
    on_a_thread(|| {
        let stage = Stage::open(scenery(None)).unwrap();
        let taken = Mutex::new(None);
        let dial = [Subject::backend(Choice::Dial)];
        let costs = measure(&stage, &dial, &[Family::Requests], &|step| {
            if step.done == 2 {
                *taken.lock().unwrap() = Some(stage.listen(stage.origin(), 1).unwrap());
            }
            ControlFlow::Continue(())
        });
        assert_eq!(costs.measurements.len(), 2);
        let told = costs.warnings.iter().any(|w| w.starts_with("The rest was not measured: "));
        assert!(told, "{:?}", costs.warnings);
    });
}
