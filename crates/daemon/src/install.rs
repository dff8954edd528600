//! `nsplice install`: symbolic links by which this program is called as socat and as nsenter.
//!
//! Everything is looked at before anything is changed. A name goes from one program to the other by
//! rename(2), so that at no moment nobody has it: the node may be running it right now. What another
//! program leaves behind is kept beside it as NAME.nsplice-saved, a second name for the same file,
//! and never written over.
//!
//! A link leads to the file that this program was started from. Where that is in a directory that
//! anyone may empty at any time, such as cargo's, a warning says so.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{symlink, MetadataExt};
use std::path::{Path, PathBuf};

use nsplice_backend::of_proc;
use nsplice_sys::describe;

use crate::applet::Applet;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Stdout, Waiting};
use crate::request::{InstallRequest, LinkChange, Others};

/// Tells a line on standard output. What was done is done, whether or not anyone reads it.
macro_rules! say {
    ($($text:tt)+) => {{
        let _: io::Result<()> = writeln!(Waiting(Stdout), $($text)+);
    }};
}

/// Makes or removes the links, and tells on standard output what it did.
pub(crate) fn run(request: &InstallRequest) -> Result<(), Failure> {
    let binary = Binary::find().map_err(Failure::system("find the file of this program"))?;
    let directory = &request.directory;
    match &request.change {
        LinkChange::Make { applets, others } => {
            make(&binary, directory, applets, *others)?;
            if let Some(cache) = binary.cache() {
                let path = binary.path.display();
                let _: io::Result<()> = writeln!(
                    io::stderr(),
                    "warning: {path} is in the build directory {}, and the link breaks when that \
                     is cleaned: better copy nsplice first (`cp {path} /usr/local/bin/`), and \
                     install from there",
                    cache.display()
                );
            }
        }
        LinkChange::Remove => {
            let names = [Applet::Socat, Applet::Nsenter].map(|each| Name::new(directory, each));
            let [socat, nsenter] = names.each_ref().map(|name| name.holder(&binary));
            for (name, holder) in names.iter().zip([socat?, nsenter?]) {
                name.give_back(holder)?;
            }
        }
    }
    Ok(())
}

/// An error that keeps a name from being taken or given back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    /// Another program has the name.
    #[error("{0} is another program; --force renames it and takes its place")]
    Taken(PathBuf),
    /// The name is no program's.
    #[error("{0} is a directory")]
    Directory(PathBuf),
    /// A program is to be kept aside where one is kept already.
    #[error("{0} already exists, from an earlier --force; move it away first")]
    Saved(PathBuf),
    /// The system refused.
    #[error("cannot {what} {}: {}", path.display(), describe(source))]
    System {
        /// The attempt that failed.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl InstallError {
    /// The exit code that tells it.
    fn exit(&self) -> Exit {
        match self {
            Self::System { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Exit::Privilege
            }
            _ => Exit::Failed,
        }
    }

    fn system<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::System { what, path: path.into(), source }
    }
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        Self::Told { exit: error.exit(), sentence: error.to_string() }
    }
}

/// The file of this program.
#[derive(Debug)]
struct Binary {
    path: PathBuf,
    identity: (u64, u64),
}

impl Binary {
    fn find() -> io::Result<Self> {
        // If it was removed, or replaced by another version, this leads nowhere or elsewhere.
        let running = fs::metadata("/proc/self/exe").map_err(of_proc)?;
        let path = env::current_exe()?;
        let there = fs::metadata(&path)?;
        let identity = (running.dev(), running.ino());
        if identity != (there.dev(), there.ino()) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Self { path, identity })
    }

    /// The directory above it that is marked as one whose content can be made again, as cargo
    /// marks its own: <https://bford.info/cachedir/>.
    fn cache(&self) -> Option<&Path> {
        let is_cache = |directory: &&Path| directory.join("CACHEDIR.TAG").is_file();
        self.path.ancestors().skip(1).find(is_cache)
    }

    /// Returns whether `path` leads to it, now or if it were in its place.
    fn is_at(&self, path: &Path) -> bool {
        let same = |file: fs::Metadata| (file.dev(), file.ino()) == self.identity;
        fs::metadata(path).is_ok_and(same) || fs::read_link(path).is_ok_and(|to| to == self.path)
    }
}

/// The holder of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// Nothing.
    Nobody,
    /// A link to us.
    Link,
    /// Our file itself.
    Ourselves,
    /// Something else.
    Other,
}

/// A name to take or to give back.
#[derive(Debug)]
struct Name {
    applet: Applet,
    path: PathBuf,
    /// The path at which another program of the name is kept.
    saved: PathBuf,
    /// The path at which a link waits to be moved to the name.
    fresh: PathBuf,
}

fn make(
    binary: &Binary,
    directory: &Path,
    applets: &[Applet],
    others: Others,
) -> Result<(), InstallError> {
    let names: Vec<_> = applets.iter().map(|applet| Name::new(directory, *applet)).collect();
    let mut holders = Vec::new();
    for name in &names {
        let holder = name.holder(binary)?;
        name.check(holder, others)?;
        holders.push(holder);
    }
    for (index, (name, holder)) in names.iter().zip(&holders).enumerate() {
        if let Err(error) = name.take(binary, *holder) {
            for (done, _) in names[..index].iter().zip(&holders).filter(|(_, was)| was.changes()) {
                // The first failure is the one to tell.
                let _ = done.give_back(Holder::Link);
            }
            return Err(error);
        }
    }
    Ok(())
}

impl Holder {
    /// Returns whether taking the name from it changes anything.
    fn changes(self) -> bool {
        matches!(self, Self::Nobody | Self::Other)
    }
}

impl Name {
    fn new(directory: &Path, applet: Applet) -> Self {
        let name = applet.name();
        Self {
            applet,
            path: directory.join(name),
            saved: directory.join(format!("{name}.nsplice-saved")),
            fresh: directory.join(format!(".{name}.nsplice-{}", std::process::id())),
        }
    }

    fn holder(&self, binary: &Binary) -> Result<Holder, InstallError> {
        match fs::symlink_metadata(&self.path) {
            Ok(found) if found.is_symlink() && binary.is_at(&self.path) => Ok(Holder::Link),
            Ok(_) if binary.is_at(&self.path) => Ok(Holder::Ourselves),
            Ok(found) if found.is_dir() => Err(InstallError::Directory(self.path.clone())),
            Ok(_) => Ok(Holder::Other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let directory = self.path.parent().unwrap_or_else(|| Path::new("/"));
                fs::metadata(directory).map_err(InstallError::system("use", directory))?;
                Ok(Holder::Nobody)
            }
            Err(error) => Err(InstallError::system("examine", &self.path)(error)),
        }
    }

    fn check(&self, holder: Holder, others: Others) -> Result<(), InstallError> {
        match (holder, others) {
            (Holder::Other, Others::Stay) => Err(InstallError::Taken(self.path.clone())),
            (Holder::Other, Others::KeptAside) if fs::symlink_metadata(&self.saved).is_ok() => {
                Err(InstallError::Saved(self.saved.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Makes the name ours, if `holder` is who has it.
    fn take(&self, binary: &Binary, holder: Holder) -> Result<(), InstallError> {
        let (path, saved) = (self.path.display(), self.saved.display());
        match holder {
            Holder::Link => say!("{path} is a link to {} already", binary.path.display()),
            Holder::Ourselves => say!("{path} is nsplice itself"),
            Holder::Nobody => {
                symlink(&binary.path, &self.path)
                    .map_err(InstallError::system("make the link", &self.path))?;
                say!("{path} -> {}", binary.path.display());
            }
            Holder::Other => {
                symlink(&binary.path, &self.fresh)
                    .map_err(InstallError::system("make the link", &self.fresh))?;
                let replaced = fs::hard_link(&self.path, &self.saved)
                    .map_err(InstallError::system("keep the former program as", &self.saved))
                    .and_then(|()| self.replace());
                if replaced.is_err() {
                    let _ = fs::remove_file(&self.fresh);
                }
                replaced?;
                say!("{path} is kept as {saved}");
                say!("{path} -> {}", binary.path.display());
                if self.applet == Applet::Socat {
                    say!(
                        "NSPLICE_SOCAT_FALLBACK={saved} would let it do what nsplice does not; \
                         `socat1` in PATH does so too"
                    );
                }
            }
        }
        Ok(())
    }

    /// Moves the fresh link to the name, the former holder of which has been saved.
    fn replace(&self) -> Result<(), InstallError> {
        fs::rename(&self.fresh, &self.path).map_err(|error| {
            let _ = fs::remove_file(&self.saved);
            InstallError::system("put the link in the place of", &self.path)(error)
        })
    }

    /// Removes the name if `holder`, who has it, is a link to us, and gives it back to whoever had
    /// it before.
    fn give_back(&self, holder: Holder) -> Result<(), InstallError> {
        let (path, saved) = (self.path.display(), self.saved.display());
        let is_saved = fs::symlink_metadata(&self.saved).is_ok();
        match (holder, is_saved) {
            (Holder::Link | Holder::Nobody, true) => {
                fs::rename(&self.saved, &self.path)
                    .map_err(InstallError::system("bring back", &self.saved))?;
                say!("{path} is restored");
            }
            (Holder::Link, false) => {
                fs::remove_file(&self.path).map_err(InstallError::system("remove", &self.path))?;
                say!("{path} is removed");
            }
            (Holder::Nobody, false) => say!("{path} does not exist"),
            (Holder::Ourselves, _) => say!("{path} is nsplice itself, not a link: left as it is"),
            (Holder::Other, false) => say!("{path} is another program: left as it is"),
            (Holder::Other, true) => {
                say!("{path} is another program: left as it is, and so is {saved}");
            }
        }
        Ok(())
    }
}
