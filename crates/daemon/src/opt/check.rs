//! The command line of `nsplice check`.

use nsplice_backend::{Destination, Host, Target};
use structopt::StructOpt;

use super::answer::Answer;
use super::opening::Tools;
use super::{operands, text};
use crate::environment::Environment;
use crate::request::{CheckRequest, OutputFormat};

#[derive(Debug, StructOpt)]
pub(super) struct Check {
    #[structopt(value_name = "TARGET", requires = "port", parse(try_from_str = operands::target), help = text::TARGET)]
    target: Option<Target>,
    #[structopt(value_name = "PORT", parse(try_from_str = operands::port), help = text::PORT)]
    port: Option<u16>,
    #[structopt(long, value_name = "HOST", help = text::TO)]
    to: Option<Host>,
    #[structopt(flatten)]
    tools: Tools,
    #[structopt(long, value_name = "FORMAT", help = text::OUTPUT)]
    output: Option<OutputFormat>,
}

impl Check {
    /// Puts together what was typed and what the environment says.
    pub(super) fn into_request(self, environment: Environment<'_>) -> Result<CheckRequest, Answer> {
        let host = environment.twin(self.to, "to", str::parse)?.unwrap_or_default();
        let reached = self.target.zip(self.port);
        Ok(CheckRequest {
            destination: reached.map(|(target, port)| Destination { target, host, port }),
            options: self.tools.into_options(environment)?,
            format: environment.twin(self.output, "output", str::parse)?.unwrap_or_default(),
        })
    }
}
