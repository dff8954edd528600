//! The command line of `nsplice forward`.

use nsplice_backend::Target;
use slog::Level;
use structopt::StructOpt;

use super::answer::Answer;
use super::lists::{given, one};
use super::opening::Opened;
use super::{operands, text};
use crate::address::{merge, AddressList};
use crate::environment::Environment;
use crate::log::{LogFormat, LogLevel};
use crate::ports::PortPair;
use crate::request::ForwardRequest;
use crate::values::{LinkCount, LoopCount};

#[derive(Debug, StructOpt)]
pub(super) struct Forward {
    #[structopt(value_name = "TARGET", parse(try_from_str = operands::target), help = text::TARGET)]
    target: Target,
    #[structopt(value_name = "[LOCAL:]REMOTE", required = true, parse(try_from_str = operands::pair), help = text::PORTS)]
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
    #[structopt(long, help = text::WAIT_FOR_TARGET)]
    wait_for_target: bool,
    #[structopt(short, long, conflicts_with = "verbose", help = text::QUIET)]
    quiet: bool,
    #[structopt(short, long, parse(from_occurrences), conflicts_with = "log", help = text::VERBOSE)]
    verbose: u8,
}

impl Forward {
    /// Puts together what was typed and what the environment says.
    pub(super) fn into_request(
        self,
        environment: Environment<'_>,
    ) -> Result<ForwardRequest, Answer> {
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
            wait_for_target: environment.flag(self.wait_for_target, "wait-for-target")?,
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
