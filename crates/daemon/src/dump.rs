//! The dump that a running program logs upon SIGUSR1: its counters, those of each forward, and
//! each link that is alive.
//!
//! The answer is as long as there are links, and standard error may be slow. So the loops hand over
//! what they know, and a thread of its own waits for them and writes. While it does, nobody asks
//! again.

use std::thread::{self, JoinHandle};

use nsplice_relay::{Answer, Glimpse, Handle, Outcome, ServiceReport, Totals, Traffic};
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
            warn!(log, "ignoring SIGUSR1: the previous dump is still being written");
            return;
        }
        let mut asked = Vec::with_capacity(handles.len());
        for handle in handles {
            match handle.services().and_then(|services| Ok((services, handle.links()?))) {
                Ok(answers) => asked.push(answers),
                Err(error) => warn!(log, "cannot list a loop's links"; "error" => %error),
            }
        }
        let totals: Vec<Totals> = handles.iter().map(|each| each.counters().totals()).collect();
        let answers = self.answers.clone();
        let write = move || write(&answers, &totals, asked);
        match thread::Builder::new().name("dump".to_owned()).spawn(write) {
            Ok(writing) => self.writing = Some(writing),
            Err(error) => {
                warn!(log, "cannot dump counters and links: no thread"; "error" => %error);
            }
        }
    }
}

fn write(answers: &Logger, totals: &[Totals], asked: Vec<Asked>) {
    info!(answers, "counters"; Counters(totals));
    // A loop that has ended meanwhile has neither services nor links.
    let (services, links): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
    for service in together(services.into_iter().filter_map(Answer::wait).flatten()) {
        info!(answers, "forward"; Books(&service));
    }
    for link in links.into_iter().filter_map(Answer::wait).flatten() {
        info!(answers, "link"; Fields(&link));
    }
    info!(answers, "end of counters and links");
}

/// The services and the links of a loop.
type Asked = (Answer<Vec<ServiceReport>>, Answer<Vec<Glimpse>>);

/// What loops tell of one service, told once: its books are theirs together, and its links add up.
fn together(reports: impl Iterator<Item = ServiceReport>) -> Vec<ServiceReport> {
    let mut told: Vec<ServiceReport> = Vec::new();
    for report in reports {
        match told.iter_mut().find(|each| each.labels.service == report.labels.service) {
            Some(each) => {
                each.links += report.links;
                each.sessions += report.sessions;
            }
            None => told.push(report),
        }
    }
    told
}

/// The counters of a forward, named as those of all of them.
struct Books<'a>(&'a ServiceReport);

impl KV for Books<'_> {
    fn serialize(&self, _: &Record<'_>, out: &mut dyn Serializer) -> slog::Result {
        let ServiceReport { labels, backend, state, links, totals, .. } = self.0;
        let totals = std::slice::from_ref(totals);
        outcomes(totals, out)?;
        sums(totals, out)?;
        out.emit_usize(Key::from("links"), *links)?;
        out.emit_str(Key::from("state"), state.as_str())?;
        out.emit_str(Key::from("backend"), backend)?;
        about(labels, out)
    }
}

/// The counters of all loops together.
struct Counters<'a>(&'a [Totals]);

impl KV for Counters<'_> {
    /// Fields are written from the last to the first, as slog's own macros do it.
    fn serialize(&self, _: &Record<'_>, out: &mut dyn Serializer) -> slog::Result {
        outcomes(self.0, out)?;
        let pauses = self.0.iter().map(|totals| totals.accept_pauses).sum();
        out.emit_u64(Key::from("accept_pauses"), pauses)?;
        sums(self.0, out)
    }
}

/// How links ended, in the ways that some did.
fn outcomes(totals: &[Totals], out: &mut dyn Serializer) -> slog::Result {
    for outcome in Outcome::ALL.iter().rev() {
        match totals.iter().map(|totals| totals.ended_as(*outcome)).sum() {
            0 => {}
            count => out.emit_u64(Key::from(outcome.as_str()), count)?,
        }
    }
    Ok(())
}

/// Links and bytes.
fn sums(totals: &[Totals], out: &mut dyn Serializer) -> slog::Result {
    let sum = |count: fn(&Totals) -> u64| totals.iter().map(count).sum::<u64>();
    out.emit_u64(Key::from("down"), sum(|totals| totals.down.written))?;
    out.emit_u64(Key::from("up"), sum(|totals| totals.up.written))?;
    out.emit_u64(Key::from("rejected"), sum(|totals| totals.rejected))?;
    out.emit_u64(Key::from("ended"), sum(Totals::ended_total))?;
    out.emit_u64(Key::from("opened"), sum(|totals| totals.opened))
}

/// The fields of a link's line, named as in the line about its end.
struct Fields<'a>(&'a Glimpse);

impl KV for Fields<'_> {
    fn serialize(&self, _: &Record<'_>, out: &mut dyn Serializer) -> slog::Result {
        let Glimpse {
            id, labels, backend, client, stage, up, down, open_time, age, silence, ..
        } = self.0;
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
