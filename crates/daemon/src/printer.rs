//! Lines for standard output that never hold up a loop.
//!
//! Standard output may be a pipe that nobody empties. A thread of its own writes each line and
//! flushes it at once; loops hand their lines over through a bounded queue, and what finds the
//! queue full is dropped and counted. Lines are small, so a write is not torn by other writers.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{channel, sync_channel, Receiver, RecvTimeoutError, SyncSender};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use slog::{warn, Logger};

/// Lines that may wait for standard output.
const QUEUE: usize = 1024;

/// How long the end of the program waits for lines that are still to be written.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(1);

/// Takes lines; clones reach the same thread.
#[derive(Debug, Clone)]
pub(crate) struct Printer {
    lines: SyncSender<String>,
    dropped: Arc<AtomicU64>,
}

/// The thread that writes them.
#[derive(Debug)]
pub(crate) struct Printing {
    ended: Receiver<()>,
}

impl Printer {
    /// Starts the thread. That lines were dropped is told to `log`.
    pub(crate) fn start(
        sink: impl Write + Send + 'static,
        log: Logger,
    ) -> io::Result<(Self, Printing)> {
        let (lines, waiting) = sync_channel(QUEUE);
        let (alive, ended) = channel();
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        thread::Builder::new().name("printer".to_owned()).spawn(move || {
            write_lines(sink, &waiting, &lost, &log);
            drop(alive);
        })?;
        Ok((Self { lines, dropped }, Printing { ended }))
    }

    /// Hands a line over, without its newline.
    pub(crate) fn line(&self, text: impl Into<String>) {
        if self.lines.try_send(text.into()).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Printing {
    /// Waits until the lines of all printers, which must have been dropped, are written; but not
    /// for ever.
    pub(crate) fn finish(self) {
        let _: Result<(), RecvTimeoutError> = self.ended.recv_timeout(LAST_WORDS);
    }
}

fn write_lines(mut sink: impl Write, lines: &Receiver<String>, lost: &AtomicU64, log: &Logger) {
    for line in lines {
        let written = writeln!(sink, "{line}").and_then(|()| sink.flush());
        // A reader that has gone has no more interest; forwarding goes on, as with kubectl. The
        // receiver goes with this function, so later lines end at the sender.
        if written.is_err() {
            return;
        }
        match lost.swap(0, Ordering::Relaxed) {
            0 => {}
            count => warn!(log, "standard output was blocked: {count} lines were not printed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slog::{o, Discard};
    use std::io::{pipe, Read};

    fn quiet() -> Logger {
        Logger::root(Discard, o!())
    }

    #[test]
    fn lines_arrive_in_order_and_at_once() {
        let (mut reader, writer) = pipe().unwrap();
        let (printer, printing) = Printer::start(writer, quiet()).unwrap();
        printer.line("Forwarding from 127.0.0.1:1 -> 2");
        let expected = b"Forwarding from 127.0.0.1:1 -> 2\n";
        let mut first = vec![0; expected.len()];
        reader.read_exact(&mut first).unwrap();
        assert_eq!(first, expected);
        printer.line("second");
        drop(printer);
        printing.finish();
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "second\n");
    }

    #[test]
    fn a_full_pipe_blocks_nobody() {
        let (mut reader, writer) = pipe().unwrap();
        let (printer, printing) = Printer::start(writer, quiet()).unwrap();
        // More than a pipe and the queue hold together, so this returns only if lines are dropped.
        let long = "x".repeat(1 << 12);
        for _ in 0..4 * QUEUE {
            printer.line(long.clone());
        }
        assert!(printer.dropped.load(Ordering::Relaxed) > 0);
        drop(printer);
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        printing.finish();
        assert_eq!(all.len() % (long.len() + 1), 0, "lines are whole");
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let (printer, printing) = Printer::start(writer, quiet()).unwrap();
        printer.line("nobody reads this");
        printing.ended.recv().unwrap_err();
        printer.line("nor this");
    }
}
