//! The real program, without what the environment of the test run may say to it.

use std::process::{Command, Output, Stdio};

/// `nsplice` with the words of `line`.
pub(crate) fn nsplice(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nsplice"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NSPLICE_") {
            command.env_remove(name);
        }
    }
    command.env_remove("DOCKER_HOST").args(line.split_whitespace()).stdin(Stdio::null());
    command
}

/// What became of a program that ends by itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// Runs `command` to its end.
pub(crate) fn end_of(command: &mut Command) -> End {
    let Output { status, stdout, stderr } = command.output().expect("nsplice can be started");
    End {
        code: status.code().expect("nsplice ends by itself"),
        stdout: String::from_utf8(stdout).expect("standard output is text"),
        stderr: String::from_utf8(stderr).expect("standard error is text"),
    }
}

/// An end without a word on standard output.
pub(crate) fn quiet(code: i32, stderr: impl Into<String>) -> End {
    End { code, stdout: String::new(), stderr: stderr.into() }
}
