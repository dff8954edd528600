//! The backend `external`: real nsenter and socat, and programs that misbehave.

#[path = "../common/mod.rs"]
mod common;

mod ends;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use common::{again, commander, counted, failed, failure, opener, plan, role, succeeds, to, Piped};
use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::sys::signal::{pthread_sigmask, SigSet, SigmaskHow, Signal};
use nsplice_backend::{Choice, ErrorKind};
use nsplice_relay::{OpenClass, Verdict};
use nsplice_testkit::skip::require_tool;
use nsplice_testkit::{Namespace, Server};

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
