//! The scripts of the repository, as whoever looks for help meets them.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::binary::end_of;

/// A script with an option; one that takes it for the word to begin ends after a while.
fn script(name: &str, option: &str) -> Command {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
    let mut command = Command::new("timeout");
    command.arg("60").arg(scripts.join(name)).arg(option).stdin(Stdio::null());
    command
}

#[test]
fn help_is_printed_and_nothing_else_is_done() {
    for name in ["test", "demo", "soak", "bench-peers", "readme-numbers"] {
        for option in ["--help", "-h"] {
            let end = end_of(&mut script(name, option));
            assert_eq!((end.code, end.stderr.as_str()), (0, ""), "{name} {option}");
            assert!(end.stdout.starts_with(&format!("usage: {name}")), "{name}: {}", end.stdout);
        }
        let end = end_of(&mut script(name, "--hlep"));
        assert_eq!((end.code, end.stdout.as_str()), (2, ""), "{name}: {}", end.stderr);
        assert!(end.stderr.contains("--hlep") && end.stderr.contains("usage: "), "{}", end.stderr);
    }
}
