//! What the behaviours find out: about nsplice, and about relays that do not behave.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

use nsplice_backend::{Choice, Target, Template};
use nsplice_compare::{cases, run, Behaviour, Extent, Known, Means, Milestone, Passed, Request};
use nsplice_compare::{Stage, Subject, Verdict};
use nsplice_testkit::skip::{require_root_or_userns, require_tool};
use nsplice_testkit::Namespace;

use crate::fake::{self, Manner};
use crate::{alone_on_a_thread, on_a_thread, scenery};

/// The names of the behaviours that `subject` has this result in, with what was seen.
fn with_result<'a>(
    behaviours: &'a [Behaviour],
    subject: &str,
    result: Passed,
) -> Vec<(&'a str, &'a str)> {
    let verdict = |behaviour: &'a Behaviour| {
        let of_subject = |verdict: &&Verdict| verdict.subject == subject;
        let verdict = behaviour.verdicts.iter().find(of_subject).unwrap();
        (verdict.result == result).then_some((behaviour.name.as_str(), verdict.seen.as_str()))
    };
    behaviours.iter().filter_map(verdict).collect()
}

fn try_quickly(stage: &Stage, subjects: &[Subject]) -> Vec<Behaviour> {
    let told = Mutex::new((0, 0));
    let note = |milestone: &Milestone<'_>| {
        let mut told = told.lock().unwrap();
        *told = (told.0 + 1, milestone.total);
        ControlFlow::Continue(())
    };
    let request = Request {
        scenery: scenery(None),
        subjects: subjects.to_vec(),
        extent: Some(Extent::Quick),
        choices: None,
    };
    let found = run(&request, stage, &note).unwrap().behaviours;
    let total = found.len() * subjects.len();
    assert_eq!(told.into_inner().unwrap(), (total, total), "each verdict is told, once");
    found
}

/// Asserts that `subject`, one of nsplice's backends, has all behaviours as the table says, but for
/// those that cannot be tried.
#[track_caller]
fn expect_all_but(found: &[Behaviour], subject: &Subject, not_tried: &[&str]) {
    let failed = with_result(found, &subject.name, Passed::No);
    for case in cases().iter().filter(|case| case.extent == Extent::Quick) {
        let has_failed = failed.iter().any(|(name, _)| *name == case.name);
        match case.known(subject) {
            Some(Known::ByChance(_)) => {}
            known => assert_eq!(has_failed, known.is_some(), "{}: {failed:?}", case.name),
        }
    }
    let skipped = with_result(found, &subject.name, Passed::NotTried);
    assert_eq!(skipped.iter().map(|(name, _)| *name).collect::<Vec<_>>(), not_tried, "{skipped:?}");
}

/// The command lines of those in the network namespace `namespace`, a link as in /proc/PID/ns.
fn inhabitants(namespace: &Path) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lives_there = |entry: &fs::DirEntry| {
        let is_process = entry.file_name().to_string_lossy().parse::<u32>().is_ok();
        is_process && fs::read_link(entry.path().join("ns/net")).is_ok_and(|link| link == namespace)
    };
    let line = |entry: fs::DirEntry| fs::read_to_string(entry.path().join("cmdline"));
    entries.filter(lives_there).map(|entry| line(entry).unwrap_or_default()).collect()
}

#[test]
fn nsplice_has_every_behaviour() {
    const NAME: &str = "nsplice_has_every_behaviour";
    if !require_root_or_userns(NAME) {
        return;
    }
    on_a_thread(|| {
        let stage = Stage::open(scenery(None)).unwrap();
        let node = fs::read_link("/proc/thread-self/ns/net").unwrap();
        let setns = Subject::backend(Choice::Setns);
        let subjects = [setns, Subject::setns_copy(), Subject::backend(Choice::Dial)];
        let found = try_quickly(&stage, &subjects);
        for subject in &subjects {
            expect_all_but(&found, subject, &["child-killed"]);
        }
        let target = stage.facts().namespace.unwrap();
        assert_eq!(inhabitants(&node), [""; 0], "a relay is left on the node");
        let inside = inhabitants(Path::new(&target));
        assert!(matches!(&inside[..], [one] if one.contains("compare-holder")), "{inside:?}");
    });
}

#[test]
fn a_target_of_the_users_is_left_alone() {
    let Some(container) = Namespace::for_test("a_target_of_the_users_is_left_alone") else {
        return;
    };
    let target = Target::Pid(container.pid());
    let stage = Stage::open(scenery(Some(target))).unwrap();
    let setns = Subject::backend(Choice::Setns);
    let found = try_quickly(&stage, std::slice::from_ref(&setns));
    expect_all_but(&found, &setns, &["target-gone", "child-killed"]);
}

/// What the real socat does, by its nature or its half second.
#[test]
fn external_fails_in_what_socat_does_not_do() {
    const NAME: &str = "external_fails_in_what_socat_does_not_do";
    let tools = ["nsenter", "socat"].iter().all(|tool| require_tool(NAME, tool).is_some());
    if !require_root_or_userns(NAME) || !tools {
        return;
    }
    on_a_thread(|| {
        let stage = Stage::open(scenery(None)).unwrap();
        let external = Subject::backend(Choice::External);
        let found = try_quickly(&stage, std::slice::from_ref(&external));
        expect_all_but(&found, &external, &[]);
        let failed = with_result(&found, "external", Passed::No);
        let seen = |name: &str| failed.iter().find(|(failed, _)| *failed == name).unwrap().1;
        assert_eq!(seen("half-close-down-0.7s"), "reply cut after 0 of 251 bytes by FIN");
        assert_eq!(seen("reset-down-idle"), "server saw FIN instead of RST");
        let told = found.iter().flat_map(|one| &one.verdicts).filter(|one| one.known.is_some());
        assert_eq!(told.count(), failed.len(), "each has its reason");
    });
}

/// A relay that does not behave is caught by the behaviours that are about it, and by no others of
/// those that are named.
fn expect_caught(manner: Manner, caught: &'static [&str], passed: &'static [&str]) {
    if !require_root_or_userns(&format!("{manner:?}")) {
        return;
    }
    // A fake relay is in this process, whose descriptors are counted for one of the behaviours.
    let act = move || {
        let stage = Arc::new(Stage::open(scenery(None)).unwrap());
        let subject = fake::start(&stage, manner);
        let found = try_quickly(&stage, std::slice::from_ref(&subject));
        let names = |result| {
            let names = with_result(&found, &subject.name, result);
            names.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        let (no, yes) = (names(Passed::No), names(Passed::Yes));
        assert!(caught.iter().all(|name| no.contains(name)), "{found:#?}");
        assert!(passed.iter().all(|name| yes.contains(name)), "{found:#?}");
        for name in ["unreachable", "unresolvable", "target-gone", "child-killed"] {
            assert!(names(Passed::NotTried).contains(&name), "{name} of a peer");
        }
    };
    if manner == Manner::Leaks {
        alone_on_a_thread(act);
    } else {
        on_a_thread(act);
    }
}

const HALF_CLOSE: &[&str] =
    &["half-close-down-0s", "half-close-down-0.7s", "half-close-up-0s", "half-close-up-0.7s"];

#[test]
fn a_relay_that_ends_at_the_first_fin_is_caught() {
    // A reply that comes at once may be quicker than the relay's end.
    let caught = &["half-close-down-0.7s", "half-close-up-0.7s"];
    expect_caught(Manner::EndsAtFirstFin, caught, &["server-first", "dribble"]);
}

#[test]
fn a_relay_that_loses_a_byte_is_caught() {
    let caught = &["bytes-1KiB", "bytes-1MiB", "hundred-at-once"];
    expect_caught(Manner::LosesAByte, caught, &["bytes-1B", "half-close-down-0s", "server-first"]);
}

#[test]
fn a_relay_that_softens_resets_is_caught() {
    let caught = &["reset-down-idle", "reset-up-idle", "refused"];
    expect_caught(Manner::SoftensResets, caught, HALF_CLOSE);
}

#[test]
fn a_relay_without_bound_is_caught() {
    let caught = &["slow-reader-down", "slow-reader-up"];
    expect_caught(Manner::Hoards, caught, &["bytes-1MiB", "half-close-down-0.7s"]);
}

#[test]
fn a_relay_that_keeps_its_sockets_is_caught() {
    expect_caught(Manner::Leaks, &["left-behind"], &["bytes-1MiB", "refused"]);
}

#[test]
fn a_subject_that_does_not_start_is_not_tried() {
    if !require_root_or_userns("a_subject_that_does_not_start_is_not_tried") {
        return;
    }
    on_a_thread(|| {
        let stage = Stage::open(scenery(None)).unwrap();
        let template = Template::parse("/nonexistent/relay {port}").unwrap();
        let subject = Subject { name: "broken".to_owned(), means: Means::Command(template) };
        let found = try_quickly(&stage, std::slice::from_ref(&subject));
        let skipped = with_result(&found, "broken", Passed::NotTried);
        assert_eq!(skipped.len(), found.len());
        assert!(skipped.iter().all(|(_, why)| why.contains("/nonexistent/relay")), "{skipped:?}");
    });
}
