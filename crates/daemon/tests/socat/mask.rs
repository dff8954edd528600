//! Takes out of what a program has printed whatever is of one run only.
//!
//! Dates, process ids, descriptor numbers, pointers, ports that the kernel chose and the directory
//! of the run become words. Everything else stays to the letter.

/// Ports from here on are the kernel's choice; those that cases name are below.
const FIRST_EPHEMERAL: u32 = 32_768;

/// After these words comes the number of a descriptor. That of a call on standard input, output or
/// error stays.
const BEFORE_DESCRIPTOR: [&str; 13] = [
    "connect(",
    "bind(",
    "listen(",
    "accept(",
    "read(",
    "write(",
    "setsockopt(",
    "getsockopt(",
    "shutdown(",
    "getsockname(",
    "getpeername(",
    "recvmsg(",
    "close(",
];

/// After these words comes the number of a descriptor, and standard ones may have been moved.
const BEFORE_DESCRIPTOR_OF_ANY: [&str; 3] = ["(fd ", "FDs [", "] and ["];

/// After these words comes the number of a process.
const BEFORE_PROCESS: [&str; 8] =
    ["child process ", "child pid ", "child ", "PID=", "PPID=", "kill(", "waitpid(", "process "];

/// The text of `bytes` without what is of one run in `directory` only.
pub(crate) fn mask(bytes: &[u8], directory: &str) -> String {
    let text = String::from_utf8_lossy(bytes).replace(directory, "DIR");
    let mut masked = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        if let Some(after) = skip_date(rest) {
            masked.push_str("DATE");
            rest = after;
        } else if let Some(after) = skip_pointer(rest) {
            masked.push_str("POINTER");
            rest = after;
        } else if let Some(after) = skip_nameless(rest, &masked) {
            masked.push_str("NAMELESS");
            rest = after;
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (number, after) = rest.split_at(end);
            let word = word_for(&masked, number, after);
            masked.push_str(word);
            rest = after;
        } else {
            masked.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    masked
}

/// What stands for `number`, which is between `before` and `after`.
fn word_for<'a>(before: &str, number: &'a str, after: &str) -> &'a str {
    let value = number.parse::<u32>().unwrap_or(0);
    let ends_with = |words: &[&str]| words.iter().any(|word| before.ends_with(word));
    let in_pair = before.ends_with("FDs [FD,") || before.ends_with("] and [FD,");
    if in_pair || ends_with(&BEFORE_DESCRIPTOR_OF_ANY) || ends_with(&BEFORE_DESCRIPTOR) && value > 2
    {
        return "FD";
    }
    // How much a call was to move is not known of a call that moves it in the kernel.
    if before.ends_with("POINTER, ") && after.starts_with("): ") {
        return "COUNT";
    }
    let in_brackets = before.ends_with('[') && after.starts_with("] ");
    let level = after.get(2..4).is_some_and(|level| {
        level.starts_with(['F', 'E', 'W', 'N', 'I', 'D']) && level.ends_with(' ')
    });
    if (in_brackets && level) || (ends_with(&BEFORE_PROCESS) && value > 9) {
        return "PID";
    }
    let of_address = before.ends_with(':') || before.ends_with("PORT=");
    if of_address && (FIRST_EPHEMERAL..65_536).contains(&value) {
        return "PORT";
    }
    number
}

/// What follows a `2026/01/31 23:59:59`, and the fraction of the second if there is one.
fn skip_date(text: &str) -> Option<&str> {
    const SHAPE: &[u8] = b"0000/00/00 00:00:00";
    let bytes = text.as_bytes().get(..SHAPE.len())?;
    let fits = bytes.iter().zip(SHAPE).all(|(byte, shape)| match shape {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    });
    if !fits {
        return None;
    }
    let after = &text[SHAPE.len()..];
    let Some(fraction) = after.strip_prefix('.') else { return Some(after) };
    Some(fraction.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// What follows a `0x55d0c0ffee00` or a `0x0`. Other short numbers are no pointers.
fn skip_pointer(text: &str) -> Option<&str> {
    let digits = text.strip_prefix("0x")?;
    let after = digits.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    let number = &digits[..digits.len() - after.len()];
    (number == "0" || number.len() >= 8).then_some(after)
}

/// What follows the quoted address of a Unix socket that has no name. It is whatever the memory of
/// socat held.
fn skip_nameless<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    let text = text.strip_prefix('"').filter(|_| before.ends_with("local address AF=1 "))?;
    let end = text.find('\n').unwrap_or(text.len());
    Some(&text[end..])
}

#[test]
fn what_is_of_one_run_is_masked() {
    let lines = [
        (
            "2026/11/23 07:28:40 socat[29030] E connect(5, AF=2 127.0.0.1:1, 16): Connection refused",
            "DATE socat[PID] E connect(FD, AF=2 127.0.0.1:1, 16): Connection refused",
        ),
        (
            "starting data transfer loop with FDs [6,6] and [5,5]",
            "starting data transfer loop with FDs [FD,FD] and [FD,FD]",
        ),
        ("FDs [0,1] and [5,5]", "FDs [FD,FD] and [FD,FD]"),
        ("E write(1, 0x0, 5): Broken pipe", "E write(1, POINTER, COUNT): Broken pipe"),
        ("from AF=2 127.0.0.1:45678 on AF=2 127.0.0.1:7000", "from AF=2 127.0.0.1:PORT on AF=2 127.0.0.1:7000"),
        ("read(6, 0x55d0c0ffee00, 8192): x", "read(FD, POINTER, COUNT): x"),
        ("> 2026/11/23 07:28:40.000012345  length=5", "> DATE  length=5"),
        ("connect(, AF=1 \"/tmp/x1/s\", 14)", "connect(, AF=1 \"DIR/s\", 14)"),
        ("from local address AF=1 \"\\0\\0\"", "from local address AF=1 NAMELESS"),
        ("forked off child process 4711", "forked off child process PID"),
    ];
    for (line, masked) in lines {
        assert_eq!(mask(line.as_bytes(), "/tmp/x1"), masked);
    }
}
