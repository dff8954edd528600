//! Command lines of nsenter, as far as they can be read without going anywhere.

use super::*;

fn read(line: &str) -> Result<Line, Complaint> {
    let words: Vec<_> = line.split_whitespace().map(OsString::from).collect();
    Line::read(&words)
}

fn order(line: &str) -> Order {
    match read(line) {
        Ok(Line::Order(order)) => order,
        other => panic!("{line}: {other:?}"),
    }
}

fn told(line: &str) -> String {
    let complaint = read(line).map(drop).expect_err(line);
    let told = complaint.told(b"nsenter", b"nsenter");
    String::from_utf8(told).unwrap().lines().next().unwrap().to_owned()
}

#[test]
fn options_end_at_the_first_word_that_is_none() {
    let words = |line| order(line).command;
    assert_eq!(words("-F true -n"), ["true", "-n"]);
    assert_eq!(words("-F -- -n"), ["-n"]);
    assert_eq!(words("- -n"), ["-", "-n"]);
    assert_eq!(words("--wdns pwd"), ["pwd"]);
    assert!(words("-t 1 --").is_empty());
}

#[test]
fn files_are_opened_from_left_to_right() {
    let missing = |name| format!("nsenter: cannot open /{name}: No such file or directory");
    assert_eq!(told("-n/none1 -u/none2 -x"), missing("none1"));
    assert_eq!(told("-t1 --root=/none3 -t x"), missing("none3"));
    assert_eq!(told("-n=/x"), "nsenter: cannot open =/x: No such file or directory");
    assert_eq!(told("-nt 1"), "nsenter: cannot open t: No such file or directory");
    assert!(order("-n/dev/null").journey.namespaces.len() == 1);
}

#[test]
fn what_has_no_source_is_told_in_the_order_of_entering() {
    let nothing = |what| format!("nsenter: neither filename nor target pid supplied for {what}");
    assert_eq!(told("-w -m -T -n"), nothing("ns/net"));
    assert_eq!(told("-n -U"), nothing("ns/user"));
    assert_eq!(told("-w -r"), nothing("root"));
    assert_eq!(told("-t 4294967296 -w"), nothing("cwd"));
    assert_eq!(told("-Fa true"), "nsenter: no target PID specified for --all");
    assert_eq!(told("-w/ -W /"), "nsenter: mutually exclusive arguments: --wdns --wd");
}

#[test]
fn numbers_are_strtoul_s() {
    let parsed = |word: &str| number(OsStr::new(word), "f").map_err(|c| c.told(b"p", b"p"));
    for (word, value) in [("7", 7), (" 5", 5), ("+1", 1), ("010", 10), ("-1", u32::MAX)] {
        assert_eq!(parsed(word), Ok(value), "{word}");
    }
    assert_eq!(parsed("-9999999999999"), Ok(2_978_832_385));
    assert_eq!(parsed("9223372036854775808"), Ok(0));
    for word in ["", "-", "5 ", "0x10", "1x", "- 1"] {
        assert_eq!(parsed(word), Err(format!("p: f: '{word}'\n").into_bytes()));
    }
    let large = b"p: f: '18446744073709551616': Numerical result out of range\n";
    assert_eq!(parsed("18446744073709551616"), Err(large.to_vec()));
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    for option in ["-Z", "-e", "-N", "-c", "--follow-context", "--env", "--net-socket=3"] {
        let name = option.split('=').next().unwrap();
        let message =
            format!("nsenter: option '{name}' is not supported by nsplice; use util-linux nsenter");
        assert_eq!(told(option), message);
    }
    // Their names take part in no abbreviation.
    assert_eq!(told("--en"), "nsenter: unrecognized option '--en'");
    assert!(told("--ne").contains("neither filename"));
}

#[test]
fn a_pid_namespace_asks_for_a_fork() {
    assert_eq!(order("-p/dev/null").fork, Fork::Once);
    assert_eq!(order("-Fp/dev/null").fork, Fork::Never);
    assert_eq!(order("-n/dev/null").fork, Fork::Never);
}
