//! `netns=`: the network namespace that an endpoint's sockets are born in.
//!
//! The value is a name below the run directory, an absolute path, or a process's number; a name
//! that exists comes before a number. A socket stays where it was born, so only its making happens
//! there; binding, connecting and all waiting happen at home.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nsplice_backend::{Birthplace, Unborn};
use nsplice_relay::{OpenClass, OpenError};
use nsplice_sys::describe;
use socket2::{Domain, Protocol, Socket, Type};

use crate::fault::Fault;
use crate::language::{Address, Opt};

use super::name::escaped;

/// Where `ip netns` keeps names.
const NAMES: &str = "/run/netns";

/// The namespace that sockets are born in.
#[derive(Debug)]
pub(crate) enum Birth {
    Here,
    There {
        birthplace: Birthplace,
        /// The namespace as messages name it.
        told: String,
    },
}

impl Birth {
    /// Finds where the sockets of `address` are born.
    pub(crate) fn of(address: &Address) -> Result<Self, Fault> {
        let Some(value) = address.text(Opt::Netns) else {
            return Ok(Self::Here);
        };
        let told = escaped(value);
        let failed = |what: &str, errno: Errno| {
            Fault::new(format!("netns \"{told}\": {what}: {}", describe(&errno.into())))
        };
        let path = path_of(value);
        let birthplace = match number_of(value) {
            Some(pid) if !path.exists() => {
                Birthplace::of_process(pid).map_err(|error| failed("process", errno_of(&error)))?
            }
            _ => {
                // Told at start what would be told at each opening.
                let found = std::fs::metadata(&path).and_then(|_| Birthplace::of_path(&path));
                found.map_err(|error| {
                    failed(&format!("open(\"{}\")", escaped(path.as_os_str())), errno_of(&error))
                })?
            }
        };
        Ok(Self::There { birthplace, told })
    }

    /// A socket, non-blocking and close-on-exec.
    pub(crate) fn socket(
        &self,
        domain: Domain,
        kind: Type,
        protocol: Option<Protocol>,
    ) -> Result<Socket, OpenError> {
        let unborn = |errno: Errno| {
            let (family, kind) = (libc::c_int::from(domain), libc::c_int::from(kind));
            let protocol = protocol.map_or(0, libc::c_int::from);
            let told = format!("socket({family}, {kind}, {protocol}): {}", describe(&errno.into()));
            OpenError::new(OpenClass::of_errno(errno), told)
        };
        match self {
            Self::Here => Socket::new(domain, kind.nonblocking(), protocol)
                .map_err(|error| unborn(errno_of(&error))),
            Self::There { birthplace, told } => {
                birthplace.socket(domain, kind, protocol).map_err(|error| match error {
                    Unborn::Inside(errno) => unborn(errno),
                    Unborn::Outside(errno) => {
                        let told =
                            format!("netns \"{told}\": setns(): {}", describe(&errno.into()));
                        OpenError::new(OpenClass::of_errno(errno), told)
                    }
                })
            }
        }
    }
}

/// What a name or path stands for: what is absolute replaces the directory.
fn path_of(value: &OsStr) -> PathBuf {
    Path::new(NAMES).join(value)
}

fn number_of(value: &OsStr) -> Option<u32> {
    value.to_str()?.parse().ok()
}

/// The number behind an error of the system.
pub(crate) fn errno_of(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
