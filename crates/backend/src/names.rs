//! Names as a target resolves them: its files, and sockets of its network namespace.
//!
//! The files are `/etc/hosts` and `/etc/resolv.conf`
//!
//! - of a process, and of what is held by one: below its root;
//! - of a pod or container: those of a container of it ([`nsplice_runtime::Found`]). One of which no
//!   process can be seen has none that could be read, and neither has one in a sandbox of its own; those
//!   of the node would give answers that are not the pod's;
//! - of a name of `ip netns`: those of ip-netns(8), `/etc/netns/NAME/`, and without them the node's;
//! - of everything else: the node's.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nsplice_relay::{OpenClass, OpenError};
use nsplice_runtime::names::{Found, Names, Reason, Sockets};
use nsplice_runtime::{FileError, Owner, Root};
use nsplice_sys::{describe, Pool};
use socket2::{Domain, Socket, Type};

use crate::error::BackendError;
use crate::netns::birthplace::Birthplace;
use crate::options::Options;
use crate::target::located::{entry_failed, Located};
use crate::target::place::Place;
use crate::target::Target;

/// Where ip-netns(8) looks for the files of a namespace, by its name.
const NETNS_FILES: &str = "/etc/netns";

/// Where the files are.
const ETC: &str = "/etc";

impl Sockets for Birthplace {
    fn socket(&self, domain: Domain, kind: Type) -> io::Result<Socket> {
        Self::socket(self, domain, kind, None).map_err(|unborn| unborn.errno().into())
    }
}

/// Looks up `name` as `target` would, for `limit` at most. Blocks.
///
/// # Errors
/// When the target is not there or not for us, its files cannot be read, or the name has no address.
pub fn look_up(
    target: &Target,
    options: &Options,
    name: &str,
    limit: Duration,
) -> Result<Found, BackendError> {
    let deadline = Instant::now() + limit;
    // It is asked for once, here and now.
    let nobody = Pool::on_demand().asker();
    let place = Place::find(target, options, &nobody)?;
    let located = place.locate_now()?;
    let view = View { target: target.clone(), place, located };
    Ok(view.look_up(name, deadline)?)
}

/// A target's view of names: whose files, and whose sockets.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) target: Target,
    pub(crate) place: Place,
    /// Where it is, which is where sockets are made.
    pub(crate) located: Located,
}

impl View {
    /// Looks up `name` until `deadline` at most. Blocks.
    pub(crate) fn look_up(&self, name: &str, deadline: Instant) -> Result<Found, OpenError> {
        let Self { target, located, .. } = self;
        let names = self.names()?;
        let birthplace = Birthplace::at(located.clone())?;
        names.look_up(name, &birthplace, deadline).map_err(|unresolved| {
            // Nobody is reached where nobody can be asked.
            if let (Reason::Unreached, Err(errno)) = (unresolved.reason, birthplace.visit(|| ())) {
                return entry_failed(target, located, errno);
            }
            let class = match unresolved.reason {
                Reason::NotAName | Reason::NoSuchName | Reason::NoAddress | Reason::Unreached => {
                    OpenClass::NameUnknown
                }
                Reason::Silent => OpenClass::TimedOut,
                Reason::Failed => OpenClass::Other,
            };
            let searched = names.searched();
            let told =
                format!("cannot resolve {name} in {target}: {unresolved}; searched {searched}");
            OpenError::new(class, told)
        })
    }

    /// The files that its names are resolved by.
    fn names(&self) -> Result<Names, OpenError> {
        let Self { target, .. } = self;
        let (root, of_netns) = match (self.owner()?, target) {
            (Some(owner), _) => (owner.root(), None),
            (None, Target::Netns(path)) => (Root::own(), files_of_netns(path)),
            (None, _) => (Root::own(), None),
        };
        let root = root.map_err(|error| self.hidden(&error))?;
        let directories: Vec<&Path> =
            of_netns.iter().map(PathBuf::as_path).chain([Path::new(ETC)]).collect();
        Names::read(&root, &directories).map_err(|(path, error)| {
            let class = match &error {
                FileError::System(errno) => OpenClass::of_errno(*errno),
                _ => OpenClass::Other,
            };
            let told = format!("cannot read {} for {target}: {error}", path.display());
            OpenError::new(class, told)
        })
    }

    /// Whose files they are; `None` if they are the node's.
    fn owner(&self) -> Result<Option<Owner>, OpenError> {
        let Self { target, place, located } = self;
        let named = match place {
            Place::Fixed(Located::Process(process)) => {
                return Ok(Some(Owner::Process(Arc::clone(process))));
            }
            Place::Fixed(_) => return Ok(None),
            Place::Named(named) => named,
        };
        match (named.files()?, located) {
            (Some(owner), _) => Ok(Some(owner)),
            // It has the network of the node.
            (None, Located::Home) => Ok(None),
            (None, _) => Err(OpenError::new(
                OpenClass::Other,
                format!(
                    "cannot see the files of {target}: none of its processes can be seen from the node"
                ),
            )),
        }
    }

    /// That the root of its process cannot be opened.
    fn hidden(&self, error: &io::Error) -> OpenError {
        let Self { target, .. } = self;
        match error.raw_os_error().map(Errno::from_raw) {
            // The directory of a process that has ended is empty.
            Some(Errno::ESRCH | Errno::ENOENT) => {
                let told = format!("{target} is gone: its process has ended");
                OpenError::new(OpenClass::TargetGone, told)
            }
            errno => {
                let class = errno.map_or(OpenClass::Other, OpenClass::of_errno);
                let told = format!("cannot see the files of {target}: {}", describe(error));
                let help = match class {
                    OpenClass::Denied => "; root, or CAP_SYS_PTRACE, would help",
                    _ => "",
                };
                OpenError::new(class, told + help)
            }
        }
    }
}

/// The directory of the files that ip-netns(8) puts over those of /etc, for a namespace that has a name.
fn files_of_netns(path: &Path) -> Option<PathBuf> {
    path.parent().filter(|parent| parent.ends_with("netns"))?;
    Some(Path::new(NETNS_FILES).join(path.file_name()?))
}
