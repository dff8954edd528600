//! The rooms of the house: which file imports from which, which crate from which, and how long files are.
//!
//! - The imports of a crate's files form no circle.
//! - No arrow between crates runs upward: see [`FLOORS`].
//! - No file is longer than [`LONGEST`] lines, and half of those in `src` have at most [`MEDIAN`].
//!
//! What counts as an import: every path in `use` or in code that leads to another file of the crate,
//! `crate::a::B`, `super::B`, `a::B`. It is followed through re-exports to the file that has the
//! name. A re-export is a door, and no import of the file it stands in, unless that file uses the name
//! itself. Methods have no path: an `impl` in one file that another one calls is no arrow to it, nor is
//! the place of a file in the tree of modules.
//!
//! Code under `#[cfg(test)]` and the tests in `tests/` are built on everything and nobody on them, so
//! they may look at whatever they like; for the lengths they count like all others.

// A test may fail where it stands.
#![allow(clippy::unwrap_used)]

#[path = "rooms/house.rs"]
mod house;
#[path = "rooms/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use house::House;

/// Lines of the longest file.
const LONGEST: usize = 400;

/// Lines of the file in the middle.
const MEDIAN: usize = 200;

/// The crates from the ground up: each may use those on floors below its own, and none beside it.
const FLOORS: [&[&str]; 6] = [
    &["nsplice_sys", "nsplice_spdy", "nsplice_http2", "nsplice_websocket", "nsplice_trial"],
    &["nsplice_relay", "nsplice_runtime"],
    &["nsplice_backend", "nsplice_cri"],
    &["nsplice_socat", "nsplice_nsenter", "nsplice_portforward"],
    &["nsplice_compare"],
    &["nsplice"],
];

/// Only for tests: nobody is built on it, and it may use the ground floor.
const TESTKIT: &str = "nsplice_testkit";

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn imports_form_no_circle() {
    let circles: Vec<_> = houses().iter().flat_map(|house| house.circles()).collect();
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn no_arrow_between_crates_runs_upward() {
    let wrong: Vec<_> = houses().iter().flat_map(upward).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong about the crates that `house` uses.
fn upward(house: &House) -> BTreeSet<String> {
    let floors: BTreeMap<&str, usize> = (0..)
        .zip(FLOORS)
        .flat_map(|(floor, names)| names.iter().map(move |it| (*it, floor)))
        .collect();
    let name = house.name.as_str();
    let Some(floor) = floors.get(name).copied().or_else(|| (name == TESTKIT).then_some(1)) else {
        return [format!("{name} has no floor in FLOORS")].into();
    };
    let wrong = |used: &str| floors.get(used).is_none_or(|below| *below >= floor);
    let used = house.crates_used().into_iter().filter(|(_, used)| wrong(used));
    used.map(|(file, used)| format!("{file} uses {used}")).collect()
}

#[test]
fn files_are_of_the_size_of_rooms() {
    let length = |path: &PathBuf| fs::read_to_string(path).unwrap().lines().count();
    let files: Vec<_> =
        files_below(&crates()).into_iter().map(|path| (length(&path), path)).collect();
    let long: Vec<_> = files.iter().filter(|(lines, _)| *lines > LONGEST).collect();
    assert!(long.is_empty(), "longer than {LONGEST} lines: {long:#?}");
    let is_src = |path: &Path| path.components().any(|part| part.as_os_str() == "src");
    let mut shipped: Vec<_> = files.iter().filter(|(_, path)| is_src(path)).collect();
    shipped.sort();
    let median = shipped[shipped.len() / 2];
    assert!(median.0 <= MEDIAN, "the file in the middle: {median:?}");
}

/// The crates of the workspace.
fn houses() -> Vec<House> {
    let directories = fs::read_dir(crates()).unwrap().map(|entry| entry.unwrap().path());
    let mut houses: Vec<_> = directories.map(|directory| house_in(&directory)).collect();
    houses.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(houses.len() > FLOORS.len(), "there are more: {houses:?}");
    houses
}

/// The crate in `directory`.
fn house_in(directory: &Path) -> House {
    let manifest = fs::read_to_string(directory.join("Cargo.toml")).unwrap();
    let name = manifest.lines().find_map(|line| line.strip_prefix("name = ")).unwrap();
    let name = name.trim_matches('"').replace('-', "_");
    let src = directory.join("src");
    let files = files_below(&src).into_iter().map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(&src).unwrap().to_owned(), text)
    });
    House::new(&name, &files.collect())
}

/// All sources below `directory`.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// A crate of these files.
fn house(name: &str, files: &[(&str, &str)]) -> House {
    House::new(name, &files.iter().map(|(path, text)| (path.into(), (*text).to_owned())).collect())
}

/// A crate whose files are `a.rs`, `b.rs` and `b/c.rs`.
fn house_of(a: &str, b: &str, c: &str) -> House {
    let b = format!("mod c;\n{b}");
    house("it", &[("lib.rs", "mod a; mod b;"), ("a.rs", a), ("b.rs", &b), ("b/c.rs", c)])
}

#[test]
fn a_circle_is_seen_whatever_way_it_is_written() {
    for (a, b, c) in [
        ("use crate::b::B;", "use crate::a::A;", ""),
        ("use crate::b::{self, B};", "fn f() { crate::a::f() }", ""),
        ("fn f() { super::b::c::g() }", "", "use crate::{b, a::{A, f}};"),
        // By way of a third.
        ("use crate::b::c::C;", "use crate::a::A;", "use super::B;"),
        // Between a file and one of its folder.
        ("", "use self::c::C;", "use super::B;"),
        // Through a door.
        ("use crate::b::C;", "pub use self::c::C;", "use crate::a::A;"),
        ("use crate::b::Other;", "pub(crate) use c::C as Other;", "use crate::a::A;"),
    ] {
        let circles = house_of(a, b, c).circles();
        assert_eq!(circles.len(), 1, "{a} | {b} | {c}: {circles:?}");
    }
}

#[test]
fn what_is_no_circle_is_seen_as_none() {
    for (a, b, c) in [
        ("use crate::b::B;", "", "use super::B;"),
        // A door is not gone through by whoever keeps it.
        ("use crate::b::B;", "pub use crate::a::A;", ""),
        ("use crate::b::C;", "pub use c::C; use crate::a::A;", ""),
        // Nobody is built on tests.
        ("use crate::b::B;", "#[cfg(test)] mod tests { use crate::a::A; }", ""),
        ("use crate::b::B;", "#[cfg(test)]\nuse crate::a::A;", ""),
        // Neither words about code nor names that are visible somewhere are code.
        ("use crate::b::B;", "/// [`crate::a::A`]\nconst IT: &str = \"crate::a::A\";", ""),
        ("use crate::b::c::C;", "use c::C;", "pub(in crate::b) struct C; impl C<'static> {}"),
    ] {
        let circles = house_of(a, b, c).circles();
        assert_eq!(circles, Vec::<String>::new(), "{a} | {b} | {c}");
    }
}

#[test]
fn an_arrow_upward_is_seen() {
    for (name, code, wrong) in [
        ("nsplice_relay", "use nsplice_sys::Pool;", None),
        ("nsplice_relay", "fn f() { nsplice_backend::f() }", Some("lib.rs uses nsplice_backend")),
        ("nsplice_socat", "use nsplice_nsenter::nsenter;", Some("lib.rs uses nsplice_nsenter")),
        ("nsplice_relay", "use nsplice_testkit::ramp;", Some("lib.rs uses nsplice_testkit")),
        ("nsplice_relay", "#[cfg(test)] mod tests { use nsplice_testkit::ramp; }", None),
        ("nsplice_testkit", "use nsplice_relay::Relay;", Some("lib.rs uses nsplice_relay")),
        ("nsplice_tower", "", Some("nsplice_tower has no floor in FLOORS")),
    ] {
        let found = upward(&house(name, &[("lib.rs", code)]));
        let found: Vec<_> =
            found.iter().map(|it| it.rsplit_once('/').map_or(&**it, |it| it.1)).collect();
        assert_eq!(found, wrong.as_slice(), "{name}: {code}");
    }
}
