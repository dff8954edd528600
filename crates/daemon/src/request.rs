//! What was asked for: the command line, understood and checked.

use std::path::PathBuf;
use std::str::FromStr;

use nsplice_backend::{Choice, Destination, Host, Options, Target};
use nsplice_relay::Limits;

use crate::address::Address;
use crate::applet::Applet;
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
    /// What works here.
    Check(CheckRequest),
    /// The names of socat and nsenter.
    Install(InstallRequest),
    /// The backends side by side.
    Compare(CompareRequest),
}

/// `nsplice forward`.
#[derive(Debug)]
pub(crate) struct ForwardRequest {
    /// What is to be reached.
    pub(crate) target: Target,
    /// The pairs of ports, at least one, no local port twice.
    pub(crate) ports: Vec<PortPair>,
    /// Where to listen.
    pub(crate) addresses: Vec<Address>,
    /// How upstreams are opened and what limits links have.
    pub(crate) opening: Opening,
    /// Links at once, for each pair of ports; `None` for as many as there are descriptors.
    pub(crate) max_links: Option<u32>,
    /// How many loops.
    pub(crate) loops: LoopCount,
    /// How the log looks.
    pub(crate) log_format: LogFormat,
    /// What is logged.
    pub(crate) log_level: LogLevel,
    /// Whether nothing is said of what goes as it should.
    pub(crate) quiet: bool,
}

/// `nsplice connect`.
#[derive(Debug)]
pub(crate) struct ConnectRequest {
    /// What is to be reached.
    pub(crate) target: Target,
    /// The port inside it.
    pub(crate) port: u16,
    /// How the upstream is opened and what limits the link has.
    pub(crate) opening: Opening,
}

/// `nsplice run`. What is `None` is left to the configuration.
#[derive(Debug)]
pub(crate) struct RunRequest {
    /// The configuration.
    pub(crate) config: PathBuf,
    /// How many loops.
    pub(crate) loops: Option<LoopCount>,
    /// Whether splice(2) is ruled out.
    pub(crate) no_splice: bool,
    /// How the log looks.
    pub(crate) log_format: Option<LogFormat>,
    /// What is logged.
    pub(crate) log_level: Option<LogLevel>,
}

/// `nsplice check`.
#[derive(Debug)]
pub(crate) struct CheckRequest {
    /// What is to be reached; `None` looks at this machine alone.
    pub(crate) destination: Option<Destination>,
    /// How the backends work.
    pub(crate) options: Options,
    /// How the answer looks.
    pub(crate) format: OutputFormat,
}

/// `nsplice install`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InstallRequest {
    /// Where the links are.
    pub(crate) directory: PathBuf,
    /// What becomes of them.
    pub(crate) change: LinkChange,
}

/// What becomes of links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LinkChange {
    /// They are made.
    Make {
        /// Which.
        applets: Vec<Applet>,
        /// What becomes of others that have their names.
        others: Others,
    },
    /// All that lead to us are removed, and what was kept aside for them comes back.
    Remove,
}

/// What becomes of another program that has the name of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// It stays, and the link is not made.
    Stay,
    /// It is kept aside.
    KeptAside,
}

/// How `check` and `compare` answer.
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
    /// What is compared.
    pub(crate) comparison: nsplice_compare::request::Request,
    /// How the answer looks.
    pub(crate) format: OutputFormat,
    /// Where a page of it is written.
    pub(crate) page: Option<PathBuf>,
    /// An older comparison, as JSON.
    pub(crate) older: Option<PathBuf>,
}

/// How upstreams are opened and what limits links have.
#[derive(Debug)]
pub(crate) struct Opening {
    /// The host inside the target.
    pub(crate) host: Host,
    /// The backend.
    pub(crate) backend: Choice,
    /// How the backends work.
    pub(crate) options: Options,
    /// Limits of each link.
    pub(crate) limits: Limits,
    /// Whether splice(2) may be used.
    pub(crate) splice: bool,
}
