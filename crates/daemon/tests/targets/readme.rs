//! What READMEs say of targets is so.

use std::fs;
use std::path::Path;

use nsplice_testkit::Namespace;

use crate::binary::{end_of, nsplice};
use crate::node::{id, Listening, Node};

fn text_of(document: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap()
}

/// The first words in backquotes of the rows below the heading `head` of a table.
fn rows(text: &str, head: &str) -> Vec<String> {
    let (_, table) = text.split_once(&format!("\n{head}\n")).unwrap_or_else(|| panic!("no {head}"));
    let rows = table.lines().skip(1).take_while(|line| line.starts_with("| `"));
    rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect()
}

#[test]
fn the_keys_of_the_json_are_those_of_the_readme() {
    const TEST: &str = "the_keys_of_the_json_are_those_of_the_readme";
    let Some(namespace) = Namespace::for_test(TEST) else { return };
    let Some(_server) = Listening::start(TEST, &namespace, "server", "127.0.0.1:80") else {
        return;
    };
    let node = Node::new();
    node.pod(&id("aaaa"), "web", namespace.pid());
    let end = node.end("targets --output json pod/default/web");
    // In the order in which they are printed.
    let mut keys: Vec<String> = Vec::new();
    for line in end.stdout.lines() {
        let key = line.trim().strip_prefix('"').and_then(|rest| rest.split_once("\": "));
        keys.extend(key.map(|(key, _)| key.to_owned()).filter(|key| !keys.contains(key)));
    }
    let told = rows(&text_of("README.md"), "| key | is |");
    let written: Vec<&str> = told.iter().map(|key| key.rsplit('.').next().unwrap()).collect();
    let mut once: Vec<&str> = Vec::new();
    for key in written {
        if !once.contains(&key) {
            once.push(key);
        }
    }
    assert_eq!(keys, once);
}

#[test]
fn every_command_of_the_help_has_a_row_in_the_readme() {
    let help = end_of(&mut nsplice("--help")).stdout;
    let (_, commands) = help.split_once("COMMANDS:\n").unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let readme = text_of("../../README.md");
    // What is indented further goes on with a description.
    let commands = commands.filter(|line| line.find(|c| c != ' ') == Some(4));
    for command in commands.filter_map(|line| line.split_whitespace().next()) {
        let written = format!("`nsplice {command}");
        assert!(command == "help" || readme.contains(&written), "README has no {written}");
    }
}
