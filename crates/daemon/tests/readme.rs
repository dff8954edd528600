//! What README and this crate's README promise is what there is.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use nsplice_relay::Outcome;

/// Lines that an operator with two minutes reads.
const LONGEST: usize = 150;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text_of(document: &str) -> String {
    fs::read_to_string(top().join(document)).unwrap()
}

/// The section of this crate's README below `heading`.
fn section(heading: &str) -> String {
    let readme = text_of("crates/daemon/README.md");
    let (_, rest) = readme.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap().to_owned()
}

/// The words of `text` that stand in backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_outcome_has_a_row() {
    let text = section("Outcomes");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let told: Vec<&str> = rows.flat_map(|row| quoted(row.split('|').nth(1).unwrap())).collect();
    let there: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
    assert_eq!(told.len(), there.len(), "{told:?}");
    assert_eq!(BTreeSet::from_iter(told), BTreeSet::from_iter(there));
}

#[test]
fn every_promise_names_tests_that_there_are() {
    let mut sources = String::new();
    for entry in fs::read_dir(top().join("crates")).unwrap() {
        gather(&entry.unwrap().path(), &mut sources);
    }
    let text = section("Promises");
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 10, "{rows:?}");
    for row in rows {
        for name in quoted(row) {
            let is_there = match name.strip_suffix("::*") {
                Some(module) => sources.contains(&format!("mod {module};")),
                None => sources.contains(&format!("fn {name}(")),
            };
            assert!(is_there, "there is no test {name}: {row}");
        }
    }
}

/// Adds what is in the Rust files below `directory` to `sources`.
fn gather(directory: &Path, sources: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn the_readme_is_short_and_its_links_lead_somewhere() {
    let readme = text_of("README.md");
    let lines = readme.lines().count();
    assert!(lines <= LONGEST, "{lines} lines");
    let mut documents = vec![PathBuf::from("README.md")];
    for entry in fs::read_dir(top().join("crates")).unwrap() {
        let path = entry.unwrap().path().join("README.md");
        documents.extend(path.exists().then_some(path));
    }
    for document in documents {
        let text = fs::read_to_string(top().join(&document)).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let at = top().join(&document).with_file_name(link);
            assert!(at.exists(), "{}: {link} leads nowhere", document.display());
        }
    }
}
