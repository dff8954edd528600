//! The journal: a loop's news as lines of the log.
//!
//! Each link is logged in one line, at its end, with everything there is to know about it. A link
//! that ended as links do is an `info`, anything else a warning; and so is a session. Clients can cause any of these
//! lines as often as they like, so each kind has a budget per second; what is beyond it is counted,
//! and the count is logged in one line.

use std::fmt;
use std::time::{Duration, Instant};

use nsplice_relay::{
    Accepted, Labels, Limit, LinkId, Observer, Outcome, Reason, Record, SessionRecord, SessionRef,
    Side, Trouble,
};
use nsplice_sys::describe;
use slog::{debug, info, warn, Drain, Key, Level, Logger, Record as Line, Serializer, KV};

use crate::limit::{Held, Limiter};
use crate::log::LINK_END;

/// Lines per second and kind about daily business: what a person can still read along.
const CALM: u32 = 100;

/// Lines per second and kind about trouble: the first few tell all there is to know.
const BURST: u32 = 20;

/// Writes the news of one loop to the log.
#[derive(Debug)]
pub(crate) struct Journal {
    log: Logger,
    limiter: Limiter,
}

impl Journal {
    /// A journal that is written to `log`.
    pub(crate) fn new(log: Logger) -> Self {
        Self { log, limiter: Limiter::default() }
    }

    /// Returns whether a line of `kind` is wanted and within its budget; tells first what was held
    /// back before. Lines that nobody wants are not counted.
    pub(crate) fn allow(&mut self, kind: &'static str, level: Level) -> bool {
        if !self.log.is_enabled(level) {
            return false;
        }
        let now = Instant::now();
        for held in self.limiter.overdue(now) {
            self.tell_held(held);
        }
        let burst = if level.is_at_least(Level::Warning) { BURST } else { CALM };
        self.limiter.allow(kind, burst, now)
    }

    fn tell_held(&self, Held { kind, count }: Held) {
        warn!(self.log, "suppressed {count} log lines"; "kind" => kind, "count" => count);
    }
}

impl Observer for Journal {
    fn accepted(&mut self, link: &Accepted<'_>) {
        if self.allow("accepted", Level::Debug) {
            let client = link.client.map(|client| client.to_string());
            debug!(self.log, "link accepted"; "forward" => &*link.link.labels.service, "client" => client, "link" => %link.link.id);
        }
    }

    fn ended(&mut self, record: &Record<'_>) {
        let is_daily = is_daily_business(record.outcome);
        let level = if is_daily { Level::Info } else { Level::Warning };
        if !self.allow(record.outcome.as_str(), level) {
            return;
        }
        let fields = LinkFields(record);
        if is_daily {
            info!(self.log, #LINK_END, "link ended"; fields);
        } else {
            warn!(self.log, #LINK_END, "link ended"; fields);
        }
    }

    fn session_began(&mut self, session: &SessionRef<'_>) {
        if self.allow("session-began", Level::Debug) {
            let client = session.client.map(|client| client.to_string());
            debug!(self.log, "session began"; "endpoint" => &*session.endpoint.service,
                "client" => client, "session" => %session.id);
        }
    }

    fn session_ended(&mut self, record: &SessionRecord<'_>) {
        let is_daily = is_daily_business(record.outcome);
        let level = if is_daily { Level::Info } else { Level::Warning };
        if !self.allow("session-ended", level) {
            return;
        }
        let fields = SessionFields(record);
        if is_daily {
            info!(self.log, "session ended"; fields);
        } else {
            warn!(self.log, "session ended"; fields);
        }
    }

    fn trouble(&mut self, trouble: &Trouble<'_>) {
        if !self.allow(kind_of(trouble), Level::Warning) {
            return;
        }
        let log = &self.log;
        match trouble {
            Trouble::AcceptPaused { error } => {
                let error = describe(error);
                warn!(log, "accepting paused: out of file descriptors or memory"; "error" => error);
            }
            Trouble::AcceptResumed { paused } => {
                info!(log, "accepting resumed"; "paused_ms" => millis(*paused));
            }
            Trouble::AcceptFailed { labels, error } => {
                let error = describe(error);
                warn!(log, "accept failed"; "forward" => &*labels.service, "error" => error);
            }
            Trouble::Refused { labels, client, reason: Reason::Full } => {
                let client = client.map(|address| address.to_string());
                warn!(log, "max_links reached: client refused";
                    "forward" => &*labels.service, "client" => client);
            }
            Trouble::Refused { labels, client, reason: Reason::Sessions } => {
                let client = client.map(|address| address.to_string());
                warn!(log, "max_sessions reached: client refused";
                    "endpoint" => &*labels.service, "client" => client);
            }
            Trouble::Refused { labels, client, reason: Reason::Streams } => {
                let client = client.map(|address| address.to_string());
                warn!(log, "max_streams reached: stream refused";
                    "endpoint" => &*labels.service, "client" => client);
            }
            Trouble::Refused { labels, client, reason } => {
                let client = client.map(|address| address.to_string());
                warn!(log, "client refused"; "forward" => &*labels.service, "client" => client,
                    "reason" => reason.as_str());
            }
            Trouble::SpliceUnavailable { error } => {
                warn!(log, "splice(2) unavailable, copying instead"; "error" => describe(error));
            }
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        for held in self.limiter.rest() {
            self.tell_held(held);
        }
    }
}

/// Returns whether a link ended as links do: with all bytes delivered, or as the client or the
/// owner of the service wanted it.
pub(crate) fn is_daily_business(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Clean | Outcome::Cancelled | Outcome::Stopped | Outcome::Reset(Side::Downstream)
    )
}

/// Returns in words how a link ended: the detail if there is one, else the outcome spelled out.
pub(crate) fn in_words(outcome: Outcome, detail: Option<&str>) -> String {
    if let Some(detail) = detail {
        return detail.to_owned();
    }
    let words = match outcome {
        Outcome::Clean => "all bytes delivered",
        Outcome::Reset(Side::Downstream) => "connection reset by the client",
        Outcome::Reset(Side::Upstream) => "connection reset by the target",
        Outcome::OpenFailed(_) => "cannot open the connection",
        Outcome::Cancelled => "the client disconnected before the connection was open",
        Outcome::Expired(Limit::Connect) => {
            "connect timeout: the connection was not established in time"
        }
        Outcome::Expired(Limit::Idle) => "idle timeout: no bytes in either direction",
        Outcome::Expired(Limit::Linger) => {
            "linger timeout: half-closed, and no bytes in either direction"
        }
        Outcome::Expired(Limit::Drain) => "drain timeout: the connection was still open",
        Outcome::ChildFailed => "the child process that carried the connection failed",
        Outcome::Failed(Side::Downstream) => "I/O error on the client's side",
        Outcome::Failed(Side::Upstream) => "I/O error on the target's side",
        Outcome::Stopped => "stopped while the connection was open",
    };
    words.to_owned()
}

fn kind_of(trouble: &Trouble<'_>) -> &'static str {
    match trouble {
        Trouble::AcceptPaused { .. } => "accept-paused",
        Trouble::AcceptResumed { .. } => "accept-resumed",
        Trouble::AcceptFailed { .. } => "accept-failed",
        Trouble::Refused { reason: Reason::Full, .. } => "limit-reached",
        Trouble::Refused { reason, .. } => reason.as_str(),
        Trouble::SpliceUnavailable { .. } => "splice-unavailable",
    }
}

/// The fields of a link's line; those that have nothing to say are left out. They are written from
/// the last to the first, as slog's own macros do it.
struct LinkFields<'a>(&'a Record<'a>);

impl KV for LinkFields<'_> {
    fn serialize(&self, _: &Line<'_>, out: &mut dyn Serializer) -> slog::Result {
        let Record {
            link, backend, client, outcome, detail, up, down, open_time, duration, ..
        } = self.0;
        if let Some(detail) = detail {
            out.emit_str(Key::from("detail"), detail)?;
        }
        out.emit_str(Key::from("outcome"), outcome.as_str())?;
        if let Some(session) = link.session {
            out.emit_arguments(Key::from("session"), &format_args!("{session}"))?;
        }
        identity(link.id, out)?;
        out.emit_u64(Key::from("duration_ms"), millis(*duration))?;
        if let Some(time) = open_time {
            out.emit_u64(Key::from("open_us"), micros(*time))?;
        }
        out.emit_u64(Key::from("down"), down.written)?;
        out.emit_u64(Key::from("up"), up.written)?;
        if let Some(client) = client {
            out.emit_arguments(Key::from("client"), &format_args!("{client}"))?;
        }
        out.emit_str(Key::from("backend"), backend)?;
        about(link.labels, out)
    }
}

impl fmt::Debug for LinkFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The fields of a session's line, written as those of a link's.
struct SessionFields<'a>(&'a SessionRecord<'a>);

impl KV for SessionFields<'_> {
    fn serialize(&self, _: &Line<'_>, out: &mut dyn Serializer) -> slog::Result {
        let SessionRecord { session, outcome, detail, streams, up, down, duration } = self.0;
        if let Some(detail) = detail {
            out.emit_str(Key::from("detail"), detail)?;
        }
        out.emit_str(Key::from("outcome"), outcome.as_str())?;
        out.emit_arguments(Key::from("session"), &format_args!("{}", session.id))?;
        out.emit_u64(Key::from("duration_ms"), millis(*duration))?;
        out.emit_u64(Key::from("down"), *down)?;
        out.emit_u64(Key::from("up"), *up)?;
        out.emit_u64(Key::from("streams"), *streams)?;
        if let Some(client) = session.client {
            out.emit_arguments(Key::from("client"), &format_args!("{client}"))?;
        }
        out.emit_str(Key::from("endpoint"), &session.endpoint.service)
    }
}

/// The fields that say what a link is about, first of all fields in its lines.
pub(crate) fn about(labels: &Labels, out: &mut dyn Serializer) -> slog::Result {
    out.emit_str(Key::from("target"), &labels.target)?;
    out.emit_str(Key::from("forward"), &labels.service)
}

/// The field that tells a link from all others.
pub(crate) fn identity(id: LinkId, out: &mut dyn Serializer) -> slog::Result {
    out.emit_arguments(Key::from("link"), &format_args!("{id}"))
}

pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slog::{o, Never};
    use std::sync::{Arc, Mutex};

    /// Keeps messages, and how many were held back.
    #[derive(Debug, Clone, Default)]
    struct Kept(Arc<Mutex<(Vec<String>, u64)>>);

    impl Drain for Kept {
        type Ok = ();
        type Err = Never;

        fn log(&self, line: &Line<'_>, _: &slog::OwnedKVList) -> Result<(), Never> {
            struct Count(u64);
            impl Serializer for Count {
                fn emit_u64(&mut self, _: Key, count: u64) -> slog::Result {
                    self.0 += count;
                    Ok(())
                }
                fn emit_arguments(&mut self, _: Key, _: &fmt::Arguments<'_>) -> slog::Result {
                    Ok(())
                }
            }
            let mut count = Count(0);
            let _ = line.kv().serialize(line, &mut count);
            let mut kept = self.0.lock().unwrap();
            kept.0.push(line.msg().to_string());
            kept.1 += count.0;
            Ok(())
        }
    }

    #[test]
    fn refusals_are_told_up_to_a_limit_and_counted_beyond() {
        const REFUSALS: usize = 1000;
        let kept = Kept::default();
        let labels = Labels::new("echo", "tcp/127.0.0.1");
        let mut journal = Journal::new(Logger::root(kept.clone().fuse(), o!()));
        for _ in 0..REFUSALS {
            for reason in [Reason::Full, Reason::Client, Reason::Sessions, Reason::Streams] {
                let client = Some(([127, 0, 0, 1], 7).into());
                journal.trouble(&Trouble::Refused { labels: &labels, client, reason });
            }
        }
        drop(journal);
        let (lines, held) = kept.0.lock().unwrap().clone();
        for told in [
            "max_links reached: client refused",
            "client refused",
            "max_sessions reached: client refused",
            "max_streams reached: stream refused",
        ] {
            let count = lines.iter().filter(|line| *line == told).count();
            // Even if this has taken some seconds.
            assert!((1..REFUSALS / 2).contains(&count), "{count} lines of {told}");
        }
        let told = lines.iter().filter(|line| line.ends_with(" refused")).count();
        assert_eq!(told as u64 + held, 4 * REFUSALS as u64);
    }
}
