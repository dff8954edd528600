//! Options that say how upstreams are opened, which several commands have.

use std::path::PathBuf;

use nsplice_backend::{Choice, Host, Options, Template};
use nsplice_relay::Limits;
use structopt::StructOpt;

use super::answer::Answer;
use super::text;
use crate::environment::Environment;
use crate::request::Opening;
use crate::values::{Time, TimeLimit};

#[derive(Debug, StructOpt)]
pub(super) struct Opened {
    #[structopt(long, value_name = "HOST", help = text::TO)]
    to: Option<Host>,
    #[structopt(long, help = text::POD_IP)]
    pod_ip: bool,
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
pub(super) struct Tools {
    #[structopt(long, value_name = "TEMPLATE", parse(try_from_str = Template::parse), help = text::COMMAND)]
    command: Option<Template>,
    #[structopt(long, value_name = "DIR", parse(from_os_str), help = text::ROOT)]
    root: Option<PathBuf>,
    #[structopt(flatten)]
    programs: Programs,
}

#[derive(Debug, StructOpt)]
pub(super) struct Programs {
    #[structopt(long, value_name = "PATH", parse(from_os_str), help = text::NSENTER)]
    nsenter: Option<PathBuf>,
    #[structopt(long, value_name = "PATH", parse(from_os_str), help = text::SOCAT)]
    socat: Option<PathBuf>,
}

impl Opened {
    pub(super) fn into_opening(self, environment: Environment<'_>) -> Result<Opening, Answer> {
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
            options: Options {
                pod_ip: environment.flag(self.pod_ip, "pod-ip")?,
                ..self.tools.into_options(environment)?
            },
            limits,
            splice: !environment.flag(self.no_splice, "no-splice")?,
        })
    }
}

impl Tools {
    pub(super) fn into_options(self, environment: Environment<'_>) -> Result<Options, Answer> {
        let command = environment.twin(self.command, "command", Template::parse)?;
        let root = environment.path(self.root, "root");
        Ok(Options { command, root, ..self.programs.into_options(environment)? })
    }
}

impl Programs {
    pub(super) fn into_options(self, environment: Environment<'_>) -> Result<Options, Answer> {
        Ok(Options {
            nsenter: environment.path(self.nsenter, "nsenter"),
            socat: environment.path(self.socat, "socat"),
            command: None,
            // The backend reads DOCKER_HOST as docker(1) does.
            docker_host: None,
            root: None,
            pod_ip: false,
        })
    }
}
