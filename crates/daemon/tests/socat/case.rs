//! What is run and what is done around it: a command line and a play, as data.
//!
//! The line is what a user types, read by `sh` after the word `exec`, so that quotes, redirections
//! and words like `prlimit` before it mean what they mean. It runs in an empty directory and in a
//! network namespace of its own, where 127.0.0.1 and ::1 are up and every port is free; so names
//! and ports are plain constants, and the same for both programs.
//!
//! A play is a list of cues, followed one after another. What comes from a connection or from the
//! program is collected in between whatever the play does, so that nobody ever waits for the
//! player to read, and a cue that waits for bytes finds those that came earlier as well.

use nix::sys::signal::Signal;

use crate::differences::Difference;
use crate::report::Report;

/// One command line, what happens around it, and what is expected of ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// Unique; `THEME/WHAT`.
    pub(crate) name: &'static str,
    /// What a user types.
    pub(crate) line: &'static str,
    /// Variables of the environment that are set for it.
    pub(crate) env: &'static [(&'static str, &'static str)],
    /// What happens around it.
    pub(crate) play: &'static [Cue],
    /// Whether ours may give a half-closed link its own time instead of socat's half second.
    pub(crate) own_linger: bool,
    /// What is expected.
    pub(crate) expect: Expect,
}

/// What is expected of ours.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expect {
    /// The same as of socat, in everything.
    Same,
    /// Something better, that the function checks, for a reason in the table of differences.
    Differs(Difference, Rule),
    /// What the function checks; socat's own run is random, or there is nothing to compare.
    Rules(Rule),
}

/// Says what is wrong with a report.
pub(crate) type Rule = fn(&Report) -> Result<(), String>;

/// Where a socket listens or connects to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// A port of 127.0.0.1.
    Tcp(u16),
    /// A port of ::1.
    Tcp6(u16),
    /// A path, relative to the directory of the run.
    Unix(&'static str),
    /// A name in the abstract namespace.
    Abstract(&'static str),
}

/// One cue of a play, which the player follows. Connections have names, which the report uses as well.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cue {
    /// Listens, under this name.
    Listen(&'static str, Place),
    /// A shell command in the directory and the namespace of the run. What it prints is in the
    /// report.
    Shell(&'static str),
    /// Runs the line.
    Start,
    /// Waits for a connection to the listener (first) and names it (second).
    Accept(&'static str, &'static str),
    /// Connects, again and again until somebody listens.
    Connect(&'static str, Place),
    /// Sends a text.
    Say(&'static str, &'static str),
    /// Sends so many bytes of the ramp.
    SayRamp(&'static str, u64),
    /// Waits until what came contains the text.
    Hear(&'static str, &'static str),
    /// Waits until at least so many bytes have come.
    HearBytes(&'static str, usize),
    /// Waits for FIN or RST.
    HearEnd(&'static str),
    /// Sends a FIN.
    Fin(&'static str),
    /// Sends an RST, or what a Unix socket has for it, and forgets the connection.
    Reset(&'static str),
    /// Writes to the program's standard input.
    Type(&'static str),
    /// Writes so many bytes of the ramp to the program's standard input.
    TypeRamp(u64),
    /// Ends the program's standard input.
    EndInput,
    /// Waits until the program's standard output contains the text.
    Read(&'static str),
    /// Waits until the program's standard error contains the text.
    Told(&'static str),
    /// Waits for a file, relative to the directory of the run.
    Appears(&'static str),
    /// Waits until this shell command succeeds.
    Until(&'static str),
    /// Lets this many milliseconds pass.
    Pause(u64),
    /// Gives the program so many milliseconds to end, and goes on if it does not.
    Linger(u64),
    /// Sends the program a signal, unless it has ended.
    Kill(Signal),
    /// Waits for the end of the program.
    Exit,
}

/// A case in which ours has to be as socat is.
pub(crate) const fn case(name: &'static str, line: &'static str, play: &'static [Cue]) -> Case {
    Case { name, line, env: &[], play, own_linger: false, expect: Expect::Same }
}

impl Case {
    /// With these variables in the environment.
    pub(crate) const fn env(mut self, env: &'static [(&'static str, &'static str)]) -> Self {
        self.env = env;
        self
    }

    /// Without socat's half second for ours.
    pub(crate) const fn own_linger(mut self) -> Self {
        self.own_linger = true;
        self
    }

    /// Ours differs, for this reason, and passes `rule`.
    pub(crate) const fn differs(mut self, difference: Difference, rule: Rule) -> Self {
        self.expect = Expect::Differs(difference, rule);
        self
    }

    /// Ours passes `rule`; socat is not asked.
    pub(crate) const fn rules(mut self, rule: Rule) -> Self {
        self.expect = Expect::Rules(rule);
        self
    }
}
