//! What a run leaves: processes and files.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nsplice_testkit::wait::poll_for;

use crate::mask::mask;
use crate::player::AFTERMATH;

/// Content that a report shows of a file.
const SHOWN: usize = 2000;

/// The processes that stay in the namespace of this thread.
pub(crate) fn left_behind() -> Vec<(i32, String)> {
    let own = fs::metadata("/proc/thread-self/ns/net").expect("the namespace of this thread");
    let own = (own.dev(), own.ino());
    let look = || {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("/proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let namespace = fs::metadata(entry.path().join("ns/net"));
            if namespace.is_ok_and(|file| (file.dev(), file.ino()) == own) {
                let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                found.push((pid, name.trim_end().to_owned()));
            }
        }
        found
    };
    let gone = poll_for(AFTERMATH, || look().is_empty().then_some(()));
    if gone.is_some() {
        return Vec::new();
    }
    look()
}

/// The files below `directory`, sorted: kind and mode, owner, name, content.
pub(crate) fn files(directory: &Path, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("the directory is there").flatten() {
        let path = entry.path();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let Ok(file) = fs::symlink_metadata(&path) else { continue };
        let kind = file.file_type();
        let (mode, owner) = (file.mode() & 0o7777, format!("{}:{}", file.uid(), file.gid()));
        if kind.is_dir() {
            found.push(format!("d {mode:04o} {owner} {name}/"));
            found.extend(files(&path, &format!("{name}/")));
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap_or_default();
            let start = bytes[..bytes.len().min(SHOWN)].escape_ascii();
            let text = mask(start.to_string().as_bytes(), &directory.display().to_string());
            // What is masked may be of any length.
            let count = if bytes.len() > SHOWN { bytes.len() } else { text.len() };
            found.push(format!("- {mode:04o} {owner} {name}: {count} {text}"));
        } else {
            let letter = match (kind.is_socket(), kind.is_fifo(), kind.is_symlink()) {
                (true, ..) => 's',
                (_, true, _) => 'p',
                (.., true) => 'l',
                _ => '?',
            };
            found.push(format!("{letter} {mode:04o} {owner} {name}"));
        }
    }
    found.sort();
    found
}
