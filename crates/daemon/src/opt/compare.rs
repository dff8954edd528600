//! The command line of `nsplice compare`.

use std::path::PathBuf;

use nsplice_backend::Target;
use nsplice_compare::{
    Backends, Choices, Extent, NamedCommand, NamedPeer, Scenery, Timing, Workloads,
};
use structopt::StructOpt;

use super::answer::Answer;
use super::lists::{given, one};
use super::opening::Programs;
use super::{operands, text};
use crate::environment::Environment;
use crate::request::{CompareRequest, OutputFormat};
use crate::values::{RoundCount, Seconds};

/// This program, whatever name it was called by and wherever that name leads by now.
const OWN_PROGRAM: &str = "/proc/self/exe";

#[derive(Debug, StructOpt)]
pub(super) struct Compare {
    #[structopt(value_name = "TARGET", parse(try_from_str = operands::target), help = text::COMPARE_TARGET)]
    target: Option<Target>,
    #[structopt(value_name = "PORT", parse(try_from_str = operands::port), help = text::COMPARE_PORT)]
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

impl Compare {
    /// Puts together what was typed and what the environment says.
    pub(super) fn into_request(
        self,
        environment: Environment<'_>,
    ) -> Result<CompareRequest, Answer> {
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
        let comparison = nsplice_compare::Request {
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
