//! The ports that a client asks for, and the channels that they have.

use std::fmt;

/// How many ports a connection can have: `v4.base64.channel.k8s.io` writes channel 79, the error
/// channel of the fortieth, with the last character of ASCII.
pub const MOST_PORTS: usize = 40;

/// The number of a port's data channel: twice its place among the ports, from 0. The next number is
/// that of its error channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(u8);

impl Channel {
    /// The number that stands before its data.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The number that stands before what is said about errors.
    pub(crate) fn error(self) -> u8 {
        self.0 | 1
    }

    /// The place of its port.
    pub(crate) fn place(self) -> usize {
        usize::from(self.0 / 2)
    }

    /// The channel whose data, or errors, have this number.
    pub(crate) fn of(number: u8) -> Self {
        Self(number & !1)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The ports of a connection in the order of their channels: one at least, [`MOST_PORTS`] at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(Vec<u16>);

/// Why there are no ports to forward.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortsError {
    /// The query names none.
    #[error("the query names no ports: add {name}=PORT to it")]
    None {
        /// The parameter that should name them.
        name: String,
    },
    /// What it names is not a port.
    #[error("{0:?} in the query is not a port: a number from 1 to 65535 is")]
    Invalid(String),
    /// It names too many.
    #[error("the query names more than {0} ports, which is the most for one connection")]
    TooMany(usize),
}

impl Ports {
    /// The ports that the parameter `name` of a query names, the part of a path behind its `?`: the API
    /// server's is `ports`, the kubelet's is `port`. At most `most` of them are taken.
    ///
    /// A client writes one parameter for each port or lists them with commas, percent-encoded or not,
    /// and may add others or leave one empty (`&ports=80%2C81`). A port that stands twice has two
    /// channels, for the client counts them as well.
    ///
    /// # Errors
    /// When there are none or too many, or something else stands where a port should.
    pub fn in_query(query: &str, name: &str, most: usize) -> Result<Self, PortsError> {
        let most = most.min(MOST_PORTS);
        let mut ports = Vec::new();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if decoded(key).as_deref() != Some(name) {
                continue;
            }
            let invalid = |text: &str| PortsError::Invalid(text.chars().take(40).collect());
            let value = decoded(value).ok_or_else(|| invalid(value))?;
            for text in value.split(',') {
                if ports.len() == most {
                    return Err(PortsError::TooMany(most));
                }
                ports.push(port(text).ok_or_else(|| invalid(text))?);
            }
        }
        if ports.is_empty() {
            return Err(PortsError::None { name: name.to_owned() });
        }
        Ok(Self(ports))
    }

    /// All of them with their channels.
    pub fn iter(&self) -> impl Iterator<Item = (Channel, u16)> + '_ {
        (0..=u8::MAX).step_by(2).map(Channel).zip(self.0.iter().copied())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

fn port(text: &str) -> Option<u16> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_number && *port > 0)
}

/// A name or a value of a query without its percent encoding; `None` if it is none.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, later @ ..] = rest {
        rest = later;
        bytes.push(match first {
            b'%' => {
                let (digits, later) = rest.split_first_chunk::<2>()?;
                rest = later;
                let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
                u8::try_from(high? << 4 | low?).ok()?
            }
            b'+' => b' ',
            byte => *byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ports(query: &str) -> Result<Vec<u16>, PortsError> {
        Ports::in_query(query, "ports", 4).map(|ports| ports.0)
    }

    /// As the clients write them: kubernetes for Python, kube for Rust, client-node, kr8s.
    #[test]
    fn ports_are_read_as_clients_write_them() {
        for (query, expected) in [
            ("ports=80%2C81", &[80, 81][..]),
            ("&ports=80%2C81", &[80, 81]),
            ("ports=80", &[80]),
            ("name=demo&namespace=default&ports=80&_preload_content=false", &[80]),
            ("ports=8080&ports=1&&ports=65535", &[8080, 1, 65535]),
            ("ports=80,81&port=82", &[80, 81]),
            ("p%6Frts=%38%30", &[80]),
            ("ports=80&ports=80", &[80, 80]),
            ("ports=0080&%zz=%", &[80]),
        ] {
            assert_eq!(ports(query).as_deref(), Ok(expected), "{query}");
        }
        assert_eq!(Ports::in_query("port=80%2C81", "port", 99).map(|it| it.0), Ok(vec![80, 81]));
    }

    #[test]
    fn what_is_no_list_of_ports_is_refused() {
        for query in ["", "&&", "port=80", "Ports=80", "a=ports=80"] {
            assert_eq!(ports(query), Err(PortsError::None { name: "ports".into() }), "{query}");
        }
        for (query, invalid) in [
            ("ports=", ""),
            ("ports", ""),
            ("ports=80,", ""),
            ("ports=0", "0"),
            ("ports=65536", "65536"),
            ("ports=99999999999999999999", "99999999999999999999"),
            ("ports=%2B80", "+80"),
            ("ports=+80", " 80"),
            ("ports=-1", "-1"),
            ("ports=http", "http"),
            ("ports=80%2", "80%2"),
            ("ports=%zz", "%zz"),
            ("ports=%ff", "%ff"),
            ("ports=80;ports=81", "80;ports=81"),
            ("ports=80:8080", "80:8080"),
        ] {
            assert_eq!(ports(query), Err(PortsError::Invalid(invalid.into())), "{query}");
        }
        assert_eq!(ports("ports=1,2,3,4,5"), Err(PortsError::TooMany(4)));
        let many = format!("ports={}", ["1"; 41].join(","));
        assert_eq!(Ports::in_query(&many, "ports", 1000), Err(PortsError::TooMany(MOST_PORTS)));
        assert!(ports(&format!("ports={}", "é".repeat(99))).is_err());
    }

    #[test]
    fn channels_are_even_and_their_error_channels_follow() {
        let all = Ports::in_query(&format!("ports={}", ["7"; 40].join(",")), "ports", 40);
        let channels: Vec<_> = all.iter().flat_map(Ports::iter).map(|(it, _)| it).collect();
        for (place, channel) in channels.iter().enumerate() {
            assert_eq!((usize::from(channel.number()), channel.place()), (2 * place, place));
            assert_eq!(Channel::of(channel.error()), *channel);
        }
        assert_eq!(channels.last().map(|last| b'0' + last.error()), Some(0x7f));
    }

    proptest! {
        #[test]
        fn no_query_panics(query in "[a-z0-9&=%,+]{0,40}|.{0,40}") {
            let found = Ports::in_query(&query, "ports", 3);
            prop_assert!(found.map_or(true, |ports| (1..=3).contains(&ports.count())));
        }
    }
}
