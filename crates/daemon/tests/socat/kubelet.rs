//! The kubelet's own line, wired as Go wires it: `nsenter -t PID -n SOCAT - TCP4:localhost:PORT`,
//! input and output through pipes, and standard error kept for the user.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use nsplice_testkit::skip::require_tool;
use nsplice_testkit::talk::{echo, half_close, read_to_eof};
use nsplice_testkit::wait::poll_for;
use nsplice_testkit::{ramp, Namespace, Server, PATIENCE};

use crate::compare::theirs;
use crate::mask::mask;
use crate::subject::Subject;

/// What the kubelet sees of the pair.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

/// Runs the line with `input`, which is ended once `output` bytes have come back.
fn run(nsenter: &Path, socat: &Path, pid: u32, port: u16, input: &[u8], output: usize) -> Seen {
    let mut command = Command::new(nsenter);
    command.args(["-t", &pid.to_string(), "-n"]).arg(socat);
    command.args(["-", &format!("TCP4:localhost:{port}")]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    thread::scope(|scope| {
        let told = scope.spawn(move || {
            let mut told = Vec::new();
            stderr.read_to_end(&mut told).unwrap();
            told
        });
        let writer = scope.spawn(move || {
            // Fails where nobody is reached.
            let _ = stdin.write_all(input);
            stdin
        });
        let mut came = vec![0; output];
        let read = stdout.read_exact(&mut came).is_ok();
        drop(writer.join().unwrap());
        if !read {
            came.clear();
        }
        stdout.read_to_end(&mut came).unwrap();
        let ended = poll_for(PATIENCE, || child.try_wait().unwrap());
        if ended.is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        Seen {
            status: ended.expect("the pair did not end").code(),
            stdout: came,
            stderr: mask(&told.join().unwrap(), "/nowhere"),
        }
    })
}

/// Plays `scene` with every pair: both real, ours behind the real nsenter, both ours.
fn with_pairs(test: &str, scene: impl Fn(&Namespace, &dyn Fn(u16, &[u8], usize) -> Seen)) {
    let Some(real_socat) = theirs(test) else { return };
    let Some(real_nsenter) = require_tool(test, "nsenter") else { return };
    let Some(container) = Namespace::for_test(test) else { return };
    let (socat, nsenter) = (Subject::called("socat"), Subject::called("nsenter"));
    let pairs: [[PathBuf; 2]; 3] = [
        [real_nsenter.clone(), real_socat],
        [real_nsenter, socat.path().to_owned()],
        [nsenter.path().to_owned(), socat.path().to_owned()],
    ];
    for [nsenter, socat] in pairs {
        println!("{} and {}", nsenter.display(), socat.display());
        scene(&container, &|port, input, output| {
            run(&nsenter, &socat, container.pid(), port, input, output)
        });
    }
}

#[test]
fn an_echo() {
    with_pairs("an_echo", |container, run| {
        let server = Server::in_namespace(container, "127.0.0.1:0", echo);
        let payload = ramp::bytes(1 << 20);
        let seen = run(server.port(), &payload, payload.len());
        assert!(seen.stdout == payload, "{} bytes came back", seen.stdout.len());
        assert_eq!((seen.status, seen.stderr.as_str()), (Some(0), ""));
        assert_eq!(server.join(), [1 << 20]);
    });
}

#[test]
fn a_server_that_ends_first() {
    with_pairs("a_server_that_ends_first", |container, run| {
        let server = Server::in_namespace(container, "127.0.0.1:0", |stream| {
            (&stream).write_all(b"banner").unwrap();
            half_close(&stream);
            read_to_eof(&stream)
        });
        let seen = run(server.port(), b"input", 6);
        let expected = Seen { status: Some(0), stdout: b"banner".to_vec(), stderr: String::new() };
        assert_eq!(seen, expected);
        assert_eq!(server.join(), [b"input".to_vec()]);
    });
}

#[test]
fn nobody_listens() {
    with_pairs("nobody_listens", |_, run| {
        let seen = run(1, b"", 0);
        let stderr = "DATE socat[PID] E connect(FD, AF=2 127.0.0.1:1, 16): Connection refused\n";
        let expected = Seen { status: Some(1), stdout: Vec::new(), stderr: stderr.to_owned() };
        assert_eq!(seen, expected);
    });
}

#[test]
fn no_such_process() {
    const TEST: &str = "no_such_process";
    let Some(real) = require_tool(TEST, "nsenter") else { return };
    let ours = Subject::called("nsenter");
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let socat = Path::new("/nosuch/socat");
    let [theirs, ours] =
        [real.as_path(), ours.path()].map(|nsenter| run(nsenter, socat, gone.id(), 1, b"", 0));
    assert_eq!(theirs, ours);
}
