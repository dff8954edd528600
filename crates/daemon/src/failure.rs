//! Everything that can make a command fail, and the exit code of each.

use std::io;

use nsplice_backend::{shown, BackendError};
use nsplice_relay::RelayError;
use nsplice_sys::describe;

use crate::bind::ListenError;
use crate::exit::Exit;
use crate::stdio::StdioError;

/// A failure of a command to do what it was asked for. The message is for people.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A failure of one command, which says itself what it is.
    #[error("{sentence}")]
    Told {
        /// The exit code that tells it to scripts.
        exit: Exit,
        /// The sentence.
        sentence: String,
    },
    /// The same of something that is written in a file.
    #[error("{place}: {sentence}")]
    Written {
        /// The exit code that tells it to scripts.
        exit: Exit,
        /// `FILE:LINE` of it.
        place: String,
        /// The sentence.
        sentence: String,
    },
    /// The backend of the target on the command line could not be prepared.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A configured forward could not be made ready.
    #[error("{place}: forward `{forward}`: {source}")]
    Forward {
        /// `FILE:LINE` of the forward.
        place: String,
        /// Its name.
        forward: String,
        /// The failure that is in its way.
        source: Box<Self>,
    },
    /// Several things, the first of which counts.
    #[error("{}", lines(first, others))]
    Several {
        /// The first.
        first: Box<Self>,
        /// The others, at least one.
        others: Vec<Self>,
    },
    /// An address could not be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A loop could not start or go on.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// There is no descriptor for a client.
    #[error(
        "too few file descriptors to serve a client: {error}. The open file limit is {limit}: raise \
         it with `ulimit -n`, or LimitNOFILE= in a unit. Each link takes two, nsplice itself about 30"
    )]
    TooFewDescriptors {
        /// RLIMIT_NOFILE.
        limit: u64,
        /// The attempt that failed.
        error: RelayError,
    },
    /// Standard input or output is of no use.
    #[error(transparent)]
    Stdio(#[from] StdioError),
    /// A loop has ended without a result, by a panic that has printed its own message.
    #[error("internal error: a loop ended without a result; please report this bug")]
    Defect,
    /// The system refused something else.
    #[error("cannot {what}: {}", describe(source))]
    System {
        /// The attempt that failed.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

/// Returns the lines to print of all of them, one each.
fn lines(first: &Failure, others: &[Failure]) -> String {
    let lines: Vec<String> = std::iter::once(first).chain(others).map(Failure::line).collect();
    lines.join("\n")
}

impl Failure {
    /// Fails if there are any `failures`.
    pub(crate) fn all(failures: Vec<Self>) -> Result<(), Self> {
        let mut failures = failures.into_iter();
        let Some(first) = failures.next() else { return Ok(()) };
        let others: Vec<Self> = failures.collect();
        if others.is_empty() {
            return Err(first);
        }
        Err(Self::Several { first: Box::new(first), others })
    }

    /// A failure of the system to do `what`.
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }

    /// The exit code that tells this failure to scripts.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Told { exit, .. } | Self::Written { exit, .. } => *exit,
            Self::Backend(error) => Exit::of_backend(error.kind()),
            Self::Forward { source, .. } => match source.exit() {
                // What does not fit together was written in the configuration.
                Exit::Usage => Exit::Config,
                exit => exit,
            },
            Self::Several { first, .. } => first.exit(),
            Self::Listen(_) => Exit::Listen,
            Self::Relay(_)
            | Self::TooFewDescriptors { .. }
            | Self::Stdio(_)
            | Self::Defect
            | Self::System { .. } => Exit::Failed,
        }
    }

    /// Returns what to print, in one line for each failure: messages that begin with a place in a
    /// file begin with it alone, so that editors and people find it; the others say that they are
    /// errors.
    pub(crate) fn line(&self) -> String {
        let line = match self {
            // Each of them is a line of its own already.
            Self::Several { .. } => return self.to_string(),
            Self::Written { .. } | Self::Forward { .. } => self.to_string(),
            _ => format!("error: {self}"),
        };
        shown(&line).into_owned()
    }
}
