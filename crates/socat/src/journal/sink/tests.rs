//! Writing to pipes that are read, and to such that are not.

use std::fs;
use std::io::{pipe, Read};
use std::os::unix::net::UnixStream;

use super::*;

fn told(lost: u64) -> String {
    format!("{lost} lost\n")
}

fn of(descriptor: impl Into<OwnedFd>) -> Sink {
    Sink::file(File::from(descriptor.into()))
}

fn numbers(count: u32) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("{number:07}\n"))
}

/// Far more than pipe, queue and patience have room for at once.
const MANY: u32 = 500_000;

#[test]
fn what_is_read_arrives_whole_and_in_order() {
    let (reader, writer) = pipe().unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    let ends: [(File, OwnedFd); 2] = [
        (File::from(OwnedFd::from(reader)), writer.into()),
        (File::from(OwnedFd::from(far)), near.into()),
    ];
    for (mut reader, writer) in ends {
        let reading = thread::spawn(move || {
            let mut got = String::new();
            reader.read_to_string(&mut got).unwrap();
            got
        });
        let sink = of(writer);
        numbers(MANY).for_each(|line| sink.put(line.as_bytes(), told));
        sink.finish(told);
        drop(sink);
        assert!(reading.join().unwrap() == numbers(MANY).collect::<String>());
    }
}

#[test]
fn what_nobody_reads_is_dropped_and_counted() {
    let (mut reader, writer) = pipe().unwrap();
    let sink = of(writer);
    // This returns: nobody is waited for.
    numbers(MANY).for_each(|line| sink.put(line.as_bytes(), told));
    let lost = sink.0.lock().lost;
    assert!(lost > 0 && lost < u64::from(MANY));
    // The reader comes back; what fitted is there, and then how much did not.
    let reading = thread::spawn(move || {
        let mut got = String::new();
        reader.read_to_string(&mut got).unwrap();
        got
    });
    sink.finish(told);
    sink.put(b"after\n", told);
    sink.finish(told);
    drop(sink);
    let kept = MANY - u32::try_from(lost).unwrap();
    let expected = numbers(kept).collect::<String>() + &told(lost) + "after\n";
    assert!(reading.join().unwrap() == expected);
}

#[test]
fn a_place_that_others_share_stays_as_it_is() {
    let (_reader, writer) = pipe().unwrap();
    let other = writer.try_clone().unwrap();
    of(writer).put(b"x", told);
    let flags = nix::fcntl::fcntl(&other, nix::fcntl::FcntlArg::F_GETFL).unwrap();
    assert!(!OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK));
}

#[test]
fn what_only_the_thread_may_write_is_written_too() {
    let (mut reader, writer) = pipe().unwrap();
    let sink = of(writer);
    sink.0.place.set(Place::Slow).unwrap();
    sink.put(b"one\n", told);
    sink.put(b"two\n", told);
    sink.finish(told);
    drop(sink);
    let mut got = String::new();
    reader.read_to_string(&mut got).unwrap();
    assert_eq!(got, "one\ntwo\n");
}

#[test]
fn a_place_without_readers_is_no_panic() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let sink = of(writer);
    sink.put(b"x", told);
    sink.finish(told);
}

#[test]
fn a_child_forgets_what_is_its_parents_to_write() {
    let (_reader, writer) = pipe().unwrap();
    let sink = of(writer);
    numbers(20_000).for_each(|line| sink.put(line.as_bytes(), told));
    assert!(!sink.0.lock().queue.is_empty());
    // As it is in the memory of another process.
    sink.0.state.lock().unwrap().owner = Pid::from_raw(1);
    let state = sink.hold();
    assert!(state.queue.is_empty() && state.drainer == Drainer::None);
}

#[test]
fn a_file_keeps_its_place() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("log");
    let file = File::create(&path).unwrap();
    let sink = Sink::file(file.try_clone().unwrap());
    sink.put(b"one\n", told);
    std::io::Write::write_all(&mut &file, b"two\n").unwrap();
    sink.put(b"three\n", told);
    assert_eq!(fs::read_to_string(path).unwrap(), "one\ntwo\nthree\n");
}
