//! A forwarder in a hundred lines: `forward LISTEN TARGET`, both `ADDRESS:PORT`.
//!
//! Shows what an owner of the relay has to bring: an opener for the upstreams, listening sockets,
//! and an observer if it wants to know what happens. Ends on nothing but a signal.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nsplice_relay::{
    listen, Attempt, Forward, Labels, ListenOptions, Observer, OpenError, Opener, Progress, Record,
    Relay, Settings, Upstream, Wake,
};
use socket2::{Domain, Socket, Type};

/// Opens upstreams by connecting to one address.
#[derive(Debug)]
struct Connect(SocketAddr);

/// One such connection on its way.
#[derive(Debug)]
struct Connecting {
    target: SocketAddr,
    socket: Option<OwnedFd>,
}

impl Opener for Connect {
    fn backend(&self) -> &'static str {
        "connect"
    }

    fn open(&mut self, _downstream: Option<BorrowedFd<'_>>) -> Box<dyn Attempt> {
        Box::new(Connecting { target: self.0, socket: None })
    }
}

impl Connecting {
    fn start(&mut self) -> io::Result<()> {
        let socket =
            Socket::new(Domain::for_address(self.target), Type::STREAM.nonblocking(), None)?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&self.target.into()) {
            Err(error) if error.raw_os_error() != Some(nix::errno::Errno::EINPROGRESS as i32) => {
                return Err(error);
            }
            _ => {}
        }
        self.socket = Some(socket.into());
        Ok(())
    }

    fn finish(&mut self, wake: Wake) -> io::Result<Option<OwnedFd>> {
        let Some(socket) = self.socket.take() else { return Ok(None) };
        if wake.error {
            return Err(Socket::from(socket)
                .take_error()?
                .unwrap_or_else(|| io::Error::other("?")));
        }
        if wake.writable {
            return Ok(Some(socket));
        }
        self.socket = Some(socket);
        Ok(None)
    }
}

impl Attempt for Connecting {
    fn advance(&mut self, wake: Wake) -> Progress {
        let result = if wake == Wake::START {
            self.start().map(|()| Progress::Waiting)
        } else {
            self.finish(wake).map(|socket| match socket {
                Some(socket) => Progress::Open(Upstream::Stream(socket)),
                None => Progress::Pending,
            })
        };
        let what = format!("cannot connect to {}", self.target);
        result.unwrap_or_else(|error| Progress::Failed(OpenError::from_io(what, &error)))
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }
}

/// Prints a line for each link at its end.
#[derive(Debug)]
struct Printer;

impl Observer for Printer {
    fn ended(&mut self, record: &Record<'_>) {
        if std::env::var_os("QUIET").is_none() {
            let Record { outcome, up, down, duration, .. } = record;
            println!("{outcome}: {} bytes up, {} down, {duration:?}", up.written, down.written);
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [listen_on, target] = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [a, b] => [a.parse::<SocketAddr>()?, b.parse()?],
        _ => return Err("usage: forward LISTEN TARGET".into()),
    };
    let (mut relay, _handle) = Relay::new(Settings::default(), Box::new(Printer))?;
    let forward =
        Forward::new(Labels::new("example", target.to_string()), Box::new(Connect(target)));
    relay.add_service(forward, vec![listen(listen_on, ListenOptions::default())?])?;
    relay.run()?;
    Ok(())
}
