use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use nsplice_backend::{Choice, Host, Target, Template};
use nsplice_compare::{Extent, Timing};
use nsplice_relay::Limits;
use slog::Level;

use super::*;
use crate::applet::Applet;
use crate::log::{LogFormat, LogLevel};
use crate::request::{CompareRequest, ForwardRequest, LinkChange, Others, OutputFormat};
use crate::values::LoopCount;

fn read(words: &str) -> Result<Request, Answer> {
    read_with(words, &[])
}

fn read_with(words: &str, variables: &[(&str, &str)]) -> Result<Request, Answer> {
    let lookup = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
    };
    let words = std::iter::once("nsplice").chain(words.split(' ')).map(OsString::from);
    parse(words, Environment(&lookup))
}

fn forward(words: &str) -> ForwardRequest {
    match read(words) {
        Ok(Request::Forward(request)) => request,
        other => panic!("{words}: {other:?}"),
    }
}

fn refusal(words: &str) -> String {
    match read(words) {
        Err(Answer::Usage(message)) => message,
        other => panic!("{words}: {other:?}"),
    }
}

#[test]
fn every_option_of_forward_arrives() {
    let request = forward(
        "port-forward pid/7 8080 :9090 --address 127.0.0.1,::1 --address 10.0.0.1 --to ::1 \
         --backend external --command nc --nsenter /n --socat /s --no-splice --connect-timeout 1s \
         --root /host --pod-ip \
         --idle-timeout 2s --linger 3s --max-links 4 --loops 5 --log-format json --log debug \
         --wait-for-target",
    );
    assert_eq!(request.target, Target::Pid(7));
    let ports: Vec<_> = request.ports.iter().map(ToString::to_string).collect();
    assert_eq!(ports, ["8080:8080", ":9090"]);
    let addresses: Vec<_> = request.addresses.iter().map(|each| each.ip.to_string()).collect();
    assert_eq!(addresses, ["127.0.0.1", "::1", "10.0.0.1"]);
    let opening = request.opening;
    assert_eq!(opening.host.to_string(), "::1");
    assert_eq!(opening.backend, Choice::External);
    assert_eq!(opening.options.command, Template::parse("nc").ok());
    assert_eq!(opening.options.root, Some("/host".into()));
    assert_eq!(opening.options.nsenter, Some("/n".into()));
    assert_eq!(opening.options.socat, Some("/s".into()));
    assert!(opening.options.pod_ip && !opening.splice);
    let limits = Limits {
        connect_timeout: Duration::from_secs(1),
        idle_timeout: Some(Duration::from_secs(2)),
        linger: Some(Duration::from_secs(3)),
    };
    assert_eq!(opening.limits, limits);
    assert_eq!((request.max_links, request.loops), (Some(4), LoopCount(5)));
    assert!(request.wait_for_target);
    assert_eq!((request.log_format, request.log_level), (LogFormat::Json, LogLevel(Level::Debug)));
}

#[test]
fn every_option_has_a_twin_in_the_environment() {
    let typed =
        "forward pid/7 80 --address ::1 --to ::2 --backend external --command nc --nsenter /n \
                 --socat /s --root /host --connect-timeout 1s --idle-timeout 2s --linger 3s --max-links 4 \
                 --loops 5 --log-format json --log debug --no-splice";
    let options: Vec<&str> = typed.split_whitespace().skip(3).collect();
    let variables: Vec<(String, &str)> = options
        .chunks(2)
        .map(|pair| {
            let name = pair[0].trim_start_matches('-').to_uppercase().replace('-', "_");
            (format!("NSPLICE_{name}"), pair.get(1).copied().unwrap_or("1"))
        })
        .collect();
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let from_variables = read_with("forward pid/7 80", &variables).unwrap();
    assert_eq!(format!("{from_variables:?}"), format!("{:?}", read(typed).unwrap()));

    let Ok(Request::Run(request)) = read_with("run", &[("NSPLICE_CONFIG", "/c")]) else {
        panic!("refused");
    };
    assert_eq!(request.config, PathBuf::from("/c"));
    let refused =
        read_with("run", &[("NSPLICE_CONFIG", "/c"), ("NSPLICE_LOOPS", "0")]).unwrap_err();
    let words = "error: Invalid value for NSPLICE_LOOPS: `0` is not a number of loops: 1 to 256";
    assert_eq!(refused, Answer::Usage(words.to_owned()));
}

/// The least that each command takes.
const LEAST: [&str; 8] = [
    "forward pid/7 80",
    "connect pid/7 80",
    "run --config /c",
    "check",
    "lookup pid/7 x",
    "targets",
    "install /d",
    "compare",
];

#[test]
fn the_environment_is_asked_for_each_option_that_the_help_shows() {
    for line in LEAST {
        let command = line.split(' ').next();
        let options = help::listed(command, "OPTIONS:");
        let asked = RefCell::new(Vec::new());
        let lookup = |name: &str| {
            asked.borrow_mut().push(name.to_owned());
            None
        };
        let words = std::iter::once("nsplice").chain(line.split(' ')).map(OsString::from);
        parse(words, Environment(&lookup)).unwrap();
        let twin = |option: &str| {
            format!("NSPLICE_{}", option.trim_start_matches('-').to_uppercase().replace('-', "_"))
        };
        for option in options.iter().filter(|option| *option != "--help") {
            // What is typed needs no twin.
            let known = asked.borrow().contains(&twin(option)) || line.contains(option.as_str());
            assert!(known, "{line}: nobody asks for the twin of {option}");
        }
        // The example is one of them.
        let Err(Answer::Help(text)) = read(&format!("{} --help", command.unwrap_or_default()))
        else {
            panic!("{line}: no help")
        };
        let (_, example) = text.split_once("may also be set in the environment: ").unwrap();
        let (variable, example) = example.split_once(" for ").unwrap();
        let option = options.iter().find(|option| example.starts_with(option.as_str())).unwrap();
        assert_eq!(variable.split('=').next(), Some(twin(option).as_str()), "{line}");
    }
}

#[test]
fn install_heeds_the_environment() {
    let change = |words: &str, variables: &[(&str, &str)]| match read_with(words, variables) {
        Ok(Request::Install(request)) => Ok(request.change),
        Err(Answer::Usage(message)) => Err(message),
        other => panic!("{words}: {other:?}"),
    };
    let make =
        |applets: &[Applet], others| Ok(LinkChange::Make { applets: applets.into(), others });
    let uninstall = ("NSPLICE_UNINSTALL", "1");
    assert_eq!(change("install /d", &[uninstall]), Ok(LinkChange::Remove));
    assert_eq!(
        change("install /d", &[("NSPLICE_FORCE", "1"), ("NSPLICE_NSENTER", "1")]),
        make(&[Applet::Socat, Applet::Nsenter], Others::KeptAside)
    );
    let path = ("NSPLICE_NSENTER", "/usr/bin/nsenter");
    assert_eq!(change("install /d", &[path]), make(&[Applet::Socat], Others::Stay));
    assert_eq!(
        change("install --uninstall /d", &[("NSPLICE_FORCE", "1")]),
        Ok(LinkChange::Remove),
        "what is typed wins"
    );
    assert!(change("install --force /d", &[uninstall]).unwrap_err().contains("NSPLICE_UNINSTALL"));
    assert!(change("install /d", &[("NSPLICE_FORCE", "yes")]).unwrap_err().contains("1 nor 0"));
}

#[test]
fn what_is_given_several_times_is_given_once_by_the_environment() {
    let named = |request: CompareRequest| -> Vec<String> {
        request.comparison.subjects.into_iter().map(|subject| subject.name).collect()
    };
    let variables = [
        ("NSPLICE_BACKENDS", "dial"),
        ("NSPLICE_COMMAND", "nc=nc {address} {port}"),
        ("NSPLICE_PEER", "h=127.0.0.1:9"),
    ];
    assert_eq!(named(compare("compare pid/7 80", &variables)), ["dial", "nc", "h"]);
    // As the other commands have it.
    let nameless = [("NSPLICE_BACKENDS", "dial"), ("NSPLICE_COMMAND", "nc -s a=b {address}")];
    assert_eq!(named(compare("compare pid/7 80", &nameless)), ["dial", "command"]);
    let typed = "compare pid/7 80 --command x=true";
    assert_eq!(named(compare(typed, &variables)), ["dial", "x", "h"], "what is typed wins");
}

#[test]
fn less_and_more_can_be_said() {
    let level = |words: &str, variables: &[(&str, &str)]| match read_with(words, variables) {
        Ok(Request::Forward(request)) => (request.log_level.0, request.quiet),
        other => panic!("{words}: {other:?}"),
    };
    let loud = [("NSPLICE_LOG", "debug")];
    assert_eq!(level("forward pid/7 80", &[]), (Level::Warning, false));
    assert_eq!(level("forward pid/7 80 -q", &[]), (Level::Error, true));
    assert_eq!(level("forward pid/7 80 -q", &loud), (Level::Error, true), "what is typed wins");
    assert_eq!(level("forward pid/7 80 --quiet --log info", &[]), (Level::Info, true));
    assert_eq!(level("forward -v pid/7 80", &[]), (Level::Info, false));
    assert_eq!(level("forward pid/7 80 -vv", &[("NSPLICE_LOG", "error")]), (Level::Debug, false));
    assert_eq!(level("forward pid/7 80", &[("NSPLICE_VERBOSE", "1")]), (Level::Info, false));
    assert_eq!(level("forward pid/7 80", &[("NSPLICE_QUIET", "1")]), (Level::Error, true));
    for words in ["forward pid/7 80 -q -v", "forward pid/7 80 -v --log debug"] {
        assert!(refusal(words).contains("cannot be used with"), "{words}: {}", refusal(words));
    }
}

#[test]
fn an_address_does_not_swallow_what_follows() {
    let request = forward("forward --address ::1 netns/blue 80");
    assert_eq!(request.ports.len(), 1);
    assert_eq!(request.addresses.len(), 1);
}

#[test]
fn the_defaults_are_those_of_the_relay() {
    let request = forward("forward pid/7 80");
    assert_eq!(request.opening.limits, Limits::default());
    assert_eq!(request.opening.backend, Choice::Auto);
    assert_eq!(request.opening.host, Host::Localhost);
    assert_eq!((request.max_links, request.loops), (None, LoopCount(1)));
    assert!(!request.wait_for_target);
    assert!(request.opening.splice);
}

#[test]
fn local_ports_may_be_free_more_than_once() {
    assert_eq!(forward("forward pid/7 :80 :80").ports.len(), 2);
    assert_eq!(refusal("forward pid/7 80 80:81"), "error: local port 80 is given twice");
}

#[test]
fn check_takes_a_target_with_its_port_or_none() {
    let Ok(Request::Check(request)) = read("check --output json") else { panic!("refused") };
    assert_eq!((request.destination, request.format), (None, OutputFormat::Json));
    let Ok(Request::Check(request)) = read("check pid/7 80 --to 10.0.0.1") else {
        panic!("refused")
    };
    assert_eq!(request.destination.unwrap().to_string(), "10.0.0.1:80 in pid/7");
    assert!(refusal("check pid/7").contains("<PORT>"));
}

#[test]
fn refusals_say_what_would_be_right() {
    for (words, hint) in [
        ("forward pid/7", "<[LOCAL:]REMOTE>"),
        ("forward service/web 80", "docker/NAME-OR-ID"),
        ("forward pid/7 1:2:3", "18080:8080"),
        ("forward pid/7 70000", "1 to 65535"),
        ("forward pid/7 80 --backend nsenter", "external"),
        ("forward pid/7 80 --address web", "localhost"),
        ("forward pid/7 80 --loops 0", "1 to 256"),
        ("forward pid/7 80 --max-links 0", "a number of links"),
        ("forward pid/7 80 --idle-timeout 10", "30s"),
        ("forward pid/7 80 --log loud", "debug"),
        ("connect pid/7", "<PORT>"),
        ("connect pid/7 0", "1 to 65535"),
        ("check --output xml", "table or json"),
        ("run", "--config"),
        ("frwd", "did you mean `forward`"),
    ] {
        let message = refusal(words);
        assert!(message.contains(hint), "{words}: {message}");
    }
}

fn compare(words: &str, variables: &[(&str, &str)]) -> CompareRequest {
    match read_with(words, variables) {
        Ok(Request::Compare(request)) => request,
        other => panic!("{words}: {other:?}"),
    }
}

#[test]
fn every_option_of_compare_arrives() {
    let request = compare(
        "compare pid/7 80 --backends dial --command nc=nc --peer h=127.0.0.1:9 --workloads \
         conformance,bulk --rounds 3 --seconds 0.5 --quick --output json --report /r --compare /o \
         --nsenter /n --socat /s",
        &[],
    );
    let CompareRequest { comparison, format, page, older } = request;
    assert_eq!(
        (comparison.scenery.target, comparison.scenery.port),
        (Some(Target::Pid(7)), Some(80))
    );
    let names: Vec<_> = comparison.subjects.iter().map(|subject| subject.name.as_str()).collect();
    assert_eq!(names, ["dial", "nc", "h"]);
    assert_eq!(comparison.extent, Some(Extent::Quick));
    let choices = comparison.choices.unwrap();
    assert_eq!((choices.families.len(), choices.rounds), (1, 3));
    assert!(
        matches!(choices.timing, Timing::Window(window) if window == Duration::from_millis(500))
    );
    assert_eq!((page, older), (Some("/r".into()), Some("/o".into())));
    assert_eq!(format, OutputFormat::Json);
    assert_eq!(comparison.scenery.options.nsenter, Some("/n".into()));
    assert_eq!(comparison.scenery.options.socat, Some("/s".into()));
}

#[test]
fn options_of_compare_have_twins_in_the_environment() {
    let typed = "compare --backends dial --workloads bulk --rounds 3 --seconds 2 --quick \
                 --output json --nsenter /n --socat /s";
    let variables = [
        ("NSPLICE_BACKENDS", "dial"),
        ("NSPLICE_WORKLOADS", "bulk"),
        ("NSPLICE_ROUNDS", "3"),
        ("NSPLICE_SECONDS", "2"),
        ("NSPLICE_QUICK", "1"),
        ("NSPLICE_OUTPUT", "json"),
        ("NSPLICE_NSENTER", "/n"),
        ("NSPLICE_SOCAT", "/s"),
    ];
    let from_variables = compare("compare", &variables);
    assert_eq!(format!("{from_variables:?}"), format!("{:?}", compare(typed, &[])));
}

#[test]
fn help_fits_a_terminal() {
    for command in [
        "",
        "forward",
        "connect",
        "run",
        "check",
        "lookup",
        "targets",
        "completion",
        "install",
        "compare",
    ] {
        let command = format!("{command} --help");
        let Err(Answer::Help(text)) = read(command.trim_start()) else { panic!("{command}") };
        assert!(text.contains("EXAMPLES:"), "{command}");
        for line in crate::terminal::fit_help(&text).lines() {
            assert!(line.chars().count() <= 80, "{command}: {line}");
        }
        // An example is to be copied, so it has its breaks already.
        let (_, examples) = text.split_once("EXAMPLES:").unwrap();
        assert!(examples.lines().all(|line| line.chars().count() <= 80), "{examples}");
    }
}

#[test]
fn the_applets_are_listed_like_the_commands() {
    let Err(Answer::Help(text)) = read("--help") else { panic!("no help") };
    let (_, listed) = text.split_once("COMMANDS:\n").unwrap();
    let (listed, _) = listed.split_once("\n\n").unwrap();
    let column =
        |line: &str| line.len() - line.trim_start().split_once(' ').unwrap().1.trim().len();
    let columns: Vec<_> = listed.lines().map(column).collect();
    assert!(columns.iter().all(|each| *each == columns[0]), "{listed}");
    assert!(listed.contains("nsplice socat") && listed.contains("nsplice nsenter"), "{listed}");
}

#[test]
fn install_makes_links_or_removes_them() {
    let change = |words| match read(words) {
        Ok(Request::Install(request)) => request.change,
        other => panic!("{words}: {other:?}"),
    };
    let make = |applets: &[Applet], others| LinkChange::Make { applets: applets.into(), others };
    assert_eq!(change("install /d"), make(&[Applet::Socat], Others::Stay));
    assert_eq!(
        change("install /d --nsenter --force"),
        make(&[Applet::Socat, Applet::Nsenter], Others::KeptAside)
    );
    assert_eq!(change("install --uninstall /d"), LinkChange::Remove);
    assert!(refusal("install --uninstall --force /d").contains("--force"));
    assert!(refusal("install").contains("<DIR>"));
}

#[test]
fn serve_listens_at_loopback_unless_told_otherwise() {
    let serve = |words: &str, variables: &[(&str, &str)]| match read_with(words, variables) {
        Ok(Request::Serve(request)) => (request.listen.to_string(), request.api),
        other => panic!("{words}: {other:?}"),
    };
    assert_eq!(serve("serve", &[]), ("127.0.0.1:8001".to_owned(), false));
    assert_eq!(serve("serve --api --listen [::1]:0", &[]), ("[::1]:0".to_owned(), true));
    let exposed = [("NSPLICE_EXPOSE", "1"), ("NSPLICE_API", "1")];
    assert_eq!(serve("serve --listen [::]:80", &exposed), ("[::]:80".to_owned(), true));
    assert!(refusal("serve --listen 10.0.0.1:80").contains("add --expose"));
    assert!(refusal("serve --listen localhost").contains("write IP:PORT"));
}
