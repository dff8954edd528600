//! The command line of `nsplice connect`.

use nsplice_backend::Target;
use structopt::StructOpt;

use super::answer::Answer;
use super::opening::Opened;
use super::{operands, text};
use crate::environment::Environment;
use crate::request::ConnectRequest;

#[derive(Debug, StructOpt)]
pub(super) struct Connect {
    #[structopt(value_name = "TARGET", parse(try_from_str = operands::target), help = text::TARGET)]
    target: Target,
    #[structopt(value_name = "PORT", parse(try_from_str = operands::port), help = text::PORT)]
    port: u16,
    #[structopt(flatten)]
    opening: Opened,
}

impl Connect {
    /// Puts together what was typed and what the environment says.
    pub(super) fn into_request(
        self,
        environment: Environment<'_>,
    ) -> Result<ConnectRequest, Answer> {
        let opening = self.opening.into_opening(environment)?;
        Ok(ConnectRequest { target: self.target, port: self.port, opening })
    }
}
