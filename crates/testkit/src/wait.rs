//! Waiting for things to happen, with an end to it.
//!
//! A test never sleeps for a time that should be long enough: it waits for what it needs, and fails
//! with a sentence if that does not come within [`PATIENCE`].

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

pub use nsplice_trial::poll_for;

/// Longest wait of a test for anything before it fails. Far more than anything here takes, so that a
/// busy machine fails no test; short enough that a hung one is noticed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` holds.
///
/// # Panics
/// If it does not within [`PATIENCE`]; the message says `what` was waited for.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}

/// Waits until `find` finds something and returns that.
///
/// # Panics
/// If it does not within [`PATIENCE`]; the message says `what` was waited for.
#[track_caller]
pub fn wait_for<T>(what: &str, find: impl FnMut() -> Option<T>) -> T {
    match poll_for(PATIENCE, find) {
        Some(found) => found,
        None => panic!("waited {} s in vain for {what}", PATIENCE.as_secs()),
    }
}

/// Something that is shut until it is opened, once; threads wait before it.
#[derive(Debug, Default)]
pub struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    /// A gate that is shut.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens it and lets everyone through, now and later.
    pub fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }

    /// Waits until it is open.
    ///
    /// # Panics
    /// If it is still shut after [`PATIENCE`].
    #[track_caller]
    pub fn wait(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (open, _) = self
            .opened
            .wait_timeout_while(open, PATIENCE, |open| !*open)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(*open, "the gate was still shut after {} s", PATIENCE.as_secs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn a_condition_is_looked_at_until_it_holds() {
        let mut looks = 0;
        let found = wait_for("the third look", || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, 3);
    }

    #[test]
    fn a_gate_holds_back_until_it_opens() {
        let gate = Arc::new(Gate::new());
        let passed = Arc::new(AtomicBool::new(false));
        let waiter = thread::spawn({
            let (gate, passed) = (gate.clone(), passed.clone());
            move || {
                gate.wait();
                assert!(passed.load(Ordering::SeqCst), "the gate let someone through");
            }
        });
        passed.store(true, Ordering::SeqCst);
        gate.open();
        waiter.join().unwrap();
        gate.wait();
    }
}
