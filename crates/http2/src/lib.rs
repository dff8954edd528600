//! HTTP/2 without I/O, as much of it as a relay of frames and a client of gRPC need.
//!
//! Three layers, each usable without those above it:
//!
//! * **Frames.** [`Reader`] cuts bytes that arrive in any pieces into heads and payloads and keeps
//!   nothing; [`Frames`] gathers whole ones. [`Frame`] is what each type means, [`Kind`]s that
//!   nobody knows included, and writes it again. [`SendWindow`], [`ReceiveWindow`] and
//!   [`Announced`] keep the books that go with them.
//! * **Headers.** [`Blocks`] joins header blocks across `CONTINUATION`, [`Decoder`] and [`Encoder`]
//!   are HPACK, [`write_headers`] makes frames of a block.
//! * **A unary gRPC call.** [`Client`] is one connection: bytes in, bytes and the answer out.
//!
//! Nothing blocks, nothing is spawned, and everything that a peer can make this grow has a bound:
//! frames, header blocks before and after decoding and the frames they come in, the table, the
//! answer. What waits in [`Client::output`] is the owner's to bound: it grows by at most
//! [`MOST_ANSWERED`] bytes for each frame that is read, beside what is left of the request.
//!
//! # Numbers
//!
//! From RFC 9113 (HTTP/2) and RFC 7541 (HPACK).
//!
//! | | |
//! |---|---|
//! | frame | 24 bits of length, 8 of type, 8 of flags, 31 of stream (9113, section 4.1) |
//! | `DATA` 0, `HEADERS` 1, `PRIORITY` 2, `RST_STREAM` 3, `SETTINGS` 4, `PUSH_PROMISE` 5, `PING` 6, `GOAWAY` 7, `WINDOW_UPDATE` 8, `CONTINUATION` 9 | 9113, section 6 |
//! | payload | 16,384 bytes unless `SETTINGS_MAX_FRAME_SIZE` says more (4.2) |
//! | windows | 65,535 bytes at first, 2^31 - 1 at most (6.9) |
//! | table of headers | 4,096 bytes unless `SETTINGS_HEADER_TABLE_SIZE` says otherwise, 32 more for each (7541, section 4.1) |
//! | codes of strings | 5 to 30 bits (7541, appendix B) |
//! | message of gRPC | 8 bits of flag, 32 of length (`PROTOCOL-HTTP2.md` of gRPC) |
//!
//! # Example
//!
//! ```
//! use nsplice_http2::{write_headers, Client, Encoder, Field, Frame, Limits, Request, StreamId};
//! use nsplice_http2::{grpc, Settings};
//!
//! let mut client = Client::new(Limits::default());
//! let (path, message) = ("/runtime.v1.RuntimeService/Version", &b""[..]);
//! client.call(&Request { path, message, timeout: None }).unwrap();
//! assert!(client.output().starts_with(b"PRI * HTTP/2.0"));
//!
//! // What a server answers.
//! let (mut answer, mut encoder, stream) = (Vec::new(), Encoder::new(), StreamId(1));
//! Frame::Settings(Settings::default()).write(&mut answer).unwrap();
//! let headers = [(":status", "200"), ("content-type", "application/grpc")];
//! let block = encoder.encode(&headers.map(|(name, value)| Field::new(name, value)));
//! write_headers(&mut answer, stream, &block, false, 16_384);
//! let bytes = [&grpc::prefix(5).unwrap()[..], b"hello"].concat();
//! Frame::Data { stream, bytes: &bytes, end_stream: false }.write(&mut answer).unwrap();
//! let block = encoder.encode(&[Field::new("grpc-status", "0")]);
//! write_headers(&mut answer, stream, &block, true, 16_384);
//!
//! assert_eq!(client.read(&mut &answer[..]), Ok(Some(Ok(b"hello".to_vec()))));
//! ```

#![forbid(unsafe_code)]

mod blocks;
mod client;
mod error;
mod frame;
pub mod grpc;
mod hpack;
mod payload;
mod reader;
mod settings;
mod window;

pub use blocks::{write_headers, Block, Blocks};
pub use client::{CallError, Client, Limits, NotSent, Outcome, Request, MOST_ANSWERED, PREFACE};
pub use error::{ConnectionError, ErrorCode, Farewell, FrameError, PayloadTooLong};
pub use frame::{flag, Head, Kind, StreamId, DEFAULT_MAX_PAYLOAD, HEAD, MAX_PAYLOAD};
pub use hpack::{Decoder, Encoder, Field, HpackError};
pub use payload::{Frame, Priority};
pub use reader::{Frames, Part, Reader};
pub use settings::{
    Announced, Settings, DEFAULT_HEADER_TABLE, ENABLE_PUSH, HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE,
};
pub use window::{Overflow, ReceiveWindow, SendWindow, INITIAL_WINDOW, MOST_WINDOW};
