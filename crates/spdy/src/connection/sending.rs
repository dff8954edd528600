//! What a connection sends: it goes into the output, and into the books of the streams.

use crate::error::{GoAwayStatus, NotSent, ResetStatus};
use crate::frame::{data_header, kind, Head, FLAG_FIN, MAX_PAYLOAD, VERSION};
use crate::headers::Headers;
use crate::streams::{Named, Open, StreamId};

use super::{Connection, Opens, Reading};

impl Connection {
    /// Opens a stream (`SYN_STREAM`), of which nothing is sent if it begins with its `fin`.
    ///
    /// # Errors
    /// When the connection takes no new streams, or the headers do not fit into a frame.
    pub fn open(&mut self, headers: &[(&str, &str)], fin: bool) -> Result<StreamId, NotSent> {
        let takes = matches!(self.opens, Opens::Both | Opens::Ours);
        if !takes || matches!(self.reading, Reading::Over(_)) {
            return Err(NotSent::GoingAway);
        }
        let block = packable(headers)?;
        let open = Open { sends: !fin, receives: true, unanswered: true };
        let stream = self.streams.open_ours(open).ok_or(NotSent::Exhausted)?;
        let [a, b, c, d] = stream.0.to_be_bytes();
        self.push_headers(kind::SYN_STREAM, fin, &[a, b, c, d, 0, 0, 0, 0, 0, 0], &block);
        Ok(stream)
    }

    /// Accepts a stream that the peer has opened (`SYN_REPLY`).
    ///
    /// # Errors
    /// When it is not open for sending, or was replied to, or the headers do not fit into a frame.
    pub fn reply(
        &mut self,
        stream: StreamId,
        headers: &[(&str, &str)],
        fin: bool,
    ) -> Result<(), NotSent> {
        match self.streams.named(stream) {
            Named::Open(open) if open.unanswered && !self.role.gives(stream.0) => {}
            Named::Open(_) | Named::Past | Named::Never => return Err(NotSent::Closed),
        }
        let block = packable(headers)?;
        self.push_headers(kind::SYN_REPLY, fin, &stream.0.to_be_bytes(), &block);
        self.streams.change(stream, |open| {
            open.unanswered = false;
            open.sends &= !fin;
        });
        Ok(())
    }

    /// Sends bytes of a stream, in as few frames as they fit into, and its end.
    ///
    /// # Errors
    /// When it is not open for sending.
    pub fn send(&mut self, stream: StreamId, bytes: &[u8], fin: bool) -> Result<(), NotSent> {
        let mut rest = bytes;
        loop {
            let (now, later) = rest.split_at(rest.len().min(MAX_PAYLOAD));
            let head = self.begin_data(stream, now.len(), fin && later.is_empty())?;
            self.output.extend_from_slice(&head);
            self.output.extend_from_slice(now);
            rest = later;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Enters into the books a `DATA` frame that the caller sends behind all of the output: this head
    /// and `length` bytes.
    ///
    /// # Errors
    /// When the stream is not open for sending, or a frame does not hold so much.
    pub fn begin_data(
        &mut self,
        stream: StreamId,
        length: usize,
        fin: bool,
    ) -> Result<[u8; 8], NotSent> {
        if length > MAX_PAYLOAD {
            return Err(NotSent::TooLong);
        }
        if !matches!(self.streams.named(stream), Named::Open(open) if open.sends) {
            return Err(NotSent::Closed);
        }
        if fin {
            self.streams.change(stream, |open| open.sends = false);
        }
        Ok(data_header(stream, length, fin))
    }

    /// Resets a stream, if it is open. What still comes for it is passed over.
    pub fn reset(&mut self, stream: StreamId, status: ResetStatus) {
        if self.streams.remove(stream) {
            self.push_numbers(kind::RST_STREAM, &[stream.0, status.0]);
        }
    }

    /// Asks the peer for an answer; the number is what [`crate::Event::Pong`] will say.
    pub fn ping(&mut self) -> u32 {
        let ping = self.next_ping;
        self.next_ping = ping.checked_add(2).unwrap_or_else(|| self.role.first());
        self.push_numbers(kind::PING, &[ping]);
        ping
    }

    /// Tells the peer that no stream of its is taken any more; those that are open go on.
    pub fn go_away(&mut self, status: GoAwayStatus) {
        self.opens = match self.opens {
            Opens::Both | Opens::Ours => Opens::Ours,
            Opens::Peers | Opens::Neither => Opens::Neither,
        };
        let last = self.streams.last_of_peer();
        self.push_numbers(kind::GOAWAY, &[last.0, status.0]);
    }

    fn push_headers(&mut self, kind: u16, fin: bool, head: &[u8], block: &[u8]) {
        let packed = self.packer.pack(block);
        let (flags, length) = (if fin { FLAG_FIN } else { 0 }, head.len() + packed.len());
        let frame = Head::Control { version: VERSION, kind, flags, length };
        self.output.extend_from_slice(&frame.bytes());
        self.output.extend_from_slice(head);
        self.output.extend_from_slice(&packed);
    }

    pub(super) fn push_numbers(&mut self, kind: u16, numbers: &[u32]) {
        let head = Head::Control { version: VERSION, kind, flags: 0, length: 4 * numbers.len() };
        self.output.extend_from_slice(&head.bytes());
        self.output.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    }
}

/// The header block that says `headers`, if a frame holds it with whatever stands around it.
fn packable(headers: &[(&str, &str)]) -> Result<Vec<u8>, NotSent> {
    let block = Headers::block(headers);
    if block.len() > MAX_PAYLOAD / 2 {
        return Err(NotSent::TooLong);
    }
    Ok(block)
}
