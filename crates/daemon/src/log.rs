//! The log: structured lines on standard error, as text or as JSON.
//!
//! A thread of its own does the writing. Loops hand their lines over through a bounded queue;
//! what finds it full is dropped and reported once there is room, so that a standard error that
//! nobody reads never holds up a link. The level is checked before anything else, so lines that
//! are not wanted cost next to nothing.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::str::FromStr;
use std::sync::mpsc::channel;
use std::thread;
use std::time::SystemTime;

use slog::{o, Drain, FnValue, Level, LevelFilter, Logger, Never, PushFnValue};
use slog_async::{Async, AsyncGuard, OverflowStrategy};
use slog_json::Json;
use slog_term::{
    Decorator, FullFormat, PlainDecorator, RecordDecorator, TermDecorator, ThreadSafeTimestampFn,
};

use crate::printer::LAST_WORDS;

/// Lines that may wait for standard error.
const QUEUE: usize = 1024;

/// How lines look.
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

/// Who reads the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// The owner of a service: with time and level.
    Service,
    /// The person who typed the command, who sees it happen: warnings and errors as other
    /// commands print them.
    Command,
}

/// Why a text is neither a format nor a level.
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
pub(crate) struct Log {
    logger: Logger,
    guard: AsyncGuard,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("logger", &self.logger).finish_non_exhaustive()
    }
}

impl Log {
    /// Starts the log's thread.
    pub(crate) fn start(format: LogFormat, level: LogLevel, style: Style) -> Self {
        let (queue, guard) = match format {
            LogFormat::Text => queue(text(style)),
            LogFormat::Json => queue(json(io::stderr())),
        };
        let logger = Logger::root(LevelFilter::new(queue, level.0).ignore_res(), o!());
        Self { logger, guard }
    }

    /// Where to write.
    pub(crate) fn logger(&self) -> &Logger {
        &self.logger
    }

    /// Waits until what was logged is written, but not for ever: standard error may be blocked.
    pub(crate) fn finish(self) {
        let Self { logger, guard } = self;
        drop(logger);
        let (alive, ended) = channel::<()>();
        // Dropping the guard waits for the log's thread, however long that takes.
        let flush = thread::Builder::new().name("log-flush".to_owned());
        let flushing = flush.spawn(move || {
            drop(guard);
            drop(alive);
        });
        if flushing.is_ok() {
            let _: Result<(), _> = ended.recv_timeout(LAST_WORDS);
        }
    }
}

fn queue(lines: Lines) -> (Async, AsyncGuard) {
    Async::new(lines)
        .chan_size(QUEUE)
        .overflow_strategy(OverflowStrategy::DropAndReport)
        .thread_name("log".to_owned())
        .build_with_guard()
}

/// Where lines go that are ready to be written.
type Lines = Box<dyn Drain<Ok = (), Err = Never> + Send>;

/// Lines for people, coloured on a terminal unless NO_COLOR is set (<https://no-color.org>).
fn text(style: Style) -> Lines {
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stderr().is_terminal() && !is_plain {
        lines(TermDecorator::new().stderr().build(), style)
    } else {
        plain(io::stderr(), style)
    }
}

/// Lines for people without colours.
fn plain(sink: impl Write + Send + 'static, style: Style) -> Lines {
    lines(PlainDecorator::new(Whole { sink, line: Vec::new() }), style)
}

fn lines(decorator: impl Decorator + Send + 'static, style: Style) -> Lines {
    let lines = FullFormat::new(decorator)
        .use_original_order()
        .use_custom_timestamp(|io: &mut dyn Write| write!(io, "{}", now()));
    match style {
        Style::Service => Box::new(lines.build().ignore_res()),
        Style::Command => {
            Box::new(lines.use_custom_header_print(command_header).build().ignore_res())
        }
    }
}

/// One JSON object for each line.
fn json(sink: impl Write + Send + 'static) -> Lines {
    let objects = Json::new(Whole { sink, line: Vec::new() }).set_newlines(true).add_key_value(o!(
        // slog writes the last one first.
        "msg" => PushFnValue(|record, sink| sink.emit(record.msg())),
        "level" => FnValue(|record| word(record.level())),
        "ts" => FnValue(|_| now().to_string()),
    ));
    Box::new(objects.build().ignore_res())
}

/// Writes each line in one piece. Formatters write in smaller ones, and flush before the newline.
#[derive(Debug)]
struct Whole<W> {
    sink: W,
    line: Vec<u8>,
}

impl<W: Write> Write for Whole<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        if bytes.ends_with(b"\n") {
            let written = self.sink.write_all(&self.line);
            self.line.clear();
            written?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
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
    use std::sync::mpsc::Sender;

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
    fn what_is_no_level_or_format_is_told_with_what_is() {
        let error = "loud".parse::<LogLevel>().unwrap_err().to_string();
        assert_eq!(error, "`loud` is not a log level: write error, warn, info or debug");
        let error = "xml".parse::<LogFormat>().unwrap_err().to_string();
        assert_eq!(error, "`xml` is not a log format: write text or json");
        assert_eq!("warn".parse(), Ok(LogLevel(Level::Warning)));
    }
}
