//! Names as a container resolves them: by its own `/etc/hosts` and `/etc/resolv.conf`, with sockets of
//! its own network namespace.
//!
//! [`Names`] are the files, [`Sockets`] the namespace; [`Names::look_up`] goes the way that the C
//! library goes. A literal address stands for itself; then the hosts file is asked; then, for each of
//! the names that the search list makes of the one that was given, one server after the other, for IPv4
//! and IPv6 side by side. A server that fails or is silent is followed by the next one; a name that does
//! not exist by the next name.
//!
//! The files and the servers are the container's, so nothing in them is believed beyond its bounds: see
//! the constants of these rooms.

mod exchange;
mod hosts;
mod message;
mod order;
mod outcome;
mod resolv_conf;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::root::{FileError, Root};

use self::exchange::{ask, random};
use self::message::Family;
use self::order::arrange;

pub use self::exchange::Sockets;
pub use self::hosts::Hosts;
pub use self::outcome::{Asked, Found, Origin, Reason, Said, Unresolved};
pub use self::resolv_conf::ResolvConf;

/// The longest hosts file: one with a hundred thousand lines is somebody's list of advertisers.
const LONGEST_HOSTS: usize = 4 << 20;

/// The longest resolv.conf.
const LONGEST_CONF: usize = 64 << 10;

/// The files that names are resolved by.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// `/etc/hosts`.
    pub hosts: Hosts,
    /// `/etc/resolv.conf`.
    pub conf: ResolvConf,
    /// Where the hosts file is for us; `None` if there is none.
    pub hosts_path: Option<PathBuf>,
    /// Where resolv.conf is for us; `None` if there is none.
    pub conf_path: Option<PathBuf>,
}

/// What became of one name at all servers.
enum Verdict {
    Found(SocketAddr, Vec<IpAddr>),
    /// The next name may be there.
    Not(Reason),
    /// Nobody would answer for the next name either.
    Nobody(Reason),
}

impl Names {
    /// Reads the files of a container below its root: each from the first of `directories` that has it,
    /// as `/etc`. One that is nowhere counts as empty.
    ///
    /// # Errors
    /// When a file is there and cannot be read, with its path.
    pub fn read(root: &Root, directories: &[&Path]) -> Result<Self, (PathBuf, FileError)> {
        let read = |name, most| {
            for path in directories.iter().map(|directory| directory.join(name)) {
                match root.read(&path, most) {
                    Err(FileError::Absent) => {}
                    Ok(text) => return Ok((text, Some(root.shown(&path)))),
                    Err(error) => return Err((root.shown(&path), error)),
                }
            }
            Ok((Vec::new(), None))
        };
        let (hosts, hosts_path) = read("hosts", LONGEST_HOSTS)?;
        let (conf, conf_path) = read("resolv.conf", LONGEST_CONF)?;
        let (hosts, conf) = (Hosts::parse(&hosts), ResolvConf::parse(&conf));
        Ok(Self { hosts, conf, hosts_path, conf_path })
    }

    /// Describes where a name that nobody knows was looked for.
    pub fn searched(&self) -> String {
        let hosts = self.hosts_path.as_ref();
        let hosts =
            hosts.map_or_else(|| "no hosts file".to_owned(), |path| path.display().to_string());
        match &self.conf_path {
            Some(path) => format!("{hosts} and the name servers of {}", path.display()),
            None => format!("{hosts} and 127.0.0.1, because there is no resolv.conf"),
        }
    }

    /// Looks up the addresses of `name`, the likeliest to be reached first. Blocks until `deadline` at
    /// most.
    ///
    /// # Errors
    /// When the name has no address, or nobody can say.
    pub fn look_up(
        &self,
        name: &str,
        sockets: &dyn Sockets,
        deadline: Instant,
    ) -> Result<Found, Unresolved> {
        if let Ok(address) = name.parse::<IpAddr>() {
            return Ok(Found::literal(address));
        }
        if let Some((line, addresses)) = self.hosts.find(name) {
            return Ok(Found::in_hosts(line, arrange(addresses, sockets)));
        }
        if is_localhost(name) {
            let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            return Ok(Found::loopback(loopback.to_vec()));
        }
        let first = if self.conf.rotate { usize::from(random()) } else { 0 };
        let (mut asked, mut reason) = (Vec::new(), None);
        for candidate in self.conf.candidates(name) {
            match self.ask_all(&candidate, first, sockets, deadline, &mut asked) {
                Verdict::Found(server, addresses) => {
                    let addresses = arrange(addresses, sockets);
                    return Ok(Found::told(server, candidate, addresses, asked));
                }
                // That some name of the list exists, or could not be told of, says more than that
                // another one does not.
                Verdict::Not(new) => reason = Some(reason.map_or(new, |old: Reason| old.max(new))),
                Verdict::Nobody(new) => {
                    reason = Some(new);
                    break;
                }
            }
        }
        Err(Unresolved { name: name.to_owned(), reason: reason.unwrap_or(Reason::NotAName), asked })
    }

    /// Asks one server after the other for one whole name, in as many rounds as the configuration says.
    fn ask_all(
        &self,
        name: &str,
        first: usize,
        sockets: &dyn Sockets,
        deadline: Instant,
        asked: &mut Vec<Asked>,
    ) -> Verdict {
        let families: &[Family] =
            if self.conf.no_ipv6 { &[Family::V4] } else { &[Family::V4, Family::V6] };
        let servers = &self.conf.servers;
        let (mut has_failed, mut reason) = (false, Reason::Unreached);
        for round in 0..self.conf.attempts {
            for index in 0..servers.len() {
                let server = servers[(first.wrapping_add(index)) % servers.len()];
                let began = Instant::now();
                if began >= deadline {
                    return Verdict::Nobody(Reason::Silent);
                }
                // A server that was silent gets twice the time in the next round. Where there is less
                // for all, those after it have their share.
                let others = u32::try_from(servers.len() - index).unwrap_or(u32::MAX);
                let share = (deadline - began) / others;
                let until = began + share.min(self.conf.timeout * (1 << round.min(4)));
                let replies = ask(sockets, server, name, families, self.conf.tcp, until);
                let (said, addresses) = outcome::judge(replies);
                let took = began.elapsed();
                asked.push(Asked { name: name.to_owned(), server, said: said.clone(), took });
                match said {
                    Said::Addresses => return Verdict::Found(server, addresses),
                    Said::NoSuchName => return Verdict::Not(Reason::NoSuchName),
                    Said::NoAddress => return Verdict::Not(Reason::NoAddress),
                    Said::Malformed => return Verdict::Not(Reason::NotAName),
                    Said::Failed(_) => has_failed = true,
                    Said::Silence => reason = Reason::Silent,
                    Said::Nothing(_) => {}
                }
            }
            // A server that has said that it fails would say so again.
            if has_failed {
                return Verdict::Not(Reason::Failed);
            }
        }
        Verdict::Nobody(reason)
    }
}

/// Names of this machine, whoever is asked (RFC 6761, section 6.3).
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests;
