//! Targets in words: the table for people, a line for each where lines are wanted, and JSON.

use nsplice_backend::{shown, shown_json, Entry, NetworkKind, OpenPort, Problem, Roster};
use serde::Serialize;

use crate::failure::Failure;
use crate::table::Table;

const HEADINGS: [&str; 7] = ["TARGET", "RUNTIME", "ID", "PID", "NETNS", "IP", "PORTS"];

/// Columns that a narrow terminal does not show, those first that are needed least: NETNS, ID, RUNTIME,
/// PID, IP.
const SPARE: [usize; 5] = [4, 2, 1, 3, 5];

/// Characters that a port with its process takes.
const PORT_WIDTH: usize = 40;

/// As many digits of an ID as runtimes show.
const SHORT_ID: usize = 12;

/// The table for so many columns, with a line for each port; or for as many as it takes, with a line for
/// each target. Empty if there are none.
pub(super) fn table(entries: &[Entry], width: Option<usize>) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let mut table = Table::new(HEADINGS);
    for entry in entries {
        let ports = ports(entry);
        let Some(_) = width else {
            table.row_as_it_is(cells(entry, ports.join(", ")));
            continue;
        };
        let mut ports = ports.into_iter();
        table.row_as_it_is(cells(entry, ports.next().unwrap_or_default()));
        for port in ports {
            let mut row = HEADINGS.map(|_| String::new());
            row[HEADINGS.len() - 1] = port;
            table.row_as_it_is(row);
        }
    }
    match width {
        Some(width) => table.squeezed(width, &SPARE, PORT_WIDTH),
        None => table.fitted(None),
    }
}

/// All of a target in one line, without its newline.
pub(super) fn line(entry: &Entry) -> String {
    cells(entry, ports(entry).join(", ")).join("   ")
}

/// The JSON of a roster, with its newline.
pub(super) fn json(roster: &Roster) -> Result<String, Failure> {
    told(serde_json::to_string_pretty(roster))
}

/// The JSON of `value` in one line, with its newline.
pub(super) fn json_line(value: &impl Serialize) -> Result<String, Failure> {
    told(serde_json::to_string(value))
}

fn told(json: serde_json::Result<String>) -> Result<String, Failure> {
    json.map(|json| shown_json(&json) + "\n")
        .map_err(|error| Failure::system("write JSON")(error.into()))
}

/// The line about something that could not be seen.
pub(super) fn warning(problem: &Problem) -> String {
    format!("warning: {}", shown(&problem.sentence))
}

fn cells(entry: &Entry, ports: String) -> [String; 7] {
    let none = || "-".to_owned();
    let id = entry.id.as_ref().map(|id| id.chars().take(SHORT_ID).collect::<String>());
    let namespace = match entry.network {
        NetworkKind::Host => "host".to_owned(),
        _ => entry.network_namespace.map_or_else(none, |identity| identity.inode.to_string()),
    };
    let addresses: Vec<String> = entry.addresses.iter().map(ToString::to_string).collect();
    let addresses = if addresses.is_empty() { none() } else { addresses.join(",") };
    [
        entry.target.as_deref().map_or_else(none, |target| shown(target).into_owned()),
        entry.runtime.map_or_else(none, str::to_owned),
        id.map_or_else(none, |id| shown(&id).into_owned()),
        entry.pid.map_or_else(none, |pid| pid.to_string()),
        namespace,
        addresses,
        ports,
    ]
}

/// What is to be said of its ports: a text for each, at least one.
fn ports(entry: &Entry) -> Vec<String> {
    let host = (entry.network == NetworkKind::Host).then(|| "host network".to_owned());
    let texts: Vec<String> = match (&entry.shares, &entry.ports) {
        (Some(keeper), _) => return vec![format!("as {}", shown(keeper))],
        (None, Some(ports)) => host.into_iter().chain(ports.iter().map(port)).collect(),
        (None, None) if host.is_some() => host.into_iter().collect(),
        (None, None) => return vec!["unknown".to_owned()],
    };
    if texts.is_empty() {
        return vec!["none".to_owned()];
    }
    texts
}

fn port(open: &OpenPort) -> String {
    let address = std::net::SocketAddr::from((open.address, open.port));
    let process = open.process.as_ref();
    let process = process.map_or_else(String::new, |process| format!(" {}", shown(&process.name)));
    let reach = if open.localhost_only { " (localhost only)" } else { "" };
    format!("{address}{process}{reach}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::tests::{entry, open};

    fn entries() -> Vec<Entry> {
        let ports = vec![open("127.0.0.1:5432", "postgres"), open("0.0.0.0:80", "ng\u{1b}[2Jinx")];
        vec![
            Entry { ports: Some(ports), ..entry("pod/default/web") },
            Entry {
                shares: Some("pod/default/web".to_owned()),
                network: NetworkKind::Shared,
                ..entry("container/app")
            },
            Entry {
                network: NetworkKind::Host,
                addresses: Vec::new(),
                ports: Some(vec![open("[::]:9100", "exporter")]),
                ..entry("pod/kube-system/node")
            },
            Entry { ports: Some(Vec::new()), ..entry("container/idle") },
            Entry { ports: None, ..entry("container/hidden") },
        ]
    }

    #[test]
    fn a_pipe_gets_a_line_for_each_target() {
        let text = table(&entries(), None);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "TARGET                 RUNTIME      ID             PID    NETNS        IP          PORTS",
                "pod/default/web        containerd   0123456789ab   4947   4026532201   10.0.0.12   127.0.0.1:5432 postgres (localhost only), 0.0.0.0:80 ng\\u{1b}[2Jinx",
                "container/app          containerd   0123456789ab   4947   4026532201   10.0.0.12   as pod/default/web",
                "pod/kube-system/node   containerd   0123456789ab   4947   host         -           host network, [::]:9100 exporter",
                "container/idle         containerd   0123456789ab   4947   4026532201   10.0.0.12   none",
                "container/hidden       containerd   0123456789ab   4947   4026532201   10.0.0.12   unknown",
            ]
        );
        assert_eq!(table(&[], None), "");
    }

    #[test]
    fn a_terminal_gets_a_line_for_each_port_and_what_it_has_room_for() {
        let text = table(&entries(), Some(80));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "TARGET                 IP          PORTS");
        assert_eq!(
            lines[1],
            "pod/default/web        10.0.0.12   127.0.0.1:5432 postgres (localhost only)"
        );
        assert_eq!(lines[2].trim_start(), "0.0.0.0:80 ng\\u{1b}[2Jinx");
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(
            table(&entries(), Some(200)).lines().next().unwrap().split_whitespace().count(),
            7
        );
    }

    #[test]
    fn a_line_has_everything() {
        assert_eq!(
            line(&entries()[0]),
            "pod/default/web   containerd   0123456789ab   4947   4026532201   10.0.0.12   \
             127.0.0.1:5432 postgres (localhost only), 0.0.0.0:80 ng\\u{1b}[2Jinx"
        );
    }
}
