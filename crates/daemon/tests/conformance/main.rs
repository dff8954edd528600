//! The conformance suite: the real program, between real namespaces, against the nasty cases.
//!
//! A case is a function of a [`Testbed`]: a node, which is a namespace where nsplice and its clients
//! are, and a container, which is one where the servers are. [`cases!`] makes a test of each case
//! for each backend that it makes sense for, named `THEME::CASE::BACKEND`.
//!
//! What a relay is expected to do at all is tried by [`behaviours`], from the table of `nsplice compare`;
//! the other cases are those that need more than both ends of a link. What a backend cannot do for a
//! reason that lies outside of nsplice is a [`Difference`], and is asserted like everything else: if it
//! changes, a test fails.
//!
//! Every case ends with the census: the process that relayed is back to the descriptors, children
//! and threads it had before its first link, it ends with exit code 0 when it is asked to, and
//! nothing is left in the namespaces.

// The cases are functions that the tests call, and so no tests in the eyes of clippy.
#![allow(clippy::unwrap_used)]

#[path = "../binary/mod.rs"]
mod binary;

mod daemon;
mod journal;
mod peers;
mod relay;
mod testbed;

mod addresses;
mod behaviours;
mod calls;
mod children;
mod faults;
mod flow;
mod half_close;
mod limits;
mod names;
mod opening;
mod promises;
mod resets;
mod signals;
mod stdio;
mod targets;
mod tools;

pub(crate) use binary::{end_of, nsplice, quiet};
pub(crate) use daemon::Daemon;
pub(crate) use nsplice_compare::Difference;
pub(crate) use relay::Relay;
pub(crate) use testbed::{Backend, Testbed};

/// Makes the tests `CASE::BACKEND` of lines `CASE on BACKEND BACKEND...;`.
macro_rules! cases {
    (@backend setns) => { $crate::Backend::Setns };
    (@backend no_splice) => { $crate::Backend::NoSplice };
    (@backend external) => { $crate::Backend::External };
    (@backend dial) => { $crate::Backend::Dial };
    ($($case:ident on $($backend:ident)+;)+) => {$(
        mod $case {$(
            #[test]
            fn $backend() {
                let name = concat!(module_path!(), "::", stringify!($backend));
                let backend = $crate::cases!(@backend $backend);
                $crate::Testbed::play(name, backend, |testbed| super::$case(testbed));
            }
        )+}
    )+};
}
pub(crate) use cases;
