//! The command line of `nsplice install`.

use std::path::PathBuf;

use structopt::StructOpt;

use super::answer::Answer;
use super::text;
use crate::applet::Applet;
use crate::environment::Environment;
use crate::request::{InstallRequest, LinkChange, Others};

#[derive(Debug, StructOpt)]
pub(super) struct Install {
    #[structopt(value_name = "DIR", parse(from_os_str), help = text::LINK_DIRECTORY)]
    directory: PathBuf,
    #[structopt(long, help = text::LINK_NSENTER)]
    nsenter: bool,
    #[structopt(long, help = text::FORCE)]
    force: bool,
    #[structopt(long, conflicts_with_all = &["nsenter", "force"], help = text::UNINSTALL)]
    uninstall: bool,
}

impl Install {
    /// Puts together what was typed and what the environment says.
    pub(super) fn into_request(
        self,
        environment: Environment<'_>,
    ) -> Result<InstallRequest, Answer> {
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
