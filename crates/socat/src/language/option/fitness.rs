//! Options that share a group with an address and yet mean nothing to it.
//!
//! Groups are coarse: `bind` belongs to sockets, and so to every descriptor that may turn out to be
//! one. socat finds out when it is to apply the option, and then fails; what it cannot apply at all
//! it counts in the end. Here that is known from the address alone, and told before anything is
//! opened, in socat's words where it has some for it. So no option that is accepted does nothing.

use crate::fault::Fault;

use super::super::spec::{Address, Setting};
use super::super::value::Value;
use super::super::Keyword;
use super::{row, Opt};

/// Addresses to which the same options mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// Descriptors that are there already.
    Inherited,
    /// Names in the file system that are opened.
    File,
    /// The same, or a socket: what it is shows when it is opened.
    FileOrSocket,
    /// A pipe without a name.
    Echo,
    Fifo,
    Exec,
    System,
    Inet(Role),
    Unix(Role),
    Abstract(Role),
    Vsock(Role),
    /// A listening socket that is there already.
    Accepting,
}

/// What a socket does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Connects,
    Listens,
}

/// How socat puts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Complaint {
    /// There is no such step in the opening of the address.
    NotImplemented,
    /// There is one, but not on this descriptor.
    DoesNotApply,
    /// It was left over.
    LeftOver,
    /// It is about the file of a socket that has none.
    OnlyWithBind,
    /// The kernel refuses it.
    Kernel(&'static str),
    /// socat does it, or lets it pass without effect.
    Ours,
}

impl Address {
    /// Refuses the first option that means nothing here.
    pub(crate) fn check_options(&self) -> Result<(), Fault> {
        self.check_as(self.family())
    }

    /// The same for a path that is found to be no socket.
    pub(crate) fn check_as_file(&self) -> Result<(), Fault> {
        self.check_as(Family::File)
    }

    /// The same for a path that is found to be a socket.
    pub(crate) fn check_as_socket(&self) -> Result<(), Fault> {
        let mut refusals = self.options.iter().filter_map(|setting| {
            only_of_files(setting.option).map(|complaint| self.refusal(setting, complaint))
        });
        refusals.next().map_or(Ok(()), Err)
    }

    fn check_as(&self, family: Family) -> Result<(), Fault> {
        self.options.iter().try_for_each(|setting| match complaint(family, self, setting) {
            Some(complaint) => Err(self.refusal(setting, complaint)),
            None => Ok(()),
        })
    }

    fn family(&self) -> Family {
        use Role::{Connects, Listens};
        match self.keyword {
            Keyword::Stdio | Keyword::Stdin | Keyword::Stdout | Keyword::Stderr | Keyword::Fd => {
                Family::Inherited
            }
            Keyword::Open | Keyword::Create => Family::File,
            Keyword::Gopen => Family::FileOrSocket,
            Keyword::Pipe if self.parameters.is_empty() => Family::Echo,
            Keyword::Pipe => Family::Fifo,
            Keyword::Exec => Family::Exec,
            Keyword::System => Family::System,
            Keyword::TcpConnect | Keyword::Tcp4Connect | Keyword::Tcp6Connect => {
                Family::Inet(Connects)
            }
            Keyword::TcpListen | Keyword::Tcp4Listen | Keyword::Tcp6Listen => Family::Inet(Listens),
            Keyword::UnixConnect | Keyword::UnixClient => Family::Unix(Connects),
            Keyword::UnixListen => Family::Unix(Listens),
            Keyword::AbstractConnect | Keyword::AbstractClient => Family::Abstract(Connects),
            Keyword::AbstractListen => Family::Abstract(Listens),
            Keyword::VsockConnect => Family::Vsock(Connects),
            Keyword::VsockListen => Family::Vsock(Listens),
            Keyword::AcceptFd => Family::Accepting,
        }
    }

    fn refusal(&self, setting: &Setting, complaint: Complaint) -> Fault {
        let word = setting.word.as_str();
        // socat calls it by its main name.
        let name = row(word).map_or(word, |row| row.name);
        Fault::new(match complaint {
            Complaint::NotImplemented => format!("applyopts(): option \"{name}\" not implemented"),
            Complaint::DoesNotApply => format!("applyopts(): option \"{name}\" does not apply"),
            Complaint::LeftOver => format!("1 option(s) could not be used: \"{word}\""),
            Complaint::OnlyWithBind => format!("Option \"{name}\" only with bind option"),
            Complaint::Kernel(told) => format!("option \"{word}\": {told}"),
            Complaint::Ours => {
                let what = format_args!("option \"{word}\" with address type \"{}\"", self.word);
                return Fault::not_implemented(what);
            }
        })
    }
}

/// What is wrong with `setting` at an address of `family`, if anything is.
fn complaint(family: Family, address: &Address, setting: &Setting) -> Option<Complaint> {
    use Complaint::{DoesNotApply, LeftOver, NotImplemented, OnlyWithBind, Ours};
    use Family::{
        Abstract, Accepting, Echo, Exec, Fifo, File, FileOrSocket, Inet, Inherited, System, Unix,
        Vsock,
    };
    use Role::{Connects, Listens};
    let is_off = setting.value == Value::Flag(false);
    Some(match (setting.option, family) {
        (Opt::Bind, Inherited | File | Exec | System | Unix(Listens) | Abstract(Listens)) => {
            NotImplemented
        }
        (Opt::Bind | Opt::Backlog | Opt::ProtocolFamily, Accepting) => LeftOver,
        (Opt::Bind, Echo | Fifo) => NotImplemented,
        (
            Opt::ConnectTimeout,
            Inherited | File | Echo | Fifo | Exec | System | Accepting | Inet(Listens)
            | Unix(Listens) | Abstract(Listens) | Vsock(Listens),
        ) => DoesNotApply,
        (Opt::SourcePort | Opt::LowPort, Inherited | File | Echo | Fifo | Exec | System) => {
            NotImplemented
        }
        (Opt::ProtocolFamily, Inherited | Echo | Fifo) => NotImplemented,
        (Opt::ProtocolFamily, File) => LeftOver,
        (Opt::ProtocolFamily, Exec | System | Unix(_) | Abstract(_) | Vsock(_))
            if !is_unix(&setting.value) =>
        {
            Complaint::Kernel("the protocol family does not suit this address type")
        }
        (Opt::MaxChildren, Inet(Connects) | Unix(_) | Abstract(_) | Vsock(_))
            if !listens(family) =>
        {
            LeftOver
        }
        (Opt::Login, System) => LeftOver,
        (
            Opt::GroupEarly
            | Opt::UserEarly
            | Opt::PermEarly
            | Opt::Creat
            | Opt::Excl
            | Opt::Trunc
            | Opt::Umask
            | Opt::Unlink
            | Opt::UnlinkClose
            | Opt::UnlinkEarly,
            Echo,
        ) => NotImplemented,
        (Opt::ReadOnly | Opt::WriteOnly | Opt::ReadWrite, Echo) => DoesNotApply,
        (Opt::Lock, Echo) => Complaint::Kernel("fcntl(F_SETLKW): Bad file descriptor"),
        (Opt::Umask | Opt::UnlinkEarly, Unix(Connects)) => NotImplemented,
        (
            Opt::User
            | Opt::Group
            | Opt::Mode
            | Opt::UserEarly
            | Opt::GroupEarly
            | Opt::PermEarly
            | Opt::Unlink,
            Unix(Connects) | Abstract(Connects),
        ) if address.setting(Opt::Bind).is_none() => OnlyWithBind,
        // Of later versions; only sockets are born anywhere.
        (Opt::Netns, Inherited | File | FileOrSocket | Echo | Fifo | Exec | System | Accepting) => {
            Ours
        }
        // All descriptors of ours are closed on exec. Those that were there before us can be kept.
        (Opt::CloseOnExec, family) if is_off && family != Inherited => Ours,
        _ => return None,
    })
}

fn listens(family: Family) -> bool {
    use Role::Listens;
    matches!(
        family,
        Family::Inet(Listens)
            | Family::Unix(Listens)
            | Family::Abstract(Listens)
            | Family::Vsock(Listens)
            | Family::Accepting
    )
}

/// Returns whether a protocol family is that of UNIX sockets, in socat's words for it.
fn is_unix(value: &Value) -> bool {
    match value {
        Value::Text(word) => {
            let word = word.to_string_lossy().to_ascii_lowercase();
            matches!(word.as_str(), "unix" | "local" | "1")
        }
        _ => false,
    }
}

/// What is wrong with an option at a path that turns out to be a socket, if it is only for what is none.
fn only_of_files(option: Opt) -> Option<Complaint> {
    Some(match option {
        Opt::Creat | Opt::Excl | Opt::ReadOnly | Opt::WriteOnly | Opt::ReadWrite => {
            Complaint::LeftOver
        }
        Opt::Trunc => Complaint::NotImplemented,
        Opt::Seek => Complaint::Kernel("lseek64(): Illegal seek"),
        Opt::Echo
        | Opt::Icanon
        | Opt::Isig
        | Opt::Raw
        | Opt::RawEr
        | Opt::Sane
        | Opt::CfMakeRaw => Complaint::Kernel("tcgetattr(): Inappropriate ioctl for device"),
        _ => return None,
    })
}
