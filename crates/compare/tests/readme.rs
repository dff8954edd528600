//! RESULTS.md and README quote what was measured, and nothing else.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use nsplice_compare::{json, markdown, Comparison};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares what `document` quotes, between `<!-- MARK fixtures/FILE -->` and the next
/// `<!-- end -->`, with what `render` makes of that file. The files that are quoted.
fn quoted(document: &str, mark: &str, render: fn(&Comparison) -> String) -> Vec<String> {
    let text = fs::read_to_string(top().join(document)).unwrap();
    let quote = |block: &str| {
        let (file, rest) = block.split_once(" -->\n").unwrap();
        let (text, _) = rest.split_once("<!-- end -->").unwrap();
        let comparison = json::read(&top().join("fixtures").join(file)).unwrap();
        let again = "run scripts/readme-numbers";
        assert_eq!(
            text,
            render(&comparison),
            "{file} says something else than {document}: {again}"
        );
        file.to_owned()
    };
    text.split(&format!("<!-- {mark}fixtures/")).skip(1).map(quote).collect()
}

#[test]
fn results_are_those_that_were_measured() {
    let mut quoted = quoted("crates/compare/RESULTS.md", "", markdown::render);
    quoted.sort();
    let directory = fs::read_dir(top().join("fixtures/compare")).unwrap();
    let names = directory.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut kept: Vec<String> = names.map(|name| format!("compare/{name}")).collect();
    kept.sort();
    assert_eq!(quoted, kept);
}

#[test]
fn the_readme_has_six_of_these_numbers() {
    let quoted = quoted("README.md", "summary of ", markdown::summary);
    assert_eq!(quoted, ["compare/backends.json"]);
    let readme = fs::read_to_string(top().join("README.md")).unwrap();
    let (_, summary) = readme.split_once("<!-- summary of ").unwrap();
    let (summary, _) = summary.split_once("<!-- end -->").unwrap();
    assert_eq!(summary.lines().filter(|line| line.starts_with("| ")).count(), 1 + 6, "{summary}");
}
