//! The route that all openings of one destination by `setns` or `dial` share.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use nsplice_relay::congestion::is_paced;
use nsplice_relay::queues::{is_near, Queues, Sizes};
use nsplice_sys::Asker;
use socket2::{Domain, Socket};

use crate::connect::resolver::Name;
use crate::connect::sizes::sizes;
use crate::netns::home::Home;
use crate::target::destination::Destination;
use crate::target::host::Host;
use crate::target::located::Located;
use crate::target::place::Place;

/// From where to what sockets are connected.
#[derive(Debug)]
pub(crate) struct Route {
    /// The backend's name.
    pub(crate) backend: &'static str,
    pub(crate) destination: Destination,
    /// The place that sockets are made in.
    pub(crate) place: Place,
    /// The namespace that the threads of this process live in.
    pub(crate) home: Home,
    pub(crate) addresses: Addresses,
    /// Whether the target's own addresses are tried after these, as its runtime tells them at the time.
    pub(crate) pod_ip: bool,
    /// Whether sockets pace where this leads, by the first of them. A default that is changed later
    /// is not noticed.
    pacing: OnceLock<bool>,
}

/// The addresses to connect to.
#[derive(Debug)]
pub(crate) enum Addresses {
    /// These addresses, in turn.
    Known(Arc<[SocketAddr]>),
    /// The addresses of this name.
    Named(Name),
}

impl Route {
    /// A route to `destination` that begins at `place`, for threads that live in `home`. Names are looked
    /// up on behalf of `asker`.
    pub(crate) fn new(
        backend: &'static str,
        destination: Destination,
        place: Place,
        home: Home,
        asker: &Asker,
    ) -> Self {
        let port = destination.port;
        let addresses = match destination.reached() {
            Host::Localhost => {
                let local: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
                Addresses::Known(local.map(|address| SocketAddr::new(address, port)).into())
            }
            Host::Address(address) => Addresses::Known([SocketAddr::new(address, port)].into()),
            Host::Name(name) => Addresses::Named(Name::new(name, &destination, &place, asker)),
        };
        let pacing = OnceLock::new();
        Self { backend, destination, place, home, addresses, pod_ip: false, pacing }
    }

    /// Returns the addresses to connect to, in turn, or the name that has to be looked up for that.
    pub(crate) fn candidates(&self) -> Result<Arc<[SocketAddr]>, &Name> {
        match &self.addresses {
            Addresses::Known(known) if self.pod_ip => {
                let port = self.destination.port;
                let own = self.place.addresses().into_iter();
                let own = own.map(|address| SocketAddr::new(address, port));
                Ok(known.iter().copied().chain(own).collect())
            }
            Addresses::Known(known) => Ok(Arc::clone(known)),
            Addresses::Named(name) => Err(name),
        }
    }

    /// Returns where sockets can be made in advance and of what kind; `None` where each opening
    /// makes its own as cheaply, or where it is not known yet what they are to be connected to.
    pub(crate) fn known(&self) -> Option<(Located, Domain)> {
        let Addresses::Known(candidates) = &self.addresses else { return None };
        let domain = Domain::for_address(*candidates.first()?);
        let located = self.place.known().filter(|located| !located.is_home())?;
        Some((located, domain))
    }

    /// Returns what the queues of a socket that this makes can hold, in bytes; 0 if they are left to
    /// the kernel.
    pub(crate) fn queues(&self) -> usize {
        let is_home = matches!(&self.place, Place::Fixed(located) if located.is_home());
        let is_near = match &self.addresses {
            Addresses::Known(candidates) => candidates.iter().copied().all(is_near),
            Addresses::Named(_) => false,
        };
        sizes(Queues::Ample, is_home, is_near).map_or(0, Sizes::total)
    }

    /// Returns whether `socket`, like all of this route, paces what it sends.
    pub(crate) fn is_paced(&self, socket: &Socket) -> bool {
        *self.pacing.get_or_init(|| is_paced(socket))
    }
}
