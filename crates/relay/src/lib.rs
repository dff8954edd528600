//! The relay core of nsplice: one event loop that carries links between sockets and pipes.
//!
//! A [`Relay`] owns one `mio::Poll`, its listeners and its links, all on one thread. It is given
//! [`Forward`]s, each with an [`Opener`] that knows how to reach the upstream; the relay itself knows
//! nothing of namespaces, names or programs.

mod acceptor;
mod channel;
mod conduit;
mod control;
mod counters;
mod deadlines;
mod end;
mod forward;
mod lane;
mod link;
mod listen;
mod observer;
pub mod open;
mod outcome;
mod pace;
mod pipe;
mod readiness;
mod relay;
mod reserve;
mod settings;
mod step;
mod table;
mod toolbox;
mod watch;
mod watched;

pub use control::Handle;
pub use counters::{Counters, Totals};
pub use forward::{Forward, Limits, Places, DEFAULT_CONNECT_TIMEOUT};
pub use listen::{listen, Keepalive, ListenOptions, BACKLOG};
pub use observer::{Accepted, Observer, Record, Silent, Traffic, Trouble};
pub use open::{Attempt, Child, OpenClass, OpenError, Opener, Progress, Upstream, Verdict, Wake};
pub use outcome::{Limit, Outcome, Side};
pub use relay::{Downstream, Relay, RelayError};
pub use settings::{Settings, DEFAULT_MAX_PIPES, DEFAULT_PIPE_SIZE};
