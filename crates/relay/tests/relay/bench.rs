//! A link with both its peers in the test's hands.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use nsplice_relay::{
    listen as relay_listen, Forward, Limits, ListenOptions, Places, Relay, Settings, Totals,
};
use nsplice_testkit::peer::{connect_with_receive_buffer, listen_with_receive_buffer, patient};
use nsplice_testkit::{wait_for, wait_until};

use crate::openers::{connecting, forward};
use crate::running::{Ended, Running};

/// Where a loop of a test listens.
pub(crate) const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A receive buffer so small that a peer that does not read stops its sender soon.
pub(crate) const NARROW: usize = 32 * 1024;

/// Adds a forward that listens on a port of its own, and returns the address.
#[track_caller]
pub(crate) fn listening(relay: &mut Relay, forward: Forward) -> SocketAddr {
    let listener = relay_listen(ANY_PORT, ListenOptions::default()).expect("listen");
    let address = listener.local_addr().expect("a listener has an address");
    relay.add_service(forward, vec![listener]).expect("add the forward");
    address
}

/// A loop that relays to a listener of the test.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) relay: Running,
    pub(crate) address: SocketAddr,
    upstream: TcpListener,
    narrow: bool,
}

impl Bench {
    /// A loop with the default limits.
    #[track_caller]
    pub(crate) fn new(settings: Settings) -> Self {
        Self::with_limits(settings, Limits::default())
    }

    /// A loop with these limits.
    #[track_caller]
    pub(crate) fn with_limits(settings: Settings, limits: Limits) -> Self {
        Self::make(settings, limits, Places::unlimited(), false)
    }

    /// A loop with this many places.
    #[track_caller]
    pub(crate) fn with_places(settings: Settings, places: u32) -> Self {
        Self::make(settings, Limits::default(), Places::new(places), false)
    }

    /// A loop between peers with small receive buffers.
    #[track_caller]
    pub(crate) fn narrow(settings: Settings, limits: Limits) -> Self {
        Self::make(settings, limits, Places::unlimited(), true)
    }

    #[track_caller]
    fn make(settings: Settings, limits: Limits, places: Places, narrow: bool) -> Self {
        let buffer = narrow.then_some(NARROW);
        let upstream = listen_with_receive_buffer("127.0.0.1:0", buffer);
        upstream.set_nonblocking(true).expect("a listener can be non-blocking");
        let opener = connecting(upstream.local_addr().expect("a listener has an address"));
        let forward = Forward { limits, places: Arc::new(places), ..forward(opener) };
        let mut address = ANY_PORT;
        let relay = Running::start(settings, |relay| address = listening(relay, forward));
        Self { relay, address, upstream, narrow }
    }

    /// A client of the loop.
    #[track_caller]
    pub(crate) fn client(&self) -> TcpStream {
        connect_with_receive_buffer(self.address, self.narrow.then_some(NARROW))
    }

    /// The next connection that the loop opens.
    #[track_caller]
    pub(crate) fn server(&self) -> TcpStream {
        accept(&self.upstream)
    }

    /// A link: its client, and its server.
    #[track_caller]
    pub(crate) fn link(&self) -> (TcpStream, TcpStream) {
        (self.client(), self.server())
    }

    /// Waits for the end of the only link, ends the loop and checks its books.
    #[track_caller]
    pub(crate) fn only_end(self) -> Ended {
        let ended = self.relay.only_end();
        self.close();
        ended
    }

    /// Ends the loop and checks its books, once `count` links have ended by themselves.
    #[track_caller]
    pub(crate) fn close_after(self, count: usize) -> Totals {
        wait_until(&format!("{count} links"), || self.relay.accepted() >= count);
        self.relay.ended(count);
        self.close()
    }

    /// Ends the loop and checks its books.
    #[track_caller]
    pub(crate) fn close(self) -> Totals {
        self.relay.close()
    }
}

/// Waits until nobody listens on `address` any more, without connecting to it.
#[track_caller]
pub(crate) fn wait_not_listening(address: SocketAddr) {
    // With SO_REUSEADDR, which the standard library sets, only a listener is in the way.
    wait_until("the listener to be closed", || TcpListener::bind(address).is_ok());
}

/// Accepts from a listener that does not block.
#[track_caller]
pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = wait_for("a connection", || listener.accept().ok());
    patient(stream)
}
