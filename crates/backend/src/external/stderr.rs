//! The words of a child on its standard error before it ended: kept short, made printable, and read
//! for the reason of its end.

use nsplice_relay::OpenClass;
use nsplice_runtime::escaped;

/// The end of a child's diagnostics. The end is where the reason stands; a child that floods its
/// standard error costs no more memory than this.
#[derive(Debug, Default)]
pub(crate) struct LastWords {
    bytes: Vec<u8>,
    cut: bool,
}

impl LastWords {
    /// Adds what the child has just written.
    pub(crate) fn add(&mut self, written: &[u8]) {
        self.bytes.extend_from_slice(written);
        let surplus = self.bytes.len().saturating_sub(KEPT);
        if surplus > 0 {
            self.bytes.drain(..surplus);
            self.cut = true;
        }
    }

    /// All of it as one printable line, empty if the child said nothing.
    pub(crate) fn line(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        let mut line = String::new();
        for words in text.split(['\n', '\r']).map(str::trim).filter(|words| !words.is_empty()) {
            if !line.is_empty() {
                line.push_str("; ");
            }
            line.push_str(&escaped(words.chars()));
        }
        let surplus = line.chars().count().saturating_sub(SHOWN);
        if surplus == 0 && !self.cut {
            return line;
        }
        std::iter::once("...")
            .map(str::to_owned)
            .chain([line.chars().skip(surplus).collect()])
            .collect()
    }

    /// Returns the kind of failure that the words and the exit status `code` tell of. `namespace`
    /// is the path that the child was to enter.
    pub(crate) fn class(&self, code: i32, namespace: Option<&str>) -> OpenClass {
        let text = String::from_utf8_lossy(&self.bytes);
        let says = |words: &[&str]| words.iter().any(|words| text.contains(words));
        let of_namespace = namespace.is_some_and(|path| text.contains(path));
        if says(&["Connection refused"]) {
            OpenClass::Refused
        } else if says(&["timed out"]) {
            OpenClass::TimedOut
        } else if says(&["unreachable", "No route to host"]) {
            OpenClass::Unreachable
        } else if says(&[
            "Name or service not known",
            "failure in name resolution",
            "No address associated",
        ]) {
            OpenClass::NameUnknown
        } else if of_namespace && says(&["No such file or directory", "No such process"]) {
            OpenClass::TargetGone
        } else if code == EXIT_NOT_FOUND {
            OpenClass::ToolMissing
        } else if says(&["Operation not permitted", "Permission denied"]) {
            OpenClass::Denied
        } else if says(&[
            "Too many open files",
            "Cannot allocate memory",
            "temporarily unavailable",
            "Cannot assign requested address",
        ]) {
            OpenClass::Exhausted
        } else {
            OpenClass::ChildFailed
        }
    }
}

/// Bytes kept of what a child says.
const KEPT: usize = 4096;

/// Characters shown of it: a log line is no place for more.
const SHOWN: usize = 500;

/// What shells, and nsenter after them, answer when the program is not there.
const EXIT_NOT_FOUND: i32 = 127;

#[cfg(test)]
mod tests {
    use super::*;

    fn words(written: &[u8]) -> LastWords {
        let mut words = LastWords::default();
        words.add(written);
        words
    }

    #[test]
    fn one_line_of_printable_text() {
        let table: [(&[u8], &str); 6] = [
            (b"", ""),
            (b"socat[7] E connect: Connection refused\n", "socat[7] E connect: Connection refused"),
            (b"a\r\n\n  b\nhalf a li", "a; b; half a li"),
            (b"\x1b[31mred\x07\0", "\\u{1b}[31mred\\u{7}\\0"),
            (b"it's \"so\" C:\\", "it's \"so\" C:\\"),
            ("\u{202e}b\u{e4}\u{ff}".as_bytes(), "\\u{202e}b\u{e4}\u{ff}"),
        ];
        for (written, line) in table {
            assert_eq!(words(written).line(), line);
        }
    }

    #[test]
    fn a_flood_leaves_its_end() {
        let mut words = LastWords::default();
        for number in 0..100_000 {
            words.add(format!("line {number}\n").as_bytes());
            assert!(words.bytes.len() <= KEPT);
        }
        let line = words.line();
        assert!(line.starts_with("...") && line.ends_with("; line 99999"), "{line}");
        assert_eq!(line.chars().count(), SHOWN + 3);
    }

    #[test]
    fn the_class_follows_from_the_words() {
        let path = "/proc/4947/ns/net";
        let table = [
            (
                "socat[7] E connect(5, AF=2 127.0.0.1:80, 16): Connection refused",
                1,
                OpenClass::Refused,
            ),
            (
                "socat[7] E connect(5, AF=2 10.0.0.1:80, 16): Connection timed out",
                1,
                OpenClass::TimedOut,
            ),
            ("E connect(..): Network is unreachable", 1, OpenClass::Unreachable),
            ("E connect(..): No route to host", 1, OpenClass::Unreachable),
            ("E getaddrinfo: Name or service not known", 1, OpenClass::NameUnknown),
            (
                "nsenter: cannot open /proc/4947/ns/net: No such file or directory",
                1,
                OpenClass::TargetGone,
            ),
            ("nsenter: cannot open /proc/4947/ns/net: Permission denied", 1, OpenClass::Denied),
            (
                "nsenter: reassociate to namespace 'ns/net' failed: Operation not permitted",
                1,
                OpenClass::Denied,
            ),
            (
                "nsenter: failed to execute /x: No such file or directory",
                127,
                OpenClass::ToolMissing,
            ),
            ("fork: Cannot allocate memory", 1, OpenClass::Exhausted),
            ("out of cheese", 1, OpenClass::ChildFailed),
            ("", 3, OpenClass::ChildFailed),
        ];
        for (said, code, class) in table {
            assert_eq!(words(said.as_bytes()).class(code, Some(path)), class, "{said}");
        }
    }
}
