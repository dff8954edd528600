//! A stream that a session opens.

use std::sync::Arc;

use crate::forward::Limits;
use crate::labels::Labels;
use crate::open::Opener;

/// A stream that becomes the downstream of a link.
#[derive(Debug)]
pub struct NewStream {
    /// Opens its upstream, and nobody else's.
    pub opener: Box<dyn Opener>,
    /// What its link is about; `None` for what the endpoint is about.
    pub labels: Option<Arc<Labels>>,
    /// The time limits of its link.
    pub limits: Limits,
    /// Bytes that it may send before the session grants more; `None` for no such limit.
    pub credit: Option<u64>,
}
