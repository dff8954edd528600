//! Names looked up off the loop, as the target resolves them.
//!
//! A name behind `--to` is looked up as its target would ([`View`]): by its files, with sockets of its
//! network namespace. The host of `tcp/HOST` is looked up as any program of the node would, by
//! getaddrinfo(3). Both block, so they run on the threads of a pool.
//!
//! A name in one place is one question, whoever asks: all links of all forwards that want it wait for the
//! same look-up. The place is part of it: when a container has been started anew, what its predecessor is
//! asking still is nobody's answer.
//!
//! Nothing is kept beyond that. An answer would be good for as long as its time to live says, a few seconds
//! in clusters, and only until the files change that led to it, which any container may do at any time; to
//! read them costs as much as to look the name up in them, and servers deal out load by their answers.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use nsplice_relay::{OpenClass, OpenError};
use nsplice_runtime::Process;
use nsplice_sys::{describe, lock, Asker, Offloaded, Pool, Question};

use crate::names::View;
use crate::shared::Shared;
use crate::target::destination::Destination;
use crate::target::located::Located;
use crate::target::place::Place;
use crate::target::trail::Trail;
use crate::target::Target;

/// The answer of a look-up: at least one address, the likeliest to be reached first and with port 0, or
/// why there is none.
pub(crate) type Resolved = Result<Arc<[SocketAddr]>, OpenError>;

/// The longest look-up within a target. Less than a link has to be opened
/// ([`nsplice_relay::DEFAULT_CONNECT_TIMEOUT`]), so that it ends with what its name servers did.
const LONGEST: Duration = Duration::from_secs(8);

/// A name that can be looked up.
#[derive(Debug)]
pub(crate) struct Name {
    name: String,
    target: Target,
    place: Place,
    asker: Asker,
    /// What was asked last, and where.
    last: Mutex<Option<(Located, Arc<Question<Resolved>>)>>,
}

/// One question for each name that the threads of a pool look up somewhere.
static NAMES: Shared<(Pool, String, Where), Question<Resolved>> = Shared::new();

impl Name {
    /// The name `name` within `destination`, whose target is at `place`, to be looked up on behalf of
    /// `asker` unless somebody else's look-up will do.
    pub(crate) fn new(
        name: String,
        destination: &Destination,
        place: &Place,
        asker: &Asker,
    ) -> Self {
        let (target, place) = (destination.target.clone(), place.clone());
        Self { name, target, place, asker: asker.clone(), last: Mutex::default() }
    }

    /// Begins to look it up for a target that is `located`.
    pub(crate) fn ask(&self, located: &Located) -> io::Result<Offloaded<Resolved>> {
        self.question(located).ask()
    }

    /// The name itself.
    pub(crate) fn as_str(&self) -> &str {
        &self.name
    }

    fn question(&self, located: &Located) -> Arc<Question<Resolved>> {
        let mut last = lock(&self.last);
        // Kept beyond those who wait for it: whoever comes next joins a look-up that all others have
        // given up.
        if let Some((_, question)) = last.as_ref().filter(|(there, _)| there.is_same(located)) {
            return Arc::clone(question);
        }
        let (name, target) = (self.name.clone(), self.target.clone());
        let key = (self.asker.pool().clone(), name.clone(), Where::of(&target, located));
        let question = NAMES.of(key, || match target {
            Target::Tcp(_) => Question::new(&self.asker, move || by_the_node(&name)),
            Target::Pid(_) | Target::Netns(_) | Target::Named(_) => {
                let (place, located) = (self.place.clone(), located.clone());
                let view = View { target, place, located };
                Question::new(&self.asker, move || within(&view, &name))
            }
        });
        *last = Some((located.clone(), Arc::clone(&question)));
        question
    }
}

/// The place that a name is looked up in. It holds nobody: whoever asks there does.
#[derive(Debug)]
enum Where {
    Node,
    Within(Target, Spot),
}

/// A [`Located`] for as long as somebody else has it.
#[derive(Debug)]
enum Spot {
    Held(Weak<Process>),
    Trailed(Weak<Trail>),
    Fixed(Located),
}

impl Where {
    fn of(target: &Target, located: &Located) -> Self {
        let spot = match (target, located) {
            (Target::Tcp(_), _) => return Self::Node,
            (_, Located::Process(process)) => Spot::Held(Arc::downgrade(process)),
            (_, Located::Path(trail)) => Spot::Trailed(Arc::downgrade(trail)),
            (_, Located::Home | Located::Behind(_)) => Spot::Fixed(located.clone()),
        };
        Self::Within(target.clone(), spot)
    }
}

impl Spot {
    fn located(&self) -> Option<Located> {
        match self {
            Self::Held(process) => process.upgrade().map(Located::Process),
            Self::Trailed(trail) => trail.upgrade().map(Located::Path),
            Self::Fixed(located) => Some(located.clone()),
        }
    }
}

impl PartialEq for Where {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Node, Self::Node) => true,
            (Self::Within(one, here), Self::Within(other, there)) if one == other => {
                let both = here.located().zip(there.located());
                both.is_some_and(|(here, there)| here.is_same(&there))
            }
            _ => false,
        }
    }
}

/// Looks `name` up as `view` has it.
fn within(view: &View, name: &str) -> Resolved {
    let found = view.look_up(name, Instant::now() + LONGEST)?;
    Ok(found.addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
}

/// Looks `name` up as any program of the node does.
fn by_the_node(name: &str) -> Resolved {
    let unresolved = |class, reason: &str| {
        OpenError::new(class, format!("cannot resolve {name} for tcp/{name}: {reason}"))
    };
    let found = (name, 0).to_socket_addrs().map_err(|error| {
        let class = OpenError::from_io("", &error).class;
        let told = describe(&error);
        match error.raw_os_error() {
            Some(_) => unresolved(class, &told),
            None => {
                let reason = told.strip_prefix(STD_PREFIX).unwrap_or(&told);
                unresolved(OpenClass::NameUnknown, reason)
            }
        }
    })?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(unresolved(OpenClass::NameUnknown, "the name has no addresses"));
    }
    Ok(addresses.into())
}

/// What std puts before the resolver's own words.
const STD_PREFIX: &str = "failed to lookup address information: ";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::path::Path;

    #[test]
    fn a_look_up_ends_before_the_time_of_its_link() {
        assert!(LONGEST < nsplice_relay::DEFAULT_CONNECT_TIMEOUT);
    }

    #[test]
    fn a_name_of_the_hosts_file_is_found_once() {
        let found = by_the_node("localhost").unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 0));
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len());
    }

    #[test]
    fn an_unknown_name_is_told_with_the_target() {
        let error = by_the_node("no-such-host.invalid").unwrap_err();
        assert_eq!(error.class, OpenClass::NameUnknown);
        let start = "cannot resolve no-such-host.invalid for tcp/no-such-host.invalid: ";
        assert!(error.detail.starts_with(start), "{error}");
        assert!(!error.detail.contains(STD_PREFIX), "{error}");
    }

    /// The question about `db` in `target`, which is `located`.
    fn asked(pool: &Pool, target: &str, located: &Located) -> (Name, Arc<Question<Resolved>>) {
        let target = target.parse().unwrap();
        let destination = Destination { target, host: crate::Host::Localhost, port: 80 };
        let place = Place::Fixed(located.clone());
        let name = Name::new("db".into(), &destination, &place, &pool.asker());
        let question = name.question(located);
        assert!(Arc::ptr_eq(&question, &name.question(located)));
        (name, question)
    }

    #[test]
    fn a_name_is_one_question_in_one_place() {
        let pools = [Pool::on_demand(), Pool::on_demand()];
        let itself = || {
            let process = Process::find(std::process::id()).unwrap();
            Located::Process(Arc::new(process))
        };
        let path = |path: &str| Located::Path(Arc::new(Trail::find(Path::new(path))));
        let all = [
            asked(&pools[0], "tcp/db", &Located::Home),
            asked(&pools[0], "pid/7", &itself()),
            asked(&pools[0], "pid/7", &path("/run/netns/no-such")),
            asked(&pools[0], "netns/blue", &path("/run/netns/no-such")),
            asked(&pools[0], "netns/blue", &path("/run/netns/nor-this")),
            asked(&pools[1], "pid/7", &itself()),
        ];
        for (index, (_, one)) in all.iter().enumerate() {
            assert!(all[..index].iter().all(|(_, other)| !Arc::ptr_eq(one, other)), "{index}");
        }
        let again = [
            (0, asked(&pools[0], "tcp/db", &Located::Home)),
            (1, asked(&pools[0], "pid/7", &itself())),
            (2, asked(&pools[0], "pid/7", &path("/run/netns/no-such"))),
        ];
        for (index, (_, question)) in again {
            assert!(Arc::ptr_eq(&all[index].1, &question), "{index}");
        }
    }
}
