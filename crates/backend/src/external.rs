//! The backend `external`: a child program per link.
//!
//! It runs exactly what the kubelet's Docker code ran, `NSENTER -t PID -n SOCAT - TCP4:localhost:PORT`,
//! or a command of the operator's. The upstream is open as soon as the program runs; whether the
//! program could connect is told by its exit status, later.
//!
//! A PID is handed over by its number here, in a path as well; there is no other way. The process is
//! looked at before the program is started and once more when it runs: for another process to be
//! entered, the target would have to end after that and the kernel to go through all other PIDs, in
//! the milliseconds that nsenter takes to open `/proc/PID/ns/net`.

use std::ffi::OsString;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::poll::PollTimeout;
use nsplice_relay::{
    Attempt, Child, OpenClass, OpenError, Opener, Progress, Upstream, Verdict, Wake,
};
use nsplice_sys::{wait_readable, Answer, Offloaded, Pool};

use crate::error::BackendError;
use crate::external::child::{start, Invocation, Started};
use crate::external::template::{Placeholder, Template};
use crate::target::destination::Destination;
use crate::target::host::Host;
use crate::target::located::{entry_failed, Located};
use crate::target::place::{Place, Whereabouts};

pub(crate) mod child;
pub(crate) mod environment;
pub(crate) mod stderr;
pub(crate) mod template;
pub(crate) mod tools;
pub(crate) mod trust;
pub(crate) mod which_program;

/// The part that all openings of one destination share.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) destination: Destination,
    pub(crate) place: Place,
    pub(crate) carrier: Carrier,
    /// The threads that wait for a program that does not die at once.
    pub(crate) pool: Pool,
}

/// The program that carries the bytes.
#[derive(Debug)]
pub(crate) enum Carrier {
    /// nsenter, unless there is no namespace to enter, and socat.
    Tools {
        /// Absolute path; `None` for a target without a namespace.
        nsenter: Option<PathBuf>,
        /// Absolute path.
        socat: PathBuf,
    },
    /// A command of the operator's.
    Command {
        /// Absolute path.
        program: PathBuf,
        template: Template,
    },
}

impl Recipe {
    /// What is run for one link.
    fn invocation(&self, located: &Located) -> Invocation {
        match &self.carrier {
            Carrier::Tools { nsenter, socat } => {
                let link = ["-".to_owned(), self.socat_address(located)].map(OsString::from);
                self.with_tools(nsenter.as_deref(), socat, located, &link)
            }
            Carrier::Command { program, template } => {
                let fill = |placeholder| self.fill(placeholder, located);
                let arguments = template.arguments(fill).map(OsString::from).collect();
                self.invocation_of(program, arguments, located, false)
            }
        }
    }

    /// `NSENTER -t PID -n SOCAT ARGUMENTS`, or `NSENTER --net=PATH SOCAT ARGUMENTS`.
    fn with_tools(
        &self,
        nsenter: Option<&Path>,
        socat: &Path,
        located: &Located,
        arguments: &[OsString],
    ) -> Invocation {
        let entry: Vec<OsString> = match located {
            Located::Home | Located::Behind(_) => Vec::new(),
            Located::Process(process) => {
                vec!["-t".into(), process.pid().to_string().into(), "-n".into()]
            }
            Located::Path(trail) => {
                let mut option = OsString::from("--net=");
                option.push(trail.path().as_os_str());
                vec![option]
            }
        };
        match nsenter {
            Some(nsenter) if !entry.is_empty() => {
                let whole =
                    entry.into_iter().chain([socat.into()]).chain(arguments.iter().cloned());
                self.invocation_of(nsenter, whole.collect(), located, true)
            }
            _ => self.invocation_of(socat, arguments.to_vec(), located, true),
        }
    }

    fn invocation_of(
        &self,
        program: &Path,
        arguments: Vec<OsString>,
        located: &Located,
        plain_messages: bool,
    ) -> Invocation {
        let name = program.file_name().unwrap_or(program.as_os_str()).display();
        Invocation {
            program: program.into(),
            arguments,
            plain_messages,
            purpose: format!("{name} for {}", self.destination),
            namespace: namespace_path(located),
        }
    }

    /// What socat is to connect to, in its own words.
    fn socat_address(&self, located: &Located) -> String {
        let port = self.destination.port;
        let host = self.host(located);
        match &host {
            Host::Localhost => format!("TCP4:localhost:{port}"),
            Host::Address(address) if address.is_ipv4() => format!("TCP4:{address}:{port}"),
            Host::Address(address) => format!("TCP6:[{address}]:{port}"),
            Host::Name(name) if host.is_scoped() => format!("TCP6:[{name}]:{port}"),
            Host::Name(name) => format!("TCP:{name}:{port}"),
        }
    }

    /// The host that is connected to from where the program runs.
    fn host(&self, located: &Located) -> Host {
        match (self.destination.reached(), located) {
            (Host::Localhost, Located::Behind(addresses)) => {
                addresses.first().copied().map_or(Host::Localhost, Host::Address)
            }
            (host, _) => host,
        }
    }

    fn fill(&self, placeholder: Placeholder, located: &Located) -> String {
        match placeholder {
            Placeholder::Pid => match located {
                Located::Process(process) => process.pid().to_string(),
                // A plan refuses {pid} for targets that have none.
                Located::Path(_) | Located::Home | Located::Behind(_) => String::new(),
            },
            Placeholder::Netns => namespace_path(located).unwrap_or_default(),
            Placeholder::Address => self.host(located).to_string(),
            Placeholder::Port => self.destination.port.to_string(),
        }
    }

    /// Starts `invocation`, which is meant for the target as it was `located`.
    fn run(&self, invocation: Invocation, located: &Located) -> Result<Started, OpenError> {
        let check = || match located {
            Located::Process(process) if !process.is_alive() => {
                Err(entry_failed(&self.destination.target, located, Errno::ESRCH))
            }
            Located::Path(trail) => trail
                .check()
                .map_err(|errno| entry_failed(&self.destination.target, located, errno)),
            _ => Ok(()),
        };
        // The program is told a number, which may be another process's as soon as this one is gone.
        // Dropping what was started for it kills it before anything was written to it.
        check()?;
        let started = start(invocation, &self.pool)?;
        check()?;
        Ok(started)
    }

    /// Tries with `socat -V` whether nsenter gets into the namespace and finds socat there. Blocks
    /// for as long as that takes.
    ///
    /// Mostly nsenter may no more than we may; but it can be setuid, have file capabilities, or be a
    /// wrapper. Only running it tells.
    pub(crate) fn try_tools(&self, located: &Located) -> Result<(), OpenError> {
        let Carrier::Tools { nsenter, socat } = &self.carrier else { return Ok(()) };
        let invocation = self.with_tools(nsenter.as_deref(), socat, located, &["-V".into()]);
        let mut started = self.run(invocation, located)?;
        wait_readable(started.program.exit_source(), PollTimeout::from(TRIAL_MILLIS));
        match started.program.verdict() {
            Some(Verdict::Success) => Ok(()),
            Some(Verdict::Failure(error)) => Err(error),
            None => Err(OpenError::new(
                OpenClass::ChildFailed,
                format!("timed out running socat -V in {}", self.destination.target),
            )),
        }
    }
}

fn namespace_path(located: &Located) -> Option<String> {
    match located {
        Located::Home | Located::Behind(_) => None,
        Located::Process(process) => Some(format!("/proc/{}/ns/net", process.pid())),
        Located::Path(trail) => Some(trail.path().display().to_string()),
    }
}

/// Opens upstreams by starting programs.
#[derive(Debug)]
pub(crate) struct External {
    recipe: Arc<Recipe>,
}

impl External {
    pub(crate) fn new(recipe: Arc<Recipe>) -> Self {
        Self { recipe }
    }
}

impl Opener for External {
    fn backend(&self) -> &'static str {
        "external"
    }

    fn open(&mut self, _downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        Box::new(Starting { recipe: Arc::clone(&self.recipe), state: State::Fresh })
    }
}

#[derive(Debug)]
struct Starting {
    recipe: Arc<Recipe>,
    state: State,
}

#[derive(Debug)]
enum State {
    Fresh,
    Locating(Offloaded<Result<Located, BackendError>>),
    Over,
}

impl Starting {
    fn start(&self, located: &Located) -> Progress {
        match self.recipe.run(self.recipe.invocation(located), located) {
            Ok(Started { input, output, program }) => {
                Progress::Open(Upstream::Piped { input, output, child: Box::new(program) })
            }
            Err(error) => Progress::Failed(error),
        }
    }
}

impl Attempt for Starting {
    fn advance(&mut self, _: Wake) -> Progress {
        let target = &self.recipe.destination.target;
        match std::mem::replace(&mut self.state, State::Over) {
            State::Fresh => match self.recipe.place.locate() {
                Whereabouts::Known(located) => self.start(&located),
                Whereabouts::Lost(error) => Progress::Failed(error),
                Whereabouts::Asked(asked) => {
                    self.state = State::Locating(asked);
                    Progress::Waiting
                }
            },
            State::Locating(asked) => match asked.take() {
                Answer::Here(Ok(located)) => self.start(&located),
                Answer::Here(Err(error)) => Progress::Failed(error.into()),
                Answer::Lost => Progress::Failed(OpenError::new(
                    OpenClass::Other,
                    format!("internal error: the lookup of {target} panicked"),
                )),
                Answer::NotYet => {
                    self.state = State::Locating(asked);
                    Progress::Pending
                }
            },
            State::Over => Progress::Pending,
        }
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Locating(asked) => Some(asked.source()),
            State::Fresh | State::Over => None,
        }
    }
}

/// `socat -V` prints a page and ends.
const TRIAL_MILLIS: u16 = 5000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::trail::Trail;
    use nsplice_runtime::Process;

    fn words(target: &str, host: &str, carrier: Carrier, located: &Located) -> Vec<String> {
        let destination =
            Destination { target: target.parse().unwrap(), host: host.parse().unwrap(), port: 80 };
        let invocation = Recipe {
            destination,
            place: Place::Fixed(Located::Home),
            carrier,
            pool: Pool::on_demand(),
        }
        .invocation(located);
        let whole = std::iter::once(&invocation.program).chain(&invocation.arguments);
        whole.map(|word| word.to_str().unwrap().to_owned()).collect()
    }

    fn tools() -> Carrier {
        Carrier::Tools { nsenter: Some("/bin/nsenter".into()), socat: "/bin/socat".into() }
    }

    #[test]
    fn the_words_of_the_kubelet() {
        let pid = std::process::id();
        let process = Located::Process(Arc::new(Process::find(pid).unwrap()));
        let pid = pid.to_string();
        let table = [
            ("localhost", "TCP4:localhost:80"),
            ("127.0.0.2", "TCP4:127.0.0.2:80"),
            ("::1", "TCP6:[::1]:80"),
            ("db.example", "TCP:db.example:80"),
        ];
        for (host, address) in table {
            assert_eq!(
                words("pid/1", host, tools(), &process),
                ["/bin/nsenter", "-t", &pid, "-n", "/bin/socat", "-", address]
            );
        }
        let path = Located::Path(Arc::new(Trail::find(Path::new("/run/netns/blue"))));
        assert_eq!(
            words("netns/blue", "localhost", tools(), &path),
            ["/bin/nsenter", "--net=/run/netns/blue", "/bin/socat", "-", "TCP4:localhost:80"]
        );
        let plain = Carrier::Tools { nsenter: None, socat: "/bin/socat".into() };
        assert_eq!(
            words("tcp/fe80::1%eth0", "localhost", plain, &Located::Home),
            ["/bin/socat", "-", "TCP6:[fe80::1%eth0]:80"]
        );
    }

    #[test]
    fn the_words_of_a_command() {
        let template = Template::parse("carry {netns} '[{address}]:{port}' x").unwrap();
        let carrier = Carrier::Command { program: "/bin/carry".into(), template };
        let path = Located::Path(Arc::new(Trail::find(Path::new("/run/netns/blue"))));
        assert_eq!(
            words("netns/blue", "::1", carrier, &path),
            ["/bin/carry", "/run/netns/blue", "[::1]:80", "x"]
        );
    }
}
