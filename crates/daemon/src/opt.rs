//! The command line.
//!
//! This and `help.rs` are the only files that know structopt. What was typed is read into the structs below, word by word
//! by the parsers of the values; then it is put together into a [`Request`], which is all that the
//! rest of the program sees. What was not typed is looked for in the [`Environment`].

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use nsplice_backend::{Choice, Destination, Host, Options, Target, Template};
use nsplice_compare::conformance::Extent;
use nsplice_compare::cost::{Choices, Timing};
use nsplice_compare::stage::Scenery;
use nsplice_compare::words::{Backends, NamedCommand, NamedPeer, Workloads};
use nsplice_relay::Limits;
use slog::Level;
use structopt::clap::{AppSettings, Error, ErrorKind};
use structopt::StructOpt;

use crate::address::{merge, AddressList};
use crate::applet::Applet;
use crate::environment::{Environment, EnvironmentError};
use crate::log::{LogFormat, LogLevel};
use crate::ports::PortPair;
use crate::request::{
    CheckRequest, CompareRequest, ConnectRequest, ForwardRequest, InstallRequest, LinkChange,
    Opening, Others, OutputFormat, Request, RunRequest,
};
use crate::values::{LinkCount, LoopCount, RoundCount, Seconds, Time, TimeLimit};

mod bytes;
mod help;
mod text;

/// The answer to a command line that is not a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Help or the version was asked for.
    Help(String),
    /// It makes no sense; the message says why.
    Usage(String),
}

impl Answer {
    /// Returns what `error` about `words` comes to.
    fn of(error: Error, words: &[OsString]) -> Self {
        match error.kind {
            ErrorKind::HelpDisplayed | ErrorKind::VersionDisplayed => Self::Help(error.message),
            _ => Self::Usage(help::explained(&error, words)),
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
    let matches = bytes::matches(Command::clap, help::spelled_out(words))?;
    match Command::from_clap(&matches) {
        Command::Forward(typed) => typed.into_request(environment).map(Request::Forward),
        Command::Connect(typed) => typed.into_request(environment).map(Request::Connect),
        Command::Run(typed) => typed.into_request(environment).map(Request::Run),
        Command::Check(typed) => typed.into_request(environment).map(Request::Check),
        Command::Install(typed) => typed.into_request(environment).map(Request::Install),
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
        AppSettings::AllowNegativeNumbers,
    ],
    setting = AppSettings::SubcommandRequiredElseHelp,
    setting = AppSettings::DisableHelpSubcommand,
)]
enum Command {
    #[structopt(
        visible_alias = "port-forward",
        about = text::FORWARD_ABOUT,
        usage = text::FORWARD_USAGE,
        template = text::FORWARD_TEMPLATE,
        after_help = text::FORWARD_EXAMPLES,
        help_message = text::HELP,
    )]
    Forward(Forward),
    #[structopt(
        about = text::CONNECT_ABOUT,
        usage = text::CONNECT_USAGE,
        template = text::CONNECT_TEMPLATE,
        after_help = text::CONNECT_EXAMPLES,
        help_message = text::HELP,
    )]
    Connect(Connect),
    #[structopt(
        about = text::RUN_ABOUT,
        usage = text::RUN_USAGE,
        template = text::RUN_TEMPLATE,
        after_help = text::RUN_EXAMPLES,
        help_message = text::HELP,
    )]
    Run(Run),
    #[structopt(
        about = text::CHECK_ABOUT,
        usage = text::CHECK_USAGE,
        template = text::CHECK_TEMPLATE,
        after_help = text::CHECK_EXAMPLES,
        help_message = text::HELP,
    )]
    Check(Check),
    #[structopt(
        about = text::INSTALL_ABOUT,
        usage = text::INSTALL_USAGE,
        template = text::INSTALL_TEMPLATE,
        after_help = text::INSTALL_EXAMPLES,
        help_message = text::HELP,
    )]
    Install(Install),
    #[structopt(
        about = text::COMPARE_ABOUT,
        usage = text::COMPARE_USAGE,
        template = text::COMPARE_TEMPLATE,
        after_help = text::COMPARE_EXAMPLES,
        help_message = text::HELP,
    )]
    Compare(Compare),
}

#[derive(Debug, StructOpt)]
struct Forward {
    #[structopt(value_name = "TARGET", parse(try_from_str = help::target), help = text::TARGET)]
    target: Target,
    #[structopt(value_name = "[LOCAL:]REMOTE", required = true, parse(try_from_str = help::pair), help = text::PORTS)]
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
    #[structopt(short, long, conflicts_with = "verbose", help = text::QUIET)]
    quiet: bool,
    #[structopt(short, long, parse(from_occurrences), conflicts_with = "log", help = text::VERBOSE)]
    verbose: u8,
}

#[derive(Debug, StructOpt)]
struct Connect {
    #[structopt(value_name = "TARGET", parse(try_from_str = help::target), help = text::TARGET)]
    target: Target,
    #[structopt(value_name = "PORT", parse(try_from_str = help::port), help = text::PORT)]
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
    #[structopt(value_name = "TARGET", requires = "port", parse(try_from_str = help::target), help = text::TARGET)]
    target: Option<Target>,
    #[structopt(value_name = "PORT", parse(try_from_str = help::port), help = text::PORT)]
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
    #[structopt(value_name = "TARGET", parse(try_from_str = help::target), help = text::COMPARE_TARGET)]
    target: Option<Target>,
    #[structopt(value_name = "PORT", parse(try_from_str = help::port), help = text::COMPARE_PORT)]
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
    #[structopt(long, value_name = "TIME", allow_hyphen_values = true, help = text::CONNECT_TIMEOUT)]
    connect_timeout: Option<Time>,
    #[structopt(long, value_name = "TIME", allow_hyphen_values = true, help = text::IDLE_TIMEOUT)]
    idle_timeout: Option<TimeLimit>,
    #[structopt(long, value_name = "TIME", allow_hyphen_values = true, help = text::LINGER)]
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
        let addresses = environment.twin(given(self.address), "address", one)?;
        let max_links = environment.twin(self.max_links, "max-links", str::parse)?;
        let quiet = environment.flag(self.quiet, "quiet")?;
        let typed = self.log.or_else(|| verbosity(self.verbose, self.quiet));
        let log_level = match environment.twin(typed, "log", str::parse)? {
            None => {
                let verbose = environment.twin(None, "verbose", str::parse)?.unwrap_or(0);
                verbosity(verbose, quiet)
            }
            level => level,
        };
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
            quiet,
        })
    }
}

/// The level that so many `-v`, or else `-q`, stand for.
fn verbosity(verbose: u8, quiet: bool) -> Option<LogLevel> {
    match verbose {
        0 => quiet.then_some(LogLevel(Level::Error)),
        1 => Some(LogLevel(Level::Info)),
        _ => Some(LogLevel(Level::Debug)),
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
    fn into_request(self, environment: Environment<'_>) -> Result<InstallRequest, Answer> {
        let is_made = self.nsenter || self.force;
        let uninstall = environment.flag(self.uninstall, "uninstall")?;
        if uninstall && is_made {
            return Err(Answer::Usage(text::BOTH_WAYS.to_owned()));
        }
        let force = environment.flag(self.force, "force")?;
        // To the other commands this variable says where nsenter is, which is no answer here.
        let twin = environment.path(None, "nsenter");
        let nsenter = self.nsenter
            || twin.is_some_and(|word| word.as_os_str() == "1" || word.as_os_str() == "true");
        let change = if uninstall {
            LinkChange::Remove
        } else {
            let mut applets = vec![Applet::Socat];
            applets.extend(nsenter.then_some(Applet::Nsenter));
            let others = if force { Others::KeptAside } else { Others::Stay };
            LinkChange::Make { applets, others }
        };
        Ok(InstallRequest { directory: self.directory, change })
    }
}

impl Compare {
    fn into_request(self, environment: Environment<'_>) -> Result<CompareRequest, Answer> {
        let Backends(mut subjects) =
            environment.twin(self.backends, "backends", str::parse)?.unwrap_or_default();
        // To the other commands it is a template without a name, which does here as well.
        let commands = environment.twin(given(self.command), "command", |text| {
            one(text).or_else(|error| one(&format!("command={text}")).map_err(|_| error))
        })?;
        let peers = environment.twin(given(self.peer), "peer", one)?;
        subjects.extend(commands.into_iter().flatten().map(|NamedCommand(subject)| subject));
        subjects.extend(peers.into_iter().flatten().map(|NamedPeer(subject)| subject));
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
            page: environment.path(self.report, "report"),
            older: environment.path(self.compare, "compare"),
        })
    }
}

/// Returns what was typed of an option that may be typed several times, if it was at all.
fn given<T>(values: Vec<T>) -> Option<Vec<T>> {
    Some(values).filter(|values| !values.is_empty())
}

/// The one value that the environment has for such an option.
fn one<T: FromStr>(text: &str) -> Result<Vec<T>, T::Err> {
    text.parse().map(|value| vec![value])
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
