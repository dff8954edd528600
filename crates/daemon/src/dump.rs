//! What a running program tells when it is asked by SIGUSR1: its counters, and each link that is
//! alive.
//!
//! The answer is as long as there are links, and standard error may be slow. So the loops hand over
//! what they know, and a thread of its own waits for them and writes. While it does, nobody asks
//! again.

use std::sync::mpsc::Receiver;
use std::thread::{self, JoinHandle};

use nsplice_relay::{Glimpse, Handle, Outcome, Totals, Traffic};
use slog::{info, warn, Key, Logger, Record, Serializer, KV};

use crate::journal::{about, identity, micros, millis};

/// Answers, one at a time.
#[derive(Debug)]
pub(crate) struct Dump {
    answers: Logger,
    writing: Option<JoinHandle<()>>,
}

impl Dump {
    /// An answer to be written to `answers`, see [`crate::log::Log::answers`].
    pub(crate) fn new(answers: Logger) -> Self {
        Self { answers, writing: None }
    }

    /// Begins to tell what the loops of `handles` are at. What keeps it from that is told to `log`.
    pub(crate) fn begin(&mut self, handles: &[Handle], log: &Logger) {
        if self.writing.as_ref().is_some_and(|writing| !writing.is_finished()) {
            warn!(log, "counters and links are still being written, from the signal before");
            return;
        }
        let mut links = Vec::with_capacity(handles.len());
        for handle in handles {
            match handle.links() {
                Ok(answer) => links.push(answer),
                Err(error) => warn!(log, "a loop cannot be asked for its links"; "error" => %error),
            }
        }
        let totals: Vec<Totals> = handles.iter().map(|each| each.counters().totals()).collect();
        let answers = self.answers.clone();
        let write = move || write(&answers, &totals, links);
        match thread::Builder::new().name("dump".to_owned()).spawn(write) {
            Ok(writing) => self.writing = Some(writing),
            Err(error) => {
                warn!(log, "counters and links are not told: no thread"; "error" => %error);
            }
        }
    }
}

fn write(answers: &Logger, totals: &[Totals], links: Vec<Receiver<Vec<Glimpse>>>) {
    info!(answers, "counters"; Counters(totals));
    // A loop that has ended meanwhile has no links.
    for link in links.into_iter().flat_map(|answer| answer.recv().unwrap_or_default()) {
        info!(answers, "link"; Fields(&link));
    }
    info!(answers, "counters and links are told");
}

/// The counters of all loops together.
struct Counters<'a>(&'a [Totals]);

impl KV for Counters<'_> {
    /// Fields are written from the last to the first, as slog's own macros do it.
    fn serialize(&self, _: &Record<'_>, out: &mut dyn Serializer) -> slog::Result {
        let sum = |count: fn(&Totals) -> u64| self.0.iter().map(count).sum::<u64>();
        for outcome in Outcome::ALL.iter().rev() {
            match self.0.iter().map(|totals| totals.ended_as(*outcome)).sum() {
                0 => {}
                count => out.emit_u64(Key::from(outcome.as_str()), count)?,
            }
        }
        out.emit_u64(Key::from("accept_pauses"), sum(|totals| totals.accept_pauses))?;
        out.emit_u64(Key::from("down"), sum(|totals| totals.down.written))?;
        out.emit_u64(Key::from("up"), sum(|totals| totals.up.written))?;
        out.emit_u64(Key::from("rejected"), sum(|totals| totals.rejected))?;
        out.emit_u64(Key::from("ended"), sum(Totals::ended_total))?;
        out.emit_u64(Key::from("opened"), sum(|totals| totals.opened))
    }
}

/// The fields of a link's line, named as in the line about its end.
struct Fields<'a>(&'a Glimpse);

impl KV for Fields<'_> {
    fn serialize(&self, _: &Record<'_>, out: &mut dyn Serializer) -> slog::Result {
        let Glimpse { id, labels, backend, client, stage, up, down, open_time, age, silence } =
            self.0;
        identity(*id, out)?;
        out.emit_u64(Key::from("silent_ms"), millis(*silence))?;
        out.emit_u64(Key::from("age_ms"), millis(*age))?;
        if let Some(time) = open_time {
            out.emit_u64(Key::from("open_us"), micros(*time))?;
        }
        for (waiting, bytes, lane) in [("down_waiting", "down", down), ("up_waiting", "up", up)] {
            let Traffic { read, written } = *lane;
            if read > written {
                out.emit_u64(Key::from(waiting), read - written)?;
            }
            out.emit_u64(Key::from(bytes), written)?;
        }
        out.emit_str(Key::from("stage"), stage.as_str())?;
        if let Some(client) = client {
            out.emit_arguments(Key::from("client"), &format_args!("{client}"))?;
        }
        out.emit_str(Key::from("backend"), backend)?;
        about(labels, out)
    }
}
