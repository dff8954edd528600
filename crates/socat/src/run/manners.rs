//! The behaviour of links, read from flags and options: socat's manners in the relay's words.

use std::ffi::OsStr;
use std::os::fd::RawFd;
use std::time::Duration;

use nsplice_relay::{
    Answers, Belief, Endings, Filter, Finish, Lanes, Limits, LinkPolicy, Owner, Side, WhenFull,
};
use nsplice_sys::unacknowledged;

use crate::dump::Direction;
use crate::endpoint::{connects, program, serves_many, Way};
use crate::fault::Fault;
use crate::filter::Filters;
use crate::language::flags::Directions;
use crate::language::{Address, CommandLine, Flags, Keyword, Opt, Spec};

/// How long the second direction is given without progress after the first has ended, where `-t`
/// does not say. socat gives it half a second, which cuts off answers that take longer.
const LINGER: Duration = Duration::from_secs(30);

/// The same after the end of the side that answers: socat's own half second, because nobody waits
/// for an answer to an answer, while somebody may wait for the process to end.
const AFTER_ANSWER: Duration = Duration::from_millis(500);

/// The variable that changes [`LINGER`], in seconds.
pub(super) const LINGER_VARIABLE: &str = "NSPLICE_SOCAT_LINGER";

/// Addresses open for as long as it takes; what limits them is an option of their own.
const NO_LIMIT: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The time limits of the links of a command line.
pub(super) fn limits(flags: &Flags, variable: Option<&OsStr>) -> Result<Limits, Fault> {
    let linger = match (flags.linger, variable) {
        (Some(linger), _) => linger,
        (None, None) => LINGER,
        (None, Some(text)) => seconds(text).ok_or_else(|| {
            Fault::new(format_args!(
                "{LINGER_VARIABLE} is {text:?}, which is not a number of seconds"
            ))
        })?,
    };
    // Who gives a time for the whole link, and none for its second half, means the whole of it.
    let linger = match flags.idle {
        Some(idle) if flags.linger.is_none() => linger.min(idle),
        _ => linger,
    };
    Ok(Limits { connect_timeout: NO_LIMIT, idle_timeout: flags.idle, linger: Some(linger) })
}

fn seconds(text: &OsStr) -> Option<Duration> {
    let time = Duration::try_from_secs_f64(text.to_str()?.parse().ok()?).ok()?;
    // More than the clock can count to.
    Some(time.min(NO_LIMIT))
}

/// The policy of the links of a command line.
pub(super) fn policy(line: &CommandLine, filters: Filters, first_side: Side) -> LinkPolicy {
    let CommandLine { flags, first, second } = line;
    let owner = owner_of_second(line, first_side);
    let lanes = match flags.directions {
        Directions::Both => Lanes::Both,
        Directions::FirstToSecond => Lanes::From { side: Side::Downstream, unacknowledged },
        Directions::SecondToFirst => Lanes::From { side: Side::Upstream, unacknowledged },
    };
    LinkPolicy {
        endings: Endings::Gentle(answers(line)),
        lanes,
        when_full: WhenFull::Wait,
        finishes: [finish(written(first), Owner::Link), finish(written(second), owner)],
        owners: [Owner::Link, owner],
        ends: [ends(read(first)), ends(read(second))],
        filters: Some(Box::new(Sided { filters, first: first_side })),
    }
}

/// The time that a link is given after the end of the side that answers.
pub(super) fn after_answer(flags: &Flags) -> Duration {
    flags.linger.unwrap_or(AFTER_ANSWER)
}

/// Which side answers: the one that is a server or a program, if the other is neither. A listener's
/// clients ask, and whoever started socat does; `TCP:a TCP:b` and `TCP-LISTEN:80 -` do not tell.
fn answers(line: &CommandLine) -> Answers {
    let serves = |spec: &Spec| starts_programs(spec) || connects(read(spec).keyword);
    let afterwards = after_answer(&line.flags);
    match (serves(&line.first), serves(&line.second)) {
        (false, true) => Answers::From { side: Side::Upstream, afterwards },
        (true, false) => Answers::From { side: Side::Downstream, afterwards },
        _ => Answers::Both,
    }
}

/// The filters of a command line whose first address is on this side of its links.
#[derive(Debug)]
struct Sided {
    filters: Filters,
    first: Side,
}

impl nsplice_relay::Filters for Sided {
    fn lane(&self, from: Side) -> Option<Box<dyn Filter>> {
        self.filters.lane(if from == self.first { Direction::Forth } else { Direction::Back })
    }
}

/// The same command line with the listener first, if it is the second address that serves many
/// clients (`- TCP-LISTEN:80,fork`); and the side of a link that its first address then is.
pub(super) fn listener_first(line: CommandLine) -> (CommandLine, Side) {
    if read(&line.first).has(Opt::Fork) || !serves_many(&line.second) {
        return (line, Side::Downstream);
    }
    let mut flags = line.flags;
    flags.directions = match flags.directions {
        Directions::Both => Directions::Both,
        Directions::FirstToSecond => Directions::SecondToFirst,
        Directions::SecondToFirst => Directions::FirstToSecond,
    };
    (CommandLine { flags, first: line.second, second: line.first }, Side::Upstream)
}

/// In which directions the two addresses are used.
pub(super) fn ways(directions: Directions) -> [Way; 2] {
    match directions {
        Directions::Both => [Way::Both, Way::Both],
        Directions::FirstToSecond => [Way::Read, Way::Write],
        Directions::SecondToFirst => [Way::Write, Way::Read],
    }
}

/// The address that a side is read from.
pub(super) fn read(spec: &Spec) -> &Address {
    match spec {
        Spec::One(address) | Spec::Split { read: address, .. } => address,
    }
}

/// The address that a side is written to.
pub(super) fn written(spec: &Spec) -> &Address {
    match spec {
        Spec::One(address) | Spec::Split { write: address, .. } => address,
    }
}

/// Returns whether a program is started for one of its addresses.
pub(super) fn starts_programs(spec: &Spec) -> bool {
    is_program(read(spec)) || is_program(written(spec))
}

/// Returns whether `line` asks to become a program somewhere else than with all of its second
/// address.
pub(super) fn is_replaced_out_of_place(line: &CommandLine) -> bool {
    let replaces = |spec: &Spec| [read(spec), written(spec)].into_iter().any(program::replaces);
    let is_half = matches!(line.second, Spec::Split { .. });
    replaces(&line.first) || (is_half && replaces(&line.second))
}

/// Returns whether `address` is a program.
pub(super) fn is_program(address: &Address) -> bool {
    matches!(address.keyword, Keyword::Exec | Keyword::System)
}

/// The numbers of the descriptors of one side: the one it is read from, the one it is written to.
pub(super) type Numbers = [Option<RawFd>; 2];

/// The numbers that descriptors have by their address alone.
pub(super) fn numbers(spec: &Spec) -> Numbers {
    let of = |address: &Address| match address.keyword {
        Keyword::Stdio => [Some(0), Some(1)],
        Keyword::Stdin => [Some(0); 2],
        Keyword::Stdout => [Some(1); 2],
        Keyword::Stderr => [Some(2); 2],
        _ => [None; 2],
    };
    [of(read(spec))[0], of(written(spec))[1]]
}

/// Who has what the second address of a listener's command line is opened as: all links, if it is
/// opened once for them or was there before.
fn owner_of_second(line: &CommandLine, first_side: Side) -> Owner {
    let is_inherited = is_standard(read(&line.second)) || is_standard(written(&line.second));
    match first_side {
        Side::Upstream => Owner::Forward,
        Side::Downstream if serves_many(&line.first) && is_inherited => Owner::Forward,
        Side::Downstream => Owner::Link,
    }
}

/// Returns whether `address` is a standard stream, which others hold as well.
fn is_standard(address: &Address) -> bool {
    use Keyword::{Stderr, Stdin, Stdio, Stdout};
    matches!(address.keyword, Stdio | Stdin | Stdout | Stderr)
}

fn finish(address: &Address, owner: Owner) -> Finish {
    let is_kept =
        [Opt::ShutNone, Opt::ShutNull, Opt::EndClose].into_iter().any(|option| address.has(option));
    if address.has(Opt::ShutDown) {
        Finish::Shut
    } else if is_kept || owner == Owner::Forward {
        // Others did not ask for their end.
        Finish::Nothing
    } else if is_standard(address) {
        Finish::Close
    } else {
        Finish::Shut
    }
}

fn ends(address: &Address) -> Belief {
    if address.has(Opt::IgnoreEof) {
        Belief::Ignored
    } else {
        Belief::Believed
    }
}
