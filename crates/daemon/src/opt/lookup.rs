//! The command line of `nsplice lookup`.

use std::path::PathBuf;
use std::time::Duration;

use nsplice_backend::{Options, Target};
use structopt::StructOpt;

use super::answer::Answer;
use super::{operands, text};
use crate::environment::Environment;
use crate::request::{LookupRequest, OutputFormat};
use crate::values::Time;

/// As long as a C library waits for a server that is silent, twice (resolv.conf(5)).
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, StructOpt)]
pub(super) struct Lookup {
    #[structopt(value_name = "TARGET", parse(try_from_str = operands::target), help = text::TARGET)]
    target: Target,
    #[structopt(value_name = "NAME", help = text::LOOKUP_NAME)]
    name: String,
    #[structopt(long, value_name = "TIME", allow_hyphen_values = true, help = text::LOOKUP_TIMEOUT)]
    timeout: Option<Time>,
    #[structopt(long, value_name = "DIR", parse(from_os_str), help = text::ROOT)]
    root: Option<PathBuf>,
    #[structopt(long, value_name = "FORMAT", help = text::OUTPUT)]
    output: Option<OutputFormat>,
}

impl Lookup {
    /// Puts together what was typed and what the environment says.
    pub(super) fn into_request(
        self,
        environment: Environment<'_>,
    ) -> Result<LookupRequest, Answer> {
        let timeout = environment.twin(self.timeout, "timeout", str::parse)?;
        Ok(LookupRequest {
            target: self.target,
            name: self.name,
            timeout: timeout.map_or(PATIENCE, |Time(time)| time),
            options: Options { root: environment.path(self.root, "root"), ..Options::default() },
            format: environment.twin(self.output, "output", str::parse)?.unwrap_or_default(),
        })
    }
}
