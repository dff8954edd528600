//! Why nsenter gives up, in its own words.
//!
//! Messages are bytes, because words of the command line are: what is no UTF-8 is told unchanged.

use std::io;

use nsplice_sys::describe;

/// A message and an exit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    speaker: Speaker,
    message: Vec<u8>,
    /// The exit status.
    pub(crate) status: u8,
}

/// Who tells it, which decides about what is around the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaker {
    /// The program, by its short name.
    Program,
    /// getopt(3), by the name as it was called, followed by a hint.
    Getopt,
}

impl Complaint {
    /// A message of the program, with exit status 1.
    pub(crate) fn new(message: impl Into<Vec<u8>>) -> Self {
        Self { speaker: Speaker::Program, message: message.into(), status: 1 }
    }

    /// A mistake in the form of the command line.
    pub(crate) fn getopt(message: impl Into<Vec<u8>>) -> Self {
        Self { speaker: Speaker::Getopt, ..Self::new(message) }
    }

    /// What the system answered when `what` was tried.
    pub(crate) fn system(what: &[u8], error: &io::Error) -> Self {
        let reason = describe(error);
        Self::new([what, b": ", reason.as_bytes()].concat())
    }

    /// The same with another exit status.
    pub(crate) fn with_status(self, status: u8) -> Self {
        Self { status, ..self }
    }

    /// The whole lines, of a program that was called as `called`, in short `short`.
    pub(crate) fn told(&self, called: &[u8], short: &[u8]) -> Vec<u8> {
        match self.speaker {
            Speaker::Program => [short, b": ", &self.message, b"\n"].concat(),
            Speaker::Getopt => {
                let hint: [&[u8]; 3] = [b"\nTry '", short, b" --help' for more information.\n"];
                [called, b": ", &self.message, &hint.concat()].concat()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn getopt_speaks_by_the_name_as_it_was_called() {
        let told = |complaint: Complaint| complaint.told(b"/usr/bin/nsenter", b"nsenter");
        assert_eq!(
            told(Complaint::getopt("invalid option -- 'x'")),
            b"/usr/bin/nsenter: invalid option -- 'x'\nTry 'nsenter --help' for more information.\n"
        );
        let error = io::Error::from_raw_os_error(libc::ERANGE);
        assert_eq!(
            told(Complaint::system(b"failed to parse pid: '9'", &error)),
            b"nsenter: failed to parse pid: '9': Numerical result out of range\n"
        );
    }
}
