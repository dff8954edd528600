//! Tests that need more than a compiler, and what they do where they cannot have it.
//!
//! Such a test prints one line and returns, so that a developer without root or without a tool can
//! still run the rest. Where everything is supposed to be there (`NSPLICE_SKIP_IS_FAILURE=1`, as in
//! CI) it fails instead, so that a test cannot quietly stop being run.

use std::fmt;
use std::io::Write;
use std::path::PathBuf;

use nix::unistd::geteuid;

/// The environment variable that turns skipped tests into failed ones when it is `1`.
pub const SKIP_IS_FAILURE: &str = "NSPLICE_SKIP_IS_FAILURE";

/// Says that the test `$test` is skipped and why, and returns from it.
///
/// ```
/// # fn test() {
/// nsplice_testkit::skip!("opens_a_file", "{} is read-only; a writable one would help", "/etc");
/// # }
/// ```
#[macro_export]
macro_rules! skip {
    ($test:expr, $($why:tt)+) => {{
        $crate::skip::skipped($test, format_args!($($why)+));
        return;
    }};
}

/// Prints `skipped: TEST: WHY` on standard error.
///
/// # Panics
/// Where skipping counts as failure, see [`SKIP_IS_FAILURE`].
#[track_caller]
pub fn skipped(test: &str, why: impl fmt::Display) {
    let line = format!("skipped: {test}: {why}");
    if std::env::var_os(SKIP_IS_FAILURE).is_some_and(|value| value == "1") {
        panic!("{line} ({SKIP_IS_FAILURE}=1)");
    }
    tell(line);
}

fn tell(line: impl fmt::Display) {
    // Not eprintln!: the test harness would keep it to itself. One write, so that lines of tests
    // that run side by side do not mix. If standard error is closed nobody is listening.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Says that `test` is left out because of what nobody can install, such as a part of the kernel.
/// That is no failure anywhere.
pub fn unavailable(test: &str, why: impl fmt::Display) {
    tell(format_args!("unavailable: {test}: {why}"));
}

/// Returns whether the test may act as root, for real or in a user namespace of its own; says so if
/// not.
#[track_caller]
pub fn require_root_or_userns(test: &str) -> bool {
    let root = geteuid().is_root();
    if !root {
        skipped(test, "needs root or a user namespace; scripts/test makes one");
    }
    root
}

/// The absolute path of the program `tool`; says so if there is none.
#[track_caller]
pub fn require_tool(test: &str, tool: &str) -> Option<PathBuf> {
    let found = which::which(tool).ok();
    if found.is_none() {
        let package = package_of(tool);
        skipped(test, format_args!("{tool} is not in PATH; apt-get install {package} would help"));
    }
    found
}

/// The Debian package that has the program.
fn package_of(tool: &str) -> &str {
    match tool {
        "nsenter" | "unshare" | "setpriv" => "util-linux",
        "ip" | "ss" => "iproute2",
        "nft" => "nftables",
        "dnsmasq" => "dnsmasq-base",
        "dockerd" | "docker" => "docker.io",
        "ctr" => "containerd",
        "sha256sum" => "coreutils",
        "busybox" => "busybox-static",
        "ps" => "procps",
        "script" => "bsdutils",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const TEST: &str = "skip::tests::a_skipped_test_says_one_line";
    const IN_CHILD: &str = "NSPLICE_TESTKIT_SKIPPING";

    /// Runs itself as a child that skips, with and without the variable.
    #[test]
    fn a_skipped_test_says_one_line() {
        if std::env::var_os(IN_CHILD).is_some() {
            skip!("child", "{} is missing", "nothing");
        }
        let run = |value: &str| {
            Command::new(std::env::current_exe().unwrap())
                .args([TEST, "--exact"])
                .env(IN_CHILD, "1")
                .env(SKIP_IS_FAILURE, value)
                .output()
                .unwrap()
        };
        let skipping = run("0");
        assert!(skipping.status.success());
        let said = String::from_utf8(skipping.stderr).unwrap();
        assert_eq!(said, "skipped: child: nothing is missing\n");
        assert!(!run("1").status.success());
    }

    #[test]
    fn a_tool_is_found_by_its_absolute_path() {
        assert!(require_tool("a_tool_is_found", "sh").unwrap().is_absolute());
    }
}
