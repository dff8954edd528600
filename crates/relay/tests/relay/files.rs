//! Downstreams that are handed over and no streams: files, devices, terminals, and disks that are full.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::process::Command;
use std::thread;

use nix::fcntl::OFlag;
use nix::sched::{unshare, CloneFlags};
use nsplice_relay::{Outcome, Side};
use nsplice_testkit::ramp::{Ramp, RampSink};
use nsplice_testkit::skip::{require_root_or_userns, require_tool, skipped};
use nsplice_testkit::talk::{expect_eof, expect_reset, ramp_sink, send_ramp, sink};
use nsplice_testkit::{listen, Server};

use crate::bench::accept;
use crate::handover::{adopt, finish, pair, upstream, BULK};
use crate::scene::in_both_modes;

/// A file without a name.
fn temporary_file() -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, OFlag::O_TMPFILE.bits());
    options.open(std::env::temp_dir()).expect("a temporary file")
}

/// A second description of the same file, from its beginning.
fn reopened(file: &File, options: &OpenOptions) -> File {
    let number = std::os::fd::AsRawFd::as_raw_fd(file);
    options.open(format!("/proc/self/fd/{number}")).expect("open the file again")
}

#[test]
fn a_file_is_sent_whole_and_the_reply_is_stored_whole() {
    in_both_modes(|settings| {
        // splice(2) into a file that is open for appending is refused by the kernel.
        for append in [false, true] {
            let server = Server::start(listen("127.0.0.1:0"), |stream| {
                let received = {
                    let reader = stream.try_clone().expect("clone");
                    ramp_sink(reader)
                };
                send_ramp(&stream, 0, received);
                received
            });
            let (mut question, answer) = (temporary_file(), temporary_file());
            io::copy(&mut Ramp::new(BULK), &mut question).expect("write the question");
            let source = reopened(&question, OpenOptions::new().read(true));
            let writing = OpenOptions::new().append(append).write(true).clone();
            let downstream = pair(source, reopened(&answer, &writing));
            assert_eq!(
                finish(adopt(settings.clone(), downstream, server.address())).outcome,
                Outcome::Clean
            );
            assert_eq!(server.join(), [BULK]);
            let mut stored = reopened(&answer, OpenOptions::new().read(true));
            let mut sink = RampSink::new();
            io::copy(&mut stored, &mut sink).expect("the ramp");
            assert_eq!(sink.count(), BULK);
        }
    });
}

#[test]
fn dev_null_is_an_end_and_takes_everything() {
    in_both_modes(|settings| {
        let server = Server::start(listen("127.0.0.1:0"), |stream| {
            expect_eof(&stream);
            send_ramp(&stream, 0, BULK);
        });
        let null = || OpenOptions::new().read(true).write(true).open("/dev/null").expect("open");
        let relay = adopt(settings, pair(null(), null()), server.address());
        let ended = finish(relay);
        assert_eq!(ended.outcome, Outcome::Clean);
        assert_eq!((ended.up.written, ended.down.written), (0, BULK));
        server.join();
    });
}

#[test]
fn a_terminal_is_read_and_written() {
    in_both_modes(|settings| {
        let server = Server::start(listen("127.0.0.1:0"), sink);
        let pty = nix::pty::openpty(None, None).expect("a terminal");
        let theirs = pty.slave.try_clone().expect("clone");
        let relay = adopt(settings, pair(pty.slave, theirs), server.address());
        let mut ours = File::from(pty.master);
        // A line, and the end that Ctrl-D is at the beginning of one.
        ours.write_all(b"hello\n\x04").expect("type");
        assert_eq!(finish(relay).outcome, Outcome::Clean);
        assert_eq!(server.join(), [b"hello\n".to_vec()]);
    });
}

#[test]
fn a_full_disk_fails_the_link_and_is_told_as_such() {
    in_both_modes(|settings| {
        let listener = upstream();
        let (source, _stdin) = io::pipe().expect("a pipe");
        let full = OpenOptions::new().write(true).open("/dev/full").expect("open /dev/full");
        let target = listener.local_addr().expect("an address");
        let relay = adopt(settings, pair(source, full), target);
        let server = accept(&listener);
        send_ramp(&server, 0, 1000);
        expect_reset(&server);
        let ended = finish(relay);
        assert_eq!(ended.outcome, Outcome::Failed(Side::Downstream));
        assert_eq!((ended.down.read, ended.down.written), (1000, 0));
        assert!(ended.detail.is_some_and(|detail| detail.contains("space")));
    });
}

/// A file on a disk of `size` bytes that is nobody else's; `None`, and a line, where there is none
/// to be had. The disk goes with the file.
fn file_on_a_disk_of(test: &str, size: u64) -> Option<File> {
    if !require_root_or_userns(test) {
        return None;
    }
    require_tool(test, "mount")?;
    let mount = |args: &[&str]| {
        let run = Command::new("mount").args(args).output().expect("run mount");
        let said = || String::from_utf8_lossy(&run.stderr).into_owned();
        run.status.success().then_some(()).ok_or_else(said)
    };
    let directory = std::env::temp_dir().display().to_string();
    let options = format!("size={size}");
    // Mounts belong to a thread that has left those of the process, and end with it.
    let mounted = || {
        unshare(CloneFlags::CLONE_NEWNS).map_err(|error| error.to_string())?;
        mount(&["--make-rprivate", "/"])?;
        mount(&["-t", "tmpfs", "-o", &options, "tmpfs", &directory])?;
        Ok::<_, String>(temporary_file())
    };
    match thread::scope(|scope| scope.spawn(mounted).join().expect("the file")) {
        Ok(file) => Some(file),
        Err(error) => {
            let help = "root on the machine, or --privileged in a container, would help";
            skipped(test, format_args!("cannot mount a disk: {}; {help}", error.trim()));
            None
        }
    }
}

#[test]
fn a_disk_that_fills_up_in_the_middle_of_bulk_fails_the_link() {
    const TEST: &str = "a_disk_that_fills_up_in_the_middle_of_bulk_fails_the_link";
    const SIZE: u64 = 8 << 20;
    in_both_modes(|settings| {
        let Some(file) = file_on_a_disk_of(TEST, SIZE) else { return };
        let listener = upstream();
        let (source, _stdin) = io::pipe().expect("a pipe");
        let sink = reopened(&file, OpenOptions::new().write(true));
        let target = listener.local_addr().expect("an address");
        let relay = adopt(settings, pair(source, sink), target);
        let server = accept(&listener);
        // By now this is bulk: a splice takes what fits, and only the next one says why not more.
        let told = io::copy(&mut Ramp::new(BULK), &mut &server).expect_err("a reset").kind();
        let resets = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        assert!(resets.contains(&told), "expected a reset, the server was told {told:?}");
        let ended = finish(relay);
        assert_eq!(ended.outcome, Outcome::Failed(Side::Downstream));
        assert!(ended.detail.is_some_and(|detail| detail.contains("space")));
        assert_eq!(ended.down.written, SIZE);
        let mut sink = RampSink::new();
        io::copy(&mut reopened(&file, OpenOptions::new().read(true)), &mut sink).expect("the ramp");
        assert_eq!(sink.count(), SIZE);
    });
}
