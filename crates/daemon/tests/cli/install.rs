//! `nsplice install`, seen from outside.

use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::Path;

use tempfile::TempDir;

use nsplice_testkit::program::copy_program;

use crate::binary::{end_of, nsplice, quiet, End};

/// A directory that programs are in.
struct Bin(TempDir);

impl Bin {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self) -> String {
        self.0.path().display().to_string()
    }

    fn name(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn install(&self, options: &str) -> End {
        end_of(&mut nsplice(&format!("install {options} {}", self.path())))
    }

    /// All names in it, sorted.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("a directory");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().display().to_string())
            .collect();
        names.sort();
        names
    }

    fn leads_to(&self, name: &str) -> String {
        fs::read_link(self.name(name)).expect("a link").display().to_string()
    }
}

fn binary() -> String {
    let path = Path::new(env!("CARGO_BIN_EXE_nsplice")).canonicalize();
    path.expect("nsplice is there").display().to_string()
}

/// What removing has to say.
fn done(lines: &[String]) -> End {
    End { code: 0, stdout: lines.concat(), stderr: String::new() }
}

/// What making links has to say. The program of the tests is in a build directory.
fn made(lines: &[String]) -> End {
    let binary = binary();
    let cache = Path::new(&binary).ancestors().find(|each| each.join("CACHEDIR.TAG").exists());
    let warning = format!(
        "warning: {binary} is in the build directory {}, and the link breaks when that is cleaned: \
         better copy nsplice first (`cp {binary} /usr/local/bin/`), and install from there\n",
        cache.expect("cargo marks its directory").display()
    );
    End { stderr: warning, ..done(lines) }
}

#[test]
fn links_are_made_once_and_removed_once() {
    let bin = Bin::new();
    let (path, binary) = (bin.path(), binary());
    let link = |name| format!("{path}/{name} -> {binary}\n");
    let there = |name| format!("{path}/{name} is a link to {binary} already\n");
    assert_eq!(bin.install(""), made(&[link("socat")]));
    assert_eq!(bin.names(), ["socat"]);
    assert_eq!(bin.leads_to("socat"), binary);
    assert_eq!(bin.install("--force"), made(&[there("socat")]));
    assert_eq!(bin.install("--nsenter"), made(&[there("socat"), link("nsenter")]));
    assert_eq!(bin.names(), ["nsenter", "socat"]);

    let gone = |name, how| format!("{path}/{name} {how}\n");
    let both = |how| done(&[gone("socat", how), gone("nsenter", how)]);
    assert_eq!(bin.install("--uninstall"), both("is removed"));
    assert_eq!(bin.install("--uninstall"), both("does not exist"));
    assert_eq!(bin.names(), [""; 0]);
}

#[test]
fn the_environment_says_what_an_option_would() {
    let bin = Bin::new();
    let install = |variable: &str| end_of(nsplice("install").arg(bin.0.path()).env(variable, "1"));
    assert_eq!(install("NSPLICE_NSENTER").code, 0);
    assert_eq!(bin.names(), ["nsenter", "socat"]);
    let gone = ["socat", "nsenter"].map(|name| format!("{}/{name} is removed\n", bin.path()));
    assert_eq!(install("NSPLICE_UNINSTALL"), done(&gone));
    assert_eq!(bin.names(), [""; 0]);
}

#[test]
fn another_program_stays_unless_force_keeps_it_aside() {
    let bin = Bin::new();
    let (path, binary) = (bin.path(), binary());
    fs::write(bin.name("nsenter"), "the real one").unwrap();
    fs::set_permissions(bin.name("nsenter"), fs::Permissions::from_mode(0o751)).unwrap();
    let refused = format!(
        "error: {path}/nsenter is another program; --force renames it and takes its place\n"
    );
    assert_eq!(bin.install("--nsenter"), quiet(1, refused));
    assert_eq!(bin.names(), ["nsenter"], "socat was not linked either");

    symlink("/usr/bin/true", bin.name("socat")).unwrap();
    let end = bin.install("--nsenter --force");
    let expected = [
        format!("{path}/socat is kept as {path}/socat.nsplice-saved\n"),
        format!("{path}/socat -> {binary}\n"),
        format!(
            "NSPLICE_SOCAT_FALLBACK={path}/socat.nsplice-saved would let it do what nsplice does \
             not; `socat1` in PATH does so too\n"
        ),
        format!("{path}/nsenter is kept as {path}/nsenter.nsplice-saved\n"),
        format!("{path}/nsenter -> {binary}\n"),
    ];
    assert_eq!(end, made(&expected));
    assert_eq!(bin.names(), ["nsenter", "nsenter.nsplice-saved", "socat", "socat.nsplice-saved"]);
    assert_eq!(bin.install("--nsenter --force").code, 0, "once more changes nothing");

    let back = |name| format!("{path}/{name} is restored\n");
    assert_eq!(bin.install("--uninstall"), done(&[back("socat"), back("nsenter")]));
    assert_eq!(bin.names(), ["nsenter", "socat"]);
    assert_eq!(bin.leads_to("socat"), "/usr/bin/true");
    assert_eq!(fs::read_to_string(bin.name("nsenter")).unwrap(), "the real one");
    assert_eq!(fs::metadata(bin.name("nsenter")).unwrap().permissions().mode() & 0o777, 0o751);

    let stays = |name| format!("{path}/{name} is another program: left as it is\n");
    assert_eq!(bin.install("--uninstall"), done(&[stays("socat"), stays("nsenter")]));
    assert_eq!(bin.names(), ["nsenter", "socat"]);
}

#[test]
fn what_is_kept_aside_is_never_written_over() {
    let bin = Bin::new();
    fs::write(bin.name("socat"), "new").unwrap();
    fs::write(bin.name("socat.nsplice-saved"), "old").unwrap();
    let path = bin.path();
    let refused = format!(
        "error: {path}/socat.nsplice-saved already exists, from an earlier --force; \
         move it away first\n"
    );
    assert_eq!(bin.install("--force"), quiet(1, refused));
    assert_eq!(bin.install("--uninstall").code, 0);
    assert_eq!(fs::read_to_string(bin.name("socat")).unwrap(), "new");
    assert_eq!(fs::read_to_string(bin.name("socat.nsplice-saved")).unwrap(), "old");
    assert_eq!(bin.names(), ["socat", "socat.nsplice-saved"]);
}

#[test]
fn a_copy_that_has_the_name_itself_is_left_alone() {
    let bin = Bin::new();
    copy_program(binary(), bin.name("nsplice"));
    fs::hard_link(bin.name("nsplice"), bin.name("socat")).unwrap();
    let mut command = std::process::Command::new(bin.name("nsplice"));
    let end = end_of(command.args(["install", "--force"]).arg(bin.0.path()));
    assert_eq!(end, done(&[format!("{}/socat is nsplice itself\n", bin.path())]));
    let mut command = std::process::Command::new(bin.name("nsplice"));
    assert_eq!(end_of(command.args(["install", "--uninstall"]).arg(bin.0.path())).code, 0);
    assert_eq!(bin.names(), ["nsplice", "socat"]);
}

#[test]
fn what_cannot_be_done_is_told_by_the_exit_code() {
    let end = end_of(&mut nsplice("install /nonexistent/bin"));
    let line = "error: cannot use /nonexistent/bin: No such file or directory\n";
    assert_eq!(end, quiet(1, line));

    let bin = Bin::new();
    fs::create_dir(bin.name("socat")).unwrap();
    let line = format!("error: {}/socat is a directory\n", bin.path());
    assert_eq!(bin.install("--force"), quiet(1, line));

    // Not even root makes files there.
    let end = end_of(&mut nsplice("install /sys/kernel"));
    let line = "error: cannot make the link /sys/kernel/socat: ";
    assert!(end.stderr.starts_with(line), "{end:?}");
    assert_eq!((end.code, end.stdout.as_str()), (5, ""), "{end:?}");
}
