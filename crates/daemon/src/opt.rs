//! The command line.
//!
//! The only file that knows structopt. What was typed is read into the structs below, word by word
//! by the parsers of the values; then it is put together into a [`Request`], which is all that the
//! rest of the program sees. What was not typed is looked for in the [`Environment`].

use std::ffi::OsString;
use std::path::PathBuf;

use nsplice_backend::{Choice, Destination, Host, Options, Target, Template};
use nsplice_compare::conformance::Extent;
use nsplice_compare::cost::{Choices, Timing};
use nsplice_compare::stage::Scenery;
use nsplice_compare::words::{Backends, NamedCommand, NamedPeer, Workloads};
use nsplice_relay::Limits;
use slog::Level;
use structopt::clap::{AppSettings, Error, ErrorKind};
use structopt::StructOpt;

use crate::address::{merge, AddressError, AddressList};
use crate::applet::Applet;
use crate::environment::{Environment, EnvironmentError};
use crate::log::{LogFormat, LogLevel};
use crate::ports::{port, PortPair};
use crate::request::{
    CheckRequest, CompareRequest, ConnectRequest, ForwardRequest, InstallRequest, LinkChange,
    Opening, Others, OutputFormat, Request, RunRequest,
};
use crate::values::{LinkCount, LoopCount, RoundCount, Seconds, Time, TimeLimit};

mod bytes;
mod text;

/// What the command line comes to, if not to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Help or the version was asked for.
    Help(String),
    /// It makes no sense; the message says why.
    Usage(String),
}

impl From<Error> for Answer {
    fn from(error: Error) -> Self {
        match error.kind {
            ErrorKind::HelpDisplayed | ErrorKind::VersionDisplayed => Self::Help(error.message),
            _ => Self::Usage(error.message),
        }
    }
}

impl From<EnvironmentError> for Answer {
    fn from(error: EnvironmentError) -> Self {
        Self::Usage(format!("error: {error}"))
    }
}

/// Reads the command line `words`, the first of which is the program's name.
pub(crate) fn parse(
    words: impl IntoIterator<Item = OsString>,
    environment: Environment<'_>,
) -> Result<Request, Answer> {
    let matches = bytes::matches(Command::clap, words.into_iter().collect())?;
    match Command::from_clap(&matches) {
        Command::Forward(typed) => typed.into_request(environment).map(Request::Forward),
        Command::Connect(typed) => typed.into_request(environment).map(Request::Connect),
        Command::Run(typed) => typed.into_request(environment).map(Request::Run),
        Command::Check(typed) => typed.into_request(environment).map(Request::Check),
        Command::Install(typed) => Ok(Request::Install(typed.into_request())),
        Command::Compare(typed) => typed.into_request(environment).map(Request::Compare),
    }
}

#[derive(Debug, StructOpt)]
#[structopt(
    name = "nsplice",
    about = text::ABOUT,
    usage = text::USAGE,
    template = text::TEMPLATE,
    after_help = text::EXAMPLES,
    help_message = text::HELP,
    version_message = text::VERSION,
    global_settings = &[
        AppSettings::DeriveDisplayOrder,
        AppSettings::UnifiedHelpMessage,
        AppSettings::VersionlessSubcommands,
        AppSettings::ColorNever,
    ],
    setting = AppSettings::SubcommandRequiredElseHelp,
    setting = AppSettings::DisableHelpSubcommand,
)]
enum Command {
    #[structopt(
        visible_alias = "port-forward",
        about = text::FORWARD_ABOUT,
        usage = text::FORWARD_USAGE,
        template = text::COMMAND_TEMPLATE,
        after_help = text::FORWARD_EXAMPLES,
        help_message = text::HELP,
    )]
    Forward(Forward),
    #[structopt(
        about = text::CONNECT_ABOUT,
        usage = text::CONNECT_USAGE,
        template = text::COMMAND_TEMPLATE,
        after_help = text::CONNECT_EXAMPLES,
        help_message = text::HELP,
    )]
    Connect(Connect),
    #[structopt(
        about = text::RUN_ABOUT,
        usage = text::RUN_USAGE,
        template = text::PLAIN_TEMPLATE,
        after_help = text::RUN_EXAMPLES,
        help_message = text::HELP,
    )]
    Run(Run),
    #[structopt(
        about = text::CHECK_ABOUT,
        usage = text::CHECK_USAGE,
        template = text::COMMAND_TEMPLATE,
        after_help = text::CHECK_EXAMPLES,
        help_message = text::HELP,
    )]
    Check(Check),
    #[structopt(
        about = text::INSTALL_ABOUT,
        usage = text::INSTALL_USAGE,
        template = text::BARE_TEMPLATE,
        after_help = text::INSTALL_EXAMPLES,
        help_message = text::HELP,
    )]
    Install(Install),
    #[structopt(
        about = text::COMPARE_ABOUT,
        usage = text::COMPARE_USAGE,
        template = text::COMMAND_TEMPLATE,
        after_help = text::COMPARE_EXAMPLES,
        help_message = text::HELP,
    )]
    Compare(Compare),
}

#[derive(Debug, StructOpt)]
struct Forward {
    #[structopt(value_name = "TARGET", help = text::TARGET)]
    target: Target,
    #[structopt(value_name = "[LOCAL:]REMOTE", required = true, help = text::PORTS)]
    ports: Vec<PortPair>,
    #[structopt(long, value_name = "ADDR,...", number_of_values = 1, help = text::ADDRESS)]
    address: Vec<AddressList>,
    #[structopt(flatten)]
    opening: Opened,
    #[structopt(long, value_name = "N", help = text::MAX_LINKS)]
    max_links: Option<LinkCount>,
    #[structopt(long, value_name = "N", help = text::LOOPS)]
    loops: Option<LoopCount>,
    #[structopt(long, value_name = "FORMAT", help = text::LOG_FORMAT)]
    log_format: Option<LogFormat>,
    #[structopt(long, value_name = "LEVEL", help = text::FORWARD_LOG)]
    log: Option<LogLevel>,
}

#[derive(Debug, StructOpt)]
struct Connect {
    #[structopt(value_name = "TARGET", help = text::TARGET)]
    target: Target,
    #[structopt(value_name = "PORT", parse(try_from_str = port), help = text::PORT)]
    port: u16,
    #[structopt(flatten)]
    opening: Opened,
}

#[derive(Debug, StructOpt)]
struct Run {
    #[structopt(long, value_name = "FILE", parse(from_os_str), help = text::CONFIG)]
    config: Option<PathBuf>,
    #[structopt(long, value_name = "N", help = text::LOOPS)]
    loops: Option<LoopCount>,
    #[structopt(long, help = text::NO_SPLICE)]
    no_splice: bool,
    #[structopt(long, value_name = "FORMAT", help = text::LOG_FORMAT)]
    log_format: Option<LogFormat>,
    #[structopt(long, value_name = "LEVEL", help = text::RUN_LOG)]
    log: Option<LogLevel>,
}

#[derive(Debug, StructOpt)]
struct Check {
    #[structopt(value_name = "TARGET", requires = "port", help = text::TARGET)]
    target: Option<Target>,
    #[structopt(value_name = "PORT", parse(try_from_str = port), help = text::PORT)]
    port: Option<u16>,
    #[structopt(long, value_name = "ADDR", help = text::TO)]
    to: Option<Host>,
    #[structopt(flatten)]
    tools: Tools,
    #[structopt(long, value_name = "FORMAT", help = text::OUTPUT)]
    output: Option<OutputFormat>,
}

#[derive(Debug, StructOpt)]
struct Install {
    #[structopt(value_name = "DIR", parse(from_os_str), help = text::LINK_DIRECTORY)]
    directory: PathBuf,
    #[structopt(long, help = text::LINK_NSENTER)]
    nsenter: bool,
    #[structopt(long, help = text::FORCE)]
    force: bool,
    #[structopt(long, conflicts_with_all = &["nsenter", "force"], help = text::UNINSTALL)]
    uninstall: bool,
}

#[derive(Debug, StructOpt)]
struct Compare {
    #[structopt(value_name = "TARGET", help = text::COMPARE_TARGET)]
    target: Option<Target>,
    #[structopt(value_name = "PORT", parse(try_from_str = port), help = text::COMPARE_PORT)]
    port: Option<u16>,
    #[structopt(long, value_name = "NAME,...", help = text::BACKENDS)]
    backends: Option<Backends>,
    #[structopt(long, value_name = "NAME=TEMPLATE", number_of_values = 1, help = text::COMPARE_COMMAND)]
    command: Vec<NamedCommand>,
    #[structopt(long, value_name = "NAME=ADDR:PORT", number_of_values = 1, help = text::PEER)]
    peer: Vec<NamedPeer>,
    #[structopt(long, value_name = "NAME,...", help = text::WORKLOADS)]
    workloads: Option<Workloads>,
    #[structopt(long, value_name = "N", help = text::ROUNDS)]
    rounds: Option<RoundCount>,
    #[structopt(long, value_name = "S", help = text::SECONDS)]
    seconds: Option<Seconds>,
    #[structopt(long, help = text::QUICK)]
    quick: bool,
    #[structopt(long, value_name = "FORMAT", help = text::OUTPUT)]
    output: Option<OutputFormat>,
    #[structopt(long, value_name = "FILE", parse(from_os_str), help = text::REPORT)]
    report: Option<PathBuf>,
    #[structopt(long, value_name = "OLD.json", parse(from_os_str), help = text::OLDER)]
    compare: Option<PathBuf>,
    #[structopt(flatten)]
    programs: Programs,
}

#[derive(Debug, StructOpt)]
struct Opened {
    #[structopt(long, value_name = "ADDR", help = text::TO)]
    to: Option<Host>,
    #[structopt(long, value_name = "NAME", help = text::BACKEND)]
    backend: Option<Choice>,
    #[structopt(flatten)]
    tools: Tools,
    #[structopt(long, help = text::NO_SPLICE)]
    no_splice: bool,
    #[structopt(long, value_name = "TIME", help = text::CONNECT_TIMEOUT)]
    connect_timeout: Option<Time>,
    #[structopt(long, value_name = "TIME", help = text::IDLE_TIMEOUT)]
    idle_timeout: Option<TimeLimit>,
    #[structopt(long, value_name = "TIME", help = text::LINGER)]
    linger: Option<TimeLimit>,
}

#[derive(Debug, StructOpt)]
struct Tools {
    #[structopt(long, value_name = "TEMPLATE", parse(try_from_str = Template::parse), help = text::COMMAND)]
    command: Option<Template>,
    #[structopt(flatten)]
    programs: Programs,
}

#[derive(Debug, StructOpt)]
struct Programs {
    #[structopt(long, value_name = "PATH", parse(from_os_str), help = text::NSENTER)]
    nsenter: Option<PathBuf>,
    #[structopt(long, value_name = "PATH", parse(from_os_str), help = text::SOCAT)]
    socat: Option<PathBuf>,
}

impl Forward {
    fn into_request(self, environment: Environment<'_>) -> Result<ForwardRequest, Answer> {
        for (index, pair) in self.ports.iter().enumerate() {
            let is_twice = |other: &PortPair| pair.local.is_some() && other.local == pair.local;
            if let (Some(local), true) = (pair.local, self.ports[..index].iter().any(is_twice)) {
                let message = format!("error: local port {local} is given twice");
                return Err(Answer::Usage(message));
            }
        }
        let typed = Some(self.address).filter(|lists| !lists.is_empty());
        let addresses = environment
            .twin(typed, "address", |text| Ok::<_, AddressError>(vec![text.parse()?]))?;
        let max_links = environment.twin(self.max_links, "max-links", str::parse)?;
        let log_level = environment.twin(self.log, "log", str::parse)?;
        Ok(ForwardRequest {
            target: self.target,
            ports: self.ports,
            addresses: merge(addresses.unwrap_or_default()),
            opening: self.opening.into_opening(environment)?,
            max_links: max_links.map(|count: LinkCount| count.0),
            loops: environment.twin(self.loops, "loops", str::parse)?.unwrap_or_default(),
            log_format: environment
                .twin(self.log_format, "log-format", str::parse)?
                .unwrap_or_default(),
            log_level: log_level.unwrap_or(LogLevel(Level::Warning)),
        })
    }
}

impl Connect {
    fn into_request(self, environment: Environment<'_>) -> Result<ConnectRequest, Answer> {
        let opening = self.opening.into_opening(environment)?;
        Ok(ConnectRequest { target: self.target, port: self.port, opening })
    }
}

impl Run {
    fn into_request(self, environment: Environment<'_>) -> Result<RunRequest, Answer> {
        let Some(config) = environment.path(self.config, "config") else {
            return Err(Answer::Usage(text::CONFIG_MISSING.to_owned()));
        };
        Ok(RunRequest {
            config,
            loops: environment.twin(self.loops, "loops", str::parse)?,
            no_splice: environment.flag(self.no_splice, "no-splice")?,
            log_format: environment.twin(self.log_format, "log-format", str::parse)?,
            log_level: environment.twin(self.log, "log", str::parse)?,
        })
    }
}

impl Check {
    fn into_request(self, environment: Environment<'_>) -> Result<CheckRequest, Answer> {
        let host = environment.twin(self.to, "to", str::parse)?.unwrap_or_default();
        let reached = self.target.zip(self.port);
        Ok(CheckRequest {
            destination: reached.map(|(target, port)| Destination { target, host, port }),
            options: self.tools.into_options(environment)?,
            format: environment.twin(self.output, "output", str::parse)?.unwrap_or_default(),
        })
    }
}

impl Install {
    fn into_request(self) -> InstallRequest {
        let change = if self.uninstall {
            LinkChange::Remove
        } else {
            let mut applets = vec![Applet::Socat];
            applets.extend(self.nsenter.then_some(Applet::Nsenter));
            let others = if self.force { Others::KeptAside } else { Others::Stay };
            LinkChange::Make { applets, others }
        };
        InstallRequest { directory: self.directory, change }
    }
}

impl Compare {
    fn into_request(self, environment: Environment<'_>) -> Result<CompareRequest, Answer> {
        let Backends(mut subjects) =
            environment.twin(self.backends, "backends", str::parse)?.unwrap_or_default();
        subjects.extend(self.command.into_iter().map(|NamedCommand(subject)| subject));
        subjects.extend(self.peer.into_iter().map(|NamedPeer(subject)| subject));
        let quick = environment.flag(self.quick, "quick")?;
        let workloads =
            environment.twin(self.workloads, "workloads", str::parse)?.unwrap_or_default();
        let mut choices = if quick { Choices::quick() } else { Choices::default() };
        choices.families = workloads.families;
        if let Some(RoundCount(rounds)) = environment.twin(self.rounds, "rounds", str::parse)? {
            choices.rounds = rounds;
        }
        if let Some(Seconds(window)) = environment.twin(self.seconds, "seconds", str::parse)? {
            choices.timing = Timing::Window(window);
        }
        let extent = if quick { Extent::Quick } else { Extent::Full };
        let options = self.programs.into_options(environment)?;
        let program = OWN_PROGRAM.into();
        let scenery = Scenery { target: self.target, port: self.port, program, options };
        let comparison = nsplice_compare::request::Request {
            scenery,
            subjects,
            extent: workloads.conformance.then_some(extent),
            choices: (!choices.families.is_empty()).then_some(choices),
        };
        comparison.check().map_err(|error| Answer::Usage(format!("error: {error}")))?;
        Ok(CompareRequest {
            comparison,
            format: environment.twin(self.output, "output", str::parse)?.unwrap_or_default(),
            page: self.report,
            older: self.compare,
        })
    }
}

/// This program, whatever name it was called by and wherever that name leads by now.
const OWN_PROGRAM: &str = "/proc/self/exe";

impl Opened {
    fn into_opening(self, environment: Environment<'_>) -> Result<Opening, Answer> {
        let mut limits = Limits::default();
        if let Some(Time(time)) =
            environment.twin(self.connect_timeout, "connect-timeout", str::parse)?
        {
            limits.connect_timeout = time;
        }
        if let Some(TimeLimit(limit)) =
            environment.twin(self.idle_timeout, "idle-timeout", str::parse)?
        {
            limits.idle_timeout = limit;
        }
        if let Some(TimeLimit(limit)) = environment.twin(self.linger, "linger", str::parse)? {
            limits.linger = limit;
        }
        Ok(Opening {
            host: environment.twin(self.to, "to", str::parse)?.unwrap_or_default(),
            backend: environment.twin(self.backend, "backend", str::parse)?.unwrap_or_default(),
            options: self.tools.into_options(environment)?,
            limits,
            splice: !environment.flag(self.no_splice, "no-splice")?,
        })
    }
}

impl Tools {
    fn into_options(self, environment: Environment<'_>) -> Result<Options, Answer> {
        let command = environment.twin(self.command, "command", Template::parse)?;
        Ok(Options { command, ..self.programs.into_options(environment)? })
    }
}

impl Programs {
    fn into_options(self, environment: Environment<'_>) -> Result<Options, Answer> {
        Ok(Options {
            nsenter: environment.path(self.nsenter, "nsenter"),
            socat: environment.path(self.socat, "socat"),
            command: None,
            // The backend reads DOCKER_HOST as docker(1) does.
            docker_host: None,
        })
    }
}

#[cfg(test)]
mod tests;
