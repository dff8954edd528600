//! The IP version that an address means: by its keyword, `pf=`, the flags -4 and -6, the
//! environment.

use std::ffi::OsString;

use crate::fault::Fault;
use crate::language::flags::IpPreference;
use crate::language::{Address, Keyword, Opt, Value};

use super::inet::Version;

/// The version in which a connecting `address` is looked up. A flag restricts a name to the version
/// that it says; a name that has no address of that version is reached by what it has, as with socat.
pub(crate) fn connecting(address: &Address, flags: IpPreference) -> Result<Version, Fault> {
    match explicit(address)? {
        Some(version) => Ok(version),
        None => Ok(match flags {
            IpPreference::V4 => Version::FourOrElse,
            IpPreference::V6 => Version::SixOrElse,
            IpPreference::Any => Version::Any,
            IpPreference::Default => preferred(chosen(flags, "SOCAT_PREFERRED_RESOLVE_IP")),
        }),
    }
}

/// The version of an environment that prefers one.
fn preferred(version: IpPreference) -> Version {
    match version {
        IpPreference::V6 => Version::SixFirst,
        IpPreference::Any => Version::Any,
        IpPreference::V4 | IpPreference::Default => Version::FourFirst,
    }
}

/// The version in which `address` listens: one of them, never either.
pub(crate) fn listening(address: &Address, flags: IpPreference) -> Result<Version, Fault> {
    match explicit(address)? {
        Some(version) => Ok(version),
        None => Ok(match chosen(flags, "SOCAT_DEFAULT_LISTEN_IP") {
            IpPreference::V6 => Version::V6,
            IpPreference::V4 | IpPreference::Any | IpPreference::Default => Version::V4,
        }),
    }
}

/// What the address itself says.
fn explicit(address: &Address) -> Result<Option<Version>, Fault> {
    if let Some(setting) = address.setting(Opt::ProtocolFamily) {
        let word = match &setting.value {
            Value::Text(word) => word.clone(),
            Value::Number(number) => OsString::from(number.to_string()),
            _ => OsString::new(),
        };
        return match word.to_string_lossy().to_ascii_lowercase().as_str() {
            "ip4" | "ipv4" | "inet" | "inet4" | "ip" | "2" => Ok(Some(Version::V4)),
            "ip6" | "ipv6" | "inet6" | "10" => Ok(Some(Version::V6)),
            _ => {
                let word = word.to_string_lossy();
                Err(Fault::new(format!("unknown protocol family \"{word}\"")))
            }
        };
    }
    Ok(match address.keyword {
        Keyword::Tcp4Connect | Keyword::Tcp4Listen => Some(Version::V4),
        Keyword::Tcp6Connect | Keyword::Tcp6Listen => Some(Version::V6),
        _ => None,
    })
}

/// What the flags say, and if they say nothing, what the environment says.
fn chosen(flags: IpPreference, variable: &str) -> IpPreference {
    if flags != IpPreference::Default {
        return flags;
    }
    match std::env::var(variable).as_deref() {
        Ok("4") => IpPreference::V4,
        Ok("6") => IpPreference::V6,
        Ok("0") => IpPreference::Any,
        _ => IpPreference::Default,
    }
}
