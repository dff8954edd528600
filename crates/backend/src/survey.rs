//! The facts behind `nsplice check`: what works here, what does not, and why.
//!
//! A survey only gathers; it fails at nothing, for whatever fails is what it has to tell.

use std::fs;
use std::path::PathBuf;

use nix::sys::utsname::uname;
use serde::Serialize;

use nsplice_relay::OpenError;
use nsplice_runtime::{Answer, Directory, Identity, SourceError};
use nsplice_sys::{describe, Pool};

use crate::choice::Choice;
use crate::error::BackendError;
use crate::external::tools;
use crate::external::which_program::{self, Persona};
use crate::netns::excursion::try_leaving;
use crate::netns::home::Home;
use crate::options::Options;
use crate::plan::Plan;
use crate::settled::try_external;
use crate::survey::limits::SystemLimits;
use crate::survey::probe::Connected;
use crate::target::destination::Destination;
use crate::target::host::Host;
use crate::target::located::Located;
use crate::target::place::Place;
use crate::target::Target;

pub(crate) mod limits;
pub(crate) mod probe;
pub(crate) mod sight;

/// Everything that was found out.
#[derive(Debug, Clone, Serialize)]
pub struct Survey {
    /// The running kernel's release, e.g. `6.12.48`.
    pub kernel: String,
    /// The capabilities that matter; none if we cannot know.
    pub capabilities: Vec<Capability>,
    /// The programs of the external backend.
    pub tools: Vec<ToolReport>,
    /// The programs that the names nsplice can be called by, and `socat1`, lead to in PATH.
    pub names: Vec<NameReport>,
    /// Limits of pipes, sockets and descriptors.
    pub limits: SystemLimits,
    /// The container runtimes of this node, in the order in which they are asked for pods and containers.
    pub runtimes: Vec<RuntimeReport>,
    /// The target, if there is one.
    pub target: Option<TargetReport>,
    /// The backends: setns, external, dial.
    pub backends: Vec<BackendReport>,
}

/// One capability of the calling thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Capability {
    /// Its name, e.g. `CAP_SYS_ADMIN`.
    pub name: &'static str,
    /// True if it is in the effective set.
    pub effective: bool,
    /// Its use here.
    pub purpose: &'static str,
}

/// One program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToolReport {
    /// Its name.
    pub name: String,
    /// Its path; `None` if it cannot be used.
    pub path: Option<PathBuf>,
    /// The reason why it cannot be used.
    pub problem: Option<String>,
}

/// One name of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NameReport {
    /// The name.
    pub name: &'static str,
    /// Its path in PATH; `None` if it is not there.
    pub path: Option<PathBuf>,
    /// The program: `nsplice`, `socat`, `util-linux`, or `None` for what is not known.
    pub program: Option<&'static str>,
    /// The version of it.
    pub version: Option<String>,
}

/// The target.
#[derive(Debug, Clone, Serialize)]
pub struct TargetReport {
    /// As it was written.
    pub target: String,
    /// Its network namespace, e.g. `net:[4026532000]`; `None` if it has none or we may not know.
    pub namespace: Option<Identity>,
    /// True if that is the namespace we run in; `None` if it is not known.
    pub own: Option<bool>,
    /// The reason why it cannot be found.
    pub problem: Option<String>,
}

/// Somebody who knows pods and containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuntimeReport {
    /// Its name, e.g. `Docker`, `containerd's state`.
    pub source: &'static str,
    /// Its socket or directory.
    pub path: PathBuf,
    /// True if it is there.
    pub present: bool,
    /// How many containers and sandboxes it knows; `None` if it does not tell.
    pub containers: Option<usize>,
    /// The reason why it does not.
    pub problem: Option<String>,
}

/// One backend.
#[derive(Debug, Clone, Serialize)]
pub struct BackendReport {
    /// `setns`, `external` or `dial`.
    pub backend: &'static str,
    /// True if it can be used here, and for the target if there is one.
    pub usable: bool,
    /// The reason, if it cannot.
    pub reason: Option<String>,
    /// The result of a real connect to the destination.
    pub connect: Option<ConnectReport>,
}

/// A real connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectReport {
    /// True if the upstream was opened, as far as can be told.
    pub connected: bool,
    /// Until the connection stood, in microseconds, for each backend alike; `None` if it did not,
    /// or where that is not seen (a program that leaves connecting to another one).
    pub microseconds: Option<u64>,
    /// The class of the failure, e.g. `refused`.
    pub class: Option<&'static str>,
    /// The failure as a sentence, or what the success means.
    pub detail: Option<String>,
}

/// Finds out what works here and, with a `destination`, what works for it. Blocks: with a
/// destination it connects once through each usable backend, without one it runs nsenter once.
pub fn survey(options: &Options, destination: Option<&Destination>) -> Survey {
    Survey {
        kernel: uname()
            .map(|system| system.release().to_string_lossy().into_owned())
            .unwrap_or_default(),
        capabilities: capabilities(&effective()),
        tools: tool_reports(options),
        names: NAMES.map(name_report).into(),
        limits: SystemLimits::read(),
        runtimes: runtime_reports(options),
        target: destination.map(|destination| target_report(&destination.target, options)),
        backends: [Choice::Setns, Choice::External, Choice::Dial]
            .map(|choice| match destination {
                Some(destination) => tried(choice, destination, options),
                None => general(choice, options),
            })
            .into(),
    }
}

/// The line `CapEff` of our status.
fn effective() -> String {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.unwrap_or_default().trim().to_owned()
}

fn capabilities(effective: &str) -> Vec<Capability> {
    // Without /proc nothing is known of them.
    let Ok(set) = u64::from_str_radix(effective, 16) else { return Vec::new() };
    CAPABILITIES
        .iter()
        .map(|&(name, bit, purpose)| Capability { name, effective: set >> bit & 1 == 1, purpose })
        .collect()
}

fn tool_reports(options: &Options) -> Vec<ToolReport> {
    let report = |name: &str, found: Result<PathBuf, BackendError>| {
        let problem = found.as_ref().err().map(ToString::to_string);
        ToolReport { name: name.to_owned(), path: found.ok(), problem }
    };
    match &options.command {
        Some(template) => vec![report(template.program(), tools::program(template.program()))],
        None => {
            vec![report("socat", tools::socat(options)), report("nsenter", tools::nsenter(options))]
        }
    }
}

fn name_report(name: &'static str) -> NameReport {
    let path = tools::in_path(name);
    let (program, version) = match path.as_deref().and_then(which_program::of) {
        Some(Persona::Nsplice) => (Some("nsplice"), None),
        Some(Persona::Socat(version)) => (Some("socat"), Some(version)),
        Some(Persona::UtilLinux(version)) => (Some("util-linux"), Some(version)),
        None => (None, None),
    };
    NameReport { name, path, program, version }
}

fn runtime_reports(options: &Options) -> Vec<RuntimeReport> {
    let listing = Directory::open(&options.settings()).map(|directory| directory.list());
    let report = |Answer { source, path, said }: Answer| RuntimeReport {
        source,
        path,
        present: said != Err(SourceError::Absent),
        containers: said.as_ref().ok().copied(),
        problem: said.err().map(|error| error.to_string()),
    };
    listing.map(|listing| listing.answers.into_iter().map(report).collect()).unwrap_or_default()
}

fn target_report(target: &Target, options: &Options) -> TargetReport {
    let place = Place::find(target, options, &Pool::on_demand().asker());
    let home = Home::here().ok();
    let namespace = match (&place, &home) {
        (Ok(Place::Fixed(Located::Home)), _) | (Err(_), _) | (_, None) => None,
        (Ok(place), Some(home)) => place.identity(home),
    };
    let own = namespace.zip(home).map(|(namespace, home)| namespace == home.identity());
    let problem = place.err().map(|error| error.to_string());
    TargetReport { target: target.to_string(), namespace, own, problem }
}

/// What can be said of a backend without a target.
fn general(choice: Choice, options: &Options) -> BackendReport {
    let reason = match (choice, Home::here()) {
        (_, Err(error)) => Some(describe(&error)),
        (Choice::Setns, Ok(home)) => try_leaving(&home).err().map(|errno| {
            let words = describe(&errno.into());
            format!(
                "setns(2) into our own network namespace: {words}; CAP_SYS_ADMIN is needed, but for \
                 this user's own rootless containers"
            )
        }),
        (Choice::External, Ok(_)) => {
            let target = Target::Pid(std::process::id());
            let ourselves = Destination { target, host: Host::Localhost, port: SOME_PORT };
            try_external(&ourselves, options).err().map(|error| error.to_string())
        }
        (Choice::Dial | Choice::Auto, Ok(_)) => None,
    };
    BackendReport { backend: choice.as_str(), usable: reason.is_none(), reason, connect: None }
}

/// What a backend does for `destination`.
fn tried(choice: Choice, destination: &Destination, options: &Options) -> BackendReport {
    // A command is the external backend's; the others are surveyed as if it were not there.
    let command = options.command.clone().filter(|_| choice == Choice::External);
    let options = Options { command, ..options.clone() };
    let opener = Plan::prepare(destination, choice, &options, &Pool::on_demand())
        .and_then(|plan| plan.opener());
    let (reason, connect) = match opener {
        Err(error) => (Some(error.to_string()), None),
        Ok(mut opener) => {
            let mut report = connect_report(probe::connect(opener.as_mut(), destination.port));
            if let (Choice::External, Host::Name(_)) = (choice, &destination.host) {
                let detail = report.detail.get_or_insert_default();
                detail.push_str(if detail.is_empty() { "" } else { "; " });
                detail.push_str(NAMES_OF_NODE);
            }
            (None, Some(report))
        }
    };
    BackendReport { backend: choice.as_str(), usable: reason.is_none(), reason, connect }
}

fn connect_report(connected: Result<Connected, OpenError>) -> ConnectReport {
    match connected {
        Ok(connected) => {
            let (time, detail) = match connected {
                Connected::Here(time) => (Some(time), None),
                Connected::ByChild(time) => (Some(time), Some(CHILD_CONNECTS)),
                Connected::Unseen => (None, Some(CHILD_UNSEEN)),
            };
            ConnectReport {
                connected: true,
                microseconds: time.map(|time| time.as_micros().try_into().unwrap_or(u64::MAX)),
                class: None,
                detail: detail.map(str::to_owned),
            }
        }
        Err(error) => ConnectReport {
            connected: false,
            microseconds: None,
            class: Some(error.class.as_str()),
            detail: Some(error.detail),
        },
    }
}

/// Name, bit (capability.h) and purpose.
const CAPABILITIES: [(&str, u32, &str); 4] = [
    ("CAP_SYS_ADMIN", 21, "entering network namespaces"),
    ("CAP_SYS_PTRACE", 19, "entering the namespaces of other users' processes"),
    ("CAP_NET_ADMIN", 12, "queues beyond net.core.rmem_max and net.core.wmem_max"),
    ("CAP_SYS_RESOURCE", 24, "pipes beyond fs.pipe-max-size, and more open files"),
];

/// What nsplice can be called by, and where it looks for another socat.
const NAMES: [&str; 3] = ["socat", "nsenter", "socat1"];

/// For what is started in our own namespace and connects to nothing.
const SOME_PORT: u16 = 1;

const CHILD_CONNECTS: &str = "the time to start a child and to connect";

/// Nothing of ours is asked for the name.
const NAMES_OF_NODE: &str = "the program looks the name up by itself, by the node's files";

const CHILD_UNSEEN: &str =
    "a child was started and was still running after 2 s; whether it connected cannot be seen";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_mask() {
        let names = |mask: &str| -> Vec<_> {
            capabilities(mask).into_iter().filter(|c| c.effective).map(|c| c.name).collect()
        };
        assert_eq!(names("0000000000200000"), ["CAP_SYS_ADMIN"]);
        assert_eq!(
            names("0000000001081000"),
            ["CAP_SYS_PTRACE", "CAP_NET_ADMIN", "CAP_SYS_RESOURCE"]
        );
        assert_eq!(names(""), Vec::<&str>::new());
    }

    #[test]
    fn a_survey_without_a_target_connects_to_nothing() {
        let survey = survey(&Options::default(), None);
        assert!(survey.target.is_none());
        assert_eq!(
            survey.backends.iter().map(|b| b.backend).collect::<Vec<_>>(),
            ["setns", "external", "dial"]
        );
        assert!(survey.backends.iter().all(|backend| backend.connect.is_none()));
        assert!(survey.limits.granted_pipe_size.is_some_and(|size| size >= 4096));
        let limits = &survey.limits;
        for granted in [limits.granted_receive_queue, limits.granted_send_queue] {
            assert!(granted.is_some_and(|size| size >= 4096 && size <= limits.socket_memory));
        }
        assert!(!survey.kernel.is_empty());
    }
}
