//! The streams of a session as sockets in user space, without I/O.
//!
//! The session puts in what its client has sent, the lanes of the links take it out, and give what
//! goes the other way. What the kernel does for a socket is done here: a receive queue with a cap,
//! room to send, an end, a reset, and *news* for the link, which are edges as epoll(7) has them:
//! told once, when something changes.
//!
//! * Bytes are news when the queue was empty; an end and an abort always are.
//! * Room is news for a stream that was refused ([`Streams::allowance`] was 0). One without credit is
//!   told when it is granted some. One for which the outbox had no room waits in line, and is told
//!   when the outbox has been flushed ([`Streams::wake`]), as many at a time as there is room for.
//!
//! Fairness: while several streams send, each gets only its share of the outbox between two flushes.
//! Whoever has had it waits at the end of the line.
//!
//! What stands behind an abort: what the client had sent before it has reset a stream may still be
//! read, as it may from a socket; what did not fit is gone, and all that was queued with it.

use std::collections::{HashMap, VecDeque};

use nix::errno::Errno;

use crate::net::readiness::Wake;
use crate::table::Key;

use super::limits::SessionLimits;
use super::name::StreamId;
use super::queue::{Queue, Spares};

/// The least share of the outbox, in bytes: with less, framing and calls would cost more than they
/// carry.
const LEAST_SHARE: usize = 16 * 1024;

/// The fate of bytes that came for a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// They are queued.
    Queued,
    /// They did not fit: the stream has been ended, and the others have not. Its link closes it.
    Overflow,
    /// The stream had ended, was reset or has overflowed before: they are thrown away.
    Late,
    /// There is no stream of that name.
    Unknown,
}

/// The front of a stream, as a lane finds it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Front<'a> {
    Bytes(&'a [u8]),
    /// EAGAIN.
    Dry,
    End,
    Failed(Errno),
}

/// The reason for which a stream is over before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Abort {
    /// What its reads and writes answer.
    pub(crate) errno: Errno,
    /// In words, for the record of its link.
    pub(crate) reason: String,
}

/// The thing that stands behind the queue.
#[derive(Debug)]
enum Behind {
    /// More may come.
    More,
    End,
    Abort(Abort),
}

/// The thing that a stream that may not send waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    No,
    Credit,
    /// In line.
    Room,
    /// It was told, and has not sent since: it keeps its place if somebody else was quicker.
    Told,
}

#[derive(Debug)]
struct Stream {
    /// None until the session's call has ended.
    link: Option<Key>,
    queue: Queue,
    behind: Behind,
    /// None without a limit.
    credit: Option<u64>,
    has_finished: bool,
    waits: Waits,
    /// Bytes sent in the round with this number.
    sent: usize,
    round: u64,
}

/// All streams of a session.
#[derive(Debug)]
pub(crate) struct Streams {
    limits: SessionLimits,
    streams: HashMap<StreamId, Stream>,
    /// Bytes in all queues.
    queued: usize,
    /// Streams that have been opened.
    opened: u64,
    /// Bytes that have come for streams, and bytes that streams have sent.
    carried: [u64; 2],
    line: VecDeque<StreamId>,
    news: Vec<(Key, Wake)>,
    /// Grows with each flush.
    round: u64,
    /// Streams that have sent in this round.
    senders: usize,
    /// What a stream may send in this round, in bytes.
    share: usize,
}

impl Streams {
    pub(crate) fn new(limits: SessionLimits) -> Self {
        Self {
            limits,
            streams: HashMap::new(),
            queued: 0,
            opened: 0,
            carried: [0; 2],
            line: VecDeque::new(),
            news: Vec::new(),
            round: 1,
            senders: 0,
            share: limits.outbox,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Bytes in all queues.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Counts the streams that have been opened.
    pub(crate) fn opened(&self) -> u64 {
        self.opened
    }

    /// Bytes that have come for streams, and bytes that streams have sent.
    pub(crate) fn carried(&self) -> [u64; 2] {
        self.carried
    }

    /// Returns whether the queues hold so much that the client is to be read no more.
    pub(crate) fn are_full(&self) -> bool {
        self.queued >= self.limits.session_queue
    }

    /// Adds a stream; false if there is one of that name.
    pub(crate) fn open(&mut self, id: StreamId, credit: Option<u64>) -> bool {
        if self.streams.contains_key(&id) {
            return false;
        }
        let stream = Stream {
            link: None,
            queue: Queue::default(),
            behind: Behind::More,
            credit,
            has_finished: false,
            waits: Waits::No,
            sent: 0,
            round: 0,
        };
        self.streams.insert(id, stream);
        self.opened += 1;
        true
    }

    /// The stream is the downstream of `link` from now on.
    pub(crate) fn attach(&mut self, id: StreamId, link: Key) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.link = Some(link);
        // A link takes its downstream for readable and writable when it begins.
        let report = match stream.behind {
            Behind::More => return,
            Behind::End => Wake::END,
            Behind::Abort(_) => Wake::ABORT,
        };
        self.news.push((link, report));
    }

    /// Takes a stream out of the books.
    pub(crate) fn remove(&mut self, id: StreamId, spares: &mut Spares) {
        let Some(mut stream) = self.streams.remove(&id) else { return };
        self.queued -= stream.queue.len();
        stream.queue.clear(spares);
        if stream.waits == Waits::Room {
            self.line.retain(|waiting| *waiting != id);
        }
    }

    /// Bytes have come for a stream.
    pub(crate) fn receive(&mut self, id: StreamId, bytes: &[u8], spares: &mut Spares) -> Received {
        let Some(stream) = self.streams.get_mut(&id) else { return Received::Unknown };
        if !matches!(stream.behind, Behind::More) {
            return Received::Late;
        }
        if bytes.is_empty() {
            return Received::Queued;
        }
        let (before, limit) = (stream.queue.len(), self.limits.stream_queue);
        if before + bytes.len() > limit {
            self.queued -= before;
            stream.queue.clear(spares);
            let reason = format!(
                "receive queue overflow: the upstream takes nothing and {limit} bytes are queued"
            );
            self.abort(id, Abort { errno: Errno::ENOBUFS, reason });
            return Received::Overflow;
        }
        stream.queue.push(bytes, spares);
        self.queued += bytes.len();
        self.carried[0] += bytes.len() as u64;
        if before == 0 {
            self.tell(id, Wake::BYTES);
        }
        Received::Queued
    }

    /// The client sends no more on a stream.
    pub(crate) fn end(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if matches!(stream.behind, Behind::More) {
            stream.behind = Behind::End;
            self.tell(id, Wake::END);
        }
    }

    /// The client has reset a stream.
    pub(crate) fn reset(&mut self, id: StreamId, reason: String) {
        self.abort(id, Abort { errno: Errno::ECONNRESET, reason });
    }

    /// Resets all streams: the session is over.
    pub(crate) fn reset_all(&mut self, reason: &str) {
        let ids: Vec<_> = self.streams.keys().copied().collect();
        for id in ids {
            self.reset(id, reason.to_owned());
        }
    }

    /// The first abort counts.
    fn abort(&mut self, id: StreamId, abort: Abort) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if !matches!(stream.behind, Behind::Abort(_)) {
            stream.behind = Behind::Abort(abort);
            self.tell(id, Wake::ABORT);
        }
    }

    /// Lets a stream send `bytes` more.
    pub(crate) fn grant(&mut self, id: StreamId, bytes: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(credit) = &mut stream.credit else { return };
        *credit = credit.saturating_add(bytes);
        if stream.waits == Waits::Credit && *credit > 0 {
            stream.waits = Waits::No;
            self.tell(id, Wake::ROOM);
        }
    }

    fn tell(&mut self, id: StreamId, report: Wake) {
        let link = self.streams.get(&id).and_then(|stream| stream.link);
        self.news.extend(link.map(|link| (link, report)));
    }

    /// Takes what is to be told to links.
    pub(crate) fn take_news(&mut self) -> Vec<(Key, Wake)> {
        std::mem::take(&mut self.news)
    }

    pub(crate) fn front(&self, id: StreamId) -> Front<'_> {
        let Some(stream) = self.streams.get(&id) else { return Front::Failed(Errno::ECONNRESET) };
        match &stream.behind {
            _ if !stream.queue.is_empty() => Front::Bytes(stream.queue.bytes()),
            Behind::More => Front::Dry,
            Behind::End => Front::End,
            Behind::Abort(abort) => Front::Failed(abort.errno),
        }
    }

    /// Takes `count` bytes from the front.
    pub(crate) fn take(&mut self, id: StreamId, count: usize, spares: &mut Spares) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let before = stream.queue.len();
        stream.queue.take(count, spares);
        self.queued -= before - stream.queue.len();
    }

    /// Counts the bytes that the client has sent and nobody has taken.
    pub(crate) fn unread(&self, id: StreamId) -> usize {
        self.streams.get(&id).map_or(0, |stream| stream.queue.len())
    }

    /// The abort of a stream, if it was aborted.
    pub(crate) fn why_aborted(&self, id: StreamId) -> Option<&Abort> {
        match &self.streams.get(&id)?.behind {
            Behind::Abort(abort) => Some(abort),
            Behind::More | Behind::End => None,
        }
    }

    /// Counts the bytes that a stream may send now, where the outbox has `room`. After a 0 the stream is
    /// told when it may.
    pub(crate) fn allowance(&mut self, id: StreamId, room: usize) -> nix::Result<usize> {
        let Some(stream) = self.streams.get_mut(&id) else { return Err(Errno::ECONNRESET) };
        if let Behind::Abort(abort) = &stream.behind {
            return Err(abort.errno);
        }
        let credit = stream.credit.unwrap_or(u64::MAX);
        let credit = usize::try_from(credit).unwrap_or(usize::MAX);
        if credit == 0 {
            stream.waits = Waits::Credit;
            return Ok(0);
        }
        let sent = if stream.round == self.round { stream.sent } else { 0 };
        let allowed = credit.min(room).min(self.share.saturating_sub(sent));
        if allowed == 0 && stream.waits != Waits::Room {
            if stream.waits == Waits::Told {
                self.line.push_front(id);
            } else {
                self.line.push_back(id);
            }
            stream.waits = Waits::Room;
        }
        Ok(allowed)
    }

    /// A stream has sent `count` bytes of its allowance.
    pub(crate) fn sent(&mut self, id: StreamId, count: usize) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.round != self.round {
            (stream.round, stream.sent) = (self.round, 0);
            self.senders += 1;
        }
        stream.sent += count;
        self.carried[1] += count as u64;
        if let Some(credit) = &mut stream.credit {
            *credit = credit.saturating_sub(count as u64);
        }
        if stream.waits == Waits::Told {
            stream.waits = Waits::No;
        }
    }

    /// The stream sends no more; true the first time.
    pub(crate) fn finish(&mut self, id: StreamId) -> bool {
        let stream = self.streams.get_mut(&id);
        stream.is_some_and(|stream| !std::mem::replace(&mut stream.has_finished, true))
    }

    /// The outbox has been flushed and has `room`: tells streams that wait for it, as many as may use
    /// it. True if there are others for whom there is room, should these not use it.
    pub(crate) fn wake(&mut self, room: usize) -> bool {
        self.round += 1;
        // Those who wait sent in this round or are new: counting some twice makes the share smaller,
        // and never leaves out who is to get one.
        let senders = std::mem::take(&mut self.senders) + self.line.len();
        self.share = (self.limits.outbox / senders.max(1)).max(LEAST_SHARE);
        let mut left = room;
        while left > 0 {
            let Some(id) = self.line.pop_front() else { return false };
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            stream.waits = Waits::Told;
            left = left.saturating_sub(self.share);
            self.tell(id, Wake::ROOM);
        }
        room > 0 && !self.line.is_empty()
    }
}

#[cfg(test)]
mod tests;
