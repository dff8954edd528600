//! What a socket sends: whole frames, into the output.

use crate::error::{CloseStatus, NotSent};
use crate::frame::{data_head, FrameHead, Head, Opcode, MAX_CONTROL};

use super::{Role, Sends, Socket};

impl Socket {
    /// Sends a binary message.
    ///
    /// # Errors
    /// When the connection is closed for sending.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), NotSent> {
        self.send_message(Opcode::Binary, bytes.len(), |room| room.copy_from_slice(bytes))
    }

    /// Begins a binary message that the caller sends behind all of the output: this head and `length`
    /// bytes, with nothing in between. For whoever writes both with one call and no copy.
    ///
    /// # Errors
    /// When the connection is closed for sending, or is a client's, whose bytes have to be masked.
    pub fn begin_data(&mut self, length: usize) -> Result<FrameHead, NotSent> {
        if self.sends == Sends::Nothing {
            return Err(NotSent::Closed);
        }
        match self.role {
            Role::Client { .. } => Err(NotSent::NotPlain),
            Role::Server => Ok(data_head(length)),
        }
    }

    /// Asks the peer for an answer; the number is what [`crate::Event::Pong`] will say.
    ///
    /// # Errors
    /// When the connection is closed for sending.
    pub fn ping(&mut self) -> Result<u32, NotSent> {
        if self.sends == Sends::Nothing {
            return Err(NotSent::Closed);
        }
        let ping = self.next_ping;
        self.next_ping = ping.checked_add(1).unwrap_or(1);
        self.push_frame(Opcode::Ping, 4, |room| room.copy_from_slice(&ping.to_be_bytes()));
        Ok(ping)
    }

    /// Closes the connection, if it is open, and says why, in words as well if there are any; a frame
    /// holds 123 bytes of them. Nothing is sent after that, and what comes is passed over until the peer
    /// closes as well.
    pub fn close(&mut self, status: CloseStatus, reason: &str) {
        self.close_with(Some(status), reason);
    }

    pub(super) fn close_with(&mut self, status: Option<CloseStatus>, reason: &str) {
        if self.sends == Sends::Nothing {
            return;
        }
        let number = status.map(|status| status.number().to_be_bytes());
        let number = number.as_ref().map_or(&[][..], |number| number);
        let mut end = reason.len().min(MAX_CONTROL - number.len());
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let reason = &reason[..end];
        self.push_frame(Opcode::Close, number.len() + reason.len(), |room| {
            let (front, rest) = room.split_at_mut(number.len());
            front.copy_from_slice(number);
            rest.copy_from_slice(reason.as_bytes());
        });
        self.sends = Sends::Nothing;
    }

    /// Sends a message, text or binary, of `length` bytes, which `fill` writes.
    pub(crate) fn send_message(
        &mut self,
        opcode: Opcode,
        length: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<(), NotSent> {
        if self.sends == Sends::Nothing {
            return Err(NotSent::Closed);
        }
        self.push_frame(opcode, length, fill);
        Ok(())
    }

    /// Answers a ping, unless nothing may be sent any more.
    pub(super) fn answer(&mut self, payload: &[u8]) {
        if self.sends == Sends::Frames {
            let (head, mut payload) = (self.head(Opcode::Pong, payload.len()), payload.to_vec());
            if let Some(mut mask) = head.mask {
                mask.apply(&mut payload);
            }
            self.output.answer(&[&head.bytes()[..], &payload].concat());
        }
    }

    fn push_frame(&mut self, opcode: Opcode, length: usize, fill: impl FnOnce(&mut [u8])) {
        let head = self.head(opcode, length);
        let bytes = head.bytes();
        let (front, payload) = self.output.room(bytes.len() + length).split_at_mut(bytes.len());
        front.copy_from_slice(&bytes);
        fill(payload);
        if let Some(mut mask) = head.mask {
            mask.apply(payload);
        }
    }

    fn head(&self, opcode: Opcode, length: usize) -> Head {
        let mask = match self.role {
            Role::Server => None,
            Role::Client { mask } => Some(mask),
        };
        Head { fin: true, opcode, mask, length: length as u64 }
    }
}
