//! WebSocket without I/O, as far as Kubernetes' `portforward` needs it: a server's end of the tunnel
//! `SPDY/3.1+portforward.k8s.io` and of the channels `v4.channel.k8s.io` and `v4.base64.channel.k8s.io`.
//!
//! [`accept`] decides about a request, of which HTTP knows the method and the headers. Then a [`Socket`]
//! is one end of the connection, for the tunnel, and [`Channels`] are one for the channels. Bytes go in
//! at `read`, which answers events; what is to be sent is put by their methods, and by themselves
//! where the protocol asks for an answer, into `output`. Nothing blocks, nothing is spawned, and data
//! passes through: it is unmasked, and decoded where it is base64, in the bytes that were given, and a
//! frame that arrives in parts is told in parts.
//!
//! So there is little that a peer can make grow, and no limit to set. What is kept of it are the head of
//! a frame and the payload of a control frame, 125 bytes at most. What waits in `output` is the owner's
//! to bound, apart from what reading puts there, [`MOST_ANSWERED`] bytes however many pings come. The
//! ports of [`Channels`] are bounded by who reads them from the query ([`Ports::in_query`]).
//!
//! # Numbers
//!
//! From RFC 6455, and for the channels from the kubelet's behaviour.
//!
//! | | |
//! |---|---|
//! | head of a frame | `FIN`, 3 reserved bits, 4 of opcode; the mask's bit and 7 of length; 0, 2 or 8 bytes more of length, 0 or 4 of mask (section 5.2) |
//! | continuation 0, text 1, binary 2, close 8, ping 9, pong 10 | 5.2 |
//! | lengths up to 125 stand in the head's second byte; 126 says that 2 bytes follow, 127 that 8 do, of which the first bit is 0 | 5.2 |
//! | a control frame has up to 125 bytes and no parts | 5.5 |
//! | a close frame | 2 bytes of status, up to 123 of UTF-8 (5.5.1); 1000 normal, 1002 protocol error, 1003 no such data, 1007 wrong data (7.4.1) |
//! | the accept key | base64 of SHA-1 of the key and of 258EAFA5-E914-47DA-95CA-C5AB0DC85B11 (4.2.2) |
//! | port number n from 0 | data on channel 2n, errors on 2n + 1; `'0'` is added in base64 |
//! | the server's first message on each channel | the port, 2 bytes, the low one first |
//!
//! # Example
//!
//! ```
//! use nsplice_websocket::{accept, ChannelEvent, Channels, ChannelsClient, Coding, Ports, Protocol};
//!
//! let accepted = accept(
//!     "GET",
//!     &[
//!         ("Connection", "Upgrade"),
//!         ("Upgrade", "websocket"),
//!         ("Sec-WebSocket-Version", "13"),
//!         ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
//!         ("Sec-WebSocket-Protocol", "v5.channel.k8s.io,v4.channel.k8s.io"),
//!     ],
//! )
//! .unwrap();
//! assert_eq!(accepted.protocol, Protocol::Channels(Coding::Binary));
//! assert!(accepted.head.ends_with(b"Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n"));
//!
//! let ports = Ports::in_query("ports=8080%2C9090", "ports", 10).unwrap();
//! let mut server = Channels::server(&ports, Coding::Binary);
//! let mut client = ChannelsClient::new(&ports, Coding::Binary, [1, 2, 3, 4]);
//! let (web, _) = ports.iter().next().unwrap();
//! client.send(web, b"hello").unwrap();
//!
//! let mut sent = std::mem::take(client.output());
//! let event = server.read(&mut &mut sent[..]).unwrap();
//! assert_eq!(event, Some(ChannelEvent::Data { channel: web, bytes: b"hello" }));
//! // The first message on the first channel: the port.
//! assert!(server.output().starts_with(&[0x82, 3, 0, 0x90, 0x1f]));
//! ```

#![forbid(unsafe_code)]

mod base64;
mod channels;
mod client;
mod error;
mod event;
mod frame;
mod handshake;
mod mask;
mod messages;
mod output;
mod ports;
mod protocol;
mod socket;

pub use channels::Channels;
pub use client::{ChannelsClient, ClientEvent};
pub use error::{CloseStatus, ConnectionError, NotSent};
pub use event::{ChannelEvent, Event};
pub use frame::{data_head, FrameHead};
pub use handshake::{accept, accept_key, is_asked_for, Accepted, Refused};
pub use messages::Coding;
pub use ports::{Channel, Ports, PortsError, MOST_PORTS};
pub use protocol::Protocol;
pub use socket::{Socket, State, Takes, MOST_ANSWERED};
