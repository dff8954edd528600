//! What does not end a program that runs until it is told to stop: signals that mean nothing to it, and
//! the children of others.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use nix::libc;
use nix::sys::signal::Signal;
use nsplice_compare::free_ports;
use nsplice_testkit::peer::connect_expecting_reset;
use nsplice_testkit::skip::require_root_or_userns;
use nsplice_testkit::talk::{echo, expect_ramp, half_close, read_to_eof, send_ramp};
use nsplice_testkit::{connect, listen, wait_until, Program, Server};
use tempfile::TempDir;

use crate::binary::nsplice;

/// A configuration with one forward to `port` of this machine, on a free port.
pub(crate) fn configured(port: u16, globals: &str, options: &str) -> (TempDir, String) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = directory.path().join("nsplice.toml");
    let text = format!(
        "{globals}\n[[forward]]\nname = 'echo'\nlisten = '127.0.0.1:0'\n\
         target = 'tcp/127.0.0.1'\nport = {port}\n{options}\n"
    );
    fs::write(&config, text).expect("write the configuration");
    let path = config.display().to_string();
    (directory, path)
}

/// The address in the line about the listener of a daemon with a text log.
#[track_caller]
pub(crate) fn listening(program: &Program) -> SocketAddr {
    let line = program.expect_stderr("listening");
    let (_, address) = line.split_once("address: ").expect("an address");
    let (address, _) = address.split_once(',').expect("more after the address");
    address.parse().expect("an address and a port")
}

/// Asserts that a link is alive.
#[track_caller]
pub(crate) fn ping(client: &TcpStream) {
    send_ramp(client, 0, 64);
    expect_ramp(client, 0, 64);
}

/// Opens a link, uses it and ends it.
#[track_caller]
pub(crate) fn visit(address: SocketAddr) {
    let client = connect(address);
    ping(&client);
    half_close(&client);
    read_to_eof(&client);
}

/// `run` with its configuration, and `forward`, both to `port`.
fn both(port: u16) -> ([Command; 2], TempDir) {
    let (directory, config) = configured(port, "log = 'debug'", "");
    let mut run = nsplice("run --config");
    run.arg(config);
    let line = format!("forward tcp/127.0.0.1 :{port} --address 127.0.0.1 --log debug");
    ([run, nsplice(&line)], directory)
}

#[track_caller]
fn address_of(program: &Program, is_run: bool) -> SocketAddr {
    if is_run {
        listening(program)
    } else {
        program.forwarded_address()
    }
}

#[test]
fn signals_without_a_meaning_end_nothing() {
    let server = Server::start(listen("127.0.0.1:0"), |stream| {
        // To its end, in whatever way.
        let _: Result<u64, _> = std::io::copy(&mut &stream, &mut &stream);
    });
    let (commands, _directory) = both(server.port());
    for (index, mut command) in commands.into_iter().enumerate() {
        let is_run = index == 0;
        let mut program = Program::spawn(&mut command);
        let client = connect(address_of(&program, is_run));
        ping(&client);
        let (first, last) = (libc::SIGRTMIN(), libc::SIGRTMAX());
        for number in [first, first + 3, last] {
            let (number, pid) = (format!("-{number}"), program.pid().to_string());
            assert!(Command::new("kill").args([number, pid]).status().unwrap().success());
        }
        for signal in [
            Signal::SIGUSR2,
            Signal::SIGALRM,
            Signal::SIGVTALRM,
            Signal::SIGPROF,
            Signal::SIGIO,
            Signal::SIGPWR,
            Signal::SIGSTKFLT,
            Signal::SIGXFSZ,
        ] {
            program.signal(signal);
            if signal != Signal::SIGXFSZ {
                program.expect_stderr(signal.as_str());
            }
        }
        ping(&client);
        assert_eq!(program.ended(), None);
        program.signal(Signal::SIGTERM);
        if is_run {
            half_close(&client);
            read_to_eof(&client);
        }
        assert_eq!(program.wait().code(), Some(0), "{program}");
    }
}

#[test]
fn usr1_tells_counters_and_links_whatever_the_level() {
    let server = Server::start(listen("127.0.0.1:0"), echo);
    let (_directory, config) = configured(server.port(), "log = 'error'\nloops = 2", "");
    let port = free_ports(1).unwrap()[0];
    // A log of errors says nothing about listeners.
    let text = fs::read_to_string(&config).unwrap();
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    fs::write(&config, text.replace("127.0.0.1:0", &address.to_string())).unwrap();
    let mut program = Program::spawn(nsplice("run --config").arg(&config));
    wait_until("the daemon to listen", || TcpStream::connect(address).is_ok());
    let clients: Vec<_> = (0..3).map(|_| connect(address)).collect();
    clients.iter().for_each(ping);
    half_close(&clients[2]);
    // The server has ended, too.
    read_to_eof(&clients[2]);

    program.signal(Signal::SIGUSR1);
    program.expect_stderr("end of counters and links");
    let counters = program.expect_stderr("INFO counters, opened: ");
    assert!(counters.contains(", rejected: 0, up: "), "{counters}");
    // The one forward has the books of both loops.
    let forward = program.expect_stderr("INFO forward, forward: echo, target: tcp/127.0.0.1, ");
    assert!(forward.contains(", backend: dial, state: serving, links: "), "{forward}");
    let of = |line: &str, field: &str| {
        let rest = line.split(field).nth(1).unwrap_or_else(|| panic!("{field} is not in {line}"));
        rest.split(',').next().unwrap().trim().to_owned()
    };
    for field in [", opened: ", ", up: ", ", down: "] {
        assert_eq!(of(&forward, field), of(&counters, field));
    }
    for client in &clients[..2] {
        let client = client.local_addr().unwrap();
        let line = program.expect_stderr(&format!("client: {client}"));
        let told = format!(
            "INFO link, forward: echo, target: tcp/127.0.0.1, backend: dial, client: {client}, \
             stage: open, up: 64, down: 64, open_us: "
        );
        assert!(line.contains(&told), "{line}");
    }
    // And again, when that is done.
    wait_until("the thread to end", || !threads_of(program.pid()).contains(&"dump".to_owned()));
    program.signal(Signal::SIGUSR1);
    program.expect_stderr_lines("end of counters and links", 2);
    clients[..2].iter().for_each(ping);
    clients[..2].iter().for_each(half_close);
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));
}

#[test]
fn usr1_tells_all_links_however_many() {
    const LINKS: usize = 1100;
    let server = Server::start(listen("127.0.0.1:0"), |stream| {
        // Until the client goes, in whatever way.
        let _: Result<u64, _> = std::io::copy(&mut &stream, &mut std::io::sink());
    });
    let line = format!("forward tcp/127.0.0.1 :{} --address 127.0.0.1", server.port());
    let mut program = Program::spawn(&mut nsplice(&line));
    let address = program.forwarded_address();
    let clients: Vec<_> = (0..LINKS).map(|_| connect(address)).collect();
    server.wait_accepted(LINKS);
    program.signal(Signal::SIGUSR1);
    // More than may wait for standard error, and none is dropped.
    program.expect_stderr("end of counters and links");
    let told = program.stderr().iter().filter(|line| line.starts_with("link, ")).count();
    assert_eq!(told, LINKS);
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));
    drop(clients);
}

/// Children of `parent` that have ended and were not collected.
fn zombies_of(parent: u32) -> usize {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let stats = entries.flat_map(|entry| fs::read_to_string(entry.path().join("stat")));
    let is_zombie = |stat: &String| {
        let rest = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
        rest.starts_with(&format!("Z {parent} "))
    };
    stats.filter(is_zombie).count()
}

/// The names of a process's threads.
fn threads_of(pid: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives").flatten();
    let names = tasks.flat_map(|task| fs::read_to_string(task.path().join("comm")));
    names.map(|name| name.trim_end().to_owned()).collect()
}

/// Children of `parent`, ended or not.
fn children_of(parent: u32) -> usize {
    let children = format!("/proc/{parent}/task/{parent}/children");
    fs::read_to_string(children).expect("the process lives").split_whitespace().count()
}

/// Jobs of a shell that end after the shell has become nsplice: nobody else can reap them. The
/// statuses of the children that carry links are not lost to that.
#[test]
fn jobs_of_the_shell_that_became_nsplice_are_reaped() {
    let server = Server::start(listen("127.0.0.1:0"), echo);
    // One job has ended by then, one is killed by a signal without a name, one waits for the end of
    // the shell's standard input.
    let jobs = "exec 3<&0 </dev/null; true & (kill -RTMIN $(exec sh -c 'echo $PPID')) & \
                cat <&3 & exec \"$0\" \"$@\" 3<&-";
    let (directory, config) =
        configured(server.port(), "", "backend = 'external'\ncommand = 'sh -c \"exit 3\"'");
    let line = format!("forward tcp/127.0.0.1 :{} --address 127.0.0.1 --log info", server.port());
    let external = " --backend external --command";
    for is_run in [true, false] {
        let mut command = Command::new("sh");
        let typed =
            if is_run { nsplice("run --config") } else { nsplice(&(line.clone() + external)) };
        command.args(["-c", jobs]).arg(typed.get_program()).args(typed.get_args());
        command.arg(if is_run { config.as_str() } else { "sh -c \"exit 3\"" });
        let mut program = Program::spawn(command.stdin(Stdio::piped()));
        let address = address_of(&program, is_run);
        wait_until("the jobs that have ended to be reaped", || {
            zombies_of(program.pid()) == 0 && children_of(program.pid()) == 1
        });
        for count in 1..=5 {
            connect_expecting_reset(address);
            let told = program.expect_stderr_lines("exit status 3", count);
            assert_eq!(told.len(), count);
        }
        drop(program.take_stdin());
        wait_until("the last job to be reaped", || children_of(program.pid()) == 0);
        program.signal(Signal::SIGTERM);
        assert_eq!(program.wait().code(), Some(0), "{program}");
    }
    drop(directory);
}

/// The first process of a PID namespace inherits the orphans of all others.
#[test]
fn orphans_are_reaped_by_the_first_process_of_a_container() {
    if !require_root_or_userns("orphans_are_reaped_by_the_first_process_of_a_container") {
        return;
    }
    let orphan = "exec 3<&0 </dev/null; sh -c 'cat <&3 & exit'; exec \"$0\" \"$@\" 3<&-";
    for words in ["forward", "run"] {
        let (_directory, config) = configured(9, "", "");
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child", "sh", "-c", orphan]);
        command.arg(env!("CARGO_BIN_EXE_nsplice")).arg(words);
        match words {
            "run" => command.arg("--config").arg(config),
            _ => command.args(["tcp/127.0.0.1", ":9", "--address", "127.0.0.1"]),
        };
        let mut program = Program::spawn(command.stdin(Stdio::piped()));
        address_of(&program, words == "run");
        let children = format!("/proc/{0}/task/{0}/children", program.pid());
        let first = fs::read_to_string(children).unwrap().trim().parse().unwrap();
        assert_eq!(children_of(first), 1);
        drop(program.take_stdin());
        wait_until("the orphan to be reaped", || children_of(first) == 0);
    }
}
