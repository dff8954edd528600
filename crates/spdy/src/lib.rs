//! SPDY/3.1 without I/O, for those who still have to speak it: the streaming protocol of Kubernetes'
//! `kubectl port-forward`, `exec` and `attach`.
//!
//! A [`Connection`] is one end of a SPDY connection, a server's or a client's. Bytes go in at
//! [`Connection::read`], which answers [`Event`]s; what is to be sent is put by its methods, and by
//! itself where the protocol asks for an answer, into [`Connection::output`]. Nothing blocks, nothing
//! is spawned, and data passes through without being copied or kept: a `DATA` frame that arrives in
//! parts is told in parts.
//!
//! What a peer can make this grow is bounded by [`Limits`]: streams, a control frame before and its
//! header block after inflating, the headers in it. What waits in `output` is the owner's to bound: in
//! one call of [`Connection::read`] it grows by at most [`MOST_ANSWERED`] bytes for each frame read.
//!
//! # Numbers
//!
//! From the draft draft-mbelshe-httpbis-spdy-00 (SPDY/3 with flow control, which 3.1 changes in
//! nothing that concerns us: the flow control of Kubernetes' Go library is parsed and ignored).
//!
//! | | |
//! |---|---|
//! | control frame | `1` and 15 bits of version (3), 16 bits of type, 8 of flags, 24 of length (section 2.2.1) |
//! | data frame | `0` and 31 bits of stream, 8 bits of flags, 24 of length (2.2.2) |
//! | `SYN_STREAM` 1, `SYN_REPLY` 2, `RST_STREAM` 3, `SETTINGS` 4, `PING` 6, `GOAWAY` 7, `HEADERS` 8, `WINDOW_UPDATE` 9 | 2.6 |
//! | flags | `FIN` 1, `UNIDIRECTIONAL` 2 |
//! | a client's streams and pings are odd and rise, a server's are even | 2.3.2, 2.6.5 |
//! | header block | one zlib stream for each direction and connection, with the dictionary of 1423 bytes (2.6.10.1) |
//!
//! # Example
//!
//! ```
//! use nsplice_spdy::{Connection, Event, Limits};
//!
//! let (mut client, mut server) = (Connection::client(Limits::default()), Connection::server(Limits::default()));
//! let stream = client.open(&[("streamtype", "data"), ("port", "80")], false).unwrap();
//! client.send(stream, b"hello", true).unwrap();
//!
//! let sent = std::mem::take(client.output());
//! let mut bytes = &sent[..];
//! while let Some(event) = server.read(&mut bytes).unwrap() {
//!     match event {
//!         Event::Opened { stream, headers, .. } => {
//!             assert_eq!(headers.get("port"), Some("80"));
//!             server.reply(stream, &[], false).unwrap();
//!         }
//!         Event::Data { bytes, fin, .. } => assert!(bytes == b"hello" && fin),
//!         other => panic!("{other:?}"),
//!     }
//! }
//! assert!(!server.output().is_empty());
//! ```

#![forbid(unsafe_code)]

mod compression;
mod connection;
mod dictionary;
mod error;
mod event;
mod frame;
mod headers;
mod limits;
mod streams;

pub use connection::{Connection, MOST_ANSWERED};
pub use error::{ConnectionError, GoAwayStatus, NotSent, ResetStatus};
pub use event::Event;
pub use frame::{data_header, MAX_PAYLOAD};
pub use headers::Headers;
pub use limits::Limits;
pub use streams::StreamId;
