//! Pipes, with names and without.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::thread;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::tempdir;

use super::*;

#[test]
fn an_unnamed_pipe_is_an_echo() {
    let echo = Address { parameters: Vec::new(), ..address(Keyword::Pipe, "") };
    let mut link = opened(&echo, Way::Both);
    link.write("once");
    link.finish();
    assert_eq!(link.rest(), "once");
}

#[test]
fn a_named_pipe_is_made_and_removed() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("fifo");
    let named = address(Keyword::Pipe, &path);
    let mut link = opened(&named, Way::Both);
    assert_eq!(link.holds.len(), 1);
    assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
    link.write("back");
    link.expect("back");
    drop(link);
    assert!(!path.exists());
    drop(opened(&with(named.clone(), Opt::UnlinkClose, Value::Flag(false)), Way::Both));
    assert!(path.exists());
    drop(opened(&named, Way::Both));
    assert!(path.exists(), "what was there before stays");
    assert_eq!(
        refused(&address(Keyword::Pipe, "/nowhere/at/all"), Way::Both),
        "mkfifo(/nowhere/at/all, 438): No such file or directory"
    );
}

#[test]
fn one_end_of_a_named_pipe_waits_for_the_other() {
    let directory = tempdir().unwrap();
    let (written, read) = (fifo(directory.path(), "written"), fifo(directory.path(), "read"));

    let mut writer = opener(&address(Keyword::Pipe, &written), Way::Write, &context()).unwrap();
    let mut attempt = writer.open(None);
    assert!(matches!(attempt.advance(Wake::START), Progress::Waiting));
    assert!(matches!(attempt.advance(Wake::START), Progress::Pending));
    let reader = thread::spawn(move || fs::read_to_string(written).unwrap());
    let source = attempt.source().unwrap();
    poll(&mut [PollFd::new(source, PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
    let Progress::Open(upstream) = attempt.advance(Wake::START) else { panic!("still waiting") };
    Link::of(upstream).write("through");
    assert_eq!(reader.join().unwrap(), "through", "dropping all of the link is its end");

    let gopen = address(Keyword::Gopen, &read);
    let writer = thread::spawn(move || fs::write(read, "the other way").unwrap());
    assert_eq!(opened(&gopen, Way::Read).rest(), "the other way");
    writer.join().unwrap();
}

#[test]
fn a_wait_that_is_given_up_leaves_no_name() {
    let directory = tempdir().unwrap();
    let (made, there) = (directory.path().join("made"), fifo(directory.path(), "there"));
    let removed = with(address(Keyword::Open, &there), Opt::UnlinkClose, Value::Flag(true));
    for (path, address) in [(&made, address(Keyword::Pipe, &made)), (&there, removed)] {
        for way in [Way::Read, Way::Write] {
            if !path.exists() && address.keyword == Keyword::Open {
                fifo(directory.path(), "there");
            }
            let mut attempt = opener(&address, way, &context()).unwrap().open(None);
            assert!(matches!(attempt.advance(Wake::START), Progress::Waiting));
            assert!(path.exists());
            drop(attempt);
            assert!(!path.exists(), "{way:?} of {:?}", address.keyword);
        }
    }
}

#[test]
fn what_is_put_in_the_place_of_a_fifo_stays() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("fifo");
    let link = opened(&address(Keyword::Pipe, &path), Way::Both);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "somebody else's").unwrap();
    drop(link);
    assert!(path.exists());
}

/// A FIFO that no end of has been opened yet. One that has been is no such thing even after it was
/// closed: programs of other tests may still be between fork and exec, and have copies till then.
fn fifo(directory: &Path, name: &str) -> PathBuf {
    let path = directory.join(name);
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    path
}
