//! Connecting a socket that was born in the right namespace: candidates tried in turn.
//!
//! All candidates are numeric addresses. Each gets a new socket, because Linux does not promise
//! that a socket whose connect failed can be used for another one. The connect is begun, and mostly
//! waited for, at home.
//!
//! Kernel facts:
//! - A socket that is not connected yet reports EPOLLOUT in two cases only: it is connected, or it
//!   failed, and then EPOLLERR comes with it (`tcp_poll`: an error sets EPOLLERR, SYN_SENT reports
//!   neither). So EPOLLOUT without EPOLLERR means connected, and getsockopt(2) need not be asked.
//! - On the loopback the handshake is over before a non-blocking connect(2) returns, though it says
//!   EINPROGRESS: the answer arrives while the socket is locked and is handled when it is released.
//!   One poll(2) that does not wait then spares a whole turn of the loop.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nsplice_relay::open::describe;
use nsplice_relay::pacing::unpace;
use nsplice_relay::{Keepalive, OpenClass, OpenError, Progress, Upstream, Wake};
use socket2::{Domain, SockRef, Socket};

use crate::destination::Destination;
use crate::excursion::{socket_in, Unborn};
use crate::place::{entry_failed, Located};
use crate::route::Route;

/// A connection on its way, through one candidate after the other.
#[derive(Debug)]
pub(crate) struct Connecting {
    located: Located,
    candidates: Arc<[SocketAddr]>,
    next: usize,
    /// Made ahead, for the first candidate.
    spare: Option<Socket>,
    socket: Option<Socket>,
    failures: Vec<(SocketAddr, io::Error)>,
}

/// What became of one candidate.
enum Step {
    Connected(Socket),
    Waiting(Socket),
    /// This one will not do; the next may.
    Failed(io::Error),
    /// No candidate will do.
    Hopeless(OpenError),
}

impl Connecting {
    /// A connection to the first of `candidates` that answers, with the socket `spare` for the very
    /// first if there is one. Nothing happens yet.
    pub(crate) fn new(
        located: Located,
        candidates: Arc<[SocketAddr]>,
        spare: Option<Socket>,
    ) -> Self {
        Self { located, candidates, next: 0, spare, socket: None, failures: Vec::new() }
    }

    /// Tries candidates until one is connected or must be waited for.
    pub(crate) fn begin(&mut self, route: &Route) -> Progress {
        while let Some(address) = self.candidates.get(self.next).copied() {
            self.next += 1;
            match self.step(address, route) {
                Step::Connected(socket) => return Progress::Open(Upstream::Stream(socket.into())),
                Step::Waiting(socket) => {
                    self.socket = Some(socket);
                    return Progress::Waiting;
                }
                Step::Failed(error) => self.failures.push((address, error)),
                Step::Hopeless(error) => return Progress::Failed(error),
            }
        }
        Progress::Failed(self.failure(&route.destination))
    }

    /// Goes on after the candidate that is waited for has reported something.
    pub(crate) fn advance(&mut self, wake: Wake, route: &Route) -> Progress {
        if !wake.writable && !wake.error {
            return Progress::Pending;
        }
        let Some(socket) = self.socket.take() else {
            return self.begin(route);
        };
        // An event that reports an error which is not there is no error.
        let error = if wake.error { socket.take_error().unwrap_or_else(Some) } else { None };
        match error {
            None => Progress::Open(Upstream::Stream(socket.into())),
            Some(error) => {
                // `next` was moved on when this candidate was begun.
                if let Some(address) = self.candidates.get(self.next.saturating_sub(1)) {
                    self.failures.push((*address, error));
                }
                drop(socket);
                self.begin(route)
            }
        }
    }

    /// The socket that is waited for.
    pub(crate) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    fn step(&mut self, address: SocketAddr, route: &Route) -> Step {
        let Route { destination, home, .. } = route;
        let made = match self.spare.take() {
            Some(spare) => Ok(spare),
            None => socket_in(&self.located, home, Domain::for_address(address)),
        };
        let socket = match made {
            Ok(socket) => socket,
            Err(Unborn::Outside(errno)) => {
                return Step::Hopeless(entry_failed(&destination.target, &self.located, errno));
            }
            Err(Unborn::Inside(Errno::EAFNOSUPPORT)) => {
                return Step::Failed(Errno::EAFNOSUPPORT.into());
            }
            Err(Unborn::Inside(errno)) => {
                return Step::Hopeless(OpenError::from_io(
                    format_args!("cannot make a socket {}", destination.within()),
                    &errno.into(),
                ));
            }
        };
        match start(&socket, address, route) {
            Ok(true) => Step::Connected(socket),
            Ok(false) => Step::Waiting(socket),
            Err(error) => Step::Failed(error),
        }
    }

    /// All candidates failed: the first one's class, everyone's words.
    fn failure(&self, destination: &Destination) -> OpenError {
        let mut failures = self.failures.iter();
        let Some((address, error)) = failures.next() else {
            let detail = format!("there is no address to connect to {}", destination.within());
            return OpenError::new(OpenClass::NameUnknown, detail);
        };
        let what = format!("cannot connect to {address} {}", destination.within());
        let mut told = OpenError::from_io(what, error);
        for (address, error) in failures {
            told.detail.push_str(&format!("; {address}: {}", describe(error)));
        }
        told
    }
}

/// Begins to connect; true if it is connected already.
fn start(socket: &Socket, address: SocketAddr, route: &Route) -> io::Result<bool> {
    socket.set_tcp_nodelay(true)?;
    let nearby = address.ip().to_canonical().is_loopback();
    if !nearby {
        // A peer on the loopback cannot vanish without the kernel's noticing.
        Keepalive::default().apply(SockRef::from(socket))?;
    } else if route.is_paced(socket) {
        unpace(socket);
    }
    match socket.connect(&address.into()) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => {
            if nearby {
                answered(socket)
            } else {
                Ok(false)
            }
        }
        Err(error) => Err(error),
    }
}

/// Whether the answer is here already; an error if it is a refusal.
fn answered(socket: &Socket) -> io::Result<bool> {
    let mut watched = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    // A poll(2) that fails has told nothing; the loop's own will.
    if poll(&mut watched, PollTimeout::ZERO).is_err() {
        return Ok(false);
    }
    let [watched] = watched;
    let seen = watched.revents().unwrap_or(PollFlags::empty());
    if seen.contains(PollFlags::POLLERR) {
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
    }
    Ok(seen.contains(PollFlags::POLLOUT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::Host;
    use crate::home::Home;
    use crate::place::Place;
    use crate::target::Target;
    use std::net::{TcpListener, TcpStream};

    fn route() -> Route {
        let target = Target::Tcp("db".into());
        let destination = Destination { target, host: Host::Localhost, port: 1 };
        let place = Place::Fixed(Located::Home);
        let asker = crate::pool::Asker::default();
        Route::new("dial", destination, place, Home::here().unwrap(), &asker)
    }

    /// A listener whose queue is full, so that the next client is neither let in nor refused, and
    /// the clients that fill it.
    fn full() -> (Socket, SocketAddr, Vec<TcpStream>) {
        let listener = Socket::new(Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let client = TcpStream::connect(address).unwrap();
        (listener, address, vec![client])
    }

    fn wait(connecting: &Connecting) -> Wake {
        let source = connecting.source().unwrap();
        let mut watched = [PollFd::new(source, PollFlags::POLLOUT)];
        assert_eq!(poll(&mut watched, PollTimeout::from(20_000u16)), Ok(1));
        let seen = watched[0].revents().unwrap();
        Wake {
            readable: false,
            writable: seen.contains(PollFlags::POLLOUT),
            error: seen.contains(PollFlags::POLLERR),
        }
    }

    /// The client's SYN was dropped; the one it sends a second later is refused.
    #[test]
    fn a_refusal_that_comes_late_leads_to_the_next_candidate() {
        let route = route();
        let good = TcpListener::bind("127.0.0.1:0").unwrap();
        let closed: SocketAddr = "127.0.0.1:9".parse().unwrap();
        for (last, opens) in [(good.local_addr().unwrap(), true), (closed, false)] {
            let (listener, late, _clients) = full();
            let mut connecting = Connecting::new(Located::Home, [late, last].into(), None);
            assert!(matches!(connecting.begin(&route), Progress::Waiting));
            let nothing = Wake { readable: true, ..Wake::START };
            assert!(matches!(connecting.advance(nothing, &route), Progress::Pending));
            drop(listener);
            let wake = wait(&connecting);
            assert!(wake.error, "{wake:?}");
            match connecting.advance(wake, &route) {
                Progress::Open(Upstream::Stream(_)) => assert!(opens),
                Progress::Failed(error) => {
                    assert!(!opens);
                    let refused = "Connection refused";
                    assert_eq!(
                        error.detail,
                        format!(
                            "cannot connect to {late} for tcp/db: {refused}; {closed}: {refused}"
                        )
                    );
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn an_answer_that_comes_late_opens() {
        let route = route();
        let (listener, late, _clients) = full();
        let mut connecting = Connecting::new(Located::Home, [late].into(), None);
        assert!(matches!(connecting.begin(&route), Progress::Waiting));
        let _accepted = listener.accept().unwrap();
        let wake = wait(&connecting);
        assert!(wake.writable && !wake.error, "{wake:?}");
        let progress = connecting.advance(wake, &route);
        assert!(matches!(progress, Progress::Open(Upstream::Stream(_))), "{progress:?}");
        assert!(connecting.source().is_none(), "the socket has been handed over");
    }
}
