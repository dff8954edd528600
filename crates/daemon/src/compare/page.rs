//! The file of the page.
//!
//! What stands there is another comparison's page, worth as much as the new one until that is
//! complete: so the new one is written beside it and takes its name by rename(2) when all of it is on
//! the disk. What has no content of its own (a pipe, a device), and a file whose directory takes no
//! other, is written to as it is.
//!
//! That it can be written is found out before minutes are spent. Opening a FIFO waits for its reader.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;

use crate::failure::Failure;

use super::error::{comparing, ComparingError};

/// The file of the page.
#[derive(Debug)]
pub(super) struct Page {
    path: PathBuf,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// Into what is open already.
    Straight(File),
    /// Into a new file, which then gets the name of `place`.
    Beside { place: PathBuf, permissions: Option<Permissions> },
}

impl Page {
    /// Makes sure that the page can be written to `path`.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let way = way(path).map_err(|error| failed(path, error))?;
        Ok(Self { path: path.to_owned(), way })
    }

    /// Writes it.
    pub(super) fn write(self, text: &str) -> Result<(), Failure> {
        let Self { path, way } = self;
        let written = match way {
            Way::Straight(mut file) => {
                // A pipe or a device has no length.
                let is_plain = file.metadata().is_ok_and(|found| found.is_file());
                let emptied = if is_plain { file.set_len(0) } else { Ok(()) };
                emptied.and_then(|()| file.write_all(text.as_bytes()))
            }
            Way::Beside { place, permissions } => replace(&place, permissions, text),
        };
        written.map_err(|error| failed(&path, error))
    }
}

fn way(path: &Path) -> io::Result<Way> {
    let (place, permissions) = match OpenOptions::new().write(true).open(path) {
        Ok(file) => {
            let found = file.metadata()?;
            // A link goes on leading to it.
            match fs::canonicalize(path)
                .ok()
                .filter(|place| found.is_file() && takes_another(place))
            {
                Some(place) => (place, Some(found.permissions())),
                None => return Ok(Way::Straight(file)),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => (path.to_owned(), None),
        Err(error) => return Err(error),
    };
    let beside = beside(&place);
    create(&beside)?;
    fs::remove_file(&beside)?;
    Ok(Way::Beside { place, permissions })
}

/// Returns whether the directory of `place` takes another file.
fn takes_another(place: &Path) -> bool {
    let beside = beside(place);
    create(&beside).and_then(|_| fs::remove_file(&beside)).is_ok()
}

/// Writes `text` to a new file and gives it the name `place`, or leaves everything as it was.
fn replace(place: &Path, permissions: Option<Permissions>, text: &str) -> io::Result<()> {
    let beside = beside(place);
    let write = |mut file: File| {
        if let Some(permissions) = permissions {
            file.set_permissions(permissions)?;
        }
        file.write_all(text.as_bytes())?;
        // Some file systems report a full disk, or a full quota, only now.
        file.sync_all()?;
        fs::rename(&beside, place)
    };
    let written = create(&beside).and_then(write);
    if written.is_err() {
        // If it is not there, there is nothing to remove.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o666).open(path)
}

/// A name in the directory of `place` that nobody else uses.
fn beside(place: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(place.file_name().unwrap_or_default());
    name.push(format!(".nsplice-{}", process::id()));
    place.with_file_name(name)
}

fn failed(path: &Path, source: io::Error) -> Failure {
    comparing(ComparingError::Page { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{symlink, PermissionsExt};

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_stands_there_stays_until_the_page_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("page"), directory.path().join("link"));
        fs::write(&path, "the one of before").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        symlink("page", &link).unwrap();
        let before = File::open(&path).unwrap();
        let page = Page::open(&link).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "the one of before");
        assert_eq!(names(directory.path()), ["link", "page"]);
        page.write("new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(io::read_to_string(before).unwrap(), "the one of before");
        assert_eq!(names(directory.path()), ["link", "page"]);
    }

    #[test]
    fn there_is_no_page_before_it_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("page");
        let page = Page::open(&path).unwrap();
        assert!(names(directory.path()).is_empty());
        page.write("new").unwrap();
        assert_eq!(names(directory.path()), ["page"]);
        assert!(Page::open(&directory.path().join("none/page")).is_err());
        assert!(Page::open(directory.path()).is_err());
    }
}
