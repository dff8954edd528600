//! Names of UNIX sockets: in the file system, where they leave a file behind, and abstract ones.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use socket2::SockAddr;

use crate::fault::Fault;

/// The room for a name in an address (`sun_path`).
const LONGEST: usize = 108;

/// The address of the socket at `path`.
pub(crate) fn at_path(path: &OsStr) -> Result<SockAddr, Fault> {
    address(Path::new(path), |longest| {
        let length = path.len();
        format!("unix socket address {length} characters long, max length is {longest}")
    })
}

/// The address with the abstract name `name`.
pub(crate) fn abstract_name(name: &OsStr) -> Result<SockAddr, Fault> {
    let whole = [b"\0", name.as_bytes()].concat();
    let length = whole.len();
    address(Path::new(OsStr::from_bytes(&whole)), |longest| {
        format!("socket address {length} characters long, max length is {longest}")
    })
}

fn address(path: &Path, too_long: impl FnOnce(usize) -> String) -> Result<SockAddr, Fault> {
    // A path of exactly this length would not have its NUL.
    let longest = if path.as_os_str().len() > LONGEST { LONGEST } else { LONGEST - 1 };
    SockAddr::unix(path).map_err(|_| Fault::new(too_long(longest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::name::spelled;

    #[test]
    fn names_have_a_limit() {
        let long = |length: usize| OsStr::from_bytes(&b"x".repeat(length)).to_owned();
        assert!(at_path(&long(107)).is_ok());
        let told = "unix socket address 120 characters long, max length is 108";
        assert_eq!(at_path(&long(120)).unwrap_err().message, told);
        assert!(abstract_name(&long(107)).is_ok());
        let told = "socket address 109 characters long, max length is 108";
        assert_eq!(abstract_name(&long(108)).unwrap_err().message, told);
        assert_eq!(spelled(&abstract_name(OsStr::new("a")).unwrap()), "AF=1 \"\\0a\"");
    }
}
