//! The environment of a child of ours: the part of our own that it needs, and nothing else.
//!
//! A service's environment has secrets in it, and variables that change what a program is
//! (`LD_PRELOAD`). `env NAME=VALUE PROGRAM` as the command gives a program more.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The variables that are passed on.
const PASSED: [&str; 13] = [
    // Where to find programs, who one is, where one's files are (environ(7)).
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    // How to speak (locale(7), tzset(3)); and `LC_*`.
    "LANG",
    "LANGUAGE",
    "TZ",
    // How names are looked up (resolv.conf(5)).
    "LOCALDOMAIN",
    "RES_OPTIONS",
    // socat's own; and `NSPLICE_SOCAT_*`, where it is nsplice.
    "SOCAT_DEFAULT_LISTEN_IP",
    "SOCAT_PREFERRED_RESOLVE_IP",
];

/// The beginnings of names that are passed on.
const PASSED_FAMILIES: [&str; 2] = ["LC_", "NSPLICE_SOCAT_"];

/// The environment of a child.
pub(crate) fn of_child() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| is_passed(name))
}

fn is_passed(name: &OsStr) -> bool {
    PASSED.iter().any(|passed| name == *passed)
        || PASSED_FAMILIES.iter().any(|family| name.as_bytes().starts_with(family.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_needed_is_passed_on() {
        for name in ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "NSPLICE_SOCAT_LINGER"] {
            assert!(is_passed(name.as_ref()), "{name}");
        }
        let kept =
            ["AWS_SECRET_ACCESS_KEY", "LD_PRELOAD", "NSPLICE_COMMAND", "PATHS", "lc_all", ""];
        for name in kept {
            assert!(!is_passed(name.as_ref()), "{name}");
        }
    }
}
