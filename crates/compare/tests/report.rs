//! Reports of a whole comparison: the text, the file and the page.

mod example;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use nsplice_compare::{change, html, json, table};
use nsplice_compare::{Comparison, Figure, Finding, Passed};
use nsplice_testkit::skip;
use serde_json::Value;

/// What the schema says of itself.
const SCHEMA_TEXT: &str = include_str!("../SCHEMA.md");

/// An example that was set against an older one, whose CPU was more and which behaved worse.
fn changed() -> Comparison {
    let mut old = example::comparison(5, 1.0);
    old.machine.kernel = "6.12.48".to_owned();
    "2026-10-01T08:00:00Z".clone_into(&mut old.started);
    old.behaviours[0].verdicts[0].result = Passed::No;
    let mut new = example::comparison(5, 0.9);
    new.change = Some(change::between(&old, &new));
    new
}

#[test]
fn the_text_fits_a_terminal_and_ends_with_the_warnings() {
    let text = table::render(&changed());
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    let places: Vec<Option<usize>> = [
        "\nSubjects\n",
        "\nBehaviour\n",
        "\nOpening links\n",
        "\nRequests and replies\n",
        "\nBytes in bulk\n",
        "\nIdle links\n",
        "\nAt a glance\n",
        "\nChanged since 2026-10-01T08:00:00Z",
        "\nWarnings\n",
    ]
    .iter()
    .map(|heading| text.find(heading))
    .collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{text}");
    assert!(text.contains("FAIL rinetd: the link ended at once"), "{text}");
    assert!(text.contains("not measured: there is no docker-proxy in PATH"), "{text}");
}

#[test]
fn figures_are_the_same_on_the_page_and_in_the_text() {
    let comparison = changed();
    let (text, page) = (table::render(&comparison), html::render(&comparison));
    let row =
        text.lines().find(|l| l.starts_with("  haproxy-splice") && l.contains('(')).expect("row");
    let ranges: Vec<&str> = row.split(['(', ')']).skip(1).step_by(2).collect();
    assert!(ranges.len() > 1, "{row}");
    for range in ranges {
        assert!(page.contains(range), "{range}");
    }
}

#[test]
fn a_comparison_comes_back_as_it_went() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("old.json");
    let comparison = changed();
    fs::write(&path, json::text(&comparison).expect("JSON")).expect("a file");
    assert!(json::read(&path).expect("our own JSON") == comparison, "{}", path.display());
}

#[test]
fn fields_of_later_versions_are_passed_over() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("later.json");
    let mut value = serde_json::to_value(example::comparison(1, 1.0)).expect("JSON");
    value["machine"]["colour"] = Value::from("grey");
    fs::write(&path, value.to_string()).expect("a file");
    let read = json::read(&path).expect("this schema");
    assert!(read == example::comparison(1, 1.0), "{:?}", read.machine);
}

#[test]
fn what_is_no_comparison_is_refused_with_a_sentence() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("x.json");
    let refusal = |text: &str| {
        fs::write(&path, text).expect("a file");
        json::read(&path).expect_err("no comparison").to_string()
    };
    let future = refusal("{\"schema\": \"nsplice-compare/9\", \"all\": \"different\"}");
    assert!(future.contains("has the schema \"nsplice-compare/9\""), "{future}");
    assert!(future.contains("knows only \"nsplice-compare/1\""), "{future}");
    let other = refusal("[1, 2]");
    assert!(other.contains("is not a comparison"), "{other}");
    let cut = refusal("{\"schema\": \"nsplice-compare/1\", \"version\"");
    assert!(cut.contains("is not a comparison") && cut.contains("EOF"), "{cut}");
    let missing = json::read(&dir.path().join("none")).expect_err("no file").to_string();
    assert!(missing.contains("cannot read"), "{missing}");
}

#[test]
fn every_field_and_figure_is_in_the_schema() {
    let value = serde_json::to_value(changed()).expect("JSON");
    let mut names = BTreeSet::new();
    collect(&value, &mut names);
    // What is no figure is refused with a list of all that are.
    let refusal = serde_json::from_str::<Figure>("\"none\"").expect_err("no figure").to_string();
    names.extend(refusal.split('`').skip(3).step_by(2).map(str::to_owned));
    assert!(names.len() > 60, "{names:?}");
    let missing: Vec<&String> =
        names.iter().filter(|name| !SCHEMA_TEXT.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "not in SCHEMA.md: {missing:?}");
}

/// Puts the names of all fields into `names`, except where names are data.
fn collect(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                names.insert(name.clone());
                if name != "limits" && name != "tools" {
                    collect(value, names);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, names)),
        _ => {}
    }
}

#[test]
fn a_change_is_found_where_there_is_one_and_nowhere_else() {
    let change = changed().change.expect("a change");
    for figure in &change.figures {
        let ours = ["setns", "setns-copy", "external", "dial"].contains(&figure.subject.as_str());
        let expected = match figure.figure {
            Figure::CpuMicrosPerOperation if ours && figure.workload.starts_with("connect") => {
                Finding::Better
            }
            Figure::PerSecond => Finding::Same,
            _ => continue,
        };
        assert_eq!(figure.finding, expected, "{figure:?}");
    }
    assert!(change.figures.iter().any(|f| f.finding == Finding::Better));
    assert_eq!(change.doubts.len(), 1, "{:?}", change.doubts);
    assert!(change.doubts[0].contains("6.12.48 before, 6.18.1 now"), "{:?}", change.doubts);
    let [behaviour] = &change.behaviours[..] else { panic!("{:?}", change.behaviours) };
    assert_eq!((behaviour.old, behaviour.new), (Passed::No, Passed::Yes));
    assert_eq!((behaviour.name.as_str(), behaviour.subject.as_str()), ("whole-1GiB-up", "setns"));
}

#[test]
fn three_rounds_are_said_to_show_nothing() {
    let mut new = example::comparison(3, 0.5);
    new.change = Some(change::between(&example::comparison(3, 1.0), &new));
    let change = new.change.as_ref().expect("a change");
    assert!(!change.figures.is_empty());
    assert!(change.figures.iter().all(|f| f.finding == Finding::TooFew));
    let text = table::render(&new);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("cannot show a change however large it is"), "{words}");
    assert!(words.contains("4 against 4 can"), "{words}");
    assert!(words.contains("-50.0% too few rounds 0.100"), "{words}");
    assert!(!words.contains("+0.0%"), "{words}");
}

#[test]
fn worse_is_worse_whichever_way_the_scale_goes() {
    let change = change::between(&example::comparison(4, 1.0), &example::comparison(4, 1.5));
    let worse = |figure| {
        let mut found =
            change.figures.iter().filter(|f| f.subject == "setns" && f.figure == figure);
        found.any(|f| f.finding == Finding::Worse)
    };
    assert!(worse(Figure::CpuSecondsPerGb) && worse(Figure::GbitPerSecond));
    assert!(change.figures.iter().all(|f| f.finding != Finding::Better));
}

#[test]
fn the_page_needs_nothing_else_and_believes_nobody() {
    let mut comparison = changed();
    // Attributes of the page stand in double quotes.
    let hostile = "</title></table><script>alert(1)</script><img src=x onerror=\"alert(2)\">'";
    comparison.subjects[0].command = hostile.to_owned();
    comparison.subjects[8].missing = Some(hostile.to_owned());
    comparison.machine.processor = hostile.to_owned();
    comparison.behaviours[0].name = hostile.to_owned();
    comparison.behaviours[0].expected = hostile.to_owned();
    comparison.behaviours[0].group = hostile.to_owned();
    comparison.behaviours[3].verdicts[2].seen = hostile.to_owned();
    comparison.behaviours[3].verdicts[2].known = Some(hostile.to_owned());
    comparison.warnings.push(hostile.to_owned());
    comparison.started = hostile.to_owned();
    comparison.version = hostile.to_owned();
    let rename = |name: &mut String| {
        if name == "rinetd" {
            hostile.clone_into(name);
        }
    };
    comparison.subjects.iter_mut().for_each(|s| rename(&mut s.name));
    comparison.measurements.iter_mut().for_each(|m| {
        rename(&mut m.subject);
        m.meter = hostile.to_owned();
        if m.workload == "bulk 1 stream up" {
            m.workload = hostile.to_owned();
        }
    });
    for verdict in comparison.behaviours.iter_mut().flat_map(|b| &mut b.verdicts) {
        rename(&mut verdict.subject);
    }
    if let Some(change) = &mut comparison.change {
        change.since = hostile.to_owned();
        change.doubts.push(hostile.to_owned());
        for figure in &mut change.figures {
            rename(&mut figure.subject);
            figure.workload = hostile.to_owned();
        }
        change.behaviours[0].seen = hostile.to_owned();
        change.behaviours[0].name = hostile.to_owned();
    }
    let page = html::render(&comparison);
    for needle in ["<script", "<img", "\"alert", "://", "src=x ", "@import", "url("] {
        let found = page.find(needle).filter(|_| needle != "src=x ");
        assert_eq!(found.map(|at| &page[at.saturating_sub(80)..at + 20]), None, "{needle}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)"));
}

#[test]
fn a_browser_shows_the_page_without_a_complaint() {
    let name = "a_browser_shows_the_page_without_a_complaint";
    let Some(chromium) = skip::require_tool(name, "chromium") else { return };
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(directory).expect("a directory");
    // It stays there, for people to look at.
    let page = directory.join("report.html");
    fs::write(&page, html::render(&changed())).expect("a page");
    let profile = tempfile::tempdir().expect("a directory");
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("chromium runs");
    let dom = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    assert!(!complaints.contains("CONSOLE"), "{complaints}");
    assert!(dom.contains("<h1>Ways into a namespace, compared</h1>"), "{dom}");
    // Whatever is not where it belongs, the browser moves or drops.
    let written = fs::read_to_string(&page).expect("the page");
    for element in
        ["<table", "<tr", "<td", "<th ", "<svg", "<polyline", "<details", "<section", "<dd"]
    {
        assert_eq!(dom.matches(element).count(), written.matches(element).count(), "{element}");
    }
}
