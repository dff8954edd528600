//! Text from outside, made fit for a line of a log or a terminal.
//!
//! What a container runtime, a child, a resolver, a file or a name says may hold anything: newlines
//! that forge a line, escape sequences that a terminal obeys, letters that turn the direction of
//! writing round, or megabytes. This is the one place where that is taken care of. Whatever leads to
//! people goes through it: the log, the lines of `forward`, tables, and last words on standard error.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` with all that a terminal would not just show written as in a Rust string (`\n`, `\u{1b}`),
/// and without its middle if it is long. What has gone through it once stays the same.
pub fn shown(text: &str) -> Cow<'_, str> {
    let is_short = text.len() <= MOST;
    if is_short && text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    // A character has four bytes at most, and escaping makes none shorter.
    let looked_at = if text.len() <= 4 * MOST { usize::MAX } else { MOST };
    let mut line = escaped(text.chars().take(looked_at));
    if looked_at == usize::MAX && line.chars().count() <= MOST {
        return Cow::Owned(line);
    }
    let mut tail: Vec<char> = text.chars().rev().take(looked_at).collect();
    tail.reverse();
    let tail = escaped(tail.into_iter());
    if let Some((end, _)) = line.char_indices().nth(HEAD) {
        line.truncate(end);
    }
    // Writing to a String cannot fail.
    let _ = write!(line, " ...(of {} bytes)... ", text.len());
    line.extend(tail.chars().skip(tail.chars().count().saturating_sub(TAIL)));
    Cow::Owned(line)
}

/// The same JSON, with the escapes of JSON (RFC 8259, 7) for what a terminal would not just show.
/// Newlines are only between values.
pub fn shown_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter == '\n' || is_plain(letter) {
            text.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

/// All of `letters`, each that is not plain by its escape.
pub fn escaped(letters: impl Iterator<Item = char>) -> String {
    let mut line = String::new();
    for letter in letters {
        if is_plain(letter) {
            line.push(letter);
        } else {
            line.extend(letter.escape_debug());
        }
    }
    line
}

/// Returns whether a terminal shows `letter` as it is.
fn is_plain(letter: char) -> bool {
    matches!(letter, ' '..='~') || letter.escape_debug().len() == 1
}

/// Characters of a text that is shown whole: a log line is no place for more.
const MOST: usize = 1024;

/// Characters shown of a longer one's beginning, where it says what it is about, and of its end,
/// where the reason stands.
const HEAD: usize = 700;
const TAIL: usize = 280;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        let table = [
            ("", ""),
            ("container web: it's \"so\" C:\\", "container web: it's \"so\" C:\\"),
            ("gr\u{fc}n \u{4e2d}", "gr\u{fc}n \u{4e2d}"),
            ("a\nINFO all is well", "a\\nINFO all is well"),
            ("\x1b[2J\x07\0\r\t", "\\u{1b}[2J\\u{7}\\0\\r\\t"),
            ("\u{9b}31m\u{202e}\u{2028}", "\\u{9b}31m\\u{202e}\\u{2028}"),
        ];
        for (text, line) in table {
            assert_eq!(shown(text), line);
            assert_eq!(shown(&shown(text)), line, "a second time changes nothing");
        }
    }

    #[test]
    fn json_stays_the_same_json() {
        let words = "a\n\u{9b}2J\u{202e}\u{e0001} \u{4e2d}\"";
        let json = serde_json::to_string_pretty(&[words]).unwrap();
        let text = shown_json(&json);
        assert!(text.contains("\\u009b2J\\u202e\\udb40\\udc01 \u{4e2d}"), "{text}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&text).unwrap(), [words]);
    }

    #[test]
    fn a_long_text_keeps_its_ends() {
        for letter in ["x", "\u{1b}", "\u{4e2d}"] {
            for count in [1100, 5000, 3 << 20] {
                let text = format!("begin {} end", letter.repeat(count));
                let line = shown(&text);
                assert!(line.starts_with("begin ") && line.ends_with(" end"), "{line}");
                assert!(line.contains(&format!(" ...(of {} bytes)... ", text.len())), "{line}");
                assert!(line.chars().count() <= MOST, "{}", line.chars().count());
                assert_eq!(shown(&line), line);
            }
        }
        let whole = "y".repeat(MOST);
        assert_eq!(shown(&whole), whole);
    }
}
