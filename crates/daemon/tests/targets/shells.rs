//! Completion by real shells: the script that nsplice prints is loaded, and asked as the shell asks it.

use std::process::Command;

use nsplice_testkit::skip::require_tool;
use nsplice_testkit::Namespace;

use crate::binary::{end_of, nsplice};
use crate::node::{id, Listening, Node};

/// A node whose pod `default/web` listens on 5432 at its loopback, and on 80.
struct Scene {
    node: Node,
    _namespace: Namespace,
    _listeners: [Listening; 2],
}

impl Scene {
    fn new(test: &str) -> Option<Self> {
        let namespace = Namespace::for_test(test)?;
        let listeners = [
            Listening::start(test, &namespace, "nginx", "0.0.0.0:80")?,
            Listening::start(test, &namespace, "postgres", "127.0.0.1:5432")?,
        ];
        let node = Node::new();
        node.pod(&id("aaaa"), "web", namespace.pid());
        node.pod(&id("abab"), "$(touch x)", namespace.pid());
        Some(Self { node, _namespace: namespace, _listeners: listeners })
    }

    /// Runs `shell` with a script about the words `line`, and returns what it prints, a word each.
    fn completed(&self, shell: &mut Command, line: &str) -> Vec<String> {
        let program = nsplice("").get_program().to_owned();
        let directory = std::path::Path::new(&program).parent().unwrap().to_owned();
        let path = std::env::join_paths(
            std::iter::once(directory)
                .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
        );
        let shell = shell.env("PATH", path.unwrap()).env("NSPLICE_ROOT", self.node.root());
        let end = end_of(shell.env("LINE", line));
        assert_eq!((end.code, end.stderr.as_str()), (0, ""), "{line}");
        end.stdout.lines().map(str::to_owned).collect()
    }
}

/// What every shell offers for the lines: the words that have to be among it, and one that has not.
const LINES: [(&str, &[&str], &str); 9] = [
    ("nsplice ", &["forward", "targets", "completion", "help"], "__complete"),
    ("nsplice tar", &["targets"], "forward"),
    ("nsplice targets --o", &["--output"], "--root"),
    ("nsplice targets --output ", &["table", "json"], "web"),
    ("nsplice forward pod/", &["pod/default/web"], "docker"),
    ("nsplice check pod/we", &["pod/web"], "pod/default/web"),
    ("nsplice forward pod/default/web ", &["5432", "80"], "7000"),
    ("nsplice connect web ", &["5432", "80"], "7000"),
    ("nsplice completion ", &["bash", "zsh", "fish"], "sh"),
];

fn expect(shell: &str, completed: impl Fn(&str) -> Vec<String>) {
    for (line, expected, other) in LINES {
        let words = completed(line);
        for word in expected {
            assert!(words.iter().any(|each| each.trim() == *word), "{shell}: {line}: {words:?}");
        }
        assert!(!words.iter().any(|each| each.trim() == other), "{shell}: {line}: {words:?}");
        assert!(words.iter().all(|word| !word.contains('$')), "{shell}: {line}: {words:?}");
    }
}

#[test]
fn bash_completes_by_the_script() {
    const TEST: &str = "bash_completes_by_the_script";
    let Some(scene) = Scene::new(TEST) else { return };
    if require_tool(TEST, "bash").is_none() {
        return;
    }
    // As readline takes a line apart, with blanks, `=` and `:` between words.
    let script = r#"
        source <(nsplice completion bash)
        [[ $(complete -p nsplice) == 'complete -F _nsplice nsplice' ]] || exit 9
        COMP_LINE=$LINE COMP_POINT=${#LINE} COMP_WORDS=()
        while read -r word; do COMP_WORDS+=("$word"); done < <(grep -oE '[^ =:]+|[=:]' <<<"$LINE")
        [[ $LINE == *' ' ]] && COMP_WORDS+=('')
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _nsplice 2>/dev/null
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let completed =
        |line: &str| scene.completed(Command::new("bash").args(["--norc", "-c", script]), line);
    expect("bash", completed);
    // What bash takes for words of their own stays as it is.
    assert_eq!(completed("nsplice targets --output=j"), ["json"]);
    assert_eq!(completed("nsplice targets --output="), ["table", "json"]);
    assert_eq!(completed("nsplice forward pod/web 15432:5"), ["5432"]);
    assert_eq!(completed("nsplice forward pod/web :"), ["5432", "80"]);
    assert_eq!(completed("nsplice forward pod/web 1000: "), ["5432", "80"], "the next pair");
}

#[test]
fn zsh_completes_by_the_script() {
    const TEST: &str = "zsh_completes_by_the_script";
    let Some(scene) = Scene::new(TEST) else { return };
    if require_tool(TEST, "zsh").is_none() {
        return;
    }
    // The functions that only the line editor has are played.
    let script = r#"
        compdef() { print -r -- "$2" >&2; }
        [[ $(source <(nsplice completion zsh) 2>&1) == nsplice ]] || exit 9
        source <(nsplice completion zsh) 2>/dev/null
        compadd() { shift; print -rl -- "$@"; }
        words=(${(s: :)LINE})
        [[ $LINE == *' ' ]] && words+=('')
        CURRENT=$#words
        _nsplice
    "#;
    expect("zsh", |line| scene.completed(Command::new("zsh").args(["-f", "-c", script]), line));
}

#[test]
fn fish_completes_by_the_script() {
    const TEST: &str = "fish_completes_by_the_script";
    let Some(scene) = Scene::new(TEST) else { return };
    if require_tool(TEST, "fish").is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let script = "nsplice completion fish | source; complete -C \"$LINE\"";
    expect("fish", |line| {
        let mut fish = Command::new("fish");
        fish.args(["--no-config", "-c", script]).env("HOME", home.path());
        scene.completed(&mut fish, line)
    });
}

#[test]
fn the_answer_says_what_is_to_be_completed() {
    let node = Node::bare();
    let answer = |words: &[&str]| {
        let mut command = nsplice("__complete --");
        end_of(command.args(words).env("NSPLICE_ROOT", node.root())).stdout
    };
    assert_eq!(answer(&["run", "--config", ""]), "files\n");
    assert_eq!(answer(&["install", ""]), "directories\n");
    assert_eq!(answer(&["targets", ""]), "words\n");
    assert_eq!(answer(&["targets", "--output", "j"]), "words\njson\n");
    assert_eq!(answer(&[]).lines().next(), Some("words"));
    let refused = end_of(&mut nsplice("completion tcsh"));
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("write bash, zsh or fish"), "{refused:?}");
}
