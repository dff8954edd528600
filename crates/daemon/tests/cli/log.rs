//! The log where it cannot be written, or not at once: nothing ends by that, and what is lost is told.

use std::fs::{self, File};
use std::io::{pipe, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::sys::signal::Signal;
use nsplice_compare::free_ports;
use nsplice_testkit::skip::{require_root_or_userns, require_tool};
use nsplice_testkit::talk::echo;
use nsplice_testkit::{listen, wait_for, wait_until, Server};

use crate::binary::{end_of, nsplice, quiet};
use crate::life::{configured, visit};
use crate::{send, Killed};

/// The value of `key` in the JSON of `line`, if that is JSON.
fn field(line: &str, key: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let field = value.get(key)?;
    Some(field.as_str().map_or_else(|| field.to_string(), str::to_owned))
}

/// A file that may not grow is an error and not the end (SIGXFSZ), half a line stands alone, and when
/// there is room again the log says how many lines are missing and why.
#[test]
fn a_log_that_may_not_grow_ends_nothing() {
    const NAME: &str = "a_log_that_may_not_grow_ends_nothing";
    if require_tool(NAME, "prlimit").is_none() {
        return;
    }
    let server = Server::start(listen("127.0.0.1:0"), echo);
    let (directory, config) = configured(server.port(), "log_format = 'json'", "");
    let path = directory.path().join("log");
    let mut command = Command::new("prlimit");
    // The line about the listener fits, and that about the first link does not.
    let limit = 400;
    command.arg(format!("--fsize={limit}:unlimited")).arg(env!("CARGO_BIN_EXE_nsplice"));
    command.args(["run", "--config", &config]).stdin(Stdio::null());
    let mut child = Killed(command.stderr(File::create(&path).unwrap()).spawn().unwrap());
    let lines = || -> Vec<String> {
        fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect()
    };
    let address = wait_for("the address", || field(lines().first()?, "address"));
    let address: SocketAddr = address.parse().unwrap();
    let is_full = || fs::metadata(&path).unwrap().len() == limit;
    for _ in 0..3 {
        visit(address);
    }
    wait_until("the log to be full", is_full);
    for _ in 0..3 {
        visit(address);
    }
    let status = Command::new("prlimit")
        .args(["--fsize=unlimited", "--pid", &child.0.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
    let told = wait_for("what is missing to be told", || {
        visit(address);
        let missing = |line: &String| field(line, "msg").is_some_and(|msg| msg.contains("lost"));
        lines().into_iter().find(missing)
    });
    let error = "lost log lines: cannot write the log: File too large";
    assert_eq!(field(&told, "msg").as_deref(), Some(error));
    let (missing, ends) = (field(&told, "lines").unwrap(), field(&told, "link_ends").unwrap());
    assert_eq!(missing, ends, "only links were told meanwhile");
    send(Signal::SIGTERM, &child.0);
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
    let lines = lines();
    let torn: Vec<&String> = lines.iter().filter(|line| field(line, "ts").is_none()).collect();
    assert!(torn.len() <= 1, "{torn:?}");
    // What was written and what is missing are all links.
    let told_ends = lines.iter().filter(|line| field(line, "outcome").is_some()).count();
    assert_eq!(
        u64::try_from(told_ends).unwrap() + ends.parse::<u64>().unwrap(),
        u64::try_from(server.accepted()).unwrap()
    );
}

/// Somebody who shares standard error and standard output has made them non-blocking, and they are
/// full: what is said then comes when there is room.
#[test]
fn a_full_pipe_that_does_not_block_gets_its_lines_later() {
    let server = Server::start(listen("127.0.0.1:0"), echo);
    let full = || {
        let (reader, writer) = pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        while (&writer).write(&[b'.'; 4096]).is_ok() {}
        (reader, writer)
    };
    let ((mut stderr, its_stderr), (mut stdout, its_stdout)) = (full(), full());
    let port = free_ports(1).unwrap()[0];
    let line = format!("forward tcp/127.0.0.1 {port}:{} --address 127.0.0.1", server.port());
    let mut command = nsplice(&(line + " --log info"));
    let mut child = Killed(command.stdout(its_stdout).stderr(its_stderr).spawn().unwrap());
    drop(command);
    let address = ([127, 0, 0, 1], port).into();
    wait_until("it to listen", || TcpStream::connect(address).is_ok());
    for _ in 0..5 {
        visit(address);
    }
    send(Signal::SIGTERM, &child.0);
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).unwrap();
        text
    });
    let mut printed = String::new();
    stdout.read_to_string(&mut printed).unwrap();
    let told = reading.join().unwrap();
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
    let printed = printed.trim_start_matches('.');
    assert!(printed.starts_with(&format!("Forwarding from {address} -> ")), "{printed}");
    let connections = printed.matches(&format!("Handling connection for {port}\n")).count();
    assert!(connections >= 6, "{printed}");
    let told = told.trim_start_matches('.');
    assert_eq!(told.matches("link ended, ").count(), connections, "{told}");
}

/// A disk that is full is no reason to say nothing more on standard output.
#[test]
fn lines_that_could_not_be_printed_are_told() {
    const NAME: &str = "lines_that_could_not_be_printed_are_told";
    if require_tool(NAME, "prlimit").is_none() {
        return;
    }
    let server = Server::start(listen("127.0.0.1:0"), echo);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    let port = free_ports(1).unwrap()[0];
    let mut command = Command::new("prlimit");
    command.arg("--fsize=4:unlimited").arg(env!("CARGO_BIN_EXE_nsplice")).stdin(Stdio::null());
    command.args(["forward", "tcp/127.0.0.1", &format!("{port}:{}", server.port())]);
    command.args(["--address", "127.0.0.1"]).stdout(File::create(&path).unwrap());
    let mut child = Killed(command.stderr(Stdio::piped()).spawn().unwrap());
    let address = ([127, 0, 0, 1], port).into();
    wait_until("it to listen", || TcpStream::connect(address).is_ok());
    wait_until("its output to be full", || fs::metadata(&path).unwrap().len() == 4);
    let status = Command::new("prlimit")
        .args(["--fsize=unlimited", "--pid", &child.0.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
    wait_until("a line to be printed", || {
        visit(address);
        fs::read_to_string(&path).unwrap().contains(&format!("Handling connection for {port}\n"))
    });
    send(Signal::SIGTERM, &child.0);
    let mut told = String::new();
    child.0.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
    let why = " lines: cannot write to standard output: File too large\n";
    assert!(told.starts_with("warning: lost ") && told.contains(why), "{told}");
    assert!(fs::read_to_string(&path).unwrap().starts_with("Forw\n"));
}

/// Where not one more thread may be started, there is a sentence and no panic.
#[test]
fn without_threads_there_is_a_sentence() {
    const NAME: &str = "without_threads_there_is_a_sentence";
    if !require_root_or_userns(NAME) || require_tool(NAME, "setpriv").is_none() {
        return;
    }
    let (directory, config) = configured(9, "", "");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let lines = [
        format!("run --config {config}"),
        "forward tcp/127.0.0.1 :9 --address 127.0.0.1".to_owned(),
    ];
    for (number, line) in lines.iter().enumerate() {
        // Threads are counted by user.
        let user = 65_400 + number;
        let mut command = Command::new("prlimit");
        command.args(["--nproc=1", "setpriv"]);
        command.args([format!("--reuid={user}"), format!("--regid={user}")]);
        command.args(["--clear-groups", env!("CARGO_BIN_EXE_nsplice")]).stdin(Stdio::null());
        let end = end_of(command.args(line.split(' ')));
        let message =
            "error: cannot start the thread of the log: Resource temporarily unavailable\n";
        assert_eq!(end, quiet(1, message), "{line}");
    }
}
