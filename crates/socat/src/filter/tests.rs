//! Filters, fed by hand.

use std::ffi::OsString;
use std::fs;

use tempfile::TempDir;

use super::*;
use crate::language::{read, Errand, Keyword, Setting, Value};

fn address(options: &[(Opt, Value)]) -> Address {
    let setting = |(option, value): &(Opt, Value)| Setting {
        option: *option,
        value: value.clone(),
        word: String::new(),
    };
    Address {
        keyword: Keyword::Stdio,
        parameters: Vec::<OsString>::new(),
        options: options.iter().map(setting).collect(),
        word: "STDIO".to_owned(),
    }
}

fn on(option: Opt) -> (Opt, Value) {
    (option, Value::Flag(true))
}

/// A lane between addresses with these options, read in blocks of 8192.
struct Bench {
    place: TempDir,
    filter: Option<Box<dyn Filter>>,
}

impl Bench {
    fn new(source: &[(Opt, Value)], sink: &[(Opt, Value)]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let journal = Journal::at(&place.path().join("log"));
        let forth = Recipe::new(&address(source), &address(sink), None, None);
        let back = Recipe::new(&address(sink), &address(source), None, None);
        let filters = Filters { forth, back, block: 8192, journal };
        Self { filter: filters.lane(Direction::Forth), place }
    }

    fn filter(&mut self) -> &mut dyn Filter {
        &mut **self.filter.as_mut().unwrap()
    }

    /// What becomes of `bytes` when they are read in blocks of at most `size` bytes, and what is
    /// left of them after the end.
    fn carry(&mut self, mut bytes: &[u8], size: usize) -> (Vec<u8>, usize) {
        let mut out = Vec::new();
        while !bytes.is_empty() {
            let filter = self.filter();
            let (block, rest) = bytes.split_at(size.min(filter.block()).min(bytes.len()));
            bytes = rest;
            if filter.pass(block, &mut out) == Pass::End {
                break;
            }
        }
        (out, bytes.len())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.place.path().join("log")).unwrap()
    }
}

/// Every neighbourhood that line ends can have.
const LINES: &[u8] = b"a\r\nb\rc\nd\r\r\ne\n\rf\r";

#[test]
fn line_ends_are_converted_as_socat_does() {
    let raw: &[(Opt, Value)] = &[];
    let cr = &[on(Opt::Cr)][..];
    let crnl = &[on(Opt::Crnl)][..];
    // Recorded from socat 1.7.4.4.
    let cases: [(_, _, &[u8]); 6] = [
        (crnl, raw, b"a\nbc\nd\ne\nf"),
        (raw, crnl, b"a\r\r\nb\rc\r\nd\r\r\r\ne\r\n\rf\r"),
        (cr, raw, b"a\n\nb\nc\nd\n\n\ne\n\nf\n"),
        (raw, cr, b"a\r\rb\rc\rd\r\r\re\r\rf\r"),
        (cr, crnl, b"a\r\n\nb\r\nc\nd\r\n\r\n\ne\n\r\nf\r\n"),
        (crnl, cr, b"a\rbc\rd\re\rf"),
    ];
    for (source, sink, expected) in cases {
        for size in [1, 2, 3, 8192] {
            let (out, _) = Bench::new(source, sink).carry(LINES, size);
            assert_eq!(out, expected, "{source:?} to {sink:?} in blocks of {size}");
        }
    }
}

#[test]
fn the_last_of_several_line_ends_counts() {
    let cr_then_crnl = [on(Opt::Cr), on(Opt::Crnl)];
    assert_eq!(Bench::new(&cr_then_crnl, &[]).carry(b"a\r\n", 8192).0, b"a\n");
    let crnl_then_cr = [on(Opt::Crnl), on(Opt::Cr)];
    assert_eq!(Bench::new(&crnl_then_cr, &[]).carry(b"a\r\n", 8192).0, b"a\n\n");
}

#[test]
fn a_lane_that_changes_nothing_has_no_filter() {
    assert!(Bench::new(&[], &[]).filter.is_none());
    assert!(Bench::new(&[on(Opt::Crnl)], &[on(Opt::Crnl)]).filter.is_none());
    assert!(Bench::new(&[(Opt::ReadBytes, Value::Number(0))], &[]).filter.is_none());
    assert!(Bench::new(&[(Opt::ReadBytes, Value::Number(-1))], &[]).filter.is_none());
    // These are no bytes; and they are asked of what is read, not of what is written.
    assert!(Bench::new(&[(Opt::Escape, Value::Number(0x163))], &[]).filter.is_none());
    assert!(Bench::new(&[(Opt::Escape, Value::Number(-1))], &[]).filter.is_none());
    assert!(Bench::new(&[], &[(Opt::Escape, Value::Number(99))]).filter.is_none());
    assert!(Bench::new(&[], &[(Opt::ReadBytes, Value::Number(9))]).filter.is_none());
}

#[test]
fn readbytes_leaves_the_rest_unread() {
    let mut bench = Bench::new(&[(Opt::ReadBytes, Value::Number(7))], &[]);
    assert_eq!(bench.filter().block(), 7);
    assert_eq!(bench.carry(b"abcdefghij", 3), (b"abcdefg".to_vec(), 3));
    assert_eq!(bench.filter().block(), 1);
}

#[test]
fn readbytes_counts_what_is_read_and_not_what_is_written() {
    let options = [(Opt::ReadBytes, Value::Number(5)), on(Opt::Crnl)];
    let (out, left) = Bench::new(&options, &[]).carry(b"a\r\nb\r\nc\r\nd", 8192);
    assert_eq!((&*out, left), (&b"a\nb"[..], 5));
}

#[test]
fn readbytes_is_kept_even_by_who_reads_too_much() {
    let mut bench = Bench::new(&[(Opt::ReadBytes, Value::Number(2))], &[]);
    let mut out = Vec::new();
    assert_eq!(bench.filter().pass(b"abc", &mut out), Pass::End);
    assert_eq!(out, b"ab");
}

#[test]
fn escape_ends_the_lane_before_itself() {
    let options = [(Opt::Escape, Value::Number(0x11))];
    for (bytes, expected) in
        [(&b"abc\x11def"[..], &b"abc"[..]), (b"\x11def", b""), (b"abc", b"abc")]
    {
        for size in [1, 2, 8192] {
            assert_eq!(Bench::new(&options, &[]).carry(bytes, size).0, expected);
        }
    }
    let mut bench = Bench::new(&options, &[]);
    bench.carry(b"a\x11", 8192);
    assert!(bench.log().ends_with(" I escape char found in input\n"));
}

#[test]
fn escape_is_looked_for_before_line_ends_are_converted() {
    let options = [on(Opt::Crnl), (Opt::Escape, Value::Number(13))];
    assert_eq!(Bench::new(&options, &[]).carry(b"abc\r\ndef", 8192).0, b"abc");
}

#[test]
fn escape_beyond_readbytes_is_not_seen() {
    let options = [(Opt::ReadBytes, Value::Number(4)), (Opt::Escape, Value::Number(0x65))];
    let mut bench = Bench::new(&options, &[]);
    assert_eq!(bench.carry(b"abcdef", 8192), (b"abcd".to_vec(), 2));
}

#[test]
fn copies_are_made_of_what_is_written() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("raw");
    let copy = RawCopy::open("-r", &path).unwrap();
    let source = address(&[on(Opt::Crnl)]);
    let sink = address(&[on(Opt::Cr)]);
    let forth = Recipe::new(&source, &sink, None, Some(copy));
    let back = Recipe::new(&address(&[]), &address(&[]), None, None);
    let journal = Journal::at(&place.path().join("log"));
    let filters = Filters { forth, back, block: 2, journal };
    let mut filter = filters.lane(Direction::Forth).unwrap();
    assert_eq!(filter.block(), 2);
    let mut out = b"before".to_vec();
    filter.pass(b"a\r", &mut out);
    filter.pass(b"\n\n", &mut out);
    assert_eq!(out, b"beforea\r\r");
    assert_eq!(fs::read(&path).unwrap(), b"a\r\r");
    assert!(filters.lane(Direction::Back).is_none());
}

#[test]
fn a_command_line_tells_what_is_done_on_each_way() {
    let place = tempfile::tempdir().unwrap();
    let [log, forth, back] = ["log", "forth", "back"].map(|name| place.path().join(name));
    let files = [forth.to_str().unwrap(), back.to_str().unwrap()];
    let words = ["-b", "3", "-r", files[0], "-R", files[1], "-,crlf", "-,bytes=4!!-,cr"];
    let words = words.map(OsString::from);
    let Errand::Carry(line) = read(&words).unwrap() else { panic!("not to be carried") };
    let journal = Journal::at(&log);
    let filters = Filters::new(&line.flags, &line.first, &line.second, &journal).unwrap();
    let mut out = Vec::new();

    let mut lane = filters.lane(Direction::Forth).unwrap();
    assert_eq!(lane.block(), 3);
    assert_eq!(lane.pass(b"a\r\n", &mut out), Pass::More);
    assert_eq!(fs::read(&forth).unwrap(), b"a\r");

    let mut lane = filters.lane(Direction::Back).unwrap();
    assert_eq!(lane.pass(b"x\ny", &mut out), Pass::More);
    assert_eq!(lane.block(), 1);
    assert_eq!(lane.pass(b"z", &mut out), Pass::End);
    assert_eq!(fs::read(&back).unwrap(), b"x\r\nyz");
}

#[test]
fn every_link_counts_for_itself() {
    let source = address(&[(Opt::ReadBytes, Value::Number(2))]);
    let recipe = Recipe::new(&source, &address(&[]), None, None);
    let place = tempfile::tempdir().unwrap();
    let journal = Journal::at(&place.path().join("log"));
    let filters = Filters { forth: recipe.clone(), back: recipe, block: 8192, journal };
    for _ in 0..2 {
        let mut out = Vec::new();
        let mut filter = filters.lane(Direction::Forth).unwrap();
        assert_eq!(filter.pass(b"ab", &mut out), Pass::End);
    }
}

#[test]
fn addresses_in_two_halves_are_read_by_one_and_written_by_the_other() {
    let crnl = Spec::Split { read: address(&[on(Opt::Crnl)]), write: address(&[]) };
    assert_eq!(line_end(reader(&crnl)), LineEnd::Crnl);
    assert_eq!(line_end(writer(&crnl)), LineEnd::Raw);
    let one = Spec::One(address(&[on(Opt::Cr)]));
    assert_eq!(line_end(reader(&one)), LineEnd::Cr);
    assert_eq!(line_end(writer(&one)), LineEnd::Cr);
}
