//! The scene that a behaviour is played on: the relay under test, and the ends of its links.
//!
//! Who opens links holds the entrance: the right to listen on the port that the relay leads to. So
//! the connection that is accepted is the one that was asked for, also where several relays lead to
//! one port; once a link is open, nobody can take it for another, and the entrance is free.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nsplice_trial::poll_for;
use socket2::Domain;

use crate::player::{Fault, Player};
use crate::stage::{Birth, Listening, Stage};
use crate::subject::{Launch, Route, Running, Subject, SubjectError};

/// The right to listen on a port.
pub(super) type Entrance = Mutex<()>;

/// The result of a behaviour: what was seen, and whether that was expected.
pub(super) type Seen = Result<String, Miss>;

/// A reason why a behaviour is not as expected.
#[derive(Debug)]
pub(super) enum Miss {
    /// The relay did something else.
    Fault(Fault),
    /// It cannot be tried.
    NotTried(String),
}

impl From<Fault> for Miss {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Miss {
    /// The relay did something else, in words.
    pub(super) fn fault(words: impl Into<String>) -> Self {
        Self::Fault(Fault::Other(words.into()))
    }

    /// It cannot be tried.
    pub(super) fn not_tried(why: impl Into<String>) -> Self {
        Self::NotTried(why.into())
    }
}

/// A relay, and where its links begin and end.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) stage: &'a Stage,
    pub(super) subject: &'a Subject,
    pub(super) launcher: &'a dyn Launch,
    pub(super) running: &'a Running,
    port: u16,
    entrance: &'a Entrance,
}

/// Both ends of a link.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) client: Player,
    pub(super) server: Player,
}

/// The servers' door, and the right to open it.
#[derive(Debug)]
pub(super) struct Reception<'a> {
    scene: &'a Scene<'a>,
    pub(super) listener: Listening,
    _entrance: MutexGuard<'a, ()>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(
        stage: &'a Stage,
        launcher: &'a dyn Launch,
        subject: &'a Subject,
        running: &'a Running,
        port: u16,
        entrance: &'a Entrance,
    ) -> Self {
        Self { stage, subject, launcher, running, port, entrance }
    }

    /// The same with another relay, which leads to the same port.
    pub(super) fn with<'b>(&'b self, running: &'b Running) -> Scene<'b> {
        Scene { running, ..*self }
    }

    /// The port that the relay leads to.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Listens where the relay leads to.
    pub(super) fn reception(&self) -> Result<Reception<'_>, Miss> {
        self.reception_on(Ipv4Addr::LOCALHOST.into(), BACKLOG)
    }

    /// The same on another address of the target's loopback, or with another accept queue.
    pub(super) fn reception_on(
        &self,
        address: IpAddr,
        backlog: i32,
    ) -> Result<Reception<'_>, Miss> {
        let _entrance = self.nobody_listens();
        let address = SocketAddr::new(address, self.port);
        match self.stage.listen(address, backlog) {
            Ok(listener) => Ok(Reception { scene: self, listener, _entrance }),
            Err(error) => Err(Miss::NotTried(format!("cannot listen on {address}: {error}"))),
        }
    }

    /// As long as this lives, nobody listens where the relay leads to.
    pub(super) fn nobody_listens(&self) -> MutexGuard<'a, ()> {
        self.entrance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One link.
    pub(super) fn link(&self) -> Result<Link, Miss> {
        self.reception()?.link()
    }

    /// A client of the relay.
    pub(super) fn client(&self) -> Result<Player, Miss> {
        let address = self.running.address();
        let socket = self
            .stage
            .connect_socket(self.subject.birth(), Domain::for_address(address))
            .map_err(|error| Miss::NotTried(format!("cannot make a socket: {error}")))?;
        Ok(Player::connect(socket, address)?)
    }

    /// Another relay of the same subject that leads to `host`.
    pub(super) fn start(&self, host: Option<&str>) -> Result<Running, SubjectError> {
        let route = Route { host: host.map(str::to_owned), port: Some(self.port) };
        self.launcher.start(self.subject, self.stage, &route)
    }

    /// The relay's process.
    pub(super) fn pid(&self) -> Result<u32, Miss> {
        let why = "its process is not known; pid=N with the peer would help";
        self.running.pid().ok_or_else(|| Miss::not_tried(why))
    }
}

impl Reception<'_> {
    /// One more link.
    pub(super) fn link(&self) -> Result<Link, Miss> {
        let client = self.scene.client()?;
        let server = Player::accept(&self.listener, &client)?;
        Ok(Link { client, server })
    }

    /// A client that comes from inside, not through the relay; whether it is let in in time.
    pub(super) fn fill(&self) -> Option<Player> {
        let address = self.listener.local_addr().ok()?;
        let socket =
            self.scene.stage.connect_socket(Birth::Target, Domain::for_address(address)).ok()?;
        socket.connect_timeout(&address.into(), FILLED).ok()?;
        Player::connected(socket).ok()
    }
}

/// Looks until `condition` holds, for at most `limit`, and returns how long it took.
pub(super) fn wait_for(limit: Duration, mut condition: impl FnMut() -> bool) -> Option<Duration> {
    let start = Instant::now();
    poll_for(limit, || condition().then(|| start.elapsed()))
}

/// Connections that may wait for a server: as many as a behaviour ever opens at once.
const BACKLOG: i32 = 256;

/// A queue that has not let somebody in within this time is full: there it takes microseconds, and
/// the next try of the kernel comes after a second.
const FILLED: Duration = Duration::from_millis(50);
