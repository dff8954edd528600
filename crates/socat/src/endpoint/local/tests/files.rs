//! Names in the file system.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::tempdir;

use super::*;

fn file(keyword: Keyword, path: &Path) -> Address {
    address(keyword, path)
}

#[test]
fn open_does_not_create_without_creat() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("new");
    let name = path.display();
    let plain = file(Keyword::Open, &path);
    let missing = "No such file or directory";
    assert_eq!(refused(&plain, Way::Both), format!("open(\"{name}\", 02, 0666): {missing}"));
    assert_eq!(refused(&plain, Way::Read), format!("open(\"{name}\", 00, 0666): {missing}"));
    assert_eq!(refused(&plain, Way::Write), format!("open(\"{name}\", 01, 0666): {missing}"));
    opened(&on(plain.clone(), Opt::Creat), Way::Write).write("hi");
    assert_eq!(fs::read_to_string(&path).unwrap(), "hi");
    let exclusive = on(on(plain, Opt::Creat), Opt::Excl);
    assert_eq!(
        refused(&exclusive, Way::Write),
        format!("open(\"{name}\", 0301, 0666): File exists")
    );
}

#[test]
fn append_trunc_and_seek_are_heeded() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "one").unwrap();
    opened(&on(file(Keyword::Open, &path), Opt::Append), Way::Write).write("two");
    assert_eq!(fs::read_to_string(&path).unwrap(), "onetwo");
    let sought = with(file(Keyword::Open, &path), Opt::Seek, Value::Number(3));
    let mut link = opened(&sought, Way::Both);
    link.expect("two");
    link.write("six");
    assert_eq!(fs::read_to_string(&path).unwrap(), "onetwosix", "one offset for both ways");
    opened(&on(file(Keyword::Open, &path), Opt::Trunc), Way::Write).write("x");
    assert_eq!(fs::read_to_string(&path).unwrap(), "x");
}

#[test]
fn an_access_mode_that_was_given_wins() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "one").unwrap();
    let mut link = opened(&on(file(Keyword::Open, &path), Opt::ReadOnly), Way::Both);
    link.expect("one");
    let error = link.sink.unwrap().write_all(b"x").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF), "told by the first write");
}

#[test]
fn create_truncates_and_only_writes() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "longer").unwrap();
    let mut link = opened(&file(Keyword::Create, &path), Way::Both);
    link.write("x");
    assert!(link.source.read(&mut [0]).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "x");
    assert_eq!(
        refused(&file(Keyword::Create, Path::new("/nowhere/at/all")), Way::Write),
        "creat(\"/nowhere/at/all\", 0666): No such file or directory"
    );
}

#[test]
fn a_bare_path_appends_to_what_is_there_and_creates_what_is_not() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("file");
    let general = file(Keyword::Gopen, &path);
    opened(&general, Way::Both).write("one");
    opened(&general, Way::Both).write("two");
    assert_eq!(fs::read_to_string(&path).unwrap(), "onetwo");
    assert_eq!(opened(&general, Way::Read).rest(), "onetwo");
    let name = directory.path().display();
    assert_eq!(
        refused(&file(Keyword::Gopen, directory.path()), Way::Both),
        format!("open(\"{name}\", 02002, 0666): Is a directory")
    );
}

#[test]
fn what_is_created_has_the_mode_and_may_go_at_the_end() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("file");
    let made = on(file(Keyword::Open, &path), Opt::Creat);
    let made = with(made, Opt::Mode, Value::Number(0o600));
    let link = opened(&on(made.clone(), Opt::UnlinkClose), Way::Both);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    drop(link);
    assert!(!path.exists());
    fs::write(&path, "former").unwrap();
    drop(opened(&on(made, Opt::UnlinkEarly), Way::Both));
    assert_eq!(fs::read_to_string(&path).unwrap(), "", "it is a new one");
}

#[test]
fn owners_that_nobody_knows_are_told() {
    let nobody = with(file(Keyword::Open, Path::new("x")), Opt::User, text("no-such-user"));
    assert_eq!(fault(&nobody).message, "getpwnam(\"no-such-user\"): no such user");
    let nobody = with(file(Keyword::Open, Path::new("x")), Opt::Group, text("no-such-group"));
    assert_eq!(fault(&nobody).message, "getgrnam(\"no-such-group\"): no such group");
}
