//! Completion of command lines by a shell: the script that it loads, and the words that the script asks
//! for by `nsplice __complete -- WORD...`.
//!
//! The words of the command line that has been typed so far are read by `opt`; what can stand in the place
//! of the last one is found here. The answer is a line that says what is to be completed (`words`, `files`,
//! `directories`), and the words, one a line. Nobody waits long for it: what is not known in time is not
//! offered. Nothing is offered that a shell would take for more than a word.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use nsplice_backend::{open_ports, Detail, Entry, EntryKind, Node, Options, Target};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::print;
use crate::request::{Gap, Shell, Unfinished};

/// How long a runtime may take; one that takes longer is left out.
const PATIENCE: Duration = Duration::from_millis(800);

/// How long everything may take.
const TIMEOUT: Duration = Duration::from_millis(1500);

/// Prints the script for `shell`.
pub(crate) fn print_script(shell: Shell) -> Result<Exit, Failure> {
    let script = match shell {
        Shell::Bash => include_str!("completion/nsplice.bash"),
        Shell::Zsh => include_str!("completion/nsplice.zsh"),
        Shell::Fish => include_str!("completion/nsplice.fish"),
    };
    print(script).map_err(Failure::system("write to standard output"))?;
    Ok(Exit::Done)
}

/// Prints what completes a command line.
pub(crate) fn answer(unfinished: Unfinished) -> Result<Exit, Failure> {
    let Unfinished { begun, gap, options } = unfinished;
    let (kind, words) = match gap {
        Gap::File => ("files", Vec::new()),
        Gap::Directory => ("directories", Vec::new()),
        Gap::Nothing => ("words", Vec::new()),
        Gap::Words(words) => ("words", beginning(&begun, words)),
        Gap::Target => {
            let entries = in_time(move || entries(&options)).unwrap_or_default();
            ("words", targets(&begun, &entries))
        }
        Gap::Port(target) => {
            let ports = in_time(move || ports(&target, &options)).unwrap_or_default();
            ("words", ports_behind(&begun, &ports))
        }
    };
    let mut text = format!("{kind}\n");
    for word in words.iter().filter(|word| is_harmless(word)) {
        text.push_str(word);
        text.push('\n');
    }
    print(&text).map_err(Failure::system("write to standard output"))?;
    Ok(Exit::Done)
}

/// What `work` brings, if it does in time.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = channel();
    let work = move || {
        // Nobody may be waiting any more.
        let _ = sender.send(work());
    };
    thread::Builder::new().name("complete".to_owned()).spawn(work).ok()?;
    receiver.recv_timeout(TIMEOUT).ok()
}

fn entries(options: &Options) -> Vec<Entry> {
    let node = Node::open(options).map(|node| node.patient(PATIENCE));
    node.map(|node| node.roster(Detail::Names, |_| true).targets).unwrap_or_default()
}

/// The ports that are open in `target`, those first that only it reaches itself.
fn ports(target: &Target, options: &Options) -> Vec<u16> {
    let mut open = open_ports(target, options).unwrap_or_default();
    open.sort_by_key(|listener| (!listener.is_local(), listener.port));
    let mut ports = Vec::new();
    for listener in open {
        if !ports.contains(&listener.port) {
            ports.push(listener.port);
        }
    }
    ports
}

/// Those of `words` that begin like `begun`.
fn beginning(begun: &str, words: Vec<String>) -> Vec<String> {
    words.into_iter().filter(|word| word.starts_with(begun)).collect()
}

/// The targets that `begun` may become: in full, and if there is none, by their names alone.
fn targets(begun: &str, entries: &[Entry]) -> Vec<String> {
    let full = entries.iter().filter_map(|entry| entry.target.clone()).collect();
    let full = beginning(begun, full);
    if !full.is_empty() {
        return full;
    }
    let is_only = |entry: &&Entry| {
        let same = |other: &&Entry| other.name == entry.name && other.kind != EntryKind::Netns;
        entry.kind != EntryKind::Netns && entries.iter().filter(same).count() == 1
    };
    let named = entries.iter().filter(is_only);
    let short = named.flat_map(|entry| {
        let name = &entry.name;
        [name.clone(), format!("{}/{name}", entry.kind.as_str())]
    });
    let short = short.filter(|word| word.parse::<Target>().is_ok());
    beginning(begun, short.collect())
}

/// The ports that `begun` may become, behind the local port in it.
fn ports_behind(begun: &str, ports: &[u16]) -> Vec<String> {
    let local = begun.rfind(':').map_or("", |at| &begun[..=at]);
    beginning(begun, ports.iter().map(|port| format!("{local}{port}")).collect())
}

/// Whether a word is nothing but one, to every shell.
fn is_harmless(word: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@+".contains(&byte);
    !word.is_empty() && word.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::tests::entry;
    use proptest::prelude::*;

    #[test]
    fn targets_are_offered_in_full_and_else_by_their_names() {
        let entries =
            ["pod/default/web", "pod/prod/web", "pod/default/db", "docker/cache", "netns/blue"]
                .map(entry);
        let offered = |begun: &str| targets(begun, &entries).join(" ");
        assert_eq!(offered("pod/"), "pod/default/web pod/prod/web pod/default/db");
        assert_eq!(offered("pod/d"), "pod/default/web pod/default/db", "not pod/db");
        assert_eq!(offered("pod/db"), "pod/db");
        assert_eq!(offered("d"), "docker/cache");
        assert_eq!(offered("ca"), "cache");
        assert_eq!(offered("we"), "", "there are two");
        assert_eq!(offered("bl"), "", "a namespace has no short name");
        assert_eq!(offered("").split(' ').count(), 5);
    }

    #[test]
    fn ports_are_offered_behind_a_local_one() {
        assert_eq!(ports_behind("", &[5432, 80]), ["5432", "80"]);
        assert_eq!(ports_behind("5", &[5432, 80]), ["5432"]);
        assert_eq!(ports_behind("15432:", &[5432, 80]), ["15432:5432", "15432:80"]);
        assert_eq!(ports_behind(":8", &[5432, 80]), [":80"]);
    }

    proptest! {
        #[test]
        fn a_harmless_word_has_nothing_that_a_shell_takes_for_more(word in ".{0,12}") {
            let specials = " \t\n\"'`$&|;<>()[]{}*?!#~\\^%";
            prop_assert!(!is_harmless(&word) || !word.contains(|c| specials.contains(c)));
        }
    }
}
