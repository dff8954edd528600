//! The log: structured lines on standard error, as text or as JSON.
//!
//! A thread of its own does the writing ([`queue`]), so that a standard error that nobody reads never
//! holds up a link. The level is checked before anything else, so lines that are not wanted cost next
//! to nothing.

mod fit;
mod queue;

use std::io::{self, IsTerminal, Write};
use std::str::FromStr;
use std::time::SystemTime;

use slog::{o, Drain, FnValue, Level, LevelFilter, Logger, PushFnValue};
use slog_json::Json;
use slog_term::{
    Decorator, FullFormat, PlainDecorator, RecordDecorator, TermDecorator, ThreadSafeTimestampFn,
};

use crate::failure::Failure;
use crate::output::{Lines, Waiting};

use self::fit::Fit;
pub(crate) use self::queue::LINK_END;
use self::queue::{Sink, Writing};

/// A format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object on each line.
    Json,
}

/// The least important lines that are still written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogLevel(pub(crate) Level);

/// The reader of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// The owner of a service: with time and level.
    Service,
    /// The person who typed the command, who sees it happen: warnings and errors as other
    /// commands print them.
    Command,
}

/// A text that is neither a format nor a level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: write {allowed}")]
pub(crate) struct LogError {
    text: String,
    what: &'static str,
    allowed: &'static str,
}

impl FromStr for LogFormat {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => {
                Err(LogError { text: text.to_owned(), what: "log format", allowed: "text or json" })
            }
        }
    }
}

impl FromStr for LogLevel {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        let level = match text {
            "error" => Level::Error,
            "warn" => Level::Warning,
            "info" => Level::Info,
            "debug" => Level::Debug,
            _ => {
                let allowed = "error, warn, info or debug";
                return Err(LogError { text: text.to_owned(), what: "log level", allowed });
            }
        };
        Ok(Self(level))
    }
}

/// The running log. It must outlive everything that writes to it.
#[derive(Debug)]
pub(crate) struct Log {
    logger: Logger,
    answers: Logger,
    writing: Writing,
}

impl Log {
    /// Starts the log's thread.
    pub(crate) fn start(format: LogFormat, level: LogLevel, style: Style) -> Result<Self, Failure> {
        let sink = match format {
            LogFormat::Text => text(style),
            LogFormat::Json => json(Waiting(io::stderr())),
        };
        let (door, writing) =
            queue::start(sink).map_err(Failure::system("start the thread of the log"))?;
        let answers = Logger::root(Fit(door.patient()), o!());
        let logger = Logger::root(LevelFilter::new(Fit(door), level.0).ignore_res(), o!());
        Ok(Self { logger, answers, writing })
    }

    /// Returns the logger to write to.
    pub(crate) fn logger(&self) -> &Logger {
        &self.logger
    }

    /// Returns the logger for what was asked for, however much it is: of any level, and no line is
    /// dropped. Whoever writes there waits for standard error, so no loop may.
    pub(crate) fn answers(&self) -> &Logger {
        &self.answers
    }

    /// Waits until what was logged is written, but not for ever: standard error may be blocked.
    pub(crate) fn finish(self) {
        let Self { logger, answers, writing } = self;
        drop((logger, answers));
        writing.finish();
    }
}

/// Lines for people, coloured on a terminal unless NO_COLOR is set (<https://no-color.org>).
fn text(style: Style) -> Sink {
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stderr().is_terminal() && !is_plain {
        lines(TermDecorator::new().stderr().build(), style)
    } else {
        plain(Waiting(io::stderr()), style)
    }
}

/// Lines for people without colours.
fn plain(sink: impl Write + Send + 'static, style: Style) -> Sink {
    lines(PlainDecorator::new(Whole::new(sink)), style)
}

fn lines(decorator: impl Decorator + Send + 'static, style: Style) -> Sink {
    let lines = FullFormat::new(decorator)
        .use_original_order()
        .use_custom_timestamp(|io: &mut dyn Write| write!(io, "{}", now()));
    match style {
        Style::Service => Box::new(lines.build()),
        Style::Command => Box::new(lines.use_custom_header_print(command_header).build()),
    }
}

/// One JSON object for each line.
fn json(sink: impl Write + Send + 'static) -> Sink {
    let objects = Json::new(Whole::new(sink)).set_newlines(true).add_key_value(o!(
        // slog writes the last one first.
        "msg" => PushFnValue(|record, sink| sink.emit(record.msg())),
        "level" => FnValue(|record| word(record.level())),
        "ts" => FnValue(|_| now().to_string()),
    ));
    Box::new(objects.build())
}

/// Writes each line in one piece. Formatters write in smaller ones, and flush before the newline.
#[derive(Debug)]
struct Whole<W> {
    lines: Lines<W>,
    line: Vec<u8>,
}

impl<W: Write> Whole<W> {
    fn new(sink: W) -> Self {
        Self { lines: Lines::new(sink), line: Vec::new() }
    }
}

impl<W: Write> Write for Whole<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        if bytes.ends_with(b"\n") {
            let written = self.lines.write(&self.line);
            self.line.clear();
            written?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn command_header(
    _: &dyn ThreadSafeTimestampFn<Output = io::Result<()>>,
    line: &mut dyn RecordDecorator,
    record: &slog::Record<'_>,
    _: bool,
) -> io::Result<bool> {
    line.start_level()?;
    match record.level() {
        Level::Critical | Level::Error => write!(line, "error: ")?,
        Level::Warning => write!(line, "warning: ")?,
        Level::Info | Level::Debug | Level::Trace => {}
    }
    line.start_msg()?;
    write!(line, "{}", record.msg())?;
    Ok(true)
}

/// The level in the words of `--log`.
fn word(level: Level) -> &'static str {
    match level {
        Level::Critical | Level::Error => "error",
        Level::Warning => "warn",
        Level::Info => "info",
        Level::Debug | Level::Trace => "debug",
    }
}

fn now() -> humantime::Rfc3339Timestamp {
    humantime::format_rfc3339_millis(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use slog::{info, Logger};
    use std::sync::mpsc::{channel, Sender};

    /// Tells what was written at once.
    struct Writes(Sender<String>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8_lossy(bytes).into_owned()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_written_in_one_piece() {
        for (is_json, end) in [(false, "INFO link ended, up: 64\n"), (true, "\"up\":64}\n")] {
            let (sender, writes) = channel();
            let drain = match is_json {
                true => json(Writes(sender)),
                false => plain(Writes(sender), Style::Service),
            };
            info!(Logger::root(std::sync::Mutex::new(drain).ignore_res(), o!()), "link ended"; "up" => 64);
            let writes: Vec<_> = writes.iter().collect();
            assert!(matches!(writes.as_slice(), [line] if line.ends_with(end)), "{writes:?}");
        }
    }

    #[test]
    fn no_value_forges_a_line_or_fills_the_log() {
        let flood = "x".repeat(1 << 20);
        for is_json in [false, true] {
            let (sender, writes) = channel();
            let drain = match is_json {
                true => json(Writes(sender)),
                false => plain(Writes(sender), Style::Service),
            };
            let log = Logger::root(Fit(std::sync::Mutex::new(drain)).ignore_res(), o!());
            let forged = "no such container\n2026-01-01T00:00:00Z INFO all is well\x1b[2J";
            info!(log, "said {}", forged; "detail" => forged, "count" => 7, "none" => None::<u8>);
            info!(log, "flood"; "detail" => format!("from {flood} to"));
            drop(log);
            let lines: Vec<_> = writes.iter().collect();
            assert_eq!(lines.len(), 2, "{lines:?}");
            for line in &lines {
                let text = line.strip_suffix('\n').unwrap();
                assert!(!text.contains(char::is_control) && text.len() < 4096, "{text}");
            }
            assert_eq!(lines[0].matches("container").count(), 2);
            assert!(lines[1].contains("from xxx") && lines[1].contains("xxx to"));
            if is_json {
                let fields: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
                assert_eq!((&fields["count"], &fields["none"]), (&7.into(), &().into()));
            }
        }
    }

    #[test]
    fn what_is_no_level_or_format_is_told_with_what_is() {
        let error = "loud".parse::<LogLevel>().unwrap_err().to_string();
        assert_eq!(error, "`loud` is not a log level: write error, warn, info or debug");
        let error = "xml".parse::<LogFormat>().unwrap_err().to_string();
        assert_eq!(error, "`xml` is not a log format: write text or json");
        assert_eq!("warn".parse(), Ok(LogLevel(Level::Warning)));
    }
}
