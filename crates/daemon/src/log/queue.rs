//! The way of lines to the thread that writes them.
//!
//! Loops hand their lines over through a bounded queue, and never wait: what finds it full is dropped.
//! Lines may also be refused by where they go to (a full disk). Either way they are counted, the ends
//! of links among them apart, and the counts are told before the next line that is written, and at
//! the end.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{
    channel, sync_channel, Receiver, RecvTimeoutError, SyncSender, TrySendError,
};
use std::sync::Arc;
use std::thread;

use nsplice_sys::describe;
use slog::{b, o, record, Drain, Level, Never, OwnedKVList, Record};
use slog_async::AsyncRecord;

use crate::printer::LAST_WORDS;

/// Lines that may wait for standard error.
const QUEUE: usize = 1024;

/// The tag of lines that tell of a link's end.
pub(crate) const LINK_END: &str = "link-end";

/// The sink that formats and writes lines, one after the other.
pub(super) type Sink = Box<dyn Drain<Ok = (), Err = io::Error> + Send>;

/// The door at which lines are handed over.
pub(super) struct Door {
    // A record is never looked at again by whoever has handed it over, so a panic on the way leaves
    // nothing half done.
    lines: AssertUnwindSafe<SyncSender<Line>>,
    dropped: Arc<Losses>,
}

/// The same for those who wait for room.
pub(super) struct PatientDoor(AssertUnwindSafe<SyncSender<Line>>);

/// The thread that writes.
#[derive(Debug)]
pub(super) struct Writing {
    ended: Receiver<()>,
}

struct Line {
    is_link_end: bool,
    record: AsyncRecord,
}

impl Line {
    fn of(record: &Record<'_>, values: &OwnedKVList) -> Self {
        let is_link_end = record.tag() == LINK_END;
        Self { is_link_end, record: AsyncRecord::from(record, values) }
    }
}

/// Starts the thread that writes to `sink`.
pub(super) fn start(sink: Sink) -> io::Result<(Door, Writing)> {
    let (lines, waiting) = sync_channel(QUEUE);
    let (alive, ended) = channel::<()>();
    let dropped = Arc::new(Losses::default());
    let writer = Writer { sink, dropped: Arc::clone(&dropped), refused: Refused::default() };
    thread::Builder::new().name("log".to_owned()).spawn(move || {
        writer.write_all(&waiting);
        drop(alive);
    })?;
    Ok((Door { lines: AssertUnwindSafe(lines), dropped }, Writing { ended }))
}

impl Door {
    /// Another one to the same thread, which waits for room.
    pub(super) fn patient(&self) -> PatientDoor {
        PatientDoor(AssertUnwindSafe(self.lines.clone()))
    }
}

impl Drain for Door {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        if let Err(TrySendError::Full(line) | TrySendError::Disconnected(line)) =
            self.lines.try_send(Line::of(record, values))
        {
            self.dropped.add(line.is_link_end);
        }
        Ok(())
    }
}

impl Drain for PatientDoor {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        // Without the thread, nobody writes any more.
        let _ = self.0.send(Line::of(record, values));
        Ok(())
    }
}

impl Writing {
    /// Waits until the lines of all who hand some over, and who must be gone, are written; but not
    /// for ever.
    pub(super) fn finish(self) {
        let _: Result<(), RecvTimeoutError> = self.ended.recv_timeout(LAST_WORDS);
    }
}

/// Lines that nobody will read.
#[derive(Debug, Default)]
struct Losses {
    lines: AtomicU64,
    link_ends: AtomicU64,
}

impl Losses {
    fn add(&self, is_link_end: bool) {
        self.lines.fetch_add(1, Ordering::Relaxed);
        self.link_ends.fetch_add(u64::from(is_link_end), Ordering::Relaxed);
    }
}

/// Lines that could not be written, and why the last of them could not.
#[derive(Debug, Default)]
struct Refused {
    losses: Losses,
    error: Option<io::Error>,
}

struct Writer {
    sink: Sink,
    dropped: Arc<Losses>,
    refused: Refused,
}

impl Writer {
    fn write_all(mut self, lines: &Receiver<Line>) {
        for Line { is_link_end, record } in lines {
            self.tell_losses();
            if let Err(error) = record.log_to(&self.sink) {
                self.refused.losses.add(is_link_end);
                self.refused.error = Some(error);
            }
        }
        self.tell_losses();
    }

    /// Tells what has been lost, if that can be written by now.
    fn tell_losses(&mut self) {
        self.tell(&self.dropped, "dropped log lines: the log could not keep up");
        if let Some(error) = &self.refused.error {
            let why = format!("lost log lines: cannot write the log: {}", describe(error));
            if self.tell(&self.refused.losses, &why) {
                self.refused = Refused::default();
            }
        }
    }

    /// Returns whether nothing of `losses` is left to be told.
    fn tell(&self, losses: &Losses, why: &str) -> bool {
        let lines = losses.lines.load(Ordering::Relaxed);
        if lines == 0 {
            return true;
        }
        let link_ends = losses.link_ends.load(Ordering::Relaxed);
        let fields = b!("lines" => lines, "link_ends" => link_ends);
        let told = self.sink.log(
            &record!(Level::Warning, "", &format_args!("{why}"), fields),
            &OwnedKVList::from(o!()),
        );
        if told.is_ok() {
            // Others may have been lost meanwhile.
            losses.lines.fetch_sub(lines, Ordering::Relaxed);
            losses.link_ends.fetch_sub(link_ends, Ordering::Relaxed);
        }
        told.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slog::{info, Logger, Serializer, KV};
    use std::fmt;
    use std::sync::mpsc::Sender;

    /// Writes a line when it may, and tells it with its fields.
    struct Gate {
        may_write: Receiver<bool>,
        written: Sender<String>,
    }

    struct Fields<'a>(&'a mut String);

    impl Serializer for Fields<'_> {
        fn emit_arguments(&mut self, key: slog::Key, value: &fmt::Arguments<'_>) -> slog::Result {
            *self.0 += &format!(", {key}: {value}");
            Ok(())
        }
    }

    impl Drain for Gate {
        type Ok = ();
        type Err = io::Error;

        fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> io::Result<()> {
            if !self.may_write.recv().map_err(io::Error::other)? {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let mut line = record.msg().to_string();
            record.kv().serialize(record, &mut Fields(&mut line)).map_err(io::Error::other)?;
            self.written.send(line).map_err(io::Error::other)
        }
    }

    fn gate() -> (SyncSender<bool>, Receiver<String>, Sink) {
        let (permit, may_write) = sync_channel(4 * QUEUE);
        let (written, lines) = channel();
        (permit, lines, Box::new(Gate { may_write, written }))
    }

    #[test]
    fn lines_that_find_no_room_are_counted_and_the_ends_of_links_apart() {
        let (permit, written, sink) = gate();
        let (door, writing) = start(sink).unwrap();
        let patient = Logger::root(door.patient(), o!());
        let log = Logger::root(door.ignore_res(), o!());
        // The first is taken up and held at the gate; whether it is by then, the queue is full after.
        for _ in 0..=QUEUE {
            info!(patient, "kept");
        }
        info!(log, "dropped");
        (0..3).for_each(|_| info!(log, #LINK_END, "dropped"));
        (0..2 * QUEUE).for_each(|_| permit.send(true).unwrap());
        drop((log, patient));
        let told: Vec<_> = written.iter().collect();
        writing.finish();
        let losses = "dropped log lines: the log could not keep up, link_ends: 3, lines: 4";
        assert_eq!(told.iter().filter(|line| *line == losses).count(), 1, "{told:?}");
        assert_eq!(told.iter().filter(|line| *line == "kept").count(), QUEUE + 1);
        assert_eq!(told.len(), QUEUE + 2);
    }

    #[test]
    fn lines_that_cannot_be_written_are_told_when_they_can() {
        let (permit, written, sink) = gate();
        let (door, writing) = start(sink).unwrap();
        let log = Logger::root(door.ignore_res(), o!());
        // The second and third line, and what is told of the second before the third.
        for may in [true, false, false, false, true, true] {
            permit.send(may).unwrap();
        }
        (1..=4).for_each(|number| info!(log, #LINK_END, "line {number}"));
        drop(log);
        let told: Vec<_> = written.iter().collect();
        writing.finish();
        let losses = "lost log lines: cannot write the log: no storage space, \
                      link_ends: 2, lines: 2";
        assert_eq!(told, ["line 1", losses, "line 4"]);
    }
}
