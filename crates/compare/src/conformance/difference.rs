//! Differences of a backend from what is expected of all, for reasons that are not ours to change.

use std::fmt;

use nsplice_backend::Choice;

/// A way in which a backend differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
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

impl Difference {
    /// Returns whether `backend` has it: all of them are the real socat's.
    pub fn is_of(self, backend: Choice) -> bool {
        backend == Choice::External
    }

    /// Returns the reason, a phrase.
    pub fn reason(self) -> &'static str {
        match self {
            Self::HalfCloseIsCut => {
                "socat(1) waits for its -t timeout, 0.5 s, after the first EOF, and then ends"
            }
            Self::FinIsLate => {
                "a child's output has no end before the child has, and socat lives on for its -t timeout"
            }
            Self::ResetMayBecomeFin => {
                "a pipe has no reset; socat is ended by SIGTERM, upon which it shuts its socket down"
            }
            Self::ResetIsNotTold => {
                "socat takes a reset for an end if it meets it while reading, and exits with status 0; if it meets \
                 it while writing it exits with status 1"
            }
            Self::OpensEarly => {
                "a program is started, and says only by ending that it could not connect"
            }
            Self::OnlyIpv4 => {
                "the kubelet's command line is kept to the letter: TCP4:localhost:PORT"
            }
            Self::VagueWordsAreAFailure => {
                "socat says `Invalid argument` for a route that is a black hole, and for much else"
            }
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

/// Knowledge of a backend in a behaviour: it differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It never does what is expected.
    Never(Difference),
    /// It does or does not, as it happens.
    ByChance(Difference),
}

impl Known {
    /// The difference that it comes from.
    pub fn difference(self) -> Difference {
        match self {
            Self::Never(difference) | Self::ByChance(difference) => difference,
        }
    }
}
