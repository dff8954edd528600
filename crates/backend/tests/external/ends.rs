//! The ends of programs: what is told of them, and that nothing of them is left.

use nix::sys::signal::Signal;
use nsplice_relay::{OpenClass, Verdict};
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::{wait_until, Program};

use crate::common::{again, counted, exists, failed, role, runs};
use crate::run;

#[test]
fn every_way_to_end_badly_has_its_sentence() {
    counted(|| {
        let table = [
            (
                "sh -c 'echo out of cheese >&2; exit 3'",
                OpenClass::ChildFailed,
                "exit status 3: out of cheese",
            ),
            ("sh -c 'exit 1'", OpenClass::ChildFailed, "exit status 1"),
            ("sh -c 'kill -9 $$'", OpenClass::ChildFailed, "killed by signal 9 (SIGKILL)"),
            ("sh -c 'kill -40 $$'", OpenClass::ChildFailed, "killed by a signal without a name"),
            (
                "sh -c 'printf half >&2; exec 2>&-; exit 4'",
                OpenClass::ChildFailed,
                "exit status 4: half",
            ),
            ("sh -c 'no-such-program'", OpenClass::ToolMissing, "exit status 127: "),
        ];
        for (command, class, words) in table {
            let error = failed(run(command).verdict());
            assert_eq!(error.class, class, "{error}");
            let whole = format!("sh for tcp/127.0.0.1:80: {words}");
            assert!(error.detail.starts_with(&whole), "{error}");
        }
    });
}

#[test]
fn a_flood_of_diagnostics_neither_stops_the_child_nor_fills_us() {
    counted(|| {
        let script =
            "head -c 3000000 /dev/zero | tr \"\\0\" x >&2; echo >&2; echo the end >&2; exit 5";
        let error = failed(run(&format!("sh -c '{script}'")).verdict());
        assert!(error.detail.contains("exit status 5: ...xxx"), "{error}");
        assert!(error.detail.ends_with("x; the end"), "{error}");
        assert!(error.detail.len() < 1000);
    });
}

#[test]
fn a_child_that_ignores_sigterm_is_killed() {
    counted(|| {
        let mut piped = run("sh -c 'trap \"\" TERM; echo ready; while :; do sleep 1; done'");
        assert_eq!(piped.line(), "ready");
        piped.child.terminate();
        // Had it ended by SIGTERM, this would be the verdict and the signal another.
        assert_eq!(piped.child.verdict(), None);
        piped.child.kill();
        let error = failed(piped.verdict());
        assert!(error.detail.ends_with("killed by signal 9 (SIGKILL)"), "{error}");
        piped.child.kill();
        piped.child.terminate();
    });
}

#[test]
fn a_child_is_asked_to_end_with_its_whole_group() {
    counted(|| {
        let mut piped = run("sh -c 'sleep 1000 & echo $!; wait'");
        let helper = piped.line();
        assert!(runs(&helper));
        piped.child.terminate();
        let error = failed(piped.verdict());
        assert!(error.detail.ends_with("killed by signal 15 (SIGTERM)"), "{error}");
        wait_until("the helper to be gone", || !runs(&helper));
    });
}

#[test]
fn a_child_that_left_its_group_is_reached_all_the_same() {
    counted(|| {
        if require_tool("a_child_that_left_its_group", "perl").is_none() {
            return;
        }
        let script = "$| = 1; setpgrp(0, getpgrp(getppid())); print getpgrp(), chr(10); sleep 1000";
        for (signal, end) in [
            (Signal::SIGTERM, "killed by signal 15 (SIGTERM)"),
            (Signal::SIGKILL, "killed by signal 9 (SIGKILL)"),
        ] {
            let mut piped = run(&format!("perl -e '{script}'"));
            assert_eq!(piped.line(), nix::unistd::getpgrp().to_string(), "it is in our group");
            match signal {
                Signal::SIGTERM => piped.child.terminate(),
                _ => piped.child.kill(),
            }
            let error = failed(piped.verdict());
            assert!(error.detail.ends_with(end), "{error}");
        }
    });
}

#[test]
fn what_a_child_leaves_behind_ends_with_it() {
    counted(|| {
        let mut piped = run("sh -c 'sleep 1000 & echo $!'");
        let helper = piped.line();
        assert_eq!(piped.verdict(), Verdict::Success);
        assert_eq!(piped.rest(), "", "nobody holds the output open");
        wait_until("the helper to be gone", || !runs(&helper));
    });
}

#[test]
fn a_dropped_child_is_dead_and_reaped() {
    counted(|| {
        let piped = run("sh -c 'trap \"\" TERM; sleep 1000 & echo $$ $!; wait'");
        let line = piped.line();
        let (child, helper) = line.split_once(' ').unwrap();
        assert!(runs(child) && runs(helper));
        drop(piped);
        assert!(!exists(child), "not even a zombie");
        wait_until("the helper to be gone", || !runs(helper));
    });
}

#[test]
fn a_killed_parent_leaves_no_orphan() {
    const TEST: &str = "ends::a_killed_parent_leaves_no_orphan";
    if role().is_some() {
        let piped = run("sh -c 'echo $$; exec sleep 1000'");
        println!("child {}", piped.line());
        std::thread::park();
    }
    counted(|| {
        let mut parent = Program::spawn(&mut again(TEST, &[], "parent"));
        let line = parent.expect_stdout("child ");
        let child = line.rsplit(' ').next().unwrap();
        assert!(runs(child));
        parent.signal(Signal::SIGKILL);
        parent.wait();
        wait_until("the child to be gone", || !runs(child));
    });
}

#[test]
fn children_end_with_the_thread_of_their_loop() {
    counted(|| {
        let mut piped = std::thread::spawn(|| run("sleep 1000")).join().unwrap();
        let error = failed(piped.verdict());
        assert!(error.detail.ends_with("killed by signal 9 (SIGKILL)"), "{error}");
    });
}
