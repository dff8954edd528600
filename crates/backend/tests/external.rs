//! The backend `external`: real nsenter and socat, and programs that misbehave.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use common::{
    again, commander, counted, exists, failed, failure, opener, plan, role, runs, succeeds, to,
    Piped,
};
use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::sys::signal::{pthread_sigmask, SigSet, SigmaskHow, Signal};
use nsplice_backend::{Choice, ErrorKind};
use nsplice_relay::{OpenClass, Verdict};
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::{wait_until, Namespace, Program, Server};

/// Any target will do for programs that enter nothing.
const HOME: &str = "tcp/127.0.0.1";

/// Runs `command` as the program of an upstream.
#[track_caller]
fn run(command: &str) -> Piped {
    Piped::open(commander(&to(HOME, 80), command).as_mut())
}

fn have_tools(test: &str) -> bool {
    ["nsenter", "socat"].iter().all(|tool| require_tool(test, tool).is_some())
}

#[test]
fn nsenter_and_socat_carry_a_link() {
    counted(|| {
        let Some(namespace) = Namespace::for_test("nsenter_and_socat_carry_a_link") else { return };
        if !have_tools("nsenter_and_socat_carry_a_link") {
            return;
        }
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        for target in [format!("pid/{}", namespace.pid()), format!("netns/{}", namespace.name())] {
            let mut piped =
                Piped::open(opener(&to(target, server.port()), Choice::External).as_mut());
            piped.say("hello\n");
            assert_eq!(piped.line(), "hello");
            drop(piped.input.take());
            assert_eq!(piped.rest(), "");
            assert_eq!(piped.verdict(), Verdict::Success);
            assert_eq!(piped.child.verdict(), Some(Verdict::Success), "it answers the same");
        }
    });
}

#[test]
fn the_words_that_are_executed_are_the_kubelets() {
    const TEST: &str = "the_words_that_are_executed_are_the_kubelets";
    if let Some(words) = role() {
        let destination = to(&words[0], words[1].parse().unwrap());
        let mut piped = Piped::open(opener(&destination, Choice::External).as_mut());
        drop(piped.input.take());
        assert_eq!(piped.verdict(), Verdict::Success);
        return;
    }
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        if !have_tools(TEST) || require_tool(TEST, "strace").is_none() {
            return;
        }
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        let (pid, name, port) = (namespace.pid(), namespace.name(), server.port());
        let [nsenter, socat] = ["nsenter", "socat"]
            .map(|tool| require_tool(TEST, tool).unwrap().display().to_string());
        let table = [
            (format!("pid/{pid}"), format!(r#""-t", "{pid}", "-n", "#)),
            (format!("netns/{name}"), format!(r#""--net=/run/netns/{name}", "#)),
        ];
        for (target, entry) in table {
            let wrapper = ["strace", "-f", "-s", "999", "-e", "trace=execve"];
            let trace = succeeds(&mut again(TEST, &wrapper, &format!("{target} {port}")));
            let calls: Vec<_> = trace
                .lines()
                .filter_map(|line| line.split_once("execve(").map(|(_, call)| call))
                .filter_map(|call| call.split_once(", 0x").map(|(words, _)| words))
                .skip(1)
                .collect();
            let rest = format!(r#""{socat}", "-", "TCP4:localhost:{port}"]"#);
            let expected = [
                format!(r#""{nsenter}", ["{nsenter}", {entry}{rest}"#),
                format!(r#""{socat}", [{rest}"#),
            ];
            assert_eq!(calls, expected, "{trace}");
        }
    });
}

#[test]
fn what_socat_and_nsenter_say_becomes_the_class() {
    counted(|| {
        let Some(mut namespace) = Namespace::for_test("what_socat_and_nsenter_say") else { return };
        if !have_tools("what_socat_and_nsenter_say") {
            return;
        }
        let target = format!("netns/{}", namespace.name());
        let mut opener = opener(&to(&target, 9), Choice::External);
        let error = failed(Piped::open(opener.as_mut()).verdict());
        assert_eq!(error.class, OpenClass::Refused, "{error}");
        let words = format!("nsenter for localhost:9 in {target}: exit status 1: ");
        assert!(error.detail.starts_with(&words), "{error}");
        assert!(error.detail.ends_with("Connection refused"), "{error}");

        namespace.remove_name();
        let error = failed(Piped::open(opener.as_mut()).verdict());
        assert_eq!(error.class, OpenClass::TargetGone, "{error}");
        assert!(error.detail.contains("exit status 1: nsenter: "), "{error}");
    });
}

#[test]
fn a_dead_process_gets_no_program() {
    counted(|| {
        let Some(mut namespace) = Namespace::for_test("a_dead_process_gets_no_program") else {
            return;
        };
        if !have_tools("a_dead_process_gets_no_program") {
            return;
        }
        let mut opener = opener(&to(format!("pid/{}", namespace.pid()), 9), Choice::External);
        namespace.kill_holder();
        assert_eq!(failure(opener.as_mut()).class, OpenClass::TargetGone);
    });
}

#[test]
fn missing_tools_are_told_in_the_kubelets_words() {
    const TEST: &str = "missing_tools_are_told_in_the_kubelets_words";
    if let Some(words) = role() {
        let error = plan(&to(format!("pid/{}", std::process::id()), 80), Choice::External);
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MissingTool);
        let told = format!("unable to do port forwarding: {} not found.", words[0]);
        assert_eq!(error.to_string(), told);
        return;
    }
    counted(|| {
        for (present, missing) in
            [(None, "socat"), (Some("nsenter"), "socat"), (Some("socat"), "nsenter")]
        {
            let path = tempfile::tempdir().unwrap();
            if let Some(tool) = present {
                symlink("/bin/true", path.path().join(tool)).unwrap();
            }
            succeeds(again(TEST, &[], missing).env("PATH", path.path()));
        }
    });
}

#[test]
fn a_child_has_three_descriptors_and_an_empty_signal_mask() {
    counted(|| {
        // What a careless parent leaves open and blocked.
        let leak = fcntl(fs::File::open("/dev/null").unwrap(), FcntlArg::F_DUPFD(200)).unwrap();
        let mut blocked = SigSet::empty();
        blocked.add(Signal::SIGUSR1);
        blocked.add(Signal::SIGTERM);
        let mut before = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&blocked), Some(&mut before)).unwrap();

        let mut listing = run("ls -l /proc/self/fd");
        let listed = listing.rest();
        assert_eq!(listing.verdict(), Verdict::Success);
        let mut status = run("cat /proc/self/status");
        let told = status.rest();
        assert_eq!(status.verdict(), Verdict::Success);

        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None).unwrap();
        nix::unistd::close(leak).unwrap();

        let open: Vec<_> = listed.lines().filter_map(|line| line.split_once(" -> ")).collect();
        let (numbers, kinds): (Vec<_>, Vec<_>) =
            open.iter().map(|(left, right)| (left.rsplit(' ').next().unwrap(), *right)).unzip();
        assert_eq!(numbers, ["0", "1", "2", "3"], "{listed}");
        assert!(kinds[..3].iter().all(|kind| kind.starts_with("pipe:")), "{listed}");
        assert!(kinds[3].starts_with("/proc/"), "the listing itself: {listed}");

        let mask = |name: &str| {
            let line = told.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            u64::from_str_radix(line.trim(), 16).unwrap()
        };
        assert_eq!(mask("SigBlk:"), 0, "{told}");
        assert_eq!(mask("SigIgn:") >> (Signal::SIGPIPE as i32 - 1) & 1, 0, "{told}");
    });
}

#[test]
fn a_child_learns_no_secrets() {
    const TEST: &str = "a_child_learns_no_secrets";
    if role().is_some() {
        let mut listing = run("env");
        let told = listing.rest();
        assert_eq!(listing.verdict(), Verdict::Success);
        let names: Vec<_> = told.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        assert!(names.contains(&"PATH") && names.contains(&"LC_MESSAGES"), "{told}");
        assert!(!names.contains(&"AWS_SECRET_ACCESS_KEY"), "{told}");
        assert!(!names.contains(&"LD_BIND_NOW"), "{told}");
        return;
    }
    counted(|| {
        let mut again = again(TEST, &[], "child");
        again.env("AWS_SECRET_ACCESS_KEY", "x").env("LD_BIND_NOW", "1").env("LC_MESSAGES", "C");
        succeeds(&mut again);
    });
}

#[test]
fn our_ends_do_not_block_and_the_childs_do() {
    counted(|| {
        let mut piped =
            run("sh -c 'cat /proc/self/fdinfo/0 /proc/self/fdinfo/1; read line; echo $line'");
        let flags = |end: &std::os::fd::OwnedFd| fcntl(end, FcntlArg::F_GETFL).unwrap();
        let nonblocking = OFlag::O_NONBLOCK.bits();
        assert_ne!(flags(piped.input.as_ref().unwrap()) & nonblocking, 0);
        assert_ne!(flags(&piped.output) & nonblocking, 0);
        piped.say("done\n");
        let told = piped.rest();
        let flags: Vec<_> = told.lines().filter_map(|line| line.strip_prefix("flags:")).collect();
        assert_eq!(flags.len(), 2, "{told}");
        for flags in flags {
            assert_eq!(i32::from_str_radix(flags.trim(), 8).unwrap() & nonblocking, 0, "{told}");
        }
        assert!(told.ends_with("done\n"));
        assert_eq!(piped.verdict(), Verdict::Success);
    });
}

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
    const TEST: &str = "a_killed_parent_leaves_no_orphan";
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

#[test]
fn a_system_out_of_processes_is_a_class_of_its_own() {
    const TEST: &str = "a_system_out_of_processes_is_a_class_of_its_own";
    if role().is_some() {
        let error = failure(commander(&to(HOME, 80), "sleep 1000").as_mut());
        assert_eq!(error.class, OpenClass::Exhausted, "{error}");
        assert!(error.detail.contains("tcp/127.0.0.1:80"), "{error}");
        return;
    }
    counted(|| {
        if require_tool(TEST, "strace").is_none() {
            return;
        }
        // Threads are made by clone3, children by clone or fork.
        let inject = "inject=clone,fork,vfork:error=EAGAIN";
        let wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject];
        succeeds(&mut again(TEST, &wrapper, "exhausted"));
    });
}

#[test]
fn a_program_that_cannot_be_executed_any_more_is_told() {
    counted(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("carry");
        fs::copy("/bin/true", &path).unwrap();
        let mut opener = commander(&to(HOME, 80), &path.display().to_string());
        assert_eq!(Piped::open(opener.as_mut()).verdict(), Verdict::Success);
        let status = Command::new("chmod").args(["a-x"]).arg(&path).status().unwrap();
        assert!(status.success());
        assert_eq!(failure(opener.as_mut()).class, OpenClass::Denied);
        fs::remove_file(&path).unwrap();
        let error = failure(opener.as_mut());
        assert_eq!(error.class, OpenClass::ToolMissing);
        assert!(error.detail.contains("tcp/127.0.0.1:80"), "{error}");
    });
}
