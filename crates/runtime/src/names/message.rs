//! DNS messages (RFC 1035): a question for the addresses of a name, and what a reply says to it.
//!
//! The wire format is `simple-dns`'s: one crate with one dependency, where the larger libraries bring
//! an Unicode database or a calendar. What is decided here is whether a message answers our question,
//! and which of its records belong to the name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use simple_dns::rdata::RData;
use simple_dns::{Name, Packet, PacketFlag, Question, CLASS, QCLASS, QTYPE, RCODE, TYPE};

use super::hosts::MOST_ADDRESSES;

/// A kind of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    fn record(self) -> QTYPE {
        QTYPE::TYPE(match self {
            Self::V4 => TYPE::A,
            Self::V6 => TYPE::AAAA,
        })
    }
}

/// What a server has said to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// At least one address.
    Addresses(Vec<IpAddr>),
    /// The name exists, without an address of this kind.
    NoAddress,
    /// NXDOMAIN: neither the name nor anything below it exists.
    NoSuchName,
    /// The reply did not fit; it is to be had over TCP.
    Truncated,
    /// The server cannot or will not say: SERVFAIL, REFUSED and so on.
    Failed(RCODE),
}

/// How often a name may lead to another one (CNAME).
const MOST_ALIASES: usize = 16;

/// The longest label (RFC 1035, section 2.3.4).
const LONGEST_LABEL: usize = 63;

/// Encodes the question for the addresses of `name`; `None` if that is not a name of DNS.
pub(crate) fn question(id: u16, name: &str, family: Family) -> Option<Vec<u8>> {
    // An empty label would be the end of the name.
    if !name.split('.').all(|label| (1..=LONGEST_LABEL).contains(&label.len())) {
        return None;
    }
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let class = QCLASS::CLASS(CLASS::IN);
    packet.questions.push(Question::new(Name::new(name).ok()?, family.record(), class, false));
    packet.build_bytes_vec().ok()
}

/// Reads the reply to a question; `None` if this is none to it, or none at all.
pub(crate) fn reply(bytes: &[u8], id: u16, name: &str, family: Family) -> Option<Reply> {
    let packet = Packet::parse(bytes).ok()?;
    let name = Name::new(name).ok()?;
    let [asked] = packet.questions.as_slice() else { return None };
    let is_ours = packet.id() == id
        && packet.has_flags(PacketFlag::RESPONSE)
        && asked.qname == name
        && asked.qtype == family.record();
    if !is_ours {
        return None;
    }
    if packet.has_flags(PacketFlag::TRUNCATION) {
        return Some(Reply::Truncated);
    }
    Some(match packet.rcode() {
        RCODE::NoError => {
            let found = addresses(&packet, name, family);
            if found.is_empty() {
                Reply::NoAddress
            } else {
                Reply::Addresses(found)
            }
        }
        RCODE::NameError => Reply::NoSuchName,
        code => Reply::Failed(code),
    })
}

/// The addresses of `name`, or of what it is another word for.
fn addresses<'a>(packet: &Packet<'a>, mut name: Name<'a>, family: Family) -> Vec<IpAddr> {
    for _ in 0..=MOST_ALIASES {
        let of_name = || packet.answers.iter().filter(|record| record.name == name);
        let mut found: Vec<IpAddr> = Vec::new();
        for record in of_name() {
            let address: IpAddr = match (&record.rdata, family) {
                (RData::A(a), Family::V4) => Ipv4Addr::from(a.address).into(),
                (RData::AAAA(aaaa), Family::V6) => Ipv6Addr::from(aaaa.address).into(),
                _ => continue,
            };
            if !found.contains(&address) && found.len() < MOST_ADDRESSES {
                found.push(address);
            }
        }
        if !found.is_empty() {
            return found;
        }
        let alias = of_name().find_map(|record| match &record.rdata {
            RData::CNAME(alias) => Some(alias.0.clone()),
            _ => None,
        });
        match alias {
            Some(alias) => name = alias,
            None => return Vec::new(),
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use simple_dns::rdata::{A, CNAME};
    use simple_dns::ResourceRecord;

    fn answered(id: u16, records: &[(&str, RData<'static>)], code: RCODE) -> Vec<u8> {
        let asked = question(id, "db.example", Family::V4).unwrap();
        let mut packet = Packet::parse(&asked).unwrap().into_reply();
        packet.set_flags(PacketFlag::RESPONSE);
        *packet.rcode_mut() = code;
        for (name, data) in records {
            let name = Name::new(name).unwrap();
            packet.answers.push(ResourceRecord::new(name, CLASS::IN, 30, data.clone()));
        }
        packet.build_bytes_vec().unwrap()
    }

    fn alias(name: &'static str) -> RData<'static> {
        RData::CNAME(CNAME(Name::new(name).unwrap()))
    }

    fn address(last: u8) -> RData<'static> {
        RData::A(A::from(Ipv4Addr::new(10, 0, 0, last)))
    }

    fn read(bytes: &[u8]) -> Option<Reply> {
        reply(bytes, 7, "db.example", Family::V4)
    }

    #[test]
    fn aliases_are_followed_and_strangers_are_not() {
        let records = [
            ("real.example", address(9)),
            ("other.example", address(1)),
            ("db.example", alias("Next.example")),
            ("next.example", alias("real.example")),
        ];
        let found = read(&answered(7, &records, RCODE::NoError));
        assert_eq!(found, Some(Reply::Addresses(vec![[10, 0, 0, 9].into()])));
    }

    #[test]
    fn aliases_in_a_circle_lead_nowhere() {
        let records = [("db.example", alias("a.example")), ("a.example", alias("db.example"))];
        assert_eq!(read(&answered(7, &records, RCODE::NoError)), Some(Reply::NoAddress));
    }

    #[test]
    fn what_the_server_says_is_kept_apart() {
        assert_eq!(read(&answered(7, &[], RCODE::NameError)), Some(Reply::NoSuchName));
        assert_eq!(read(&answered(7, &[], RCODE::NoError)), Some(Reply::NoAddress));
        let failed = Some(Reply::Failed(RCODE::ServerFailure));
        assert_eq!(read(&answered(7, &[], RCODE::ServerFailure)), failed);
        let mut truncated = answered(7, &[("db.example", address(1))], RCODE::NoError);
        truncated[2] |= 0x02;
        assert_eq!(read(&truncated), Some(Reply::Truncated));
    }

    #[test]
    fn a_message_that_answers_something_else_is_none() {
        let good = answered(7, &[("db.example", address(1))], RCODE::NoError);
        assert!(read(&good).is_some());
        assert_eq!(reply(&good, 8, "db.example", Family::V4), None);
        assert_eq!(reply(&good, 7, "db.example.com", Family::V4), None);
        assert_eq!(reply(&good, 7, "db.example", Family::V6), None);
        assert_eq!(read(&question(7, "db.example", Family::V4).unwrap()), None);
        assert_eq!(read(&good[..good.len() - 1]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            read(&bytes);
        }

        #[test]
        fn a_broken_reply_is_read(at in 0usize..60, to in any::<u8>()) {
            let records = [("db.example", alias("a.example")), ("a.example", address(3))];
            let mut bytes = answered(7, &records, RCODE::NoError);
            let at = at.min(bytes.len() - 1);
            bytes[at] = to;
            read(&bytes);
        }
    }
}
