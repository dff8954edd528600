//! `nsplice forward`, seen from outside.

use std::io::{self, pipe, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::sys::signal::Signal;
use nsplice_testkit::peer::patient;
use nsplice_testkit::skip::require_root_or_userns;
use nsplice_testkit::talk::{echo, expect_eof, expect_reset};
use nsplice_testkit::{connect, listen, wait_until, Program, Server};

use crate::binary::{end_of, nsplice, quiet};
use crate::{closed_port, send, Killed};

/// Connects and asserts that the answer is RST, however early it comes.
#[track_caller]
fn expect_refusal(address: SocketAddr) {
    match TcpStream::connect(address) {
        Ok(client) => expect_reset(&patient(client)),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn an_address_that_cannot_be_listened_on_exits_with_4() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let line = format!("forward tcp/127.0.0.1 {port}:1 --address 127.0.0.1");
    let message = format!(
        "error: cannot listen on 127.0.0.1:{port}: Address already in use; \
         `ss -Hltnp 'sport = {port}'` shows who has it, :PORT takes a free one\n"
    );
    assert_eq!(end_of(&mut nsplice(&line)), quiet(4, message));
    // Two loops share a port with each other, but not with anyone else.
    assert_eq!(end_of(&mut nsplice(&(line + " --loops 2"))).code, 4);
}

#[test]
fn half_of_localhost_is_enough() {
    if TcpListener::bind("[::1]:0").is_err() {
        nsplice_testkit::skip!("half_of_localhost_is_enough", "there is no ::1 on this machine");
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let line = format!("forward tcp/127.0.0.1 {port}:9");
    let mut program = Program::spawn(&mut nsplice(&line));
    program.expect_stdout(&format!("Forwarding from [::1]:{port} -> 9"));
    program.expect_stderr(&format!("warning: cannot listen on 127.0.0.1:{port}: Address already"));
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));
    assert_eq!(program.stdout().len(), 1);
}

#[test]
fn forward_prints_what_kubectl_prints_and_ends_with_0() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut server = Server::start(listen("127.0.0.1:0"), |mut stream: TcpStream| {
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).unwrap();
            stream.write_all(&hello).unwrap();
            expect_reset(&stream);
        });
        let remote = server.port();
        let line = format!("forward tcp/127.0.0.1 :{remote} --address 127.0.0.1");
        let mut program = Program::spawn(&mut nsplice(&line));
        let local = program.forwarded_address();
        let mut client = connect(local);
        client.write_all(b"hello").unwrap();
        let mut answer = [0; 5];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");
        program.expect_stdout(&format!("Handling connection for {}", local.port()));
        program.signal(signal);
        assert_eq!(program.wait().code(), Some(0));
        expect_reset(&client);
        server.next_end();
        let printed = [
            format!("Forwarding from {local} -> {remote}"),
            format!("Handling connection for {}", local.port()),
        ];
        assert_eq!(program.stdout(), printed);
        assert_eq!(program.stderr(), [""; 0]);
    }
}

#[test]
fn a_quiet_forward_says_only_what_goes_wrong() {
    let server = Server::start(listen("127.0.0.1:0"), echo);
    // It does not print where it listens: on the number of the server, at an address of its own.
    let local = SocketAddr::from(([127, 0, 0, 83], server.port()));
    let line = format!("forward tcp/127.0.0.1 {} --address {} -q", server.port(), local.ip());
    let mut program = Program::spawn(&mut nsplice(&line));
    wait_until("it listens", || TcpStream::connect(local).is_ok());
    let client = connect(local);
    client.shutdown(Shutdown::Write).unwrap();
    expect_eof(&client);
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));
    assert_eq!((program.stdout(), program.stderr()), (Vec::new(), Vec::new()));

    let line = format!("forward tcp/127.0.0.1 :{} --address 127.0.0.1 -v", server.port());
    let program = Program::spawn(&mut nsplice(&line));
    let client = connect(program.forwarded_address());
    client.shutdown(Shutdown::Write).unwrap();
    expect_eof(&client);
    program.expect_stderr("link ended, forward: ");
}

#[test]
fn a_process_that_ends_ends_its_forward_with_the_last_link() {
    if !require_root_or_userns("a_process_that_ends_ends_its_forward") {
        return;
    }
    // The process is in our namespace, and the server outlives it. The second link ends by Ctrl-C, which
    // its server hears as a reset.
    let server =
        Server::start(listen("127.0.0.1:0"), |stream| io::copy(&mut &stream, &mut &stream));
    let spawn = || {
        let mut child = Killed(Command::new("sleep").arg("600").spawn().unwrap());
        let line = format!("forward pid/{} :{} --address 127.0.0.1", child.0.id(), server.port());
        let program = Program::spawn(&mut nsplice(&line));
        let local = program.forwarded_address();
        let client = connect(local);
        (&client).write_all(b"x").unwrap();
        (&client).read_exact(&mut [0]).unwrap();
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        (child.0.id(), program, local, client)
    };
    let (pid, mut program, local, client) = spawn();
    program.expect_stderr(&format!(
        "warning: pid/{pid} is gone: its process has ended; refusing new connections, 1 still open"
    ));
    wait_until("nobody listens", || TcpStream::connect(local).is_err());
    (&client).write_all(b"x").unwrap();
    (&client).read_exact(&mut [0]).unwrap();
    assert_eq!(program.ended(), None, "a link is left");
    client.shutdown(Shutdown::Write).unwrap();
    expect_eof(&client);
    assert_eq!(program.wait().code(), Some(7));
    program.expect_stderr(&format!("error: pid/{pid} is gone: its process has ended"));

    // Without a link it ends at once; with one, by Ctrl-C.
    let (pid, mut program, _, client) = spawn();
    program.expect_stderr("warning: ");
    program.signal(Signal::SIGINT);
    assert_eq!(program.wait().code(), Some(7));
    expect_reset(&client);
    program.expect_stderr(&format!("error: pid/{pid} is gone"));
}

#[test]
fn a_failed_link_is_told_as_kubectl_tells_it_and_others_go_on() {
    let (_closed, remote) = closed_port();
    let line = format!("forward tcp/127.0.0.1 :{remote} --address 127.0.0.1");
    let mut program = Program::spawn(&mut nsplice(&line));
    let local = program.forwarded_address();
    for count in 1..=2 {
        expect_refusal(local);
        let told = program.expect_stderr_lines("an error occurred", count);
        assert_eq!(
            told[count - 1],
            format!(
                "error: an error occurred forwarding {} -> {remote}: error forwarding port \
                 {remote} to tcp/127.0.0.1: cannot connect to 127.0.0.1:{remote} for \
                 tcp/127.0.0.1: Connection refused",
                local.port()
            )
        );
    }
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));
}

#[test]
fn a_flood_of_failures_is_told_in_a_few_lines() {
    let (_closed, remote) = closed_port();
    let line = format!("forward tcp/127.0.0.1 :{remote} --address 127.0.0.1 --log-format json");
    let mut program = Program::spawn(&mut nsplice(&line));
    let local = program.forwarded_address();
    const FLOOD: usize = 500;
    for _ in 0..FLOOD {
        expect_refusal(local);
    }
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));
    let (held, told): (Vec<String>, Vec<String>) =
        program.stderr().into_iter().partition(|line| line.contains("suppressed"));
    let count = |line: &String| -> usize {
        let (_, rest) = line.split_once("\"count\":").unwrap();
        rest.split(|letter: char| !letter.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    assert!(told.len() < FLOOD, "nothing was suppressed");
    assert_eq!(told.len() + held.iter().map(count).sum::<usize>(), FLOOD, "all are accounted for");
}

#[test]
fn a_standard_output_that_nobody_reads_stops_no_link() {
    let server = Server::start(listen("127.0.0.1:0"), echo);
    let line = format!("forward tcp/127.0.0.1 :{} --address 127.0.0.1", server.port());
    let mut command = nsplice(&line);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut child = Killed(child);
    let mut stdout = child.0.stdout.take().unwrap();
    let mut first = Vec::new();
    while first.last() != Some(&b'\n') {
        let mut byte = [0];
        stdout.read_exact(&mut byte).unwrap();
        first.extend(byte);
    }
    let text = String::from_utf8(first).unwrap();
    let local = text.split(' ').nth(2).unwrap().parse().unwrap();
    // A line of each is more than 64 KiB of pipe and a queue of 1024 lines hold.
    for _ in 0..3600 {
        let client = connect(local);
        client.shutdown(Shutdown::Write).unwrap();
        expect_eof(&client);
    }
    send(Signal::SIGTERM, &child.0);
    assert_eq!(child.0.wait().unwrap().code(), Some(0), "not even at its end");
}

#[test]
fn a_standard_error_that_nobody_reads_stops_no_link() {
    let server = Server::start(listen("127.0.0.1:0"), echo);
    let line = format!("forward tcp/127.0.0.1 :{} --address 127.0.0.1 --log debug", server.port());
    let (_reader, writer) = pipe().unwrap();
    // The pipe is full from the start.
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while (&writer).write(&[b'.'; 4096]).is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    let (stdout, printed) = pipe().unwrap();
    let mut child = Killed(nsplice(&line).stdout(printed).stderr(writer).spawn().unwrap());
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let first = lines.next().unwrap();
    let local: SocketAddr = first.split(' ').nth(2).unwrap().parse().unwrap();
    let reading = std::thread::spawn(move || lines.count());
    const LINKS: usize = 2000;
    for _ in 0..LINKS {
        let client = connect(local);
        client.shutdown(Shutdown::Write).unwrap();
        expect_eof(&client);
    }
    send(Signal::SIGTERM, &child.0);
    assert_eq!(child.0.wait().unwrap().code(), Some(0), "not even at its end");
    assert_eq!(reading.join().unwrap(), LINKS);
}

/// Whatever it lacks to serve, it lacks before it says that it forwards.
#[test]
fn nothing_is_forwarded_from_where_nothing_can_be_served() {
    const NAME: &str = "nothing_is_forwarded_from_where_nothing_can_be_served";
    if nsplice_testkit::skip::require_tool(NAME, "prlimit").is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("nsplice.toml");
    let text =
        "[[forward]]\nname = 'x'\nlisten = '127.0.0.1:0'\ntarget = 'tcp/127.0.0.1'\nport = 9\n";
    std::fs::write(&config, text).unwrap();
    let run = format!("run --config {}", config.display());
    let mut refused = 0;
    for line in ["forward tcp/127.0.0.1 :9 :10 --address 127.0.0.1 --loops 4", run.as_str()] {
        for descriptors in 8..40 {
            let mut command = Command::new("prlimit");
            command.arg(format!("--nofile={descriptors}")).arg(nsplice("").get_program());
            let mut program = Program::spawn(command.args(line.split(' ')));
            // It either says that it serves, and does, or ends with a sentence.
            let announcement =
                |line: &String| line.contains("Forwarding from") || line.contains("listening");
            let has_announced = |program: &Program| {
                program.stdout().iter().chain(&program.stderr()).any(announcement)
            };
            wait_until("an announcement or the end", || {
                program.ended().is_some() || has_announced(&program)
            });
            if has_announced(&program) {
                program.signal(Signal::SIGTERM);
                assert_eq!(program.wait().code(), Some(0), "{descriptors}: {program}");
            } else {
                let code = program.wait().code();
                assert!(matches!(code, Some(1 | 4)), "{descriptors}: {program}");
                assert!(!has_announced(&program), "{program}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "all limits were enough");
}
