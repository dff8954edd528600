//! `nsplice run` on a testbed: its configuration and how it is started.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::journal::listening;
use crate::{nsplice, Relay, Testbed};

/// A daemon to be started.
#[derive(Debug)]
pub(crate) struct Daemon<'a> {
    testbed: &'a Testbed,
    target: String,
    port: u16,
    listen: String,
    loops: usize,
    globals: Vec<String>,
    options: Vec<String>,
    wrapper: Vec<String>,
    variables: Vec<(&'static str, String)>,
}

impl<'a> Daemon<'a> {
    /// One that forwards a free port of 127.0.0.1 to `port` of the container.
    pub(crate) fn new(testbed: &'a Testbed, port: u16) -> Self {
        Self {
            testbed,
            target: testbed.target(),
            port,
            listen: "127.0.0.1:0".to_owned(),
            loops: 1,
            globals: Vec::new(),
            options: Vec::new(),
            wrapper: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// Another target.
    pub(crate) fn target(mut self, target: impl Into<String>) -> Self {
        self.target = target.into();
        self
    }

    /// Another address to listen on.
    pub(crate) fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    /// More than one loop.
    pub(crate) fn loops(mut self, count: usize) -> Self {
        self.loops = count;
        self
    }

    /// A line of the configuration before the forward.
    pub(crate) fn global(mut self, line: &str) -> Self {
        self.globals.push(line.to_owned());
        self
    }

    /// A line of the forward.
    pub(crate) fn option(mut self, line: &str) -> Self {
        self.options.push(line.to_owned());
        self
    }

    /// The words of a program that runs nsplice, such as strace.
    pub(crate) fn under(mut self, words: &[&str]) -> Self {
        self.wrapper.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// Another PATH.
    pub(crate) fn path(self, path: &str) -> Self {
        self.variable("PATH", path)
    }

    /// A variable of its environment.
    pub(crate) fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> String {
        let Self { target, port, listen, loops, .. } = self;
        let backend = self.testbed.backend;
        let mut text = format!("log_format = 'json'\nloops = {loops}\n");
        text += &format!("splice = {}\n", backend.splices());
        self.globals.iter().for_each(|line| text += &format!("{line}\n"));
        text += &format!("[[forward]]\nname = 'case'\nlisten = '{listen}'\n");
        text += &format!("target = '{target}'\nport = {port}\nbackend = '{}'\n", backend.word());
        self.options.iter().for_each(|line| text += &format!("{line}\n"));
        text
    }

    /// The command, and the directory that its configuration is in.
    pub(crate) fn command(&self) -> (Command, TempDir) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let config = directory.path().join("nsplice.toml");
        fs::write(&config, self.config()).expect("write the configuration");
        let plain = nsplice("run");
        let mut command = wrapped(&self.wrapper, &plain);
        command.arg("--config").arg(&config);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        (command, directory)
    }

    /// Starts it and waits until it listens and its loops run.
    #[track_caller]
    pub(crate) fn start(self) -> Relay<'a> {
        let (mut command, directory) = self.command();
        let program = self.testbed.start(&mut command);
        program.expect_stderr("\"msg\":\"listening\"");
        let address = program.stderr().iter().find_map(|line| listening(line));
        let address = address.expect("an address in the line about the listener");
        Relay::new(self.testbed, program, address, &self.target, self.loops, Some(directory))
    }
}

/// `command` as the last words of `wrapper`.
pub(crate) fn wrapped(wrapper: &[String], command: &Command) -> Command {
    let mut words = wrapper.iter().map(AsRef::as_ref).chain([command.get_program()]);
    let mut whole = Command::new(words.next().expect("a program"));
    whole.args(words).args(command.get_args()).stdin(std::process::Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => whole.env(name, value),
            None => whole.env_remove(name),
        };
    }
    whole
}
