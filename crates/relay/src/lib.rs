//! The relay core of nsplice: one event loop that carries links between sockets and pipes.
//!
//! A [`Relay`] owns one `mio::Poll`, its listeners and its links, all on one thread. It is given
//! [`Forward`]s, each with an [`Opener`] that knows how to reach the upstream; the relay itself knows
//! nothing of namespaces, names or programs.

mod acceptor;
mod attendant;
mod channel;
mod conduit;
mod control;
mod counters;
mod deadlines;
mod downstream;
mod end;
mod filter;
mod forward;
mod glimpse;
mod haul;
mod lane;
mod link;
mod listen;
mod manners;
mod observer;
pub mod open;
mod outcome;
mod pace;
pub mod pacing;
mod pipe;
mod readiness;
mod relay;
mod reserve;
mod settings;
mod step;
mod table;
mod toolbox;
mod turns;
mod watch;
mod watched;

pub use acceptor::is_of_client;
pub use attendant::{Attendant, Order};
pub use control::Handle;
pub use counters::{Counters, Totals};
pub use downstream::Downstream;
pub use filter::{Filter, Pass};
pub use forward::{Forward, Limits, Places, DEFAULT_CONNECT_TIMEOUT};
pub use glimpse::{Glimpse, GlimpseStage};
pub use haul::LongBurst;
pub use listen::{listen, Keepalive, ListenOptions, Listener, BACKLOG};
pub use manners::{Answers, Endings, Ends, Filters, Finish, Lanes, Manners, Owner, WhenFull};
pub use observer::{Accepted, Joined, Observer, Record, Silent, Traffic, Trouble, Work};
pub use open::{
    Attempt, Child, Hold, OpenClass, OpenError, Opener, Progress, Upstream, Verdict, Wake,
};
pub use outcome::{Limit, Outcome, Side};
pub use relay::{Relay, RelayError};
pub use settings::{Settings, DEFAULT_MAX_PIPES, DEFAULT_PIPE_SIZE};
