//! The command line of `nsplice serve`.

use std::net::SocketAddr;

use slog::Level;
use structopt::StructOpt;

use super::answer::Answer;
use super::opening::Opened;
use super::text;
use crate::environment::Environment;
use crate::log::{LogFormat, LogLevel};
use crate::request::ServeRequest;
use crate::values::{LinkCount, LoopCount};

#[derive(Debug, StructOpt)]
pub(super) struct Serve {
    #[structopt(long, value_name = "ADDR", parse(try_from_str = listen), help = text::LISTEN)]
    listen: Option<SocketAddr>,
    #[structopt(long, help = text::EXPOSE)]
    expose: bool,
    #[structopt(long, help = text::API)]
    api: bool,
    #[structopt(flatten)]
    opening: Opened,
    #[structopt(long, value_name = "N", help = text::SERVE_MAX_LINKS)]
    max_links: Option<LinkCount>,
    #[structopt(long, value_name = "N", help = text::LOOPS)]
    loops: Option<LoopCount>,
    #[structopt(long, value_name = "FORMAT", help = text::LOG_FORMAT)]
    log_format: Option<LogFormat>,
    #[structopt(long, value_name = "LEVEL", help = text::RUN_LOG)]
    log: Option<LogLevel>,
}

impl Serve {
    /// Puts together what was typed and what the environment says.
    pub(super) fn into_request(self, environment: Environment<'_>) -> Result<ServeRequest, Answer> {
        let listen = environment.twin(self.listen, "listen", listen)?;
        let listen = listen.unwrap_or_else(|| SocketAddr::from(DEFAULT));
        if !listen.ip().is_loopback() && !environment.flag(self.expose, "expose")? {
            return Err(Answer::Usage(format!(
                "error: whoever reaches {listen} would reach every pod of this node; \
                 if that is meant, add --expose"
            )));
        }
        let max_links = environment.twin(self.max_links, "max-links", str::parse)?;
        let log_level = environment.twin(self.log, "log", str::parse)?;
        Ok(ServeRequest {
            listen,
            api: environment.flag(self.api, "api")?,
            opening: self.opening.into_opening(environment)?,
            max_links: max_links.map(|count: LinkCount| count.0),
            loops: environment.twin(self.loops, "loops", str::parse)?.unwrap_or_default(),
            log_format: environment
                .twin(self.log_format, "log-format", str::parse)?
                .unwrap_or_default(),
            log_level: log_level.unwrap_or(LogLevel(Level::Info)),
        })
    }
}

/// Where `kubectl proxy` listens.
const DEFAULT: ([u8; 4], u16) = ([127, 0, 0, 1], 8001);

fn listen(text: &str) -> Result<SocketAddr, String> {
    let help = "write IP:PORT, for example 127.0.0.1:8001 or [::1]:0";
    text.parse().map_err(|_| format!("`{text}` is not an address to listen on: {help}"))
}
