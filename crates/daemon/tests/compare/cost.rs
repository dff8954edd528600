//! What real subjects cost on a real stage. No figure is asserted but those that are counts.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use nsplice_backend::{Choice, Options};
use nsplice_compare::cost::{self, Choices, Contender, Costs, Family, Timing};
use nsplice_compare::floor;
use nsplice_compare::group::Group;
use nsplice_compare::load::failure::Failure;
use nsplice_compare::load::report::{Figure, Measurement};
use nsplice_compare::model::SubjectKind;
use nsplice_compare::stage::{Birth, Stage};
use nsplice_compare::subject::{Launcher, Route, Running, Subject};
use nsplice_testkit::skip::require_root_or_userns;

use crate::{on_a_thread, scenery};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nsplice");

/// Short windows: enough for a count, too short for a figure.
fn short(families: &[Family]) -> Choices {
    let timing = Timing::Window(Duration::from_millis(60));
    Choices { families: families.to_vec(), rounds: 1, timing }
}

struct Relay {
    // Ended before its group is taken away.
    running: Running,
    _group: Option<Group>,
    groups: Vec<PathBuf>,
}

impl Relay {
    fn start(name: &str, start: impl FnOnce(&[PathBuf]) -> Running) -> Self {
        let group = Group::make(name).ok();
        let groups = group.as_ref().map(|group| group.directories().to_vec()).unwrap_or_default();
        Self { running: start(&groups), _group: group, groups }
    }

    fn backend(stage: &Stage, backend: Choice) -> Self {
        let subject = Subject::backend(backend);
        Self::start(&subject.name, |groups| {
            let options = Options::default();
            let launcher = Launcher { program: PROGRAM.into(), options, groups: groups.to_vec() };
            subject.start(stage, &launcher, &Route::default()).unwrap()
        })
    }

    fn floor(stage: &Stage) -> Self {
        Self::start("floor", |groups| floor::start(Path::new(PROGRAM), stage, groups).unwrap())
    }

    fn contender<'a>(&self, stage: &'a Stage, name: &str, birth: Birth) -> Contender<'a> {
        let kind = SubjectKind::Backend;
        Contender::relay(stage, name, kind, birth, &self.running, &self.groups).unwrap()
    }
}

fn measure(stage: &Stage, contenders: &[Contender<'_>], choices: &Choices) -> Costs {
    cost::run(stage, contenders, choices, &|_| ControlFlow::Continue(())).unwrap()
}

fn of<'a>(costs: &'a Costs, subject: &str) -> Vec<&'a Measurement> {
    costs.measurements.iter().filter(|m| m.subject == subject).collect()
}

#[test]
fn everything_is_measured_for_everyone() {
    if !require_root_or_userns("everything_is_measured_for_everyone") {
        return;
    }
    on_a_thread(|| {
        let stage = Stage::open(scenery(None)).unwrap();
        let (setns, dial) =
            (Relay::backend(&stage, Choice::Setns), Relay::backend(&stage, Choice::Dial));
        let floor = Relay::floor(&stage);
        let contenders = [
            Contender::direct(&stage),
            floor.contender(&stage, "floor", Birth::Node),
            setns.contender(&stage, "setns", Birth::Node),
            dial.contender(&stage, "dial", Birth::Target),
        ];
        let all = Choices::default().families;
        let costs = measure(&stage, &contenders, &short(&all));
        let failed: Vec<_> = costs.warnings.iter().filter(|w| w.contains("failed")).collect();
        assert!(failed.is_empty(), "{failed:?}");
        assert_eq!(of(&costs, "direct").len(), 11);
        for subject in ["floor", "setns", "dial"] {
            let measured = of(&costs, subject);
            assert_eq!(measured.len(), 12, "{subject}");
            assert_eq!(measured[0].workload, "idle links");
            let idle = &measured[0].figures;
            assert!(idle[&Figure::Links] >= 1.0, "{subject}: {idle:?}");
            // Two sockets, and now and then one of the relay's own.
            let descriptors = idle[&Figure::DescriptorsPerLink];
            assert!((2.0..2.5).contains(&descriptors), "{subject}: {descriptors}");
            assert!(idle[&Figure::ProcessesPerLink].abs() < 1e-9, "{subject}: {idle:?}");
            assert!(measured[1..].iter().all(|m| m.figures[&Figure::LoadBusy] > 0.0));
        }
        let opened = costs.measurements.iter().filter(|m| m.workload.starts_with("connect"));
        assert!(opened.clone().count() == 12 && opened.clone().all(|m| m.latencies.len() == 11));
        assert!(!costs.meter.is_empty() && !costs.placement.is_empty(), "{costs:?}");
    });
}

#[test]
fn children_are_counted_with_their_relay() {
    const TEST: &str = "children_are_counted_with_their_relay";
    if !require_root_or_userns(TEST)
        || nsplice_testkit::skip::require_tool(TEST, "socat").is_none()
        || nsplice_testkit::skip::require_tool(TEST, "nsenter").is_none()
    {
        return;
    }
    on_a_thread(|| {
        let stage = Stage::open(scenery(None)).unwrap();
        let external = Relay::backend(&stage, Choice::External);
        let contenders = [external.contender(&stage, "external", Birth::Node)];
        let costs = measure(&stage, &contenders, &short(&[Family::Idle]));
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
        // It dies when the measuring of requests begins, having been fit before.
        let relay = Relay::floor(&stage);
        let contenders = [relay.contender(&stage, "dying", Birth::Node), Contender::direct(&stage)];
        let choices = short(&[Family::Requests]);
        let (dying, last) = (Mutex::new(Some(relay)), Mutex::new(None));
        let costs = cost::run(&stage, &contenders, &choices, &|step| {
            if step.done == 2 {
                dying.lock().unwrap().take();
            }
            *last.lock().unwrap() = Some((step.done, step.total));
            // Each failure of a relay that is gone takes its patience; one is enough here.
            if step.done == 4 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        let costs = costs.unwrap();
        assert_eq!(last.into_inner().unwrap(), Some((4, 8)));
        assert_eq!((of(&costs, "dying").len(), of(&costs, "direct").len()), (1, 2));
        let told = costs.warnings.iter().find(|warning| warning.starts_with("dying failed at"));
        assert!(told.is_some_and(|told| told.contains("64 x 64 B")), "{:?}", costs.warnings);
    });
}

#[test]
fn a_group_that_does_not_count_is_refused() {
    if !require_root_or_userns("a_group_that_does_not_count_is_refused") {
        return;
    }
    on_a_thread(|| {
        let stage = Stage::open(scenery(None)).unwrap();
        let floor = Relay::floor(&stage);
        let groups = [PathBuf::from("/proc")];
        let kind = SubjectKind::Floor;
        let refused = Contender::relay(&stage, "floor", kind, Birth::Node, &floor.running, &groups);
        assert!(matches!(refused, Err(Failure::Usage(_))), "{refused:?}");
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
        let costs =
            cost::run(&stage, &[Contender::direct(&stage)], &short(&[Family::Requests]), &|step| {
                if step.done == 2 {
                    *taken.lock().unwrap() = Some(stage.listen(stage.origin(), 1).unwrap());
                }
                ControlFlow::Continue(())
            });
        let costs = costs.unwrap();
        assert_eq!(of(&costs, "direct").len(), 2);
        let told = costs.warnings.iter().any(|w| w.starts_with("The rest was not measured: "));
        assert!(told, "{:?}", costs.warnings);
    });
}
