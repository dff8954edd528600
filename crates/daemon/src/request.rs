//! Requests: the command line, understood and checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use nsplice_backend::{Choice, Destination, Host, Options, Target};
use nsplice_relay::Limits;

use crate::address::Address;
use crate::applet::Applet;
use crate::filter::Filter;
use crate::log::{LogFormat, LogLevel};
use crate::ports::PortPair;
use crate::values::LoopCount;

/// One of the commands.
#[derive(Debug)]
pub(crate) enum Request {
    /// Ports of this machine to ports of a target.
    Forward(ForwardRequest),
    /// Standard input and output to a port of a target.
    Connect(ConnectRequest),
    /// The daemon.
    Run(RunRequest),
    /// The endpoint that kubectl forwards through.
    Serve(ServeRequest),
    /// Show what works here.
    Check(CheckRequest),
    /// `nsplice lookup`.
    Lookup(LookupRequest),
    /// What the node has.
    Targets(TargetsRequest),
    /// A script that has a shell complete command lines.
    Completion(Shell),
    /// The words that such a script asks for.
    Complete(Unfinished),
    /// The names of socat and nsenter.
    Install(InstallRequest),
    /// The backends side by side.
    Compare(CompareRequest),
}

/// `nsplice forward`.
#[derive(Debug)]
pub(crate) struct ForwardRequest {
    /// The target to reach.
    pub(crate) target: Target,
    /// The pairs of ports, at least one, no local port twice.
    pub(crate) ports: Vec<PortPair>,
    /// Addresses to listen on.
    pub(crate) addresses: Vec<Address>,
    /// The opening of upstreams, and the limits of links.
    pub(crate) opening: Opening,
    /// Links at once, for each pair of ports; `None` for as many as there are descriptors.
    pub(crate) max_links: Option<u32>,
    /// The number of loops.
    pub(crate) loops: LoopCount,
    /// The format of the log.
    pub(crate) log_format: LogFormat,
    /// The least level that is logged.
    pub(crate) log_level: LogLevel,
    /// True if a target that is missing is waited for.
    pub(crate) wait_for_target: bool,
    /// True if nothing is printed about what goes as it should.
    pub(crate) quiet: bool,
}

/// `nsplice connect`.
#[derive(Debug)]
pub(crate) struct ConnectRequest {
    /// The target to reach.
    pub(crate) target: Target,
    /// The port inside it.
    pub(crate) port: u16,
    /// The opening of the upstream, and the limits of the link.
    pub(crate) opening: Opening,
}

/// `nsplice run`. What is `None` is left to the configuration.
#[derive(Debug)]
pub(crate) struct RunRequest {
    /// The configuration.
    pub(crate) config: PathBuf,
    /// The number of loops.
    pub(crate) loops: Option<LoopCount>,
    /// True if splice(2) is ruled out.
    pub(crate) no_splice: bool,
    /// The format of the log.
    pub(crate) log_format: Option<LogFormat>,
    /// The least level that is logged.
    pub(crate) log_level: Option<LogLevel>,
}

/// `nsplice serve`.
#[derive(Debug)]
pub(crate) struct ServeRequest {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// True if the questions that kubectl asks before it forwards are answered.
    pub(crate) api: bool,
    /// The opening of upstreams, and the limits of links.
    pub(crate) opening: Opening,
    /// Links at once; `None` for as many as there are descriptors.
    pub(crate) max_links: Option<u32>,
    /// The number of loops.
    pub(crate) loops: LoopCount,
    /// The format of the log.
    pub(crate) log_format: LogFormat,
    /// The least level that is logged.
    pub(crate) log_level: LogLevel,
}

/// `nsplice check`.
#[derive(Debug)]
pub(crate) struct CheckRequest {
    /// The destination; `None` looks at this machine alone.
    pub(crate) destination: Option<Destination>,
    /// Options of the backends.
    pub(crate) options: Options,
    /// The format of the answer.
    pub(crate) format: OutputFormat,
}

/// `nsplice lookup`.
#[derive(Debug)]
pub(crate) struct LookupRequest {
    /// Whose names they are.
    pub(crate) target: Target,
    /// The name.
    pub(crate) name: String,
    /// The time limit for the answer.
    pub(crate) timeout: Duration,
    /// Where the target is looked for.
    pub(crate) options: Options,
    /// The format of the answer.
    pub(crate) format: OutputFormat,
}

/// `nsplice targets`.
#[derive(Debug)]
pub(crate) struct TargetsRequest {
    /// Which of them are wanted.
    pub(crate) filter: Filter,
    /// True if changes are told from then on.
    pub(crate) watch: bool,
    /// Where they are looked for.
    pub(crate) options: Options,
    /// The format of the answer.
    pub(crate) format: OutputFormat,
}

/// A shell that completes command lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shell {
    /// bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

impl FromStr for Shell {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "bash" => Ok(Self::Bash),
            "zsh" => Ok(Self::Zsh),
            "fish" => Ok(Self::Fish),
            _ => Err(format!("`{text}` is not a shell that is supported: write bash, zsh or fish")),
        }
    }
}

/// A command line whose last word is to be completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfinished {
    /// The last word, as far as it is typed.
    pub(crate) begun: String,
    /// What stands in its place.
    pub(crate) gap: Gap,
    /// Where targets are looked for.
    pub(crate) options: Options,
}

/// What may stand in a place of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gap {
    /// One of these words.
    Words(Vec<String>),
    /// A target.
    Target,
    /// A port inside this target, perhaps behind a local one.
    Port(Target),
    /// The path of a file.
    File,
    /// The path of a directory.
    Directory,
    /// Nothing that could be guessed.
    Nothing,
}

/// `nsplice install`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InstallRequest {
    /// The directory of the links.
    pub(crate) directory: PathBuf,
    /// The change to them.
    pub(crate) change: LinkChange,
}

/// A change to links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LinkChange {
    /// They are made.
    Make {
        /// Which.
        applets: Vec<Applet>,
        /// The treatment of others that have their names.
        others: Others,
    },
    /// All that lead to us are removed, and what was kept aside for them comes back.
    Remove,
}

/// The treatment of another program that has the name of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// It stays, and the link is not made.
    Stay,
    /// It is kept aside.
    KeptAside,
}

/// A format of the answers of `check`, `compare`, `lookup` and `targets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum OutputFormat {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

impl FromStr for OutputFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "table" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            _ => Err(format!("`{text}` is not an output format: write table or json")),
        }
    }
}

/// `nsplice compare`.
#[derive(Debug)]
pub(crate) struct CompareRequest {
    /// The comparison that is asked for.
    pub(crate) comparison: nsplice_compare::Request,
    /// The format of the answer.
    pub(crate) format: OutputFormat,
    /// The file that a page of it is written to.
    pub(crate) page: Option<PathBuf>,
    /// An older comparison, as JSON.
    pub(crate) older: Option<PathBuf>,
}

/// The opening of upstreams, and the limits of links.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    /// The host inside the target.
    pub(crate) host: Host,
    /// The backend.
    pub(crate) backend: Choice,
    /// Options of the backends.
    pub(crate) options: Options,
    /// Limits of each link.
    pub(crate) limits: Limits,
    /// True if splice(2) may be used.
    pub(crate) splice: bool,
}
