//! The progress of a long run, on stderr.
//!
//! On a terminal it is one line that is written over and over: how far, what, and how long still.
//! The line is cut to 79 columns, because one that wraps cannot be written over. Anywhere else it
//! is a line for each finished step, at most one every five seconds, so that a log shows life
//! without being filled by it; the last step is always told. A stream that refuses a line is
//! closed, and is left alone from then on: nobody is watching, which is no reason to stop
//! measuring.
//!
//! Time is an argument, and so is the estimate: what remains is known to whoever has the plan.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::teller::Milestone;

/// Every terminal has at least as many columns.
const COLUMNS: usize = 79;

/// Between two lines of a log.
const PAUSE: Duration = Duration::from_secs(5);

/// Back to the first column, and away with what stands there (ECMA-48 "erase in line").
const OVERWRITE: &str = "\r\x1b[K";

/// The manner in which progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// One line, written over.
    Rewritten,
    /// A line now and then.
    Logged,
    /// Not at all.
    Silent,
}

/// Shows steps on a stream.
#[derive(Debug)]
pub struct Progress<W> {
    stream: W,
    manner: Manner,
    told: Option<(Instant, usize)>,
}

impl Progress<io::Stderr> {
    /// On stderr, in the manner that fits what it is.
    pub fn stderr() -> Self {
        let stream = io::stderr();
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let manner = if stream.is_terminal() && !dumb { Manner::Rewritten } else { Manner::Logged };
        Self::new(stream, manner)
    }
}

impl<W: Write> Progress<W> {
    /// On `stream`, in `manner`.
    pub fn new(stream: W, manner: Manner) -> Self {
        Self { stream, manner, told: None }
    }

    /// Shows `milestone`, if it is time to.
    pub fn show(&mut self, milestone: &Milestone<'_>, now: Instant) {
        match self.manner {
            Manner::Rewritten => {
                let line: String = line(milestone).chars().take(COLUMNS).collect();
                self.write(&format!("{OVERWRITE}{line}"));
            }
            Manner::Logged => {
                let due = self.told.is_none_or(|(at, done)| {
                    done != milestone.done
                        && (now.duration_since(at) >= PAUSE || milestone.done >= milestone.total)
                });
                if due {
                    self.told = Some((now, milestone.done));
                    self.write(&format!("{}\n", line(milestone)));
                }
            }
            Manner::Silent => {}
        }
    }

    /// Takes the line away, so that what is printed next begins on a clean one.
    pub fn finish(&mut self) {
        if self.manner == Manner::Rewritten {
            self.write(OVERWRITE);
        }
    }

    fn write(&mut self, text: &str) {
        if self.stream.write_all(text.as_bytes()).and_then(|()| self.stream.flush()).is_err() {
            self.manner = Manner::Silent;
        }
    }
}

fn line(milestone: &Milestone<'_>) -> String {
    let mut line = format!("[{}/{}]", milestone.done, milestone.total);
    if let Some(left) = milestone.left {
        // Rounded up: "0 s left" while something is still being done is no estimate.
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        let _ = match seconds {
            0..60 => write!(line, " {seconds} s left"),
            _ => write!(line, " {} min {:02} s left", seconds / 60, seconds % 60),
        };
    }
    line.push_str("  ");
    // A name from a command line must not steer the terminal.
    line.extend(milestone.what.chars().map(|c| if c.is_control() { '?' } else { c }));
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teller::Found;

    fn milestone(done: usize, what: &str) -> Milestone<'_> {
        Milestone {
            done,
            total: 4,
            what,
            left: Some(Duration::from_millis(71_200)),
            found: Found::Costs(&[]),
        }
    }

    #[test]
    fn a_terminal_has_one_line_that_is_written_over() {
        let mut progress = Progress::new(Vec::new(), Manner::Rewritten);
        let now = Instant::now();
        progress.show(&milestone(1, "setns, bulk"), now);
        progress.show(&milestone(2, &"long ".repeat(40)), now);
        progress.finish();
        let text = String::from_utf8(progress.stream).expect("text");
        assert!(!text.contains('\n'), "{text:?}");
        let lines: Vec<&str> = text.split(OVERWRITE).collect();
        assert_eq!(lines[1], "[1/4] 1 min 12 s left  setns, bulk");
        assert_eq!(lines[2].chars().count(), COLUMNS);
        assert_eq!(lines[3], "");
    }

    #[test]
    fn a_log_has_a_line_now_and_then_and_always_the_last() {
        let mut progress = Progress::new(Vec::new(), Manner::Logged);
        let start = Instant::now();
        progress.show(&milestone(0, "a"), start);
        progress.show(&milestone(1, "b"), start + PAUSE / 2);
        progress.show(&milestone(2, "c"), start + PAUSE);
        progress.show(&milestone(2, "c still"), start + PAUSE * 3);
        progress.show(&milestone(4, "done"), start + PAUSE * 3);
        progress.finish();
        let text = String::from_utf8(progress.stream).expect("text");
        let whats: Vec<&str> = text.lines().filter_map(|l| l.split("  ").nth(1)).collect();
        assert_eq!(whats, ["a", "c", "done"]);
        assert!(!text.contains('\x1b'), "{text:?}");
    }

    #[test]
    fn without_an_estimate_there_is_none_and_names_do_not_steer() {
        let bare =
            Milestone { done: 0, total: 4, what: "a\x1b[2J", left: None, found: Found::Costs(&[]) };
        assert_eq!(line(&bare), "[0/4]  a?[2J");
        let short = Milestone { left: Some(Duration::from_millis(200)), ..bare };
        assert_eq!(line(&short), "[0/4] 1 s left  a?[2J");
    }

    /// A stream that takes `left` writes.
    struct Closing {
        left: usize,
        tries: usize,
    }

    impl Write for Closing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.tries += 1;
            self.left = self.left.checked_sub(1).ok_or(io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_stream_is_left_alone() {
        let mut progress = Progress::new(Closing { left: 1, tries: 0 }, Manner::Rewritten);
        for done in 0..4 {
            progress.show(&milestone(done, "x"), Instant::now());
        }
        progress.finish();
        assert_eq!(progress.stream.tries, 2);
        assert_eq!(progress.manner, Manner::Silent);
    }
}
