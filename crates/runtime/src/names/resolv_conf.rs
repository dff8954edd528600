//! A resolver's configuration (resolv.conf(5)): whom to ask, and for which names.
//!
//! Read as the C library reads it: of several `search` and `domain` lines the last counts, values
//! beyond a limit are brought to it, and what is not understood is passed over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

/// The port of name servers (RFC 1035, section 4.2).
const PORT: u16 = 53;

/// The servers that are asked at most (MAXNS in resolv.conf(5)).
const MOST_SERVERS: usize = 3;

/// The domains that are searched at most: what Kubernetes lets a pod have.
const MOST_DOMAINS: usize = 32;

/// The most dots that `ndots` can ask for (resolv.conf(5)).
const MOST_DOTS: usize = 15;

/// The longest time to wait for a server in seconds (resolv.conf(5)).
const LONGEST_TIMEOUT: u64 = 30;

/// The most rounds through the servers (resolv.conf(5)).
const MOST_ATTEMPTS: u32 = 5;

/// A resolver's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvConf {
    /// The servers in the order in which they are asked; at least one.
    pub servers: Vec<SocketAddr>,
    /// The domains that a name is tried in.
    pub search: Vec<String>,
    /// A name with so many dots is first tried as it is.
    pub ndots: usize,
    /// The time that a server has for its answer in the first round.
    pub timeout: Duration,
    /// The rounds through the servers, from 1.
    pub attempts: u32,
    /// Whether each look-up begins with another server.
    pub rotate: bool,
    /// Whether servers are asked over TCP at once.
    pub tcp: bool,
    /// Whether IPv6 addresses are not asked for.
    pub no_ipv6: bool,
}

impl Default for ResolvConf {
    /// What counts where there is no file: the server of the same network namespace.
    fn default() -> Self {
        Self {
            servers: vec![(Ipv4Addr::LOCALHOST, PORT).into()],
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            rotate: false,
            tcp: false,
            no_ipv6: false,
        }
    }
}

impl ResolvConf {
    /// Reads the text of a resolv.conf.
    pub fn parse(text: &[u8]) -> Self {
        let mut conf = Self { servers: Vec::new(), ..Self::default() };
        for line in text.split(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(line);
            // A comment begins with its line: resolv.conf(5).
            if line.starts_with([';', '#']) {
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => conf.servers.extend(words.next().and_then(server)),
                Some("search") => conf.search = words.map(domain).collect(),
                Some("domain") => conf.search = words.take(1).map(domain).collect(),
                Some("options") => words.for_each(|option| conf.set(option)),
                _ => {}
            }
        }
        conf.servers.truncate(MOST_SERVERS);
        conf.search.retain(|domain| !domain.is_empty());
        conf.search.truncate(MOST_DOMAINS);
        if conf.servers.is_empty() {
            conf.servers = Self::default().servers;
        }
        conf
    }

    fn set(&mut self, option: &str) {
        let (name, value) = option.split_once(':').unwrap_or((option, ""));
        match name {
            "ndots" => {
                self.ndots = value.parse().map_or(self.ndots, |dots: usize| dots.min(MOST_DOTS));
            }
            "timeout" => {
                let seconds = value.parse().map(|seconds: u64| seconds.clamp(1, LONGEST_TIMEOUT));
                self.timeout = seconds.map_or(self.timeout, Duration::from_secs);
            }
            "attempts" => {
                let rounds = value.parse().map(|rounds: u32| rounds.clamp(1, MOST_ATTEMPTS));
                self.attempts = rounds.unwrap_or(self.attempts);
            }
            "rotate" => self.rotate = true,
            "use-vc" => self.tcp = true,
            "no-aaaa" => self.no_ipv6 = true,
            _ => {}
        }
    }

    /// Lists the whole names, without a last dot, that `name` may stand for, in the order in which they
    /// are asked for.
    pub fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(whole) = name.strip_suffix('.') {
            return vec![whole.to_owned()];
        }
        let in_domains = self.search.iter().map(|domain| format!("{name}.{domain}"));
        let whole = [name.to_owned()].into_iter();
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        let mut candidates: Vec<String> = if dots >= self.ndots {
            whole.chain(in_domains).collect()
        } else {
            in_domains.chain(whole).collect()
        };
        candidates.retain(|candidate| candidate.len() <= LONGEST_NAME);
        candidates
    }
}

/// The longest name in letters and dots (RFC 1035, section 3.1, without the root's dot).
const LONGEST_NAME: usize = 253;

/// A domain without the dots around it; `.` is the root, which is no domain to be searched.
fn domain(word: &str) -> String {
    word.trim_matches('.').to_owned()
}

/// An address, for IPv6 perhaps with the number of an interface. The name of an interface means
/// something to the target only, so a server behind one is passed over.
fn server(word: &str) -> Option<SocketAddr> {
    if let Ok(address) = word.parse::<IpAddr>() {
        return Some((address, PORT).into());
    }
    let (address, zone) = word.split_once('%')?;
    let address: Ipv6Addr = address.parse().ok()?;
    Some(SocketAddrV6::new(address, PORT, 0, zone.parse().ok()?).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLUSTER: &[u8] = b"search default.svc.cluster.local svc.cluster.local cluster.local\n\
        nameserver 10.96.0.10\noptions ndots:5\n";

    #[test]
    fn a_pod_tries_its_domains_first() {
        let conf = ResolvConf::parse(CLUSTER);
        assert_eq!(conf.servers, ["10.96.0.10:53".parse().unwrap()]);
        assert_eq!(
            conf.candidates("db"),
            ["db.default.svc.cluster.local", "db.svc.cluster.local", "db.cluster.local", "db"]
        );
        assert_eq!(conf.candidates("a.b.c.d.e.f")[0], "a.b.c.d.e.f");
        assert_eq!(conf.candidates("db.example.com."), ["db.example.com"]);
    }

    #[test]
    fn the_last_line_counts_and_limits_are_kept() {
        let conf = ResolvConf::parse(
            b"domain one.example\n# nameserver 10.0.0.1\nsearch . two.example. three.example\n\
              nameserver fe80::1%7\nnameserver fe80::1%eth0\nnameserver nonsense\nnameserver ::1\n\
              nameserver 10.0.0.2\nnameserver 10.0.0.3\noptions timeout:99 attempts:0 ndots:99 rotate\n\
              options use-vc no-aaaa unknown edns0\n",
        );
        let servers: Vec<_> = conf.servers.iter().map(SocketAddr::to_string).collect();
        assert_eq!(servers, ["[fe80::1%7]:53", "[::1]:53", "10.0.0.2:53"]);
        assert_eq!(conf.search, ["two.example", "three.example"]);
        assert_eq!((conf.timeout.as_secs(), conf.attempts, conf.ndots), (30, 1, 15));
        assert!(conf.rotate && conf.tcp && conf.no_ipv6);
    }

    #[test]
    fn an_empty_file_means_the_server_next_door() {
        assert_eq!(ResolvConf::parse(b"\n; nothing\n"), ResolvConf::default());
        assert_eq!(ResolvConf::default().candidates("db"), ["db"]);
    }

    proptest! {
        #[test]
        fn any_text_gives_servers_and_bounded_candidates(
            text in "(nameserver|search|domain|options|;|#|[ \t\n.:a-z0-9%-]|ndots:|timeout:|attempts:){0,80}",
            name in "[a-z.]{1,60}",
        ) {
            let conf = ResolvConf::parse(text.as_bytes());
            prop_assert!((1..=MOST_SERVERS).contains(&conf.servers.len()));
            prop_assert!((1..=MOST_ATTEMPTS).contains(&conf.attempts));
            let candidates = conf.candidates(&name);
            prop_assert!(candidates.len() <= MOST_DOMAINS + 1);
            let whole = name.strip_suffix('.').unwrap_or(&name);
            prop_assert!(candidates.iter().any(|candidate| candidate == whole));
        }
    }
}
