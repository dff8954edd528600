//! The tests' own Docker, and nsplice with it.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::sync::Arc;

use nsplice_testkit::engine::Kind;
use nsplice_testkit::{skip, Program};

pub(crate) use nsplice_testkit::engine::{Engine, ECHO_PORT};

/// The Docker for the test `test`, and the tools to get into its containers; or `None` and a line that
/// says why not.
#[track_caller]
pub(crate) fn docker(test: &str) -> Option<Arc<Engine>> {
    for tool in ["nsenter", "socat"] {
        skip::require_tool(test, tool)?;
    }
    Engine::for_test(Kind::Docker, test)
}

/// What is run of nsplice.
pub(crate) trait Nsplice {
    /// `nsplice` that asks this Docker.
    fn nsplice<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command;

    /// `nsplice forward` from a free port of 127.0.0.1 to the echo server of `container`.
    fn forward(&self, container: &str, backend: &str) -> Program {
        let target = format!("docker/{container}");
        let port = format!(":{ECHO_PORT}");
        let args = ["forward", &target, &port, "--address", "127.0.0.1", "--backend", backend];
        Program::spawn(&mut self.nsplice(args))
    }
}

impl Nsplice for Engine {
    fn nsplice<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nsplice"));
        command.env("DOCKER_HOST", self.host()).stdin(Stdio::null()).args(args);
        command
    }
}
