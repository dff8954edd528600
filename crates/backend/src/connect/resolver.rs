//! Names looked up off the loop, by the system's own resolver.
//!
//! getaddrinfo(3) knows `/etc/hosts`, search domains and whatever else the node has been told; it
//! also blocks, so it runs on the threads of the pool. The look-up happens on the node: a
//! container's resolver files are in its mount namespace, not in its network namespace.
//!
//! A name is one question, whoever asks: all links of all forwards that want it wait for the same
//! look-up. Nothing is kept beyond that; how long an answer is good for is the resolver's to know.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use nsplice_relay::{OpenClass, OpenError};
use nsplice_sys::{describe, Asker, Offloaded, Pool, Question};

use crate::shared::Shared;
use crate::target::destination::Destination;

/// The answer of a look-up: at least one address, in the resolver's order of preference and with
/// port 0, or why there is none.
pub(crate) type Resolved = Result<Arc<[SocketAddr]>, Unresolved>;

/// A failure to resolve a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unresolved {
    class: OpenClass,
    reason: String,
}

/// A name that can be looked up.
#[derive(Debug)]
pub(crate) struct Name {
    name: String,
    question: Arc<Question<Resolved>>,
}

/// One question for each name that the threads of a pool look up.
static NAMES: Shared<(Pool, String), Question<Resolved>> = Shared::new();

impl Name {
    /// The name `name`, to be looked up on behalf of `asker` unless somebody else's look-up will do.
    pub(crate) fn new(name: String, asker: &Asker) -> Self {
        let (key, asked) = ((asker.pool().clone(), name.clone()), name.clone());
        let question = NAMES.of(key, || Question::new(asker, move || look_up(asked.as_str())));
        Self { name, question }
    }

    /// Begins to look it up.
    pub(crate) fn ask(&self) -> io::Result<Offloaded<Resolved>> {
        self.question.ask()
    }

    /// The name itself.
    pub(crate) fn as_str(&self) -> &str {
        &self.name
    }

    /// The addresses of an answer for `destination`.
    pub(crate) fn addresses(
        &self,
        answer: Resolved,
        destination: &Destination,
    ) -> Result<Vec<SocketAddr>, OpenError> {
        let found = answer.map_err(|Unresolved { class, reason }| {
            let within = destination.within();
            OpenError::new(class, format!("cannot resolve {} {within}: {reason}", self.name))
        })?;
        let mut addresses = found.to_vec();
        addresses.iter_mut().for_each(|address| address.set_port(destination.port));
        Ok(addresses)
    }
}

fn look_up(name: &str) -> Resolved {
    let found = (name, 0).to_socket_addrs().map_err(|error| {
        let class = OpenError::from_io("", &error).class;
        let told = describe(&error);
        match error.raw_os_error() {
            Some(_) => Unresolved { class, reason: told },
            None => unknown(told.strip_prefix(STD_PREFIX).unwrap_or(&told)),
        }
    })?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(unknown("the name has no addresses"));
    }
    Ok(addresses.into())
}

fn unknown(reason: &str) -> Unresolved {
    Unresolved { class: OpenClass::NameUnknown, reason: reason.to_owned() }
}

/// What std puts before the resolver's own words.
const STD_PREFIX: &str = "failed to lookup address information: ";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn addresses(name: &str) -> Result<Vec<SocketAddr>, OpenError> {
        let target = format!("tcp/{name}").parse().unwrap();
        let destination = Destination { target, host: crate::Host::Localhost, port: 80 };
        let asked = Name::new(name.to_owned(), &Pool::on_demand().asker());
        asked.addresses(look_up(name), &destination)
    }

    #[test]
    fn a_name_of_the_hosts_file_is_found_once() {
        let found = addresses("localhost").unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len());
    }

    #[test]
    fn an_unknown_name_is_told_with_the_target() {
        let error = addresses("no-such-host.invalid").unwrap_err();
        assert_eq!(error.class, OpenClass::NameUnknown);
        assert!(
            error.detail.starts_with("cannot resolve no-such-host.invalid for tcp/"),
            "{error}"
        );
        assert!(!error.detail.contains(STD_PREFIX), "{error}");
    }

    #[test]
    fn a_name_is_one_question() {
        let pools = [Pool::on_demand(), Pool::on_demand()];
        let ask = |pool: &Pool| Name::new("db.example".into(), &pool.asker());
        let [one, other] = [(); 2].map(|()| ask(&pools[0]));
        assert!(Arc::ptr_eq(&one.question, &other.question));
        assert!(!Arc::ptr_eq(&one.question, &ask(&pools[1]).question));
    }
}
