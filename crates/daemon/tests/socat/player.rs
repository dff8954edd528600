//! Plays one case with one program and reports what came of it.
//!
//! A run has a thread, a network namespace, a view of the files and a directory of its own. Everything that the thread
//! starts is in that namespace, which is how what a program leaves behind is found: whoever is
//! still there when all connections are closed was left, is told in the report and is killed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sched::{unshare, CloneFlags};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use nsplice_testkit::ramp;
use nsplice_testkit::wait::poll_for;
use nsplice_testkit::PATIENCE;

use crate::case::{Case, Cue};
use crate::mask::mask;
use crate::remains::{files, left_behind};
use crate::report::{Peer, Report, StreamEnd};
use crate::stream::{collect, Collected, Connection, Listener};

/// How long what follows from the end of a program may take: ends that peers see, children that
/// end with it.
pub(crate) const AFTERMATH: Duration = Duration::from_secs(3);

/// What every run has in its /etc/hosts.
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost only6\n";

/// Plays `case` with `program` under the name of socat.
pub(crate) fn play(case: &Case, program: &Path) -> Report {
    thread::scope(|scope| {
        let run = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("namespaces");
            let player = Player::new(case, program);
            player.furnish();
            player.run()
        });
        run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// One run.
struct Player<'a> {
    case: &'a Case,
    directory: tempfile::TempDir,
    listeners: BTreeMap<&'static str, Listener>,
    connections: BTreeMap<&'static str, Connection>,
    program: Option<Running>,
    shell: Vec<String>,
}

/// The program, once it is started.
struct Running {
    child: Child,
    status: Option<ExitStatus>,
    stdin: Option<ChildStdin>,
    stdout: Arc<Collected>,
    stderr: Arc<Collected>,
}

impl<'a> Player<'a> {
    fn new(case: &'a Case, program: &Path) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["bin", "work"] {
            fs::create_dir(directory.path().join(name)).expect("a directory");
        }
        // Others than root have to be able to get there, for su=.
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(directory.path(), open).expect("a mode");
        symlink(program, directory.path().join("bin/socat")).expect("a link");
        Self {
            case,
            directory,
            listeners: BTreeMap::new(),
            connections: BTreeMap::new(),
            program: None,
            shell: Vec::new(),
        }
    }

    /// Loopback, and a /etc/hosts that is the same everywhere.
    fn furnish(&self) {
        let hosts = self.directory.path().join("hosts");
        fs::write(&hosts, HOSTS).expect("a file");
        let mut command = Command::new("sh");
        command.args([
            "-ec",
            "ip link set lo up; mount --make-rprivate /; mount --bind \"$1\" /etc/hosts",
            "sh",
        ]);
        let output = command.arg(hosts).output().expect("sh can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn work(&self) -> PathBuf {
        self.directory.path().join("work")
    }

    fn run(mut self) -> Report {
        let mut broken = Vec::new();
        for (index, cue) in self.case.play.iter().enumerate() {
            if !self.follow(cue) {
                broken.push(format!("cue {index}, {cue:?}"));
                break;
            }
        }
        self.report(broken)
    }

    /// A shell command in the directory of the run, without what the environment of the tests may
    /// say to the program.
    fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("NSPLICE_") || name.starts_with("SOCAT_") {
                command.env_remove(&*name);
            }
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let bin = self.directory.path().join("bin");
        command.args(["-c", line]).current_dir(self.work()).stdin(Stdio::null());
        command.env("PATH", format!("{}:{path}", bin.display())).env("LC_ALL", "C");
        command
    }

    /// Runs a shell command of the play to its end. Its output is a file, which what it leaves in
    /// the background does not hold open.
    fn shell_step(&mut self, line: &str) -> bool {
        let path = self.directory.path().join("said");
        let said = fs::File::create(&path).expect("a file");
        let mut command = self.shell(line);
        command.stdout(said.try_clone().expect("a descriptor")).stderr(said);
        let mut child = command.spawn().expect("sh can be run");
        let ended = poll_for(PATIENCE, || child.try_wait().expect("a child can be waited for"));
        if ended.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let place = self.work().display().to_string();
        self.shell.push(mask(&fs::read(path).unwrap_or_default(), &place));
        ended.is_some()
    }

    fn start(&mut self) {
        let mut command = self.shell(&format!("exec {}", self.case.line));
        if !self.case.own_linger {
            command.env("NSPLICE_SOCAT_LINGER", "0.5");
        }
        command.envs(self.case.env.iter().copied()).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("sh can be run");
        let stdin = child.stdin.take();
        if let Some(stdin) = &stdin {
            fcntl(stdin, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a pipe can be non-blocking");
        }
        let stdout = collect(child.stdout.take().expect("a pipe"));
        let stderr = collect(child.stderr.take().expect("a pipe"));
        self.program = Some(Running { child, status: None, stdin, stdout, stderr });
    }

    /// Follows one cue; returns whether what it waits for came.
    fn follow(&mut self, cue: &Cue) -> bool {
        let work = self.work();
        match *cue {
            Cue::Listen(name, place) => {
                self.listeners.insert(name, Listener::at(place, &work));
                true
            }
            Cue::Shell(line) => self.shell_step(line),
            Cue::Start => {
                self.start();
                true
            }
            Cue::Accept(listener, name) => {
                let found = poll_for(PATIENCE, || self.listeners[listener].accept());
                found.map(|connection| self.connections.insert(name, connection)).is_some()
            }
            Cue::Connect(name, place) => {
                let found = poll_for(PATIENCE, || Connection::to(place, &work));
                found.map(|connection| self.connections.insert(name, connection)).is_some()
            }
            Cue::Say(name, text) => {
                self.connections[name].say(text.as_bytes());
                true
            }
            Cue::SayRamp(name, len) => {
                self.connections[name].say(&ramp_of(len));
                true
            }
            Cue::Hear(name, text) => hears(self.connections[name].collected(), text),
            Cue::HearBytes(name, count) => {
                let collected = self.connections[name].collected();
                collected.wait(PATIENCE, |peer| peer.bytes.len() >= count)
            }
            Cue::HearEnd(name) => {
                let collected = self.connections[name].collected();
                collected.wait(PATIENCE, |peer| peer.end != StreamEnd::Open)
            }
            Cue::Fin(name) => {
                self.connections[name].fin();
                true
            }
            Cue::Reset(name) => {
                self.connections.get_mut(name).expect("a connection").reset();
                true
            }
            Cue::Type(text) => self.write(text.as_bytes()),
            Cue::TypeRamp(len) => self.write(&ramp_of(len)),
            Cue::EndInput => {
                self.running().stdin = None;
                true
            }
            Cue::Read(text) => hears(&self.running().stdout.clone(), text),
            Cue::Told(text) => hears(&self.running().stderr.clone(), text),
            Cue::Appears(name) => poll_for(PATIENCE, || exists(&work.join(name))).is_some(),
            Cue::Until(line) => poll_for(PATIENCE, || {
                let status = self.shell(line).stdout(Stdio::null()).stderr(Stdio::null()).status();
                status.expect("sh can be run").success().then_some(())
            })
            .is_some(),
            Cue::Pause(milliseconds) => {
                thread::sleep(Duration::from_millis(milliseconds));
                true
            }
            Cue::Linger(milliseconds) => {
                self.running().ends(Duration::from_millis(milliseconds));
                true
            }
            Cue::Kill(signal) => {
                let program = self.running();
                // Once it has been waited for its number is somebody else's.
                if program.status.is_none() {
                    kill(pid_of(&program.child), signal).expect("a child can be signalled");
                }
                true
            }
            Cue::Exit => self.running().ends(PATIENCE),
        }
    }

    fn running(&mut self) -> &mut Running {
        self.program.as_mut().expect("the play starts the program first")
    }

    /// Writes to standard input. A program that has closed it shows that otherwise.
    fn write(&mut self, mut bytes: &[u8]) -> bool {
        let Some(stdin) = &mut self.running().stdin else { return false };
        while !bytes.is_empty() {
            match stdin.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLOUT)];
                    let patience = PollTimeout::try_from(PATIENCE).expect("a time for poll");
                    if poll(&mut fds, patience).expect("poll") == 0 {
                        return false;
                    }
                }
                Err(_) => break,
            }
        }
        true
    }

    /// Ends what has not ended and looks what is left.
    fn report(mut self, mut broken: Vec<String>) -> Report {
        let work = self.work();
        let place = work.display().to_string();
        let mut report = Report::default();
        if let Some(program) = &mut self.program {
            if !program.ends(Duration::ZERO) {
                broken.push("it had to be killed".to_owned());
                let _ = kill(Pid::from_raw(-pid_of(&program.child).as_raw()), Signal::SIGKILL);
                program.ends(PATIENCE);
            }
            report.end = match program.status {
                Some(status) => match (status.code(), status.signal()) {
                    (Some(code), _) => format!("status {code}"),
                    (None, signal) => format!("signal {}", signal.unwrap_or(0)),
                },
                None => "none".to_owned(),
            };
        }
        for (name, connection) in &mut self.connections {
            let ended = |peer: &Peer| peer.end != StreamEnd::Open;
            connection.collected().wait(AFTERMATH, ended);
            report.peers.insert(name, connection.collected().so_far());
        }
        self.connections.clear();
        self.listeners.clear();
        for (pid, name) in left_behind() {
            broken.push(format!("{name} was left behind"));
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        if let Some(program) = &self.program {
            for output in [&program.stdout, &program.stderr] {
                output.wait(AFTERMATH, |output| output.end != StreamEnd::Open);
            }
            report.stdout = program.stdout.so_far().bytes;
            report.stderr = mask(&program.stderr.so_far().bytes, &place);
        }
        report.files = files(&work, "");
        report.shell = self.shell;
        report.broken = broken;
        report
    }
}

impl Running {
    /// Waits for its end; whether it came.
    fn ends(&mut self, limit: Duration) -> bool {
        let status = &mut self.status;
        let child = &mut self.child;
        poll_for(limit, || {
            *status = status.or_else(|| child.try_wait().expect("a child can be waited for"));
            *status
        })
        .is_some()
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("process ids are positive"))
}

fn ramp_of(len: u64) -> Vec<u8> {
    ramp::bytes(usize::try_from(len).expect("it fits into memory"))
}

fn hears(collected: &Collected, text: &str) -> bool {
    let has = |peer: &Peer| peer.bytes.windows(text.len()).any(|part| part == text.as_bytes());
    collected.wait(PATIENCE, |peer| has(peer))
}

fn exists(path: &Path) -> Option<()> {
    fs::symlink_metadata(path).ok().map(|_| ())
}
