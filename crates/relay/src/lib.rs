//! The relay core of nsplice: one event loop that carries links between sockets and pipes.
//!
//! A [`Relay`] owns one `mio::Poll`, its services and its links, all on one thread. A service is
//! [listeners](Listener) and a [`Forward`], with an [`Opener`] that knows how to reach the upstream,
//! or an [`Endpoint`] that makes a [`Session`] of each client, the streams of which become links. The
//! relay itself knows nothing of namespaces, names, programs or protocols.

#![forbid(unsafe_code)]

mod admission;
mod forward;
mod glimpse;
mod labels;
mod lane;
mod link;
mod net;
mod observer;
pub mod open;
mod outcome;
mod relay;
mod session;
mod source;
mod table;
mod turn;

pub use admission::{Admission, Entrant, Entry, Reason};
pub use forward::{Forward, Limits, Places};
pub use glimpse::{Glimpse, GlimpseMeans, GlimpseStage, SessionGlimpse, SessionState};
pub use labels::{Descriptors, Found, Labels, LinkId, LinkRef, SessionId};
pub use lane::filter::{Filter, Pass};
pub use lane::low_water::LongBurst;
pub use lane::step::Belief;
pub use lane::traffic::Traffic;
pub use link::downstream::Downstream;
pub use link::policy::{Answers, Endings, Filters, Finish, Lanes, LinkPolicy, Owner, WhenFull};
pub use net::congestion;
pub use net::interest::Watched;
pub use net::listen::{listen, reserve, Keepalive, ListenOptions, Listener, Reserved, BACKLOG};
pub use net::queues;
pub use observer::{Accepted, Observer, Record, SessionRecord, SessionRef, Silent, Trouble, Work};
pub use open::{
    Allowance, Attempt, Child, Hold, OpenClass, OpenError, Opener, Progress, Upstream, Verdict,
    Wake, DEFAULT_CONNECT_TIMEOUT,
};
pub use outcome::{Limit, Outcome, Side};
pub use relay::acceptor::is_of_client;
pub use relay::clock::Clock;
pub use relay::counters::{Counters, Totals};
pub use relay::error::RelayError;
pub use relay::handle::{Answer, Handle};
pub use relay::service::{NewService, ServiceId, ServiceReport, ServiceState};
pub use relay::settings::{Settings, DEFAULT_MAX_PIPES, DEFAULT_PIPE_SIZE};
pub use relay::Relay;
pub use session::streams::Received;
pub use session::{
    Client, Ending, Endpoint, EndpointService, Life, NewStream, NotOpened, Ops, Outbox, Session,
    SessionLimits, StreamId,
};
pub use source::{EventSource, Need, SourceId, SourceTurn};
