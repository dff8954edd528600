//! Threads, of which there may be no more: pids(7) of a control group and RLIMIT_NPROC are reached
//! one day, and the standard library's plain spawn panics then.

use std::thread::{Builder, Scope, ScopedJoinHandle};

use super::scene::Miss;

/// Does `work` on a thread of its own, or on this one if there is none: that takes longer, and
/// finds out the same.
pub(super) fn beside<'scope>(
    threads: &'scope Scope<'scope, '_>,
    work: impl Fn() + Copy + Send + 'scope,
) {
    if Builder::new().spawn_scoped(threads, work).is_err() {
        work();
    }
}

/// Does `work`, during which this thread has to go on, on another one. The relay has no part in it
/// if there is none.
pub(super) fn meanwhile<'scope, T: Send + 'scope>(
    threads: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, Miss> {
    Builder::new()
        .spawn_scoped(threads, work)
        .map_err(|error| Miss::not_tried(format!("a thread for it cannot be had: {error}")))
}
