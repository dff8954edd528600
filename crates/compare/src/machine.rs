//! The machine that a comparison is made on, as far as it decides how fast things are.
//!
//! Nothing here fails: what cannot be found out is empty.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use chrono::{SecondsFormat, Utc};
use nsplice_backend::{survey, Options, SystemLimits};

use crate::model::Machine;
use crate::placement;
use crate::stage::tuning;

/// Examines it, from the thread that measures. `peers` are processes of relays whose versions are
/// of interest.
///
/// How things are counted and placed is known only when they are; those fields stay empty.
pub(crate) fn examine(options: &Options, peers: &[u32]) -> Machine {
    let survey = survey(options, None);
    let mut tools: BTreeMap<_, _> = survey
        .names
        .into_iter()
        .filter(|name| name.path.is_some() && name.program != Some("nsplice"))
        .map(|name| (name.name.to_owned(), name.version))
        .collect();
    tools.extend(peers.iter().filter_map(|pid| tool(*pid)));
    Machine {
        kernel: survey.kernel,
        processor: field("/proc/cpuinfo", "model name").unwrap_or_default(),
        cpus: placement::allowed().len(),
        memory: field("/proc/meminfo", "MemTotal")
            .and_then(|text| text.strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024))
            .unwrap_or(0),
        congestion_control: tuning::congestion_control(),
        limits: limits(&survey.limits),
        tools,
        ..Machine::default()
    }
}

/// The present time as RFC 3339 in UTC, to the second.
pub(crate) fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// By the names that `nsplice check --output json` gives them.
fn limits(limits: &SystemLimits) -> BTreeMap<String, Option<u64>> {
    let value = serde_json::to_value(limits).ok();
    value.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default()
}

/// The value of the first line `NAME : VALUE` of a file in /proc.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let found = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    found
}

/// The program of the process `pid`, and its version. Only programs that are known to do nothing
/// else when asked for it are asked.
fn tool(pid: u32) -> Option<(String, Option<String>)> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = path.file_name()?.to_str()?.to_owned();
    let (_, flag) = VERSION_FLAGS.iter().find(|(known, _)| *known == name)?;
    let version = ask(&path, flag);
    Some((name, version))
}

fn ask(path: &Path, flag: &str) -> Option<String> {
    let mut command = Command::new(path);
    command.arg(flag).stdin(Stdio::null());
    let output = command.output().ok()?;
    let mut text = String::new();
    // Some say it on standard output, some on standard error.
    let mut both = output.stdout.as_slice().chain(output.stderr.as_slice()).take(LONGEST_ANSWER);
    both.read_to_string(&mut text).ok()?;
    version(&text)
}

/// The first word that looks like a version: numbers with a dot between them.
fn version(text: &str) -> Option<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-' && c != '+')
        .find(|word| {
            let digits = word.trim_start_matches(|c: char| c.is_ascii_digit());
            digits.len() < word.len()
                && digits
                    .strip_prefix('.')
                    .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
        .map(|word| word.trim_end_matches('.').to_owned())
}

/// Options by which other relays are asked.
const VERSION_FLAGS: [(&str, &str); 6] = [
    ("haproxy", "-v"),
    ("nginx", "-v"),
    ("rinetd", "-v"),
    ("socat", "-V"),
    ("systemd-socket-activate", "--version"),
    ("systemd-socket-proxyd", "--version"),
];

/// Far more than any of them says.
const LONGEST_ANSWER: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described() {
        let machine = examine(&Options::default(), &[std::process::id()]);
        assert!(machine.kernel.starts_with(|c: char| c.is_ascii_digit()), "{machine:?}");
        assert!(machine.cpus > 0 && machine.memory > 1 << 20, "{machine:?}");
        assert!(!machine.congestion_control.is_empty(), "{machine:?}");
        assert!(machine.limits["granted_pipe_size"].is_some(), "{machine:?}");
        assert!(machine.tools.keys().all(|name| !name.contains("compare")), "{machine:?}");
    }

    #[test]
    fn versions_are_found_in_what_programs_say() {
        let found = |text: &str| version(text).unwrap_or_default();
        assert_eq!(
            found("HAProxy version 2.6.12-1+deb12u1 2023/12/16 - https://haproxy.org/"),
            "2.6.12-1+deb12u1"
        );
        assert_eq!(found("nginx version: nginx/1.22.1"), "1.22.1");
        assert_eq!(found("socat version 1.7.4.4 on 06 Nov 2022 08:15:51"), "1.7.4.4");
        assert_eq!(found("no version, 17"), "");
    }

    #[test]
    fn the_time_is_rfc_3339() {
        let now = now();
        assert!(now.len() == 20 && now.ends_with('Z') && &now[10..11] == "T", "{now}");
    }
}
