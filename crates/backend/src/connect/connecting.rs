//! Connecting sockets that were born in the right namespace: a race of candidates.
//!
//! All candidates are numeric addresses. Each gets a new socket, because Linux does not promise
//! that a socket whose connect failed can be used for another one. The connect is begun, and mostly
//! waited for, at home.
//!
//! Candidates begin in turn: the next one when the one before has failed, or has been silent for a
//! while ([`STAGGER`], RFC 8305). Whoever was silent goes on beside it, and the first to be connected
//! is taken. A silent address so costs a moment and not the whole time that there is. Only where
//! somebody is silent and another candidate is left does this take more than the socket: a timer, and
//! an epoll that gathers it and the sockets into one source.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::EpollFlags;
use nsplice_relay::queues::Queues;
use nsplice_relay::{Allowance, OpenClass, OpenError, Progress, Upstream, Wake};
use nsplice_sys::describe;
use socket2::{Domain, Socket};

use crate::connect::candidates::STAGGER;
use crate::connect::handshake::{answered, start};
use crate::connect::route::Route;
use crate::netns::excursion::socket_in;
use crate::netns::unborn::Unborn;
use crate::target::destination::Destination;
use crate::target::located::{entry_failed, Located};
use crate::timer::Limit;

/// A connection on its way.
#[derive(Debug)]
pub(crate) struct Connecting {
    located: Located,
    candidates: Arc<[SocketAddr]>,
    next: usize,
    /// Made ahead, for the first candidate.
    spare: Option<Socket>,
    stagger: Duration,
    queues: Queues,
    /// Those that are waited for.
    runners: Vec<Runner>,
    /// What gathers them, where there may be several.
    gathered: Option<Limit>,
    /// Those that will not do, by their places.
    failures: Vec<(usize, io::Error)>,
    /// Why no other candidate need begin.
    hopeless: Option<OpenError>,
}

/// A candidate that has not answered yet.
#[derive(Debug)]
struct Runner {
    place: usize,
    socket: Socket,
}

/// The fate of one candidate.
enum Fate {
    Connected(Socket),
    Waiting(Socket),
    /// This one will not do; the next may.
    Failed(io::Error),
    /// No candidate will do.
    Hopeless(OpenError),
}

impl Connecting {
    /// A connection to one of `candidates` within `allowance`, with the socket `spare` for the very
    /// first if there is one. Nothing happens yet.
    pub(crate) fn new(
        located: Located,
        candidates: Arc<[SocketAddr]>,
        spare: Option<Socket>,
        allowance: Allowance,
    ) -> Self {
        // Each has its share of a time that is short.
        let count = u32::try_from(candidates.len()).unwrap_or(u32::MAX).max(1);
        Self {
            located,
            candidates,
            next: 0,
            spare,
            stagger: STAGGER.min(allowance.time / count),
            queues: allowance.queues,
            runners: Vec::new(),
            gathered: None,
            failures: Vec::new(),
            hopeless: None,
        }
    }

    /// Tries candidates until one is connected or must be waited for.
    pub(crate) fn begin(&mut self, route: &Route) -> Progress {
        while let Some(address) = self.candidate(self.next) {
            let place = self.next;
            self.next += 1;
            match self.step(address, route) {
                Fate::Connected(socket) => return Progress::Open(Upstream::Stream(socket.into())),
                Fate::Waiting(socket) => {
                    self.runners.push(Runner { place, socket });
                    return self.wait();
                }
                Fate::Failed(error) => self.failures.push((place, error)),
                // For those that run already there is hope.
                Fate::Hopeless(error) => self.hopeless = Some(error),
            }
        }
        if self.runners.is_empty() {
            return Progress::Failed(self.failure(&route.destination));
        }
        if let Some(gathered) = &self.gathered {
            gathered.restart(None);
        }
        Progress::Pending
    }

    /// Waits for the one that has begun last, and with others for the moment when the next is due.
    fn wait(&mut self) -> Progress {
        let is_last = self.candidate(self.next).is_none();
        let Some(runner) = self.runners.last() else { return Progress::Pending };
        match &self.gathered {
            Some(gathered) => {
                // Where that fails the others are watched, and the timer.
                let _ = gathered.watch(&runner.socket, EpollFlags::EPOLLOUT);
                gathered.restart((!is_last).then_some(self.stagger));
                Progress::Pending
            }
            None => {
                if !is_last {
                    // Without descriptors for it, the next begins when this one has failed.
                    let set = Limit::set(&runner.socket, EpollFlags::EPOLLOUT, self.stagger);
                    self.gathered = set.ok();
                }
                Progress::Waiting
            }
        }
    }

    /// Goes on after what is waited for has reported something.
    pub(crate) fn advance(&mut self, wake: Wake, route: &Route) -> Progress {
        if self.gathered.is_some() {
            return self.look_around(route);
        }
        if !wake.writable && !wake.error {
            return Progress::Pending;
        }
        let Some(Runner { place, socket }) = self.runners.pop() else {
            return self.begin(route);
        };
        // An event that reports an error which is not there is no error.
        let error = if wake.error { socket.take_error().unwrap_or_else(Some) } else { None };
        match error {
            None => Progress::Open(Upstream::Stream(socket.into())),
            Some(error) => {
                self.failures.push((place, error));
                drop(socket);
                self.begin(route)
            }
        }
    }

    /// Looks which of those that are gathered have answered, and whether the next is due.
    fn look_around(&mut self, route: &Route) -> Progress {
        let before = self.runners.len();
        for Runner { place, socket } in std::mem::take(&mut self.runners) {
            match answered(&socket) {
                Ok(true) => return Progress::Open(Upstream::Stream(socket.into())),
                Ok(false) => self.runners.push(Runner { place, socket }),
                Err(error) => self.failures.push((place, error)),
            }
        }
        let is_due = self.gathered.as_ref().is_some_and(Limit::is_over);
        if is_due || self.runners.len() < before {
            return self.begin(route);
        }
        Progress::Pending
    }

    /// Returns the descriptor that is waited for.
    pub(crate) fn source(&self) -> Option<BorrowedFd<'_>> {
        match &self.gathered {
            Some(gathered) => Some(gathered.as_fd()),
            None => self.runners.last().map(|runner| runner.socket.as_fd()),
        }
    }

    /// Tells what each candidate has answered, or that it has not.
    pub(crate) fn so_far(&self) -> String {
        let told = self.candidates.iter().enumerate().map(|(place, address)| {
            let failure = self.failures.iter().find(|(failed, _)| *failed == place);
            let runs = self.runners.iter().any(|runner| runner.place == place);
            match failure {
                Some((_, error)) => format!("{address}: {}", describe(error)),
                None if runs => format!("{address}: no answer"),
                None => format!("{address}: not tried yet"),
            }
        });
        told.collect::<Vec<_>>().join("; ")
    }

    /// The candidate at `place`, unless no more need begin.
    fn candidate(&self, place: usize) -> Option<SocketAddr> {
        self.candidates.get(place).copied().filter(|_| self.hopeless.is_none())
    }

    fn step(&mut self, address: SocketAddr, route: &Route) -> Fate {
        let Route { destination, home, .. } = route;
        let made = match self.spare.take() {
            Some(spare) => Ok(spare),
            None => socket_in(&self.located, home, Domain::for_address(address)),
        };
        let socket = match made {
            Ok(socket) => socket,
            Err(Unborn::Outside(errno)) => {
                return Fate::Hopeless(entry_failed(&destination.target, &self.located, errno));
            }
            Err(Unborn::Inside(Errno::EAFNOSUPPORT)) => {
                return Fate::Failed(Errno::EAFNOSUPPORT.into());
            }
            Err(Unborn::Inside(errno)) => {
                return Fate::Hopeless(OpenError::from_io(
                    format_args!("cannot make a socket {}", destination.within()),
                    &errno.into(),
                ));
            }
        };
        match start(&socket, address, route, &self.located, self.queues) {
            Ok(true) => Fate::Connected(socket),
            Ok(false) => Fate::Waiting(socket),
            Err(error) => Fate::Failed(error),
        }
    }

    /// All candidates failed: the first one's class, everyone's words.
    fn failure(&mut self, destination: &Destination) -> OpenError {
        if let Some(error) = self.hopeless.take() {
            return error;
        }
        self.failures.sort_by_key(|(place, _)| *place);
        let mut failures = self
            .failures
            .iter()
            .filter_map(|(place, error)| Some((self.candidates.get(*place)?, error)));
        let Some((address, error)) = failures.next() else {
            let detail = format!("no address to connect to {}", destination.within());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::home::Home;
    use crate::target::host::Host;
    use crate::target::place::Place;
    use crate::target::Target;
    use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
    use std::net::{TcpListener, TcpStream};

    fn route() -> Route {
        let target = Target::Tcp("db".into());
        let destination = Destination { target, host: Host::Localhost, port: 1 };
        let place = Place::Fixed(Located::Home);
        let asker = nsplice_sys::Pool::on_demand().asker();
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
        let mut watched = [PollFd::new(source, PollFlags::POLLIN | PollFlags::POLLOUT)];
        assert_eq!(poll(&mut watched, PollTimeout::from(20_000u16)), Ok(1));
        watched[0].revents().unwrap().into()
    }

    /// Begins a connection to one of `candidates`, which is to wait for the first.
    fn begun<const N: usize>(route: &Route, candidates: [SocketAddr; N]) -> Connecting {
        let allowance = Allowance::default();
        let mut connecting = Connecting::new(Located::Home, candidates.into(), None, allowance);
        assert!(matches!(connecting.begin(route), Progress::Waiting));
        let nothing = Wake { readable: true, ..Wake::START };
        assert!(matches!(connecting.advance(nothing, route), Progress::Pending));
        connecting
    }

    fn finish(connecting: &mut Connecting, route: &Route) -> Result<Socket, String> {
        loop {
            let wake = wait(connecting);
            match connecting.advance(wake, route) {
                Progress::Open(Upstream::Stream(socket)) => return Ok(Socket::from(socket)),
                Progress::Failed(error) => return Err(error.detail),
                Progress::Pending => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn peer(socket: &Socket) -> Option<SocketAddr> {
        socket.peer_addr().unwrap().as_socket()
    }

    #[test]
    fn a_silent_candidate_does_not_hold_up_the_next() {
        let route = route();
        let (_listener, silent, _clients) = full();
        let good = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = (good.local_addr().unwrap(), good);
        let mut connecting = begun(&route, [silent, good.0]);
        let opened = finish(&mut connecting, &route).unwrap();
        assert_eq!(peer(&opened), Some(good.0));
    }

    /// Its SYN was dropped; the one that the kernel sends a second later is answered.
    #[test]
    fn a_candidate_that_was_overtaken_may_still_win() {
        let route = route();
        let (listener, late, _clients) = full();
        let (_listener, silent, _others) = full();
        let mut connecting = begun(&route, [late, silent]);
        let _accepted = listener.accept().unwrap();
        let opened = finish(&mut connecting, &route).unwrap();
        assert_eq!(peer(&opened), Some(late));
    }

    /// The client's SYN was dropped; the one it sends a second later is refused.
    #[test]
    fn all_are_told_in_their_order_whenever_they_answered() {
        let route = route();
        let (listener, late, _clients) = full();
        let closed: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let mut connecting = begun(&route, [late, closed]);
        assert_eq!(connecting.so_far(), format!("{late}: no answer; {closed}: not tried yet"));
        let wake = wait(&connecting);
        assert!(matches!(connecting.advance(wake, &route), Progress::Pending));
        let refused = "Connection refused";
        assert_eq!(connecting.so_far(), format!("{late}: no answer; {closed}: {refused}"));
        drop(listener);
        let told = finish(&mut connecting, &route).unwrap_err();
        let expected =
            format!("cannot connect to {late} for tcp/db: {refused}; {closed}: {refused}");
        assert_eq!(told, expected);
    }

    #[test]
    fn each_candidate_has_its_share_of_a_short_time() {
        let candidates: [SocketAddr; 4] = [([127, 0, 0, 1], 9).into(); 4];
        for (limit, stagger) in [(100, 25), (999, 249), (1000, 250), (10_000, 250)] {
            let time = Duration::from_millis(limit);
            let allowance = Allowance { time, ..Allowance::default() };
            let connecting = Connecting::new(Located::Home, candidates.into(), None, allowance);
            assert_eq!(connecting.stagger.as_millis(), stagger);
        }
    }

    #[test]
    fn an_answer_that_comes_late_opens() {
        let route = route();
        let (listener, late, _clients) = full();
        let mut connecting = begun(&route, [late]);
        let _accepted = listener.accept().unwrap();
        let wake = wait(&connecting);
        assert!(wake.writable && !wake.error, "{wake:?}");
        let progress = connecting.advance(wake, &route);
        assert!(matches!(progress, Progress::Open(Upstream::Stream(_))), "{progress:?}");
        assert!(connecting.source().is_none(), "the socket has been handed over");
    }
}
