//! What a backend does differently, and why that is not ours to change.

use crate::Backend;

/// A way in which a backend differs from what the cases expect of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Difference {
    /// After one side's FIN the other direction goes on for half a second only.
    HalfCloseIsCut,
    /// The server's FIN arrives half a second later.
    FinIsLate,
    /// A reset by the client reaches the server as FIN or as RST.
    ResetMayBecomeFin,
    /// A reset by the server reaches the client as FIN or as RST, and is no outcome of its own.
    ResetIsNotTold,
    /// A link counts as open before the connection is.
    OpensEarly,
    /// Only 127.0.0.1 is tried for localhost.
    OnlyIpv4,
    /// A reason whose words may mean anything is told as the failure of the program.
    VagueWordsAreAFailure,
}

/// Who differs, in what, for what reason.
const TABLE: [(Backend, Difference, &str); 7] = [
    (
        Backend::External,
        Difference::HalfCloseIsCut,
        "socat(1): after the first EOF it waits for its -t timeout, 0.5 s, and then ends",
    ),
    (
        Backend::External,
        Difference::FinIsLate,
        "a child's output has no end before the child has, and socat lives on for its -t timeout",
    ),
    (
        Backend::External,
        Difference::ResetMayBecomeFin,
        "a pipe has no reset; socat is ended by SIGTERM, upon which it shuts its socket down",
    ),
    (
        Backend::External,
        Difference::ResetIsNotTold,
        "socat takes a reset for an end if it meets it while reading, and exits with status 0; if \
         it meets it while writing it exits with status 1",
    ),
    (
        Backend::External,
        Difference::OpensEarly,
        "a program is started, and says only by ending that it could not connect",
    ),
    (
        Backend::External,
        Difference::OnlyIpv4,
        "the kubelet's command line is kept to the letter: TCP4:localhost:PORT",
    ),
    (
        Backend::External,
        Difference::VagueWordsAreAFailure,
        "socat says `Invalid argument` for a route that is a black hole, and for much else",
    ),
];

impl Difference {
    /// Whether the table has this difference for `backend`.
    pub(crate) fn is_of(self, backend: Backend) -> bool {
        TABLE.iter().any(|(who, what, _)| (*who, *what) == (backend, self))
    }
}

#[test]
fn every_difference_is_there_once_and_has_a_reason() {
    for (index, (backend, difference, reason)) in TABLE.iter().enumerate() {
        assert!(difference.is_of(*backend) && !reason.is_empty());
        let others = &TABLE[index + 1..];
        assert!(others.iter().all(|(who, what, _)| (who, what) != (backend, difference)));
    }
}
