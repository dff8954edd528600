//! A hosts file (hosts(5)): addresses, and the names that they have without asking anybody.

use std::net::IpAddr;

/// The addresses of one name that are taken, of the file or of a server's reply: each is compared with
/// those before it, and asked for its route.
pub(super) const MOST_ADDRESSES: usize = 64;

/// The lines of a hosts file that mean something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// Number of its line, from 1.
    line: usize,
    address: IpAddr,
    names: Vec<String>,
}

impl Hosts {
    /// Reads the text of a hosts file. A line that is not understood is passed over, as the C library
    /// does.
    pub fn parse(text: &[u8]) -> Self {
        let entry = |(index, line): (usize, &[u8])| {
            let line = String::from_utf8_lossy(line);
            let mut words = line.split('#').next()?.split_ascii_whitespace();
            let address = words.next()?.parse().ok()?;
            let names = words.map(|name| without_dot(name).to_owned()).collect();
            Some(Entry { line: index + 1, address, names })
        };
        Self { entries: text.split(|byte| *byte == b'\n').enumerate().filter_map(entry).collect() }
    }

    /// Finds the addresses of `name` in the order of the file, each once, 64 of them at most, and
    /// the line of the first. Upper and lower case are the same.
    pub fn find(&self, name: &str) -> Option<(usize, Vec<IpAddr>)> {
        let name = without_dot(name);
        let mut found: Option<(usize, Vec<IpAddr>)> = None;
        for entry in &self.entries {
            if entry.names.iter().any(|each| each.eq_ignore_ascii_case(name)) {
                let (_, addresses) = found.get_or_insert_with(|| (entry.line, Vec::new()));
                if !addresses.contains(&entry.address) {
                    addresses.push(entry.address);
                    if addresses.len() == MOST_ADDRESSES {
                        break;
                    }
                }
            }
        }
        found
    }
}

/// The name without the dot that says that it is whole.
fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KUBERNETES: &[u8] = b"# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n\
        ::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0 ip6-localnet\n10.244.1.7\tweb\n\n\
        10.0.0.9 db.internal db # the old one\n10.0.0.10 DB\nnot-an-address web\n10.0.0.9 db\n";

    #[test]
    fn names_and_aliases_are_found_in_the_order_of_the_file() {
        let hosts = Hosts::parse(KUBERNETES);
        let found = |name| {
            hosts.find(name).map(|(line, found)| {
                (line, found.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" "))
            })
        };
        assert_eq!(found("localhost"), Some((2, "127.0.0.1 ::1".to_owned())));
        assert_eq!(found("db"), Some((7, "10.0.0.9 10.0.0.10".to_owned())));
        assert_eq!(found("DB.Internal."), Some((7, "10.0.0.9".to_owned())));
        assert_eq!(found("web"), Some((5, "10.244.1.7".to_owned())));
        assert_eq!(found("old"), None);
        assert_eq!(found(""), None);
    }

    /// The container's owner writes the file, as long as it may be.
    #[test]
    fn of_a_name_on_each_line_a_few_are_taken() {
        let line = |number: u32| format!("{} web\n", std::net::Ipv4Addr::from(number));
        let text: String = (0..300_000).map(line).collect();
        let (line, found) = Hosts::parse(text.as_bytes()).find("web").unwrap();
        assert_eq!((line, found.len()), (1, MOST_ADDRESSES));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in proptest::collection::vec(any::<u8>(), 0..400), name in ".{0,20}") {
            Hosts::parse(&text).find(&name);
        }
    }
}
