//! `nsplice check`: what works here and what does not, and why.
//!
//! The facts are gathered by the backend crate; here they are put into words. People get tables
//! with the answer first and one line of advice last, programs get JSON.

use nsplice_backend::{shown_json, survey, BackendReport, Destination, Host, Survey};
use nsplice_relay::queues::{LEAST, NEAR};
use nsplice_relay::OpenClass;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::print;
use crate::request::{CheckRequest, OutputFormat};
use crate::table::Table;
use crate::terminal::{self, broken};

/// Looks, answers, and says by the exit code whether anything works.
pub(crate) fn run(request: &CheckRequest) -> Result<Exit, Failure> {
    let destination = request.destination.as_ref();
    let survey = survey(&request.options, destination);
    let text = match request.format {
        OutputFormat::Table => in_words(&survey, destination, terminal::width()),
        OutputFormat::Json => serde_json::to_string_pretty(&survey)
            .map(|json| shown_json(&json) + "\n")
            .map_err(|error| Failure::system("write JSON")(error.into()))?,
    };
    print(&text).map_err(Failure::system("write to standard output"))?;
    let works = survey.backends.iter().any(|backend| works(backend, destination));
    Ok(if works { Exit::Done } else { Exit::Failed })
}

/// Returns whether `backend` does what was asked for: with a destination, whether it connected.
fn works(backend: &BackendReport, destination: Option<&Destination>) -> bool {
    let connected = backend.connect.as_ref().is_some_and(|connect| connect.connected);
    backend.usable && (destination.is_none() || connected)
}

fn in_words(survey: &Survey, destination: Option<&Destination>, width: Option<usize>) -> String {
    let parts = [
        target(survey, width),
        runtimes(survey).fitted(width),
        backends(survey, destination).fitted(width),
        tools(survey).fitted(width),
        names(survey).fitted(width),
        capabilities(survey, width),
        system(survey).fitted(width),
        broken(&advice(survey, destination), 0, width.unwrap_or(usize::MAX)).concat(),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n")
}

fn target(survey: &Survey, width: Option<usize>) -> String {
    let Some(report) = &survey.target else { return String::new() };
    let mut table = Table::new(["TARGET", "NAMESPACE", "DETAIL"]);
    let namespace = report.namespace.map_or_else(none, |identity| identity.to_string());
    let detail = match (&report.problem, report.own) {
        (Some(problem), _) => problem.clone(),
        (None, Some(true)) => "the namespace that nsplice runs in".to_owned(),
        (None, Some(false)) => "not the namespace that nsplice runs in".to_owned(),
        (None, None) => String::new(),
    };
    table.row([report.target.clone(), namespace, detail]);
    table.fitted(width)
}

/// Those that are there, in the order in which they are asked.
fn runtimes(survey: &Survey) -> Table<4> {
    let mut table = Table::new(["RUNTIME", "CONTAINERS", "PATH", "DETAIL"]);
    for report in survey.runtimes.iter().filter(|report| report.present) {
        let containers = report.containers.map_or_else(none, |count| count.to_string());
        let path = report.path.display().to_string();
        let problem = report.problem.clone().unwrap_or_default();
        table.row([report.source.to_owned(), containers, path, problem]);
    }
    table
}

fn backends(survey: &Survey, destination: Option<&Destination>) -> Table<4> {
    let mut table = Table::new(["BACKEND", "USABLE", "CONNECT", "DETAIL"]);
    for report in &survey.backends {
        let (connect, detail) = match (&report.connect, destination) {
            (Some(connect), _) => {
                let time = connect.microseconds.map(|time| format!("in {time} us"));
                let word = time.or_else(|| connect.class.map(str::to_owned));
                (word.unwrap_or_else(|| "not seen".to_owned()), connect.detail.clone())
            }
            (None, _) => (none(), report.reason.clone()),
        };
        let usable = yes_or_no(report.usable);
        table.row([report.backend.to_owned(), usable, connect, detail.unwrap_or_default()]);
    }
    table
}

fn tools(survey: &Survey) -> Table<2> {
    let mut table = Table::new(["TOOL", "PATH"]);
    for tool in &survey.tools {
        let path = tool.path.as_ref().map(|path| path.display().to_string());
        let found = path.or_else(|| tool.problem.clone()).unwrap_or_else(none);
        table.row([tool.name.clone(), found]);
    }
    table
}

fn names(survey: &Survey) -> Table<3> {
    let mut table = Table::new(["NAME", "PATH", "PROGRAM"]);
    for report in &survey.names {
        let path = report.path.as_ref().map(|path| path.display().to_string());
        let program = match (&report.path, report.program, &report.version) {
            (None, ..) => "not in PATH".to_owned(),
            (_, Some("nsplice"), _) => "nsplice itself".to_owned(),
            (_, Some(program), Some(version)) => format!("{program} {version}"),
            (_, Some(program), None) => program.to_owned(),
            (_, None, _) => "unknown".to_owned(),
        };
        table.row([report.name.to_owned(), path.unwrap_or_else(none), program]);
    }
    table
}

fn capabilities(survey: &Survey, width: Option<usize>) -> String {
    if survey.capabilities.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["CAPABILITY", "HELD", "FOR"]);
    for capability in &survey.capabilities {
        let held = yes_or_no(capability.effective);
        table.row([capability.name.to_owned(), held, capability.purpose.to_owned()]);
    }
    table.fitted(width)
}

fn system(survey: &Survey) -> Table<3> {
    let limits = &survey.limits;
    let number = |value: Option<u64>| value.map_or_else(none, |value| value.to_string());
    let open_files = match limits.open_files_hard {
        hard if hard == limits.open_files_soft => "two per link".to_owned(),
        Some(hard) => format!("two per link; forward and run raise it to {hard}"),
        None => "two per link; forward and run remove it".to_owned(),
    };
    let queue = |granted: Option<u64>, asked: usize, sysctl: &str| match granted {
        Some(granted) if granted < asked as u64 => format!(
            "bytes, as granted to nsplice; {asked} need CAP_NET_ADMIN, or {sysctl}={}",
            asked / 2
        ),
        _ => "bytes, as granted to nsplice for each socket of a link".to_owned(),
    };
    let mut table = Table::new(["SYSTEM", "VALUE", "MEANING"]);
    for (name, value, meaning) in [
        ("kernel", survey.kernel.clone(), String::new()),
        ("open files", number(limits.open_files_soft), open_files),
        ("fs.file-max", number(limits.file_max), "the same for the whole system".to_owned()),
        ("pipe size", number(limits.granted_pipe_size), "bytes, as granted to nsplice".to_owned()),
        ("fs.pipe-max-size", number(limits.pipe_max_size), "bytes, for all but root".to_owned()),
        (
            "fs.pipe-user-pages-soft",
            number(limits.pipe_user_pages_soft),
            "pages in all pipes of one user; beyond it, new pipes are small".to_owned(),
        ),
        (
            "receive queue",
            number(limits.granted_receive_queue),
            queue(limits.granted_receive_queue, NEAR.receive, "net.core.rmem_max"),
        ),
        (
            "send queue",
            number(limits.granted_send_queue),
            queue(limits.granted_send_queue, NEAR.send, "net.core.wmem_max"),
        ),
        (
            "net.core.rmem_max",
            number(limits.receive_max),
            "bytes, half of a receive queue, for all without CAP_NET_ADMIN".to_owned(),
        ),
        (
            "net.core.wmem_max",
            number(limits.send_max),
            "bytes, half of a send queue, for all without CAP_NET_ADMIN".to_owned(),
        ),
        (
            "socket memory",
            limits.socket_memory.to_string(),
            format!("bytes in the queues of all links; then {} for each of a new one", LEAST.send),
        ),
    ] {
        table.row([name.to_owned(), value, meaning]);
    }
    table
}

/// Advises what to do now, in one line.
fn advice(survey: &Survey, destination: Option<&Destination>) -> String {
    let usable: Vec<&BackendReport> =
        survey.backends.iter().filter(|backend| backend.usable).collect();
    let enters = |name| usable.iter().any(|backend| backend.backend == name);
    let privileged = survey.capabilities.iter().any(|each| each.name == ENTERING && each.effective);
    if survey.capabilities.is_empty() {
        return "Nothing works without /proc: `mount -t proc proc /proc` first.".to_owned();
    }
    let Some(destination) = destination else {
        return match (enters("setns"), enters("external")) {
            (true, _) => "OK: the backend auto uses setns here.".to_owned(),
            (false, true) => {
                "setns is not permitted here: the backend auto uses external.".to_owned()
            }
            (false, false) => format!(
                "Only targets of the kind tcp/HOST and your own rootless containers work: run as root, or \
                 give nsplice {ENTERING}."
            ),
        };
    };
    if let Some(best) = usable.iter().find(|backend| works(backend, Some(destination))) {
        let Destination { target, host, port } = destination;
        let to = if *host == Host::Localhost { String::new() } else { format!("--to {host} ") };
        return format!(
            "OK: `nsplice forward {to}{target} {port}` works, with the backend {}.",
            best.backend
        );
    }
    if survey.target.as_ref().is_some_and(|target| target.problem.is_some()) {
        return "The target was not found: see its DETAIL above.".to_owned();
    }
    let met = |class: OpenClass| {
        usable.iter().any(|backend| {
            backend.connect.as_ref().is_some_and(|connect| connect.class == Some(class.as_str()))
        })
    };
    if met(OpenClass::Refused) {
        return format!(
            "Nothing listens at {destination}: is the server running, and on this address?"
        );
    }
    if let (true, Host::Name(name)) = (met(OpenClass::NameUnknown), &destination.host) {
        let target = &destination.target;
        return format!(
            "{name} cannot be resolved: `nsplice lookup {target} {name}` shows who was asked."
        );
    }
    if let (true, Host::Name(_)) = (met(OpenClass::TimedOut), &destination.host) {
        return format!("No answer from {destination}, or from name servers: see DETAIL above.");
    }
    if met(OpenClass::TimedOut) {
        return format!("No answer from {destination}: is a firewall dropping packets?");
    }
    if privileged {
        return "No backend can reach it from here: see the reasons above.".to_owned();
    }
    format!("No backend may enter this target: run as root, or give nsplice {ENTERING}.")
}

/// The capability that entering a namespace takes.
const ENTERING: &str = "CAP_SYS_ADMIN";

fn yes_or_no(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

fn none() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nsplice_backend::{ConnectReport, Options};

    /// The facts of this machine, with `backends` in place of its own.
    fn survey_with(privileged: bool, backends: Vec<BackendReport>) -> Survey {
        let mut facts = survey(&Options::default(), None);
        facts.capabilities.iter_mut().for_each(|each| each.effective = privileged);
        Survey { backends, ..facts }
    }

    fn report(backend: &'static str, usable: bool, class: Option<&'static str>) -> BackendReport {
        let connect = usable.then(|| ConnectReport {
            connected: class.is_none(),
            microseconds: class.is_none().then_some(70),
            class,
            detail: None,
        });
        let reason = (!usable).then(|| "because".to_owned());
        BackendReport { backend, usable, reason, connect }
    }

    #[test]
    fn advice_for_a_target() {
        let destination = Destination {
            target: "pid/7".parse().unwrap(),
            host: "::1".parse().unwrap(),
            port: 80,
        };
        let told =
            |privileged, backends| advice(&survey_with(privileged, backends), Some(&destination));
        let works = vec![report("setns", false, None), report("external", true, None)];
        assert_eq!(
            told(true, works),
            "OK: `nsplice forward --to ::1 pid/7 80` works, with the backend external."
        );
        let refused = vec![report("setns", true, Some("refused"))];
        assert!(told(true, refused).starts_with("Nothing listens at [::1]:80 in pid/7"));
        let late = vec![report("setns", true, Some("timed-out"))];
        assert!(told(true, late.clone()).starts_with("No answer from [::1]:80 in pid/7: is a"));
        assert!(told(false, vec![report("setns", false, None)]).contains("run as root"));
        assert!(told(true, vec![report("setns", false, None)]).contains("see the reasons above"));

        let named = Destination { host: "db".parse().unwrap(), ..destination.clone() };
        let told = |backends| advice(&survey_with(true, backends), Some(&named));
        assert!(told(late).starts_with("No answer from db:80 in pid/7, or from name servers"));
        assert_eq!(
            told(vec![report("setns", true, Some("name-unknown"))]),
            "db cannot be resolved: `nsplice lookup pid/7 db` shows who was asked."
        );
    }

    #[test]
    fn advice_without_a_target() {
        let told = |setns, external| {
            let backends = vec![report("setns", setns, None), report("external", external, None)];
            advice(&survey_with(false, backends), None)
        };
        assert_eq!(told(true, false), "OK: the backend auto uses setns here.");
        assert!(told(false, true).ends_with("the backend auto uses external."));
        assert!(told(false, false).starts_with("Only targets of the kind tcp/HOST and your own"));
    }

    #[test]
    fn the_table_has_a_row_for_each_fact() {
        let facts = survey_with(true, vec![report("setns", true, None)]);
        let text = in_words(&facts, None, None);
        for tool in &facts.tools {
            assert!(text.contains(&tool.name), "{text}");
        }
        assert!(text.contains("setns     yes      in 70 us"), "{text}");
        assert!(text.contains(&facts.kernel) && text.contains("CAP_SYS_ADMIN"), "{text}");
        assert!(!text.contains("TARGET"), "{text}");
    }

    #[test]
    fn a_terminal_is_no_narrower_than_the_table() {
        let mut facts = survey_with(false, vec![report("setns", false, None)]);
        let reason =
            "cannot enter the network namespace of pid/4947: Operation not permitted; ".repeat(3);
        facts.backends[0].reason = Some(reason);
        let text = in_words(&facts, None, Some(60));
        // Below are paths of this machine, which are not broken.
        let mut backends = text.lines().take_while(|line| !line.is_empty());
        assert!(backends.all(|line| line.chars().count() <= 60), "{text}");
    }
}
