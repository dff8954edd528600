//! README quotes what was measured, and nothing else.

use std::fs;
use std::path::Path;

use nsplice_compare::report::{json, markdown};

#[test]
fn numbers_are_those_that_were_measured() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = fs::read_to_string(top.join("README.md")).unwrap();
    let mut quoted = Vec::new();
    for block in readme.split("<!-- fixtures/").skip(1) {
        let (file, rest) = block.split_once(" -->\n").unwrap();
        let (text, _) = rest.split_once("<!-- end -->").unwrap();
        let comparison = json::read(&top.join("fixtures").join(file)).unwrap();
        let again = "run scripts/readme-numbers";
        assert_eq!(text, markdown::render(&comparison), "{file} says something else: {again}");
        quoted.push(file.to_owned());
    }
    quoted.sort();
    let directory = fs::read_dir(top.join("fixtures/compare")).unwrap();
    let names = directory.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut kept: Vec<String> = names.map(|name| format!("compare/{name}")).collect();
    kept.sort();
    assert_eq!(quoted, kept);
}
