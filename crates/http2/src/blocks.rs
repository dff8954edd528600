//! Header blocks across frames (RFC 9113, section 4.3): `HEADERS` or `PUSH_PROMISE`, then
//! `CONTINUATION` until the block is whole, and nothing else in between on the whole connection.

use crate::error::ConnectionError;
use crate::frame::{Head, Kind, StreamId};
use crate::payload::Frame;

/// A whole block, not decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The stream it is of.
    pub stream: StreamId,
    /// The stream that a `PUSH_PROMISE` announces with it.
    pub promised: Option<StreamId>,
    /// Whether nothing follows on the stream.
    pub end_stream: bool,
    /// The bytes, for a [`crate::Decoder`].
    pub bytes: Vec<u8>,
}

/// Joins the parts of blocks, and sees to it that nothing comes between them.
#[derive(Debug)]
pub struct Blocks {
    max_bytes: usize,
    max_frames: usize,
    open: Option<(Block, usize)>,
}

impl Blocks {
    /// Blocks of at most `max_bytes` bytes in at most `max_frames` frames. Empty frames cost the
    /// peer nine bytes each and have no end otherwise.
    pub fn new(max_bytes: usize, max_frames: usize) -> Self {
        Self { max_bytes, max_frames, open: None }
    }

    /// Whether a block has begun and is not whole: only its `CONTINUATION` may come now.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Looks at the head of a frame, before its payload is there.
    ///
    /// # Errors
    /// When the frame may not come now.
    pub fn admit(&self, head: Head) -> Result<(), ConnectionError> {
        let continues = head.kind == Kind::CONTINUATION;
        match &self.open {
            Some(_) if !continues => Err(ConnectionError::BlockInterrupted(head.kind)),
            Some((block, _)) if block.stream == head.stream => Ok(()),
            None if !continues => Ok(()),
            _ => Err(ConnectionError::ContinuesNothing(head.stream)),
        }
    }

    /// Takes a part of a block, and returns the block once it is whole. Frames that are no such
    /// part are passed over.
    ///
    /// # Errors
    /// When the block is longer than the limits.
    pub fn take(&mut self, frame: &Frame<'_>) -> Result<Option<Block>, ConnectionError> {
        let (fragment, end_headers) = match *frame {
            Frame::Headers { stream, fragment, end_stream, end_headers, .. } => {
                let block = Block { stream, promised: None, end_stream, bytes: Vec::new() };
                self.open = Some((block, 0));
                (fragment, end_headers)
            }
            Frame::PushPromise { stream, promised, fragment, end_headers } => {
                let promised = Some(promised);
                let block = Block { stream, promised, end_stream: false, bytes: Vec::new() };
                self.open = Some((block, 0));
                (fragment, end_headers)
            }
            Frame::Continuation { fragment, end_headers, .. } => (fragment, end_headers),
            _ => return Ok(None),
        };
        let Some((block, frames)) = &mut self.open else { return Ok(None) };
        *frames += 1;
        if block.bytes.len() + fragment.len() > self.max_bytes {
            return Err(ConnectionError::BlockTooLong(self.max_bytes));
        }
        if *frames > self.max_frames {
            return Err(ConnectionError::BlockTooScattered(self.max_frames));
        }
        block.bytes.extend_from_slice(fragment);
        if !end_headers {
            return Ok(None);
        }
        Ok(self.open.take().map(|(block, _)| block))
    }
}

/// Appends a header block to `out`: `HEADERS`, and as many `CONTINUATION` as it takes when no
/// payload may be longer than `max_payload` bytes.
pub fn write_headers(
    out: &mut Vec<u8>,
    stream: StreamId,
    block: &[u8],
    end_stream: bool,
    max_payload: usize,
) {
    let max_payload = max_payload.clamp(1, crate::frame::MAX_PAYLOAD);
    let (first, mut rest) = block.split_at(block.len().min(max_payload));
    let end_headers = rest.is_empty();
    let headers =
        Frame::Headers { stream, fragment: first, priority: None, end_stream, end_headers };
    // Each part fits into a frame.
    let _ = headers.write(out);
    while !rest.is_empty() {
        let (fragment, later) = rest.split_at(rest.len().min(max_payload));
        rest = later;
        let _ = Frame::Continuation { stream, fragment, end_headers: rest.is_empty() }.write(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::Frames;
    use crate::settings::Settings;
    use proptest::prelude::*;

    const A: StreamId = StreamId(1);
    const B: StreamId = StreamId(3);

    /// Lets frames in, and joins what is in them, until the first error.
    fn join(blocks: &mut Blocks, bytes: &[u8]) -> Result<Vec<Block>, ConnectionError> {
        let (mut frames, mut input, mut joined) = (Frames::new(1 << 14), bytes, Vec::new());
        while let Some((head, payload)) = frames.read(&mut input)? {
            blocks.admit(head)?;
            joined.extend(blocks.take(&Frame::parse(head, &payload)?)?);
        }
        Ok(joined)
    }

    fn headers(stream: StreamId, end_headers: bool) -> Frame<'static> {
        Frame::Headers { stream, fragment: b"ab", priority: None, end_stream: true, end_headers }
    }

    fn continuation(stream: StreamId, end_headers: bool) -> Frame<'static> {
        Frame::Continuation { stream, fragment: b"cd", end_headers }
    }

    fn bytes(frames: &[Frame<'_>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| frame.write(&mut bytes).unwrap());
        bytes
    }

    proptest! {
        #[test]
        fn what_is_split_is_joined(
            block in proptest::collection::vec(any::<u8>(), 0..300),
            end_stream in any::<bool>(),
            most in 0usize..100,
        ) {
            let mut out = Vec::new();
            write_headers(&mut out, A, &block, end_stream, most);
            let whole = Block { stream: A, promised: None, end_stream, bytes: block };
            prop_assert_eq!(join(&mut Blocks::new(300, 300), &out), Ok(vec![whole]));
        }
    }

    #[test]
    fn nothing_may_come_in_between() {
        let ping = Frame::Ping { ack: false, opaque: [0; 8] };
        let data = Frame::Data { stream: A, bytes: b"x", end_stream: false };
        let unknown = Head { length: 0, kind: Kind(50), flags: 0, stream: A };
        let unknown = Frame::Unknown { head: unknown, payload: &[] };
        let others = [ping, data, unknown, headers(A, true), headers(B, true)];
        let others = others.into_iter().chain([Frame::SettingsAck, Frame::Settings(Settings(&[]))]);
        for other in others {
            let mut blocks = Blocks::new(100, 10);
            let error = join(&mut blocks, &bytes(&[headers(A, false), other])).unwrap_err();
            assert!(matches!(error, ConnectionError::BlockInterrupted(_)), "{error:?}");
            assert!(blocks.is_open());
        }
    }

    #[test]
    fn a_continuation_continues_what_is_open() {
        let mut blocks = Blocks::new(100, 10);
        let (begun, whole) = (headers(A, false), headers(A, true));
        for frames in [
            &[continuation(A, true)][..],
            &[whole, continuation(A, true)],
            &[begun, continuation(A, true), continuation(A, true)],
            &[begun, continuation(B, true)],
        ] {
            let mut blocks = Blocks::new(100, 10);
            let error = join(&mut blocks, &bytes(frames)).unwrap_err();
            assert!(matches!(error, ConnectionError::ContinuesNothing(_)), "{error:?}");
        }
        let frames = [begun, continuation(A, false), continuation(A, true), headers(B, true)];
        let joined = join(&mut blocks, &bytes(&frames)).unwrap();
        let [first, second] = &joined[..] else { panic!("{joined:?}") };
        assert_eq!((first.stream, &first.bytes[..], first.end_stream), (A, &b"abcdcd"[..], true));
        assert_eq!((second.stream, &second.bytes[..]), (B, &b"ab"[..]));
        let promise =
            Frame::PushPromise { stream: A, promised: B, fragment: b"x", end_headers: false };
        let joined = join(&mut blocks, &bytes(&[promise, continuation(A, true)])).unwrap();
        assert_eq!((joined[0].promised, &joined[0].bytes[..]), (Some(B), &b"xcd"[..]));
    }

    #[test]
    fn a_flood_of_continuations_is_stopped() {
        let empty = Frame::Continuation { stream: A, fragment: &[], end_headers: false };
        let flood = [&[headers(A, false)][..], &[empty; 10]].concat();
        let error = join(&mut Blocks::new(100, 10), &bytes(&flood)).unwrap_err();
        assert_eq!(error, ConnectionError::BlockTooScattered(10));
        let long = [&[headers(A, false)][..], &[continuation(A, false); 5]].concat();
        let error = join(&mut Blocks::new(11, 100), &bytes(&long)).unwrap_err();
        assert_eq!(error, ConnectionError::BlockTooLong(11));
        assert_eq!(join(&mut Blocks::new(12, 6), &bytes(&long)), Ok(Vec::new()));
    }
}
