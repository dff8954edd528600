//! The two namespaces of a comparison: the node, where relays and their clients are, and the
//! target, where the servers are.
//!
//! With a target of the user's, the node is where we run. Without one, the stage makes both: the
//! calling thread leaves for a new namespace, the node, and a holder (see [`crate::holder`]) has
//! the other one and is the target. All threads and programs that the calling thread starts after
//! that are on the node, those that were there before are not; so a program opens its stage first.
//!
//! Servers and clients need no process of their own inside: a socket stays in the namespace it was
//! born in, and making one there takes microseconds. So they live in this process, and one clock
//! and one thread can see both ends of a link.
//!
//! Servers listen on one port, [`Stage::port`], because a relay that runs already forwards to one
//! fixed port. It is below the range of outgoing connections, whose next one might take it.

use std::io::{self, BufRead, BufReader, Read};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener};
use std::ops::Deref;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nsplice_backend::{of_proc, Birthplace, Options, Target};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::holder;
use crate::load::ports;
use crate::model::StageFacts;

mod departure;
mod error;
pub(crate) mod loopback;
pub(crate) mod tuning;

pub use error::StageError;

/// The stage that is wanted.
#[derive(Debug, Clone)]
pub struct Scenery {
    /// The target; `None` for namespaces of our own.
    pub target: Option<Target>,
    /// The port that servers listen on inside; `None` for a free one.
    pub port: Option<u16>,
    /// The program that is the holder when its first argument is `compare-holder`.
    pub program: PathBuf,
    /// Options for finding the target.
    pub options: Options,
}

/// On which side a socket is born.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Birth {
    /// The namespace that the relays run in.
    Node,
    /// The namespace that the servers are in.
    Target,
}

/// The node and the target.
#[derive(Debug)]
pub struct Stage {
    target: Target,
    inside: Birthplace,
    port: u16,
    scenery: Scenery,
    /// Has the target's namespace, if that is ours.
    holder: Option<Holder>,
}

impl Stage {
    /// Sets it up. Without a target the calling thread is on the node from then on; who is not root
    /// must be the only thread of its process.
    ///
    /// # Errors
    /// When the target is not there, when namespaces are not allowed, when the port is taken.
    pub fn open(scenery: Scenery) -> Result<Self, StageError> {
        Self::depart(&scenery)?;
        Self::around(scenery)
    }

    /// The first half of [`Stage::open`], which takes no time: without a target the calling thread
    /// is on the node from then on, and so is what it starts.
    ///
    /// # Errors
    /// When namespaces are not allowed.
    pub fn depart(scenery: &Scenery) -> Result<(), StageError> {
        match scenery.target {
            Some(_) => Ok(()),
            None => departure::depart(),
        }
    }

    /// Another stage around the same node. If the target is ours, this has one of its own, which
    /// may be ended.
    ///
    /// # Errors
    /// As [`Stage::open`].
    pub fn twin(&self) -> Result<Self, StageError> {
        Self::around(self.scenery.clone())
    }

    /// The second half, which may take as long as Docker takes to answer.
    ///
    /// # Errors
    /// When the target is not there, when the port is taken.
    pub fn around(scenery: Scenery) -> Result<Self, StageError> {
        let (target, holder) = match &scenery.target {
            Some(target) => (target.clone(), None),
            None => {
                let holder = Holder::start(&scenery.program)?;
                (Target::Pid(holder.0.id()), Some(holder))
            }
        };
        let inside = Birthplace::of_target(&target, &scenery.options)?;
        let mut stage = Self { target, inside, port: 0, scenery, holder };
        stage.port = match stage.scenery.port {
            Some(port) => port,
            None => stage.free_ports(Birth::Target, 1)?.first().copied().unwrap_or(0),
        };
        let address = stage.origin();
        match stage.listen(address, 1) {
            Ok(_) => Ok(stage),
            Err(source) => Err(StageError::Port { address, target: stage.target, source }),
        }
    }

    /// The target, as a relay on the node is told of it.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The port inside that servers listen on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address inside that servers listen on.
    pub fn origin(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Returns whether the target is a namespace that the stage has made.
    pub fn is_own(&self) -> bool {
        self.scenery.target.is_none()
    }

    /// Listens inside. The listener does not block.
    ///
    /// # Errors
    /// When the target is gone, or the address is taken or not there.
    pub fn listen(&self, address: SocketAddr, backlog: i32) -> io::Result<Listening> {
        let socket = self.socket_inside(Domain::for_address(address))?;
        // Connections of the last listener may still sit in TIME_WAIT on this port.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        socket.listen(backlog)?;
        Ok(Listening(socket.into()))
    }

    /// A TCP socket that does not block and is connected to nothing yet.
    ///
    /// # Errors
    /// When the target is gone, or there are no descriptors left.
    pub fn connect_socket(&self, birth: Birth, domain: Domain) -> io::Result<Socket> {
        match birth {
            Birth::Node => Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP)),
            Birth::Target => self.socket_inside(domain),
        }
    }

    /// Does `work` on the side of `birth`. The programs that it starts stay there.
    ///
    /// # Errors
    /// When the target is gone.
    pub fn visit<T>(&self, birth: Birth, work: impl FnOnce() -> T) -> io::Result<T> {
        match birth {
            Birth::Node => Ok(work()),
            Birth::Target => self.inside.visit(work).map_err(io::Error::from),
        }
    }

    /// Ports of 127.0.0.1 that nobody listens on and no outgoing connection will take.
    ///
    /// # Errors
    /// When there are not that many.
    pub fn free_ports(&self, birth: Birth, count: usize) -> Result<Vec<u16>, StageError> {
        let found = self
            .visit(birth, || ports::free(count))
            .map_err(|error| StageError::system(format!("enter {}", self.target), error))?;
        found.map_err(|source| StageError::NoPort { target: self.target.clone(), source })
    }

    /// Returns what a report says of it.
    pub fn facts(&self) -> StageFacts {
        StageFacts {
            target: self.scenery.target.as_ref().map(ToString::to_string),
            origin: self.origin().to_string(),
            namespace: self.inside.identity().map(|identity| identity.to_string()),
        }
    }

    /// Ends the process that is the target, if that is ours. Sockets inside live on.
    pub fn end_target(&mut self) {
        self.holder = None;
    }

    fn socket_inside(&self, domain: Domain) -> io::Result<Socket> {
        self.inside
            .socket(domain, Type::STREAM, Some(Protocol::TCP))
            .map_err(|unborn| unborn.errno().into())
    }
}

/// A listener inside. When this goes out of scope nobody listens any more, at once, and the address
/// is free: a program that another thread is starting has a copy of the descriptor from its fork to
/// its exec, and a copy that was not shut down would go on.
#[derive(Debug)]
pub struct Listening(TcpListener);

impl Deref for Listening {
    type Target = TcpListener;

    fn deref(&self) -> &TcpListener {
        &self.0
    }
}

impl Listening {
    /// Lets nobody in any more, while the port stays taken.
    pub fn shut(&self) {
        // It cannot fail on a socket that listens; on one that does no longer, there is nothing to
        // do.
        let _ = SockRef::from(&self.0).shutdown(Shutdown::Both);
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.shut();
    }
}

/// The process that has the target's namespace. It is killed and waited for when it goes out of
/// scope.
#[derive(Debug)]
struct Holder(Child);

impl Holder {
    fn start(program: &Path) -> Result<Self, StageError> {
        let failed =
            |error: io::Error| StageError::Holder(format!("{}: {error}", program.display()));
        let mut command = Command::new(program);
        // Ctrl-C is for the one who holds the stage, not for the stage.
        command.arg(holder::ARGUMENT).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let spawned = command.spawn().map_err(of_proc).map_err(failed);
        let mut holder = Self(spawned?);
        let mut line = String::new();
        if let Some(stdout) = holder.0.stdout.take() {
            BufReader::new(stdout.take(READY_LIMIT)).read_line(&mut line).map_err(failed)?;
        }
        if line.trim_end() == holder::READY {
            return Ok(holder);
        }
        // It is killed first, so that its last words have an end.
        let _ = holder.0.kill();
        let mut told = String::new();
        if let Some(stderr) = holder.0.stderr.take() {
            let _ = stderr.take(READY_LIMIT).read_to_string(&mut told);
        }
        Err(StageError::Holder(format!("{}: {}", program.display(), told.trim())))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Neither fails on a child that is not yet waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Bytes that the holder may say at most.
const READY_LIMIT: u64 = 4096;
