//! Runs the cases of a theme, several at a time, with both programs, and compares.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::thread;

use nsplice_testkit::skip::require_tool;
use nsplice_testkit::skip::skipped;
use nsplice_testkit::Namespace;

use crate::case::{Case, Expect};
use crate::player::play;
use crate::report::Report;

/// The version that ours is compared with, as the second line of `socat -V` tells it.
const VERSION: &str = "socat version 1.7.4.4 ";

/// Cases that run at the same time. They wait far more than they work.
const AT_ONCE: usize = 8;

/// What lines and plays are made with, besides what every system has.
const TOOLS: [&str; 5] = ["ip", "nft", "ps", "script", "strace"];

/// The other users and groups that lines name.
const OTHERS: [&str; 3] = ["nobody", "nogroup", "12345"];

/// The program under test.
pub(crate) fn ours() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_nsplice"))
}

/// The real socat, if it is the one that ours is like; says so if not.
pub(crate) fn theirs(test: &str) -> Option<PathBuf> {
    let path = require_tool(test, "socat")?;
    let version = Command::new(&path).arg("-V").output().expect("socat can be run");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let line = version.lines().nth(1).unwrap_or_default();
    if !line.starts_with(VERSION) {
        skipped(test, format_args!("{} is {line:?}, not {VERSION}", path.display()));
        return None;
    }
    Some(path)
}

/// Whether there are other users than root. In a user namespace there may be none.
fn others_exist() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let count = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    map.lines().filter_map(count).any(|count| count > 65_534)
}

/// Runs `cases` with both programs and fails with all that is wrong.
pub(crate) fn compare(test: &str, cases: &[Case]) {
    let Some(theirs) = theirs(test) else { return };
    if Namespace::for_test(test).is_none() {
        return;
    }
    if TOOLS.iter().any(|tool| require_tool(test, tool).is_none()) {
        return;
    }
    let ours = ours();
    let wanted = std::env::var("NSPLICE_CASES").unwrap_or_default();
    let mut cases: Vec<_> = cases.iter().filter(|case| case.name.contains(&wanted)).collect();
    if !others_exist() {
        let all = cases.len();
        cases.retain(|case| !OTHERS.iter().any(|other| case.line.contains(other)));
        if cases.len() < all {
            let why = "cases need other users than root; root on the machine would help";
            skipped(test, format_args!("{} {why}", all - cases.len()));
        }
    }
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                come_first();
                loop {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    let Some(case) = cases.get(index) else { break };
                    if let Err(told) = judge(case, &theirs, &ours) {
                        let told = format!("{}: {}\n{told}", case.name, case.line);
                        wrong.lock().unwrap().push((index, told));
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    let count = wrong.len();
    let told: Vec<_> = wrong.into_iter().map(|(_, told)| told).collect();
    assert!(told.is_empty(), "{count} of {} cases:\n{}", cases.len(), told.join("\n"));
}

/// Lets what this thread starts, threads and programs, go before everybody else where we may (root).
/// socat's half second of patience is real time, in which the players of a case have to answer, however
/// busy the machine is.
fn come_first() {
    // Whoever may not plays as well as the machine allows.
    let _ = rustix::process::setpriority_process(None, HIGHEST_PRIORITY);
}

/// The nice value before which there is none (setpriority(2)).
const HIGHEST_PRIORITY: i32 = -20;

/// Runs one case; says what is wrong.
fn judge(case: &Case, theirs: &Path, ours: &Path) -> Result<(), String> {
    let reference = || {
        let report = play(case, theirs);
        match report.broken.is_empty() {
            true => Ok(report),
            false => Err(format!("  the case is broken, by socat itself\n{}", report.whole())),
        }
    };
    let both = || {
        thread::scope(|scope| {
            let theirs = scope.spawn(reference);
            let ours = play(case, ours);
            (theirs.join().expect("a player does not panic"), ours)
        })
    };
    let passes = |report: &Report, rule: fn(&Report) -> Result<(), String>| {
        let told = |why| format!("  {why}\n{}", report.whole());
        if report.broken.is_empty() { rule(report) } else { Err("broken".to_owned()) }.map_err(told)
    };
    match case.expect {
        Expect::Same => {
            let (theirs, ours) = both();
            theirs?.difference_to(&ours).map_or(Ok(()), Err)
        }
        Expect::Differs(difference, rule) => {
            let (theirs, ours) = both();
            if theirs? == ours {
                return Err(format!("  it does not differ any more: {difference:?}"));
            }
            passes(&ours, rule)
        }
        Expect::Rules(rule) => passes(&play(case, ours), rule),
    }
}
