//! The backends that connect by themselves: `setns` and `dial`.
//!
//! They differ in one thing only, where the socket is born: in the target's namespace, or at home.
//! An opening goes through at most three states, and most pass all of them without waiting:
//!
//! 1. locating: only for a container whose process has ended is somebody asked;
//! 2. resolving: only for a name;
//! 3. connecting: see `connecting.rs`.
//!
//! While clients come fast, sockets are taken from a stock (`socket_pool.rs`).

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use nix::errno::Errno;
use nsplice_relay::{Allowance, Attempt, OpenClass, OpenError, Opener, Progress, Wake};
use nsplice_sys::{Answer, Offloaded};
use socket2::Socket;

use crate::connect::candidates::interleaved;
use crate::connect::connecting::Connecting;
use crate::connect::resolver::Resolved;
use crate::connect::route::{Addresses, Route};
use crate::connect::socket_pool::{Spare, Stock};
use crate::error::BackendError;
use crate::target::located::{entry_failed, Located};
use crate::target::place::Whereabouts;

/// Opens upstreams along a route.
#[derive(Debug)]
pub(crate) struct Direct {
    route: Arc<Route>,
    /// While a burst is on.
    stock: Option<Stock>,
}

impl Direct {
    pub(crate) fn new(route: Arc<Route>) -> Self {
        Self { route, stock: None }
    }
}

impl Opener for Direct {
    fn backend(&self) -> &'static str {
        self.route.backend
    }

    fn open(&mut self, _downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        let spare = self.stock.as_mut().and_then(|stock| stock.take(&self.route));
        let state = State::Fresh(spare);
        let route = Arc::clone(&self.route);
        Box::new(Opening { route, state, allowance: Allowance::default() })
    }

    fn queues(&self) -> usize {
        self.route.queues()
    }

    fn begin_burst(&mut self, listener: BorrowedFd<'_>, most: usize) {
        self.stock = Stock::new(&self.route, listener, most);
    }

    fn end_burst(&mut self) {
        self.stock = None;
    }
}

#[derive(Debug)]
struct Opening {
    route: Arc<Route>,
    state: State,
    allowance: Allowance,
}

#[derive(Debug)]
enum State {
    Fresh(Option<Spare>),
    Locating(Offloaded<Result<Located, BackendError>>),
    Resolving(Located, Offloaded<Resolved>),
    Connecting(Connecting),
    Over,
}

impl Opening {
    fn locate(&mut self, spare: Option<Spare>) -> Progress {
        match (spare, self.route.candidates()) {
            (Some(Spare { located, socket }), Ok(candidates)) => {
                self.connect(located, candidates, Some(socket))
            }
            _ => match self.route.place.locate() {
                Whereabouts::Known(located) => self.resolve(located),
                Whereabouts::Asked(asked) => self.wait(State::Locating(asked)),
                Whereabouts::Lost(error) => Progress::Failed(error),
            },
        }
    }

    fn resolve(&mut self, located: Located) -> Progress {
        let destination = &self.route.destination;
        if let Located::Behind(addresses) = &located {
            return match destination.behind(addresses) {
                Ok(candidates) => self.connect(located, candidates, None),
                Err(error) => Progress::Failed(error),
            };
        }
        let name = match self.route.candidates() {
            Ok(candidates) => return self.connect(located, candidates, None),
            Err(name) => name,
        };
        // No name is looked up for a process that is gone.
        if matches!(&located, Located::Process(process) if !process.is_alive()) {
            return Progress::Failed(entry_failed(&destination.target, &located, Errno::ESRCH));
        }
        match name.ask(&located) {
            Ok(asked) => self.wait(State::Resolving(located, asked)),
            Err(error) => Progress::Failed(OpenError::from_io(
                format_args!("cannot look up {} {}", name.as_str(), destination.within()),
                &error,
            )),
        }
    }

    fn resolved(&mut self, located: Located, answer: Resolved) -> Progress {
        match answer {
            Ok(found) => {
                let mut addresses = found.to_vec();
                let port = self.route.destination.port;
                addresses.iter_mut().for_each(|address| address.set_port(port));
                self.connect(located, interleaved(addresses).into(), None)
            }
            Err(error) => Progress::Failed(error),
        }
    }

    fn connect(
        &mut self,
        located: Located,
        candidates: Arc<[SocketAddr]>,
        spare: Option<Socket>,
    ) -> Progress {
        let mut connecting = Connecting::new(located, candidates, spare, self.allowance);
        let progress = connecting.begin(&self.route);
        self.state = State::Connecting(connecting);
        progress
    }

    fn wait(&mut self, state: State) -> Progress {
        self.state = state;
        Progress::Waiting
    }

    /// The thread that was asked ended without an answer.
    fn unanswered(&self, what: &str) -> Progress {
        let detail = format!("internal error: {what} {} panicked", self.route.destination.within());
        Progress::Failed(OpenError::new(OpenClass::Other, detail))
    }
}

impl Attempt for Opening {
    fn advance(&mut self, wake: Wake) -> Progress {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Fresh(spare) => self.locate(spare),
            State::Locating(asked) => match asked.take() {
                Answer::Here(Ok(located)) => self.resolve(located),
                Answer::Here(Err(error)) => Progress::Failed(error.into()),
                Answer::Lost => self.unanswered("the lookup"),
                Answer::NotYet => {
                    self.state = State::Locating(asked);
                    Progress::Pending
                }
            },
            State::Resolving(located, asked) => match asked.take() {
                Answer::Here(answer) => self.resolved(located, answer),
                Answer::Lost => self.unanswered("the name lookup"),
                Answer::NotYet => {
                    self.state = State::Resolving(located, asked);
                    Progress::Pending
                }
            },
            State::Connecting(mut connecting) => {
                let progress = connecting.advance(wake, &self.route);
                self.state = State::Connecting(connecting);
                progress
            }
            State::Over => Progress::Pending,
        }
    }

    fn allow(&mut self, allowance: Allowance) {
        self.allowance = allowance;
    }

    fn so_far(&self) -> Option<String> {
        match (&self.state, &self.route.addresses) {
            (State::Locating(_), _) => {
                let target = &self.route.destination.target;
                Some(format!("no response about {target} from the container runtimes"))
            }
            (State::Resolving(..), Addresses::Named(name)) => {
                let within = self.route.destination.within();
                Some(format!("no answer to the lookup of {} {within}", name.as_str()))
            }
            (State::Connecting(connecting), _) => Some(connecting.so_far()),
            _ => None,
        }
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Locating(asked) => Some(asked.source()),
            State::Resolving(_, asked) => Some(asked.source()),
            State::Connecting(connecting) => connecting.source(),
            State::Fresh(_) | State::Over => None,
        }
    }
}
