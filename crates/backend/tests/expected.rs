//! A target that is missing at first.

mod common;

use std::os::unix::fs::symlink;
use std::sync::Arc;

use common::{failure, open, plan, pool, stream, to};
use nsplice_backend::{Choice, ErrorKind, Expected, Options, Plan, Template};
use nsplice_relay::{OpenClass, Upstream};
use nsplice_testkit::{wait_until, Namespace, Server};

#[test]
fn what_is_missing_refuses_its_links_until_it_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("later");
    let Some(namespace) = Namespace::for_test("what_is_missing_refuses_its_links") else { return };
    let server = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
    let destination = to(format!("netns/{}", path.display()), server.port());
    let options = Options::default();
    let expected = Expected::new(&destination, Choice::Auto, &options, pool());
    let missing = Plan::from(Arc::clone(&expected));
    let problem = expected.look().unwrap_err();
    assert_eq!(problem.kind(), ErrorKind::NoSuchTarget);
    assert_eq!(plan(&destination, Choice::Auto).unwrap_err(), problem);
    assert_eq!((missing.backend(), missing.identity()), ("auto", None));

    let mut opener = missing.opener().unwrap();
    let refused = failure(opener.as_mut());
    assert_eq!((refused.class, &refused.detail), (OpenClass::TargetGone, &problem.to_string()));
    assert_eq!(expected.look().unwrap_err(), problem);

    symlink(namespace.path(), &path).unwrap();
    // The first links after it has come may be told what was found before.
    let mut reached = None;
    wait_until("a link finds it", || {
        reached = open(opener.as_mut()).ok();
        reached.is_some()
    });
    assert!(matches!(reached, Some(Upstream::Stream(_))), "{reached:?}");
    assert_eq!((missing.backend(), opener.backend()), ("setns", "setns"));
    drop(stream(opener.as_mut()));
    assert_eq!(Plan::from(expected.look().unwrap()).backend(), "setns");
}

#[test]
fn words_that_do_not_fit_are_told_by_the_first_look() {
    let destination = to("tcp/127.0.0.1", 80);
    let problem = plan(&destination, Choice::Setns).unwrap_err();
    let options = Options::default();
    let expected = Expected::new(&destination, Choice::Setns, &options, pool());
    assert_eq!(expected.look().unwrap_err(), problem);
}

#[test]
fn only_a_process_ends_for_good() {
    let own = format!("pid/{}", std::process::id());
    // Through a command nothing is entered, so anybody may.
    let options = Options { command: Template::parse("true").ok(), ..Options::default() };
    let end = |target: &str| {
        let plan = Plan::prepare(&to(target, 80), Choice::Auto, &options, pool());
        plan.unwrap().end().unwrap()
    };
    assert!(end(&own).is_some());
    assert!(end("tcp/127.0.0.1").is_none());
}
