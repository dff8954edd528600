//! The command line of `nsplice run`.

use std::path::PathBuf;

use structopt::StructOpt;

use super::answer::Answer;
use super::text;
use crate::environment::Environment;
use crate::log::{LogFormat, LogLevel};
use crate::request::RunRequest;
use crate::values::LoopCount;

#[derive(Debug, StructOpt)]
pub(super) struct Run {
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

impl Run {
    /// Puts together what was typed and what the environment says.
    pub(super) fn into_request(self, environment: Environment<'_>) -> Result<RunRequest, Answer> {
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
