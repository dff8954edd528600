//! How the bytes of a SPDY connection travel to the client.

use std::fmt::Debug;

use nsplice_relay::Outbox;

/// Carries bytes of SPDY to the client: as they are, or within the frames of something else. What comes
/// from the client is unwrapped before it is given to [`crate::forwarding::Forwarding`].
pub(crate) trait Carriage: Debug + Send {
    /// Sends these parts, one behind the other.
    fn carry(&mut self, parts: [&[u8]; 2], out: &mut Outbox<'_>);

    /// Gives a frame that was the last to be carried, and has `length` bytes with its head, another head and
    /// more bytes; false if it has begun to be sent, or cannot be changed.
    fn extend(&mut self, length: usize, head: &[u8], more: &[u8], out: &mut Outbox<'_>) -> bool;
}

/// The bytes are the client's connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bare;

impl Carriage for Bare {
    fn carry(&mut self, parts: [&[u8]; 2], out: &mut Outbox<'_>) {
        parts.into_iter().for_each(|part| out.push(part));
    }

    fn extend(&mut self, length: usize, head: &[u8], more: &[u8], out: &mut Outbox<'_>) -> bool {
        let Some(place) = out.tail(length).and_then(|frame| frame.get_mut(..head.len())) else {
            return false;
        };
        place.copy_from_slice(head);
        out.push(more);
        true
    }
}
