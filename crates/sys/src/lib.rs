//! System calls that the rest of nsplice cannot make in safe Rust, or not without another thread.
//!
//! - System calls that neither std nor nix offers as safe functions: on descriptors that are known
//!   by number only, on sockets, on terminals, and fork(2) and the steps between fork and exec.
//! - [`Process`], a process that is held by a pidfd; [`Delegate`], one that makes sockets for this one.
//! - [`Pool`] and [`Question`]: work that may block, done by threads while an event loop goes on.
//! - [`describe`], the system's words for an error.
//!
//! This is the only crate with `unsafe`, and it knows no other crate of nsplice.

#![allow(unsafe_code)]

mod delegate;
mod descriptor;
mod exec;
mod fork;
mod getaddrinfo;
mod lock;
mod offload;
mod pidfd;
mod pool;
mod process;
mod signal;
mod socket;
mod strerror;
mod terminal;

pub use delegate::{Delegate, Undone};
pub use descriptor::{close_on_exec, duplicate, is_readable, wait_readable};
pub use exec::{confine, prepare, LastStep, LastSteps};
pub use fork::{fork, stand_by, Branch};
pub use getaddrinfo::look_up;
pub use lock::lock;
pub use offload::{offload, Answer, Offloaded, Question};
pub use pidfd::{pidfd_open, pidfd_send_signal};
pub use pool::{Asker, Pool};
pub use process::Process;
pub use signal::default_action;
pub use socket::{queued, set_socket_option, unacknowledged, unread};
pub use strerror::describe;
pub use terminal::{terminal_size, TerminalSize};
