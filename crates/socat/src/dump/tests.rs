//! Dumps and raw copies, compared with what socat 1.7.4.4 was seen to write.

use std::fs;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::*;

/// What socat 1.7.4.4 was given when the expectations below were recorded.
const SAMPLE: &[u8] = b"abc\r\n\t\x00\x01\x07\x08\x0b\x0c\x1b\\\"'\x7f\x80\xff ~nl\nno";

/// The dump of `blocks`, with 0 for each digit of the time.
fn dumped(layout: Layout, direction: Direction, blocks: &[&[u8]]) -> String {
    let mut dump = Dump::new(layout, direction);
    blocks.iter().map(|block| masked(&String::from_utf8(dump.block(block)).unwrap())).collect()
}

fn masked(block: &str) -> String {
    let (time, rest) = block.split_at("> 2026/11/23 07:25:49.000735268".len());
    let time: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    time + rest
}

#[test]
fn text() {
    assert_eq!(
        dumped(Layout::Text, Direction::Forth, &[SAMPLE]),
        "> 0000/00/00 00:00:00.000000000  length=26 from=0 to=25\n\
         abc\\r\n\t..\\a\\b\\v\\f.\\\\\"'... ~nl\nno"
    );
}

#[test]
fn hexadecimal() {
    assert_eq!(
        dumped(Layout::Hex, Direction::Forth, &[SAMPLE]),
        "> 0000/00/00 00:00:00.000000000  length=26 from=0 to=25\n \
         61 62 63 0d 0a 09 00 01 07 08 0b 0c 1b 5c 22 27 7f 80 ff 20 7e 6e 6c 0a 6e 6f\n"
    );
}

#[test]
fn hexadecimal_and_text() {
    assert_eq!(
        dumped(Layout::Both, Direction::Back, &[SAMPLE]),
        [
            "< 0000/00/00 00:00:00.000000000  length=26 from=0 to=25",
            " 61 62 63 0d 0a                                   abc..",
            " 09 00 01 07 08 0b 0c 1b 5c 22 27 7f 80 ff 20 7e  ........\\\"'... ~",
            " 6e 6c 0a                                         nl.",
            " 6e 6f                                            no",
            "--",
            "",
        ]
        .join("\n")
    );
}

#[test]
fn a_line_of_sixteen_bytes_may_be_followed_by_a_new_line_alone() {
    assert_eq!(
        dumped(Layout::Both, Direction::Forth, &[b"0123456789abcde\n0123456789abcdef\n"]),
        [
            "> 0000/00/00 00:00:00.000000000  length=33 from=0 to=32",
            " 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 0a  0123456789abcde.",
            " 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef",
            " 0a                                               .",
            "--",
            "",
        ]
        .join("\n")
    );
}

#[test]
fn blocks_are_counted_on() {
    assert_eq!(
        dumped(Layout::Text, Direction::Forth, &[b"ab", b"cd\n", b"ef\n"]),
        "> 0000/00/00 00:00:00.000000000  length=2 from=0 to=1\n\
         ab> 0000/00/00 00:00:00.000000000  length=3 from=2 to=4\n\
         cd\n\
         > 0000/00/00 00:00:00.000000000  length=3 from=5 to=7\n\
         ef\n"
    );
}

#[test]
fn microseconds_stand_where_nanoseconds_would() {
    let header = Dump::new(Layout::Text, Direction::Forth).header(1);
    let (_, fraction) = header.split_once('.').unwrap();
    assert!(fraction.starts_with("000"), "{header}");
}

#[test]
fn raw_copies_are_appended_to() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("raw");
    fs::write(&path, "first\n").unwrap();
    let journal = Journal::at(&place.path().join("log"));
    let copy = RawCopy::open("-r", &path).unwrap();
    let other_link = copy.clone();
    copy.append(b"one ", &journal);
    other_link.append(b"two", &journal);
    assert_eq!(fs::read_to_string(&path).unwrap(), "first\none two");
}

#[test]
fn a_fifo_that_nobody_reads_takes_what_it_can_hold() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("fifo");
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    let log = place.path().join("log");
    let journal = Journal::at(&log);
    let copy = RawCopy::open("-r", &path).unwrap();
    copy.append(b"abc", &journal);
    assert_eq!(fs::read_to_string(&log).unwrap(), "");
    copy.append(&vec![0; 1 << 21], &journal);
    assert!(fs::read_to_string(&log).unwrap().contains(" W write("));
}

#[test]
fn a_raw_copy_that_cannot_be_opened_is_a_fault() {
    let fault = RawCopy::open("-r", Path::new("/nonexistdir/x")).unwrap_err();
    assert_eq!(fault.message, "option -r \"/nonexistdir/x\": No such file or directory");
    assert_eq!(fault.status, 1);
}

#[test]
fn a_raw_copy_that_cannot_be_written_is_told_once() {
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("log");
    let journal = Journal::at(&log);
    let copy = RawCopy::open("-R", Path::new("/dev/full")).unwrap();
    copy.append(b"x", &journal);
    copy.clone().append(b"y", &journal);
    let told = fs::read_to_string(&log).unwrap();
    assert!(told.ends_with(" W write(\"/dev/full\"): No space left on device\n"), "{told}");
    assert_eq!(told.lines().count(), 1);
    assert!(!journal.failed());
}
