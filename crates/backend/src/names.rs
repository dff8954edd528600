//! Names as a target resolves them: its files, and sockets of its network namespace.
//!
//! The files are those of the process that the target is entered by: `/etc/hosts` and `/etc/resolv.conf`
//! below its root. A target that is a name of `ip netns` has those of ip-netns(8), `/etc/netns/NAME/`,
//! and without them the node's. A pod of which no process can be seen has no files that could be read.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nsplice_runtime::names::{Found, Names, Sockets};
use nsplice_runtime::Root;
use nsplice_sys::describe;
use socket2::{Domain, Socket, Type};

use crate::error::BackendError;
use crate::netns::birthplace::Birthplace;
use crate::options::Options;
use crate::target::located::Located;
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
    let birthplace = Birthplace::of_target(target, options)?;
    let names = names_of(target, birthplace.located())?;
    names.look_up(name, &birthplace, deadline).map_err(|error| {
        BackendError::Failed(format!("cannot resolve {name} in {target}: {error}"))
    })
}

fn names_of(target: &Target, located: &Located) -> Result<Names, BackendError> {
    let (root, of_netns) = match (located, target) {
        (Located::Process(process), _) => (Root::of_process(process), None),
        // Those of the node would give answers that are not the pod's.
        (Located::Path(_) | Located::Behind(_), Target::Named(_)) => {
            return Err(BackendError::Failed(format!(
                "cannot see the files of {target}: none of its processes can be seen from the node"
            )));
        }
        (_, Target::Netns(path)) => (Root::own(), files_of_netns(path)),
        _ => (Root::own(), None),
    };
    let root = root.map_err(|error| {
        let told = format!("cannot see the files of {target}: {}", describe(&error));
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                BackendError::Privilege(format!("{told}; root, or CAP_SYS_PTRACE, would help"))
            }
            _ => BackendError::Failed(told),
        }
    })?;
    let directories: Vec<&Path> =
        of_netns.iter().map(PathBuf::as_path).chain([Path::new(ETC)]).collect();
    Names::read(&root, &directories).map_err(|(path, error)| {
        BackendError::Failed(format!("cannot read {} for {target}: {error}", path.display()))
    })
}

/// The directory of the files that ip-netns(8) puts over those of /etc, for a namespace that has a name.
fn files_of_netns(path: &Path) -> Option<PathBuf> {
    path.parent().filter(|parent| parent.ends_with("netns"))?;
    Some(Path::new(NETNS_FILES).join(path.file_name()?))
}
