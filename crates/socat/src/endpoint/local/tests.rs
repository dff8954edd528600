//! Local endpoints with real files, terminals and programs.

mod files;
mod inherited;
mod pipes;
mod programs;
mod terminals;

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nsplice_relay::{Hold, OpenError, Opener, Progress, Upstream, Wake};

use super::{opener, Way};
use crate::endpoint::{Context, Links};
use crate::fault::Fault;
use crate::journal::Journal;
use crate::language::{read, Address, Errand, Keyword, Opt, Setting, Value};

fn context() -> Context {
    let words = ["-", "-"].map(OsString::from);
    let Ok(Errand::Carry(line)) = read(&words) else { panic!("two dashes are not understood") };
    let journal = Journal::early(&line.flags, "socat");
    Context {
        journal,
        flags: Arc::new(line.flags),
        prefix: "SOCAT".to_owned(),
        links: Links::One,
        pool: nsplice_sys::Pool::on_demand(),
    }
}

/// An address with one parameter.
fn address(keyword: Keyword, parameter: impl Into<OsString>) -> Address {
    let parameters = vec![parameter.into()];
    Address { keyword, parameters, options: Vec::new(), word: "WORD".to_owned() }
}

fn with(mut address: Address, option: Opt, value: Value) -> Address {
    address.options.push(Setting { option, value, word: "word".to_owned() });
    address
}

fn on(address: Address, option: Opt) -> Address {
    with(address, option, Value::Flag(true))
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// Why `address` is not even tried.
fn fault(address: &Address) -> Fault {
    opener(address, Way::Both, &context()).expect_err("it is accepted")
}

fn open(address: &Address, way: Way) -> Result<Link, OpenError> {
    finish(opener(address, way, &context()).unwrap().as_mut(), None)
}

fn opened(address: &Address, way: Way) -> Link {
    open(address, way).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(address: &Address, way: Way) -> String {
    open(address, way).expect_err("it is opened").detail
}

/// Drives an attempt to its end.
fn finish(opener: &mut dyn Opener, downstream: Option<BorrowedFd<'_>>) -> Result<Link, OpenError> {
    let mut attempt = opener.open(downstream);
    let mut wake = Wake::START;
    loop {
        match attempt.advance(wake) {
            Progress::Open(upstream) => return Ok(Link::of(upstream)),
            Progress::Failed(error) => return Err(error),
            Progress::Found(_) => wake = Wake::START,
            Progress::Pending | Progress::Waiting => {
                let source = attempt.source().unwrap();
                poll(&mut [PollFd::new(source, PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
                wake = Wake { readable: true, ..Wake::START };
            }
        }
    }
}

/// An upstream as a test uses it: blocking, unless its descriptors are shared.
#[derive(Debug)]
struct Link {
    source: File,
    sink: Option<File>,
    is_stream: bool,
    holds: Vec<Box<dyn Hold>>,
}

impl Link {
    fn of(upstream: Upstream) -> Self {
        match upstream {
            Upstream::Held { upstream, hold } => {
                let mut link = Self::of(*upstream);
                link.holds.push(hold);
                link
            }
            Upstream::Stream(stream) => {
                let copy = block(stream.try_clone().unwrap());
                Self { source: block(stream), sink: Some(copy), is_stream: true, holds: Vec::new() }
            }
            Upstream::Pair { source, sink } => Self {
                source: block(source),
                sink: Some(block(sink)),
                is_stream: false,
                holds: Vec::new(),
            },
            Upstream::Piped { .. } => panic!("nothing here is piped"),
        }
    }

    fn write(&mut self, bytes: &str) {
        self.sink.as_mut().unwrap().write_all(bytes.as_bytes()).unwrap();
    }

    /// Ends what is written.
    fn finish(&mut self) {
        let sink = self.sink.take().unwrap();
        if self.is_stream {
            UnixStream::from(OwnedFd::from(sink)).shutdown(Shutdown::Write).unwrap();
        }
    }

    /// Exactly as many bytes as `text` has.
    fn expect(&mut self, text: &str) {
        let mut bytes = vec![0; text.len()];
        self.source.read_exact(&mut bytes).unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes), text);
    }

    /// One line.
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while self.source.read(&mut byte).unwrap() > 0 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }

    /// All that comes.
    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.source.read_to_string(&mut rest).unwrap();
        rest
    }
}

fn block(descriptor: OwnedFd) -> File {
    let flags = OFlag::from_bits_retain(fcntl(&descriptor, FcntlArg::F_GETFL).unwrap());
    if flags.contains(OFlag::O_NONBLOCK) {
        fcntl(&descriptor, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK)).unwrap();
    }
    File::from(descriptor)
}

fn is_blocking(descriptor: &impl AsFd) -> bool {
    let flags = fcntl(descriptor, FcntlArg::F_GETFL).unwrap();
    !OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK)
}
