//! Lines for standard output that never hold up a loop.
//!
//! Standard output may be a pipe that nobody empties. A thread of its own writes the lines; loops
//! hand them over through a bounded queue, and what finds the queue full is dropped and counted. What
//! cannot be written, to a full disk say, is counted as well; only a reader that has gone for good
//! (EPIPE) ends it.
//!
//! A line is written at once. Then the thread rests a moment, and writes what has come meanwhile in
//! one piece: to wake it for each line of a busy loop costs that loop a fifth of what a short
//! connection does. A piece is no longer than what a pipe takes whole, so that no line is torn by
//! other writers.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{channel, sync_channel, Receiver, RecvTimeoutError, SyncSender};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::libc::PIPE_BUF;
use nsplice_backend::shown;
use nsplice_sys::describe;
use slog::{warn, Logger};

use crate::output::Lines;

/// Lines that may wait for standard output.
const QUEUE: usize = 1024;

/// The time for which lines gather while others come.
const REST: Duration = Duration::from_millis(5);

/// The time for which the end of the program waits for lines that are still to be written.
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
        if self.lines.try_send(shown(&text.into()).into_owned()).is_err() {
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

fn write_lines(sink: impl Write, waiting: &Receiver<String>, lost: &AtomicU64, log: &Logger) {
    let mut lines = Lines::new(sink);
    let mut refused = Refused::default();
    let mut next = waiting.recv().ok();
    while let Some(first) = next.take() {
        let (piece, held) = gather(first, waiting);
        match lines.write(piece.as_bytes()) {
            Ok(()) => refused.tell(log),
            // A reader that has gone has no more interest; forwarding goes on, as with kubectl. The
            // receiver goes with this function, so later lines end at the sender.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return,
            Err(error) => refused.add(&piece, error),
        }
        match lost.swap(0, Ordering::Relaxed) {
            0 => {}
            count => {
                warn!(log, "dropped {count} lines: standard output could not keep up")
            }
        }
        next = held.or_else(|| {
            thread::sleep(REST);
            waiting.recv().ok()
        });
    }
    refused.tell(log);
}

/// Lines that could not be written since the last one that could, and why not.
#[derive(Debug, Default)]
struct Refused {
    count: usize,
    error: Option<io::Error>,
}

impl Refused {
    fn add(&mut self, piece: &str, error: io::Error) {
        self.count += piece.lines().count();
        self.error = Some(error);
    }

    fn tell(&mut self, log: &Logger) {
        let Self { count, error } = std::mem::take(self);
        if let Some(error) = error {
            let why = describe(&error);
            warn!(log, "lost {count} lines: cannot write to standard output: {why}");
        }
    }
}

/// `first` and the lines that wait behind it, as many as a pipe takes whole, and the one that is too
/// many.
fn gather(first: String, lines: &Receiver<String>) -> (String, Option<String>) {
    let mut piece = first + "\n";
    while let Ok(line) = lines.try_recv() {
        if piece.len() + line.len() >= PIPE_BUF {
            return (piece, Some(line));
        }
        piece += &line;
        piece.push('\n');
    }
    (piece, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slog::{o, Discard};
    use std::io::{pipe, Read};
    use std::sync::mpsc::Sender;

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

    /// A sink that waits for permission before each write, and tells what was written.
    struct Gate {
        may_write: Receiver<()>,
        written: Sender<String>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.may_write.recv().map_err(io::Error::other)?;
            let text = String::from_utf8_lossy(bytes).into_owned();
            self.written.send(text).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_come_during_a_write_go_out_in_pieces_that_a_pipe_takes_whole() {
        let (permit, may_write) = channel();
        let (written, pieces) = channel();
        let (printer, printing) = Printer::start(Gate { may_write, written }, quiet()).unwrap();
        printer.line("first");
        permit.send(()).unwrap();
        assert_eq!(pieces.recv().unwrap(), "first\n");
        let lines: Vec<_> = (0..1000).map(|number| format!("line {number}")).collect();
        lines.iter().for_each(|line| printer.line(line.clone()));
        drop(printer);
        // It needs fewer, and goes when it has written all.
        lines.iter().for_each(|_| permit.send(()).unwrap_or_default());
        let pieces: Vec<_> = pieces.iter().collect();
        printing.finish();
        // What had come when the first of them was taken up, the rest in as few as can be.
        assert!(pieces.len() <= 4, "{} pieces", pieces.len());
        assert!(pieces.iter().all(|piece| piece.ends_with('\n') && piece.len() <= PIPE_BUF));
        assert_eq!(pieces.concat(), lines.join("\n") + "\n");
    }

    #[test]
    fn a_full_pipe_blocks_nobody() {
        let (mut reader, writer) = pipe().unwrap();
        let (printer, printing) = Printer::start(writer, quiet()).unwrap();
        // More than a pipe and the queue hold together, so this returns only if lines are dropped.
        let long = "x".repeat(1000);
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
