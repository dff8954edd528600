//! The kernel's side of a link: descriptors, what is known of their readiness, what is waited for, and
//! how sockets listen and mode.

pub mod congestion;
pub(crate) mod farewell;
pub(crate) mod fd;
pub(crate) mod interest;
pub(crate) mod listen;
pub mod queues;
pub(crate) mod readiness;
