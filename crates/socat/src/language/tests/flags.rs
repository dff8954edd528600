//! Flags, and command lines that have too many of anything.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use super::command_line;
use crate::journal::{Facility, Level};
use crate::language::command::flags_before_fault;
use crate::language::flags::{Directions, IpPreference, Lock, LogTarget};
use crate::language::{read, Errand, Flags};

fn flags(words: &[&str]) -> Flags {
    let words: Vec<_> = words.iter().copied().chain(["-", "-"]).collect();
    match command_line(&words) {
        Ok(line) => line.flags,
        Err(fault) => panic!("{words:?}: {fault}"),
    }
}

fn refusal(words: &[&str]) -> String {
    match command_line(words) {
        Ok(line) => panic!("{words:?}: {line:?}"),
        Err(fault) => fault.message,
    }
}

fn errand(words: &[&str]) -> Errand {
    let words: Vec<_> = words.iter().map(OsString::from).collect();
    read(&words).unwrap()
}

#[test]
fn levels() {
    for (words, level) in [
        (&[][..], Level::Error),
        (&["-d"], Level::Warning),
        (&["-d", "-d"], Level::Notice),
        (&["-dd"], Level::Notice),
        (&["-ddd"], Level::Info),
        (&["-dd", "-dd"], Level::Debug),
        (&["-ddddddd"], Level::Debug),
        (&["-d0"], Level::Error),
        (&["-d2"], Level::Notice),
        (&["-dd", "-d1"], Level::Warning),
        (&["-d4"], Level::Debug),
    ] {
        assert_eq!(flags(words).level, level, "{words:?}");
    }
}

#[test]
fn values_attached_and_apart() {
    let close = |seconds| Some(Duration::from_secs_f64(seconds));
    assert_eq!(flags(&["-t1"]).linger, close(1.0));
    assert_eq!(flags(&["-t", "1.5"]).linger, close(1.5));
    assert_eq!(flags(&["-t0"]).linger, close(0.0));
    assert_eq!(flags(&["-t", "100000000"]).linger, close(1e8));
    assert_eq!(flags(&["-T", "0x10"]).idle, close(16.0));
    assert_eq!(flags(&["-T0"]).idle, None);
    assert_eq!(flags(&["-b", "65536"]).block, 65536);
    assert_eq!(flags(&["-b010"]).block, 8);
    assert!(flags(&["-b0"]).block > 0);
    assert_eq!(flags(&["-lf", "file"]).log_target, LogTarget::File(PathBuf::from("file")));
    assert_eq!(flags(&["-lffile"]).log_target, LogTarget::File(PathBuf::from("file")));
    assert_eq!(flags(&["-lpname"]).log_name.as_deref(), Some("name"));
    assert_eq!(flags(&["-lp", "name"]).log_name.as_deref(), Some("name"));
    assert_eq!(flags(&["-ly"]).log_target, LogTarget::Syslog(Facility::DAEMON));
    let named = |name| Facility::named(name).unwrap();
    assert_eq!(flags(&["-lyLOCAL7"]).log_target, LogTarget::Syslog(named("local7")));
    assert_eq!(flags(&["-lmftp"]).log_target, LogTarget::Mixed(named("ftp")));
    assert_eq!(flags(&["-ly", "-ls"]).log_target, LogTarget::Stderr);
    assert_eq!(flags(&["-L", "a"]).lock, Some(Lock::Fail(PathBuf::from("a"))));
    assert_eq!(flags(&["-Wa"]).lock, Some(Lock::Wait(PathBuf::from("a"))));
    assert_eq!(flags(&["-ra", "-R", "b"]).raw_forth, Some(PathBuf::from("a")));
    assert_eq!(flags(&["-ra", "-R", "b"]).raw_back, Some(PathBuf::from("b")));
    assert_eq!(flags(&["-4", "-6"]).ip, IpPreference::V6);
    assert_eq!(flags(&["-0"]).ip, IpPreference::Any);
    assert_eq!(flags(&["-u"]).directions, Directions::FirstToSecond);
    assert_eq!(flags(&["-U"]).directions, Directions::SecondToFirst);
    let all = flags(&[
        "-v",
        "-x",
        "-s",
        "-g",
        "-D",
        "-lu",
        "-lhx",
        "-S",
        "0xff",
        "--statistics",
        "--experimental",
    ]);
    assert!(all.dump_text && all.dump_hex && all.sloppy && all.unchecked && all.tell_descriptors);
    assert!(all.microseconds && all.log_host && all.statistics);
}

#[test]
fn flags_that_make_no_sense() {
    for (words, message) in [
        (&["-Z", "-", "-"][..], "unknown option \"-Z\"; use option \"-h\" for help"),
        (&["--", "-", "-"], "unknown option \"--\"; use option \"-h\" for help"),
        (&["--help"], "unknown option \"--help\"; use option \"-h\" for help"),
        (&["-1", "-"], "unknown option \"-1\"; use option \"-h\" for help"),
        (&["-Z", "-V"], "unknown option \"-Z\"; use option \"-h\" for help"),
        (&["-b"], "option -b requires an argument; use option \"-h\" for help"),
        (&["-lf"], "option -lf requires an argument; use option \"-h\" for help"),
        (&["-bx", "-", "-"], "parseopts(): missing numerical value of option \"-b\""),
        (&["-b", "1x"], "parseopts(): trailing garbage in numerical arg of option \"-b\""),
        (&["-t", "", "-"], "parseopts(): missing numerical value of option \"-t\""),
        (&["-t", "1x"], "parseopts(): trailing garbage in numerical arg of option \"-t\""),
        (&["-lyfoo", "-", "-"], "unknown syslog facility \"foo\""),
        (&["-lx", "-", "-"], "unknown log option \"-lx\"; use option \"-h\" for help"),
        (&["-l"], "unknown log option \"-l\"; use option \"-h\" for help"),
        (&["-u", "-U", "-", "-"], "-U and -u must not be combined"),
        (
            &["-b", "-1", "-", "-"],
            "buffer size option (-b) to big - 18446744073709551615 (max is 9223372036854775807)",
        ),
        (
            &["-b", "9223372036854775808", "-", "-"],
            "buffer size option (-b) to big - 9223372036854775808 (max is 9223372036854775807)",
        ),
        (
            &["-b", "18446744073709551616", "-", "-"],
            "buffer size option (-b) to big - 18446744073709551615 (max is 9223372036854775807)",
        ),
        (&["-b", "9223372036854775807", "-"], "posix_memalign(): Cannot allocate memory"),
        (&[], "exactly 2 addresses required (there are 0); use option \"-h\" for help"),
        (&["-"], "exactly 2 addresses required (there are 1); use option \"-h\" for help"),
        (
            &["-ly", "foo", "-", "-"],
            "exactly 2 addresses required (there are 3); use option \"-h\" for help",
        ),
        (&["-", "-V"], "unknown device/address \"-V\""),
        (&["-,foo", "-"], "parseopts_table(): unknown option \"foo\""),
    ] {
        assert_eq!(refusal(words), message, "{words:?}");
    }
    for word in ["-ud", "-udx"] {
        let hint = "Do not merge single character options, i.e. use \"-u -d\" instead of \"-ud\"\n";
        assert_eq!(errand(&[word, "-", "-"]), Errand::Scold(hint.to_owned()));
    }
    for words in [&["-dx", "-", "-"][..], &["-d5"], &["-Vx"]] {
        assert!(
            matches!(errand(words), Errand::Scold(usage) if usage.contains("\nUsage:\n")),
            "{words:?}"
        );
    }
}

#[test]
fn faults_are_told_as_the_flags_before_them_ask() {
    let words = ["-lpabc", "-dd", "-Z", "-lpdef"].map(OsString::from);
    let flags = flags_before_fault(&words);
    assert_eq!((flags.log_name.as_deref(), flags.level), (Some("abc"), Level::Notice));
}

#[test]
fn words_need_not_be_utf8() {
    let words = [b"-lf\xff".to_vec(), b"-".to_vec(), b"/\xfe,crnl".to_vec()];
    let words = words.map(OsString::from_vec);
    let Ok(Errand::Carry(line)) = read(&words) else { panic!("refused") };
    let file = PathBuf::from(OsString::from_vec(vec![0xff]));
    assert_eq!(line.flags.log_target, LogTarget::File(file));
    assert_eq!(line.second.print(), OsString::from_vec(b"GOPEN:/\xfe,crnl".to_vec()));
}

#[test]
fn help_has_the_shape_that_scripts_know() {
    let tell = |words: &[&str]| match errand(words) {
        Errand::Tell(question) => question.answer(None),
        other => panic!("{other:?}"),
    };
    let version = tell(&["-d", "-V", "-Z"]);
    let mut lines = version.lines();
    assert_eq!(lines.clone().count(), 38);
    // Scripts take the third word, or the last that looks like a version.
    let second = lines.nth(1).unwrap();
    assert_eq!(second.split(' ').nth(2), Some("1.7.4.4"));
    assert_eq!(second.split(' ').filter(|word| word.contains('.')).count(), 1, "{second}");
    assert!(version.contains("\nfeatures:\n  #define WITH_STDIO 1\n"));
    assert!(version.contains("\n  #undef WITH_OPENSSL\n"));
    let (short, long, longest) = (tell(&["-h"]), tell(&["-hh"]), tell(&["-hhh"]));
    // As socat 1.7.4.4 takes them.
    for (text, flags) in [
        (&short, &["-?", "-?x", "-hx", "-hxh"][..]),
        (&long, &["-??", "-?h", "-h?", "-??x"]),
        (&longest, &["-???", "-hhhhh", "-?hh", "-hh?"]),
    ] {
        flags.iter().for_each(|flag| assert!(tell(&[flag]) == *text, "{flag}"));
    }
    assert!(long.starts_with(&short));
    let has = |text: &str, line: &str| text.lines().any(|it| it == line);
    for text in [&short, &longest] {
        assert!(has(text, "      pipe[,<opts>]\tgroups=FD,FIFO"));
        assert!(has(
            text,
            "      tcp4-listen:<port>\tgroups=FD,SOCKET,LISTEN,CHILD,RETRY,RANGE,IP4,TCP"
        ));
    }
    assert!(has(&longest, "         tcp4-l is an alias name for tcp4-listen"));
    assert!(has(&long, "      mode\tgroups=FD,NAMED\tphase=FD\ttype=MODE_T"));
    assert!(has(&longest, "      perm\tgroups=FD,NAMED\tphase=FD\ttype=MODE_T"));
    assert!(has(&longest, "      mode is an alias for perm"));
}
