//! Answers that a test wants of a call instead of its being made.
//!
//! The kernel's rarer answers cannot be had from real descriptors at will. Here a test plans one of
//! them for this thread; outside of the crate's own tests there is never one, and nothing is left
//! of this.

/// The calls that move bytes, or that decide about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Receive,
    Send,
    Read,
    Write,
    Splice,
    Poll,
    LowWater,
}

/// The answer that `call` is to give without being made.
#[cfg(not(test))]
pub(super) const fn due(_call: Call) -> Option<nix::errno::Errno> {
    None
}

#[cfg(test)]
pub(super) use planned::due;
#[cfg(test)]
pub(crate) use planned::Fault;

#[cfg(test)]
mod planned {
    use std::cell::Cell;

    use nix::errno::Errno;

    use super::Call;

    /// A fault that is injected into one call of this thread.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Fault {
        pub(crate) call: Call,
        pub(crate) errno: Errno,
        /// So many calls are made before.
        pub(crate) after: u32,
    }

    thread_local! {
        static NEXT: Cell<Option<Fault>> = const { Cell::new(None) };
    }

    impl Fault {
        /// Does `work` with this fault; answers what it did, and whether the fault was met.
        pub(crate) fn during<T>(self, work: impl FnOnce() -> T) -> (T, bool) {
            NEXT.set(Some(self));
            let done = work();
            (done, NEXT.take().is_none())
        }
    }

    pub(in crate::net::fd) fn due(call: Call) -> Option<Errno> {
        let plan = NEXT.get().filter(|plan| plan.call == call)?;
        if plan.after > 0 {
            NEXT.set(Some(Fault { after: plan.after - 1, ..plan }));
            return None;
        }
        NEXT.set(None);
        Some(plan.errno)
    }
}
