//! The files of one crate and the arrows between them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::source::{Source, Words};

/// A crate: its modules by their paths, each a file. The path of a program's root is the root's file,
/// `main.rs`, which is no name of a module; that of the library's is empty.
#[derive(Debug)]
pub(crate) struct House {
    /// As code calls it: `nsplice_relay`.
    pub(crate) name: String,
    rooms: BTreeMap<Words, Room>,
}

#[derive(Debug)]
struct Room {
    file: String,
    source: Source,
}

/// Texts by the paths of their files, below `src`.
pub(crate) type Files = BTreeMap<PathBuf, String>;

/// What the names of all crates of ours begin with.
const OURS: &str = "nsplice";

impl House {
    /// The crate `name`, which has these files.
    pub(crate) fn new(name: &str, files: &Files) -> Self {
        let mut house = Self { name: name.to_owned(), rooms: BTreeMap::new() };
        for file in files.keys() {
            let is_bin = file.starts_with("bin")
                && (file.components().count() == 2 || file.ends_with("main.rs"));
            if file == Path::new("lib.rs") {
                house.enter(files, file, Vec::new());
            } else if file == Path::new("main.rs") || is_bin {
                house.enter(files, file, vec![file.display().to_string()]);
            }
        }
        house
    }

    /// Reads the file of a module, and those of its children.
    fn enter(&mut self, files: &Files, file: &Path, path: Words) {
        let source = Source::read(&files[file]);
        let directory = match file.file_stem().and_then(|stem| stem.to_str()) {
            Some("lib" | "main" | "mod") | None => file.parent().unwrap().to_owned(),
            Some(stem) => file.parent().unwrap().join(stem),
        };
        for child in &source.children {
            let ways = [format!("{child}.rs"), format!("{child}/mod.rs")];
            let mut ways = ways.iter().map(|way| directory.join(way));
            let found = ways.find(|way| files.contains_key(way));
            let found = found.unwrap_or_else(|| panic!("{file:?} has no file for {child}"));
            self.enter(files, &found, [path.clone(), vec![child.clone()]].concat());
        }
        let file = format!("{}/{}", self.name, file.display());
        self.rooms.insert(path, Room { file, source });
    }

    /// The root of the module `path`: that of the library or of a program.
    fn root(path: &Words) -> Words {
        path.first().filter(|first| first.ends_with(".rs")).into_iter().cloned().collect()
    }

    /// The module that has what the words of `path` name, seen from the module `from`; `None` if that is
    /// nothing of this crate.
    fn find(&self, from: &Words, path: &[String], steps: usize) -> Option<Words> {
        let source = &self.rooms[from].source;
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Self::root(from),
            "self" => from.clone(),
            "super" => from[..from.len().checked_sub(1)?].to_vec(),
            child if source.children.iter().any(|each| each == child) => {
                [from.as_slice(), &[child.to_owned()]].concat()
            }
            _ => return None,
        };
        while let Some((next, others)) = rest.split_first() {
            let below = [at.as_slice(), std::slice::from_ref(next)].concat();
            if next == "super" {
                at.pop()?;
            } else if self.rooms.contains_key(&below) {
                at = below;
            } else {
                break;
            }
            rest = others;
        }
        let Some(name) = rest.first().filter(|_| steps > 0) else { return Some(at) };
        let imports = &self.rooms[&at].source.imports;
        let door = imports.iter().find(|import| import.name == *name);
        // A name that comes from another crate is nobody's here.
        door.map_or_else(|| Some(at.clone()), |door| self.find(&at, &door.path, steps - 1))
    }

    /// The modules that the module `from` imports from.
    fn arrows(&self, from: &Words) -> BTreeSet<&Words> {
        let Source { imports, paths, words, .. } = &self.rooms[from].source;
        let used = imports
            .iter()
            .filter(|import| !import.is_public || words.contains(&import.name))
            .map(|import| &import.path);
        let found = used.chain(paths).filter_map(|path| self.find(from, path, LONGEST_WAY));
        let found = found.filter(|to| to != from);
        found.filter_map(|to| self.rooms.get_key_value(&to).map(|(to, _)| to)).collect()
    }

    /// Circles, each told in a few lines.
    pub(crate) fn circles(&self) -> Vec<String> {
        let arrows: BTreeMap<&Words, BTreeSet<&Words>> =
            self.rooms.keys().map(|from| (from, self.arrows(from))).collect();
        let reached: BTreeMap<&Words, BTreeSet<&Words>> =
            arrows.keys().map(|from| (*from, reached(from, &arrows))).collect();
        let mut circles = BTreeSet::new();
        for (from, all) in &reached {
            let circle: Vec<&Words> =
                all.iter().filter(|to| reached[**to].contains(from)).copied().collect();
            if !circle.is_empty() {
                circles.insert(circle);
            }
        }
        let file = |room: &Words| self.rooms[room].file.as_str();
        let told = |circle: &Vec<&Words>| {
            let lines = circle.iter().map(|from| {
                let within = arrows[*from].iter().filter(|to| circle.contains(to));
                let within: Vec<&str> = within.map(|to| file(to)).collect();
                format!("    {} -> {}", file(from), within.join(", "))
            });
            format!("a circle of {}:\n{}", circle.len(), lines.collect::<Vec<_>>().join("\n"))
        };
        circles.iter().map(told).collect()
    }

    /// Files, and the crates of ours that they use.
    pub(crate) fn crates_used(&self) -> BTreeSet<(String, String)> {
        let used = |room: &Room| {
            let imports = room.source.imports.iter().map(|import| &import.path);
            let firsts = imports.chain(&room.source.paths).filter_map(|path| path.first());
            let ours = firsts.filter(|first| first.starts_with(OURS) && **first != self.name);
            ours.map(|used| (room.file.clone(), used.clone())).collect::<Vec<_>>()
        };
        self.rooms.values().flat_map(used).collect()
    }
}

/// Those that can be reached from `from`, itself only by a circle.
fn reached<'a>(
    from: &'a Words,
    arrows: &BTreeMap<&'a Words, BTreeSet<&'a Words>>,
) -> BTreeSet<&'a Words> {
    let mut reached = BTreeSet::new();
    let mut ahead: Vec<&Words> = arrows[from].iter().copied().collect();
    while let Some(next) = ahead.pop() {
        if reached.insert(next) {
            ahead.extend(&arrows[next]);
        }
    }
    reached
}

/// More doors than anybody builds one behind the other.
const LONGEST_WAY: usize = 8;
