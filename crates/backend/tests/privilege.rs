//! What the system may deny: the privilege to enter, the way home, descriptors.

mod common;

use std::fs::File;
use std::os::unix::process::ExitStatusExt;

use common::{
    again, counted, expect_echo, failure, opener, plan, role, stream, succeeds, targets, to,
};
use nix::sys::resource::{setrlimit, Resource};
use nix::sys::signal::Signal;
use nsplice_backend::{survey, Choice, ErrorKind, Options};
use nsplice_relay::OpenClass;
use nsplice_testkit::skip::{require_root_or_userns, require_tool};
use nsplice_testkit::{Namespace, Server};

/// Runs a test again without CAP_SYS_ADMIN.
const UNPRIVILEGED: [&str; 3] = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"];

#[test]
fn our_own_namespace_needs_no_privilege() {
    const TEST: &str = "our_own_namespace_needs_no_privilege";
    if role().is_some() {
        let server = Server::start(nsplice_testkit::listen("127.0.0.1:0"), common::echo);
        for target in [format!("pid/{}", std::process::id()), "netns//proc/self/ns/net".to_owned()]
        {
            let plan = plan(&to(target, server.port()), Choice::Auto).unwrap();
            assert_eq!(plan.backend(), "setns");
            expect_echo(&stream(plan.opener().unwrap().as_mut()));
        }
        return;
    }
    counted(|| {
        if require_root_or_userns(TEST) && require_tool(TEST, "setpriv").is_some() {
            succeeds(&mut again(TEST, &UNPRIVILEGED, "unprivileged"));
        }
    });
}

#[test]
fn a_missing_privilege_is_told_at_start_with_both_reasons() {
    const TEST: &str = "a_missing_privilege_is_told_at_start_with_both_reasons";
    if let Some(words) = role() {
        let target = &words[0];
        let error = plan(&to(target, 80), Choice::Setns).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Privilege);
        let told = error.to_string();
        assert!(told.contains("CAP_SYS_ADMIN") && told.contains(target), "{told}");
        let error = plan(&to(target, 80), Choice::Auto).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Privilege);
        let both = error.to_string();
        assert!(both.starts_with(&told) && both.contains("nsenter for"), "{both}");
        return;
    }
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        if ["setpriv", "socat", "nsenter"].iter().any(|tool| require_tool(TEST, tool).is_none()) {
            return;
        }
        for target in targets(&namespace) {
            succeeds(&mut again(TEST, &UNPRIVILEGED, &target));
        }
    });
}

#[test]
fn a_survey_says_of_no_backend_that_it_enters_where_none_may() {
    const TEST: &str = "a_survey_says_of_no_backend_that_it_enters_where_none_may";
    if role().is_some() {
        for report in survey(&Options::default(), None).backends {
            assert_eq!(report.usable, report.backend == "dial", "{report:?}");
            let reason = report.reason.unwrap_or_default();
            assert_eq!(reason.contains("Operation not permitted"), !report.usable, "{reason}");
        }
        return;
    }
    counted(|| {
        let tools = ["setpriv", "socat", "nsenter"];
        if !require_root_or_userns(TEST)
            || tools.iter().any(|tool| require_tool(TEST, tool).is_none())
        {
            return;
        }
        succeeds(&mut again(TEST, &UNPRIVILEGED, "unprivileged"));
    });
}

#[test]
fn a_thread_that_cannot_come_home_aborts_the_process() {
    const TEST: &str = "a_thread_that_cannot_come_home_aborts_the_process";
    if let Some(words) = role() {
        let _ = plan(&to(&words[0], 80), Choice::Setns);
        println!("went on");
        return;
    }
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        if require_tool(TEST, "strace").is_none() {
            return;
        }
        // The first call of a thread enters, the second one comes home.
        let wrapper =
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=setns:error=EPERM:when=2"];
        let role = format!("netns/{}", namespace.name());
        let output = again(TEST, &wrapper, &role).output().unwrap();
        assert_eq!(output.status.signal(), Some(Signal::SIGABRT as i32), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("nsplice: cannot return to net:["), "{told}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("went on"));
    });
}

/// What passes: a want of memory, a signal.
#[test]
fn a_way_home_that_is_barred_for_a_moment_is_taken_again() {
    const TEST: &str = "a_way_home_that_is_barred_for_a_moment_is_taken_again";
    if let Some(words) = role() {
        let plan = plan(&to(&words[0], 80), Choice::Setns);
        assert_eq!(plan.unwrap().backend(), "setns");
        println!("went on");
        return;
    }
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        if require_tool(TEST, "strace").is_none() {
            return;
        }
        let role = format!("netns/{}", namespace.name());
        for errno in ["ENOMEM", "EINTR"] {
            let inject = format!("inject=setns:error={errno}:when=2..4");
            let wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &inject];
            let told = succeeds(&mut again(TEST, &wrapper, &role));
            assert!(told.contains("went on"), "{told}");
        }
        // For ever is longer than a moment.
        let wrapper =
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=setns:error=ENOMEM:when=2+"];
        let output = again(TEST, &wrapper, &role).output().unwrap();
        assert_eq!(output.status.signal(), Some(Signal::SIGABRT as i32), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("Cannot allocate memory; aborting"), "{told}");
    });
}

#[test]
fn out_of_descriptors_is_a_class_of_its_own_and_passes() {
    const TEST: &str = "out_of_descriptors_is_a_class_of_its_own_and_passes";
    if let Some(words) = role() {
        let port = words[1].parse().unwrap();
        for choice in [Choice::Setns, Choice::External] {
            let mut opener = opener(&to(&words[0], port), choice);
            let mut hoard = Vec::new();
            setrlimit(Resource::RLIMIT_NOFILE, 64, 4096).unwrap();
            while let Ok(file) = File::open("/dev/null") {
                hoard.push(file);
            }
            let error = failure(opener.as_mut());
            assert_eq!(error.class, OpenClass::Exhausted, "{error}");
            assert!(error.detail.contains(&words[0]), "{error}");
            drop(hoard);
            assert!(common::open(opener.as_mut()).is_ok());
        }
        return;
    }
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", common::echo);
        for target in targets(&namespace) {
            succeeds(&mut again(TEST, &[], &format!("{target} {}", server.port())));
        }
    });
}
