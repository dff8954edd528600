//! The options of addresses: their names and aliases, the kind of their values, where they apply.
//!
//! An option is known to nsplice, known to socat alone, or unknown; names are read without regard to
//! case. Each suits the addresses it shares a group with. The tables are in `option/table.rs`
//! and `option/foreign.rs`.

mod fitness;
mod foreign;
mod table;

use crate::fault::Fault;

use super::group::Groups;
use super::value::Kind;

pub(crate) use table::TABLE;

/// An option that nsplice implements. Names and aliases are read into one of these.
#[expect(clippy::enum_variant_names, reason = "setsockopt is a word of its own")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Opt {
    // listening
    Fork,
    MaxChildren,
    Backlog,
    AcceptTimeout,
    Range,
    Ipv6Only,
    // opening
    Bind,
    SourcePort,
    LowPort,
    ProtocolFamily,
    ConnectTimeout,
    Retry,
    Forever,
    Interval,
    Netns,
    // sockets
    ReuseAddr,
    ReusePort,
    KeepAlive,
    KeepIdle,
    KeepIntvl,
    KeepCnt,
    NoDelay,
    MaxSegment,
    SendBuffer,
    ReceiveBuffer,
    TypeOfService,
    TimeToLive,
    Linger,
    Interface,
    Priority,
    Transparent,
    SetSockOpt,
    SetSockOptInt,
    SetSockOptListen,
    UserTimeout,
    // descriptors and the end of streams
    IgnoreEof,
    ShutNone,
    ShutDown,
    ShutClose,
    ShutNull,
    EndClose,
    Crnl,
    Cr,
    ReadBytes,
    Escape,
    CoolWrite,
    NonBlock,
    CloseOnExec,
    // names in the file system
    Mode,
    User,
    Group,
    Umask,
    PermEarly,
    UserEarly,
    GroupEarly,
    Unlink,
    UnlinkEarly,
    UnlinkClose,
    // files
    Creat,
    Excl,
    Append,
    Trunc,
    ReadOnly,
    WriteOnly,
    ReadWrite,
    Seek,
    Lock,
    // programs and privileges
    Pipes,
    StderrToo,
    NoFork,
    SetSid,
    ControllingTty,
    Login,
    Path,
    Su,
    SuDelayed,
    SetUid,
    SetGid,
    FdIn,
    FdOut,
    SigInt,
    SigQuit,
    SigHup,
    Chroot,
    // terminals
    Raw,
    RawEr,
    Echo,
    Icanon,
    Isig,
    Sane,
    CfMakeRaw,
}

/// A row of the table of options.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) option: Opt,
    pub(crate) name: &'static str,
    /// The one name that -hh lists.
    pub(crate) common: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) groups: Groups,
    /// The phase in which socat applies it; only for the help.
    pub(crate) phase: &'static str,
    pub(crate) kind: Kind,
}

/// Finds the option that is called `word`. It must suit an address of the groups `suits`; `None` is -g,
/// with which every option suits every address.
pub(crate) fn find(word: &str, suits: Option<Groups>) -> Result<&'static Row, Fault> {
    let check = |groups: Groups| match suits {
        Some(suits) if !suits.and(Groups::APPL).and(Groups::PROCESS).meet(groups) => {
            Err(Fault::new(format_args!(
                "parseopts_table(): option \"{word}\" not supported with this address type"
            )))
        }
        _ => Ok(()),
    };
    if let Some(row) = row(word) {
        return check(row.groups).map(|()| row);
    }
    let is = |name: &str| name.eq_ignore_ascii_case(word);
    match foreign::FOREIGN.iter().find(|(_, names)| names.split(' ').any(is)) {
        Some((groups, _)) => {
            check(*groups)?;
            Err(Fault::not_implemented(format_args!("option \"{word}\"")))
        }
        None => Err(Fault::new(format_args!("parseopts_table(): unknown option \"{word}\""))),
    }
}

/// The row of the option that is called `name`.
pub(crate) fn row(name: &str) -> Option<&'static Row> {
    let is = |other: &str| other.eq_ignore_ascii_case(name);
    TABLE.iter().find(|row| is(row.name) || row.aliases.iter().any(|alias| is(alias)))
}
