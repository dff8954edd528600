//! Looking for a real socat, with programs that are made for it.

use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};

use super::*;

fn program(path: &Path) {
    fs::write(path, "#!/bin/sh\n").unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn message(configured: &Path) -> String {
    find(Some(configured.into()), None).unwrap().unwrap_err().message
}

#[test]
fn socat1_is_looked_for_on_the_path() {
    let place = tempfile::tempdir().unwrap();
    let search = Some(place.path().into());
    assert_eq!(find(None, search.clone()), None);
    assert_eq!(find(Some(OsString::new()), search.clone()), None);
    let path = place.path().join("socat1");
    program(&path);
    assert_eq!(find(None, search), Some(Ok(path)));
}

#[test]
fn what_is_configured_comes_first() {
    let place = tempfile::tempdir().unwrap();
    program(&place.path().join("socat1"));
    let configured = place.path().join("real");
    program(&configured);
    let found = find(Some(configured.clone().into()), Some(place.path().into()));
    assert_eq!(found, Some(Ok(configured)));
}

#[test]
fn this_program_is_never_run_under_another_name() {
    let place = tempfile::tempdir().unwrap();
    let search = env::join_paths([place.path().join("a"), place.path().join("b")]).unwrap();
    for directory in ["a", "b"] {
        fs::create_dir(place.path().join(directory)).unwrap();
    }
    let link = place.path().join("a/socat1");
    symlink(env::current_exe().unwrap(), &link).unwrap();
    assert_eq!(find(None, Some(search.clone())), None);
    let why = format!(
        "cannot hand over to the real socat \"{}\": this is nsplice itself",
        link.display()
    );
    assert_eq!(message(&link), why);
    // One that is really another program is found behind it.
    let real = place.path().join("b/socat1");
    program(&real);
    assert_eq!(find(None, Some(search)), Some(Ok(real)));
}

/// Set for the process that is to become another program.
const BECOME: &str = "NSPLICE_TEST_BECOME";

#[test]
fn the_words_are_handed_over_unchanged() {
    let words = ["socat", "/proc/self/cmdline"];
    if env::var_os(BECOME).is_some() {
        let fault = replace_by_real(&words.map(OsString::from));
        panic!("still here: {fault:?}");
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "fallback::tests::the_words_are_handed_over_unchanged", "--nocapture"])
        .env(BECOME, "1")
        .env(FALLBACK_VARIABLE, "/bin/cat")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.ends_with(b"socat\0/proc/self/cmdline\0"), "{output:?}");
}

#[test]
fn a_configured_path_that_does_not_work_is_a_fault() {
    let place = tempfile::tempdir().unwrap();
    let missing = place.path().join("missing");
    let text = message(&missing);
    let start = format!("cannot hand over to the real socat \"{}\": ", missing.display());
    assert!(text.starts_with(&start) && text.len() > start.len(), "{text}");
    let not_executable = place.path().join("text");
    fs::write(&not_executable, "").unwrap();
    assert!(message(&not_executable).contains("text\": "));
}
