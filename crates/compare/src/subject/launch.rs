//! The command line that a subject is started by.

use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nsplice_backend::{Choice, Options, Target};

use super::{Means, Running, Subject, SubjectError};
use crate::stage::Stage;

/// The start of relays. The comparison starts them as an operator would ([`Launcher`]); a test may
/// have its own way.
pub trait Launch: fmt::Debug + Sync {
    /// Makes `subject` run on `stage`, or takes hold of it if it does already.
    ///
    /// # Errors
    /// When it cannot be started.
    fn start(
        &self,
        subject: &Subject,
        stage: &Stage,
        route: &Route,
    ) -> Result<Running, SubjectError>;
}

impl Launch for Launcher {
    fn start(
        &self,
        subject: &Subject,
        stage: &Stage,
        route: &Route,
    ) -> Result<Running, SubjectError> {
        subject.start(stage, self, route)
    }
}

/// A launcher of subjects.
#[derive(Debug, Clone)]
pub struct Launcher {
    /// The nsplice program.
    pub program: PathBuf,
    /// The tools that it is to use.
    pub options: Options,
    /// Directories of control groups that a subject is put into, as soon as it is started.
    pub groups: Vec<PathBuf>,
}

/// The route that a subject is to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// The host inside the target; `None` for what it says by itself, localhost.
    pub host: Option<String>,
    /// The port; `None` for the stage's.
    pub port: Option<u16>,
}

impl Launcher {
    /// The command, which listens on a free port of 127.0.0.1 and says so.
    pub(super) fn command(&self, subject: &Subject, stage: &Stage, route: &Route) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            // What the environment says to us, we have passed on as options.
            if name.to_string_lossy().starts_with("NSPLICE_") {
                command.env_remove(name);
            }
        }
        command.args(self.words(subject, stage, route));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The command as a person would type it.
    pub(super) fn line(&self, subject: &Subject, stage: &Stage) -> String {
        let words = self.words(subject, stage, &Route::default());
        let quoted =
            words.iter().map(
                |word| {
                    if word.contains(' ') {
                        format!("'{word}'")
                    } else {
                        word.clone()
                    }
                },
            );
        std::iter::once("nsplice".to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
    }

    fn words(&self, subject: &Subject, stage: &Stage, route: &Route) -> Vec<String> {
        let (backend, splice, template) = match &subject.means {
            Means::Backend { backend, splice } => (*backend, *splice, None),
            Means::Command(template) => (Choice::External, true, Some(template)),
            Means::Peer(_) => return Vec::new(),
        };
        let host = route.host.clone();
        let target = match backend {
            Choice::Dial => Target::Tcp(host.clone().unwrap_or_else(|| "localhost".to_owned())),
            _ => stage.target().clone(),
        };
        let port = route.port.unwrap_or_else(|| stage.port());
        let mut words = vec!["forward".to_owned(), target.to_string(), format!(":{port}")];
        let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
        option("--backend", backend.to_string());
        option("--address", "127.0.0.1".to_owned());
        if let Some(host) = host.filter(|_| backend != Choice::Dial) {
            option("--to", host);
        }
        if let Some(template) = template {
            option("--command", template.to_string());
        }
        if backend == Choice::External {
            for (name, tool) in
                [("--nsenter", &self.options.nsenter), ("--socat", &self.options.socat)]
            {
                if let Some(tool) = tool.as_ref().filter(|_| template.is_none()) {
                    option(name, tool.display().to_string());
                }
            }
        }
        if !splice {
            words.push("--no-splice".to_owned());
        }
        words
    }
}
