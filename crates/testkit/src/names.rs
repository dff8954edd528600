//! The names of a network namespace: its files, and name servers that answer on its 127.0.0.1, dnsmasq and
//! one whose answers are given by hand.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use crate::namespace::{Namespace, NETNS_FILES};
use crate::program::Program;
use crate::skip;
use crate::wait::wait_for;

/// The files that ip-netns(8) puts over those of /etc for a namespace, removed at the end whatever happens.
#[derive(Debug)]
pub struct NetnsFiles(PathBuf);

impl NetnsFiles {
    /// Writes `files` for `namespace`, each a name and its text; `None` and a line of `test` that says why
    /// where that is not for us to do.
    ///
    /// # Panics
    /// If one cannot be written where the others are.
    #[track_caller]
    pub fn new(test: &str, namespace: &Namespace, files: &[(&str, &str)]) -> Option<Self> {
        let made = Self(Path::new(NETNS_FILES).join(namespace.name()));
        if let Err(error) = fs::create_dir_all(&made.0) {
            let help = "root on the machine would help";
            skip::skipped(test, format_args!("cannot make {}: {error}; {help}", made.0.display()));
            return None;
        }
        for (name, text) in files {
            fs::write(made.0.join(name), text).expect("write a file");
        }
        Some(made)
    }
}

impl Drop for NetnsFiles {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Starts `dnsmasq`, which knows what `records` say (its options, `--host-record=db.local,10.0.0.9`), that
/// there is nothing else below `local` and `example`, and nothing of the rest.
///
/// # Panics
/// If it cannot be started.
#[track_caller]
pub fn name_server(dnsmasq: &Path, records: impl IntoIterator<Item = String>) -> Program {
    let fixed = [
        "--keep-in-foreground",
        "--no-resolv",
        "--no-hosts",
        "--conf-file=/dev/null",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--pid-file=",
        "--user=root",
        "--log-facility=-",
        "--local=/local/",
        "--local=/example/",
    ];
    Program::start(dnsmasq, fixed.into_iter().map(str::to_owned).chain(records))
}

/// A name server that says nothing until its test has it answer.
#[derive(Debug)]
pub struct NameKeeper {
    socket: UdpSocket,
}

/// A question that waits for its answer: a message of RFC 1035.
#[derive(Debug)]
pub struct NameQuestion {
    message: Vec<u8>,
    client: SocketAddr,
}

impl NameKeeper {
    /// A server at 127.0.0.1:53 of `namespace`.
    ///
    /// # Panics
    /// If somebody else serves there.
    #[track_caller]
    pub fn in_namespace(namespace: &Namespace) -> Self {
        let socket = namespace.inside(|| UdpSocket::bind("127.0.0.1:53")).expect("a free port 53");
        socket.set_nonblocking(true).expect("a socket");
        Self { socket }
    }

    /// Takes a question that has come.
    pub fn take(&self) -> Option<NameQuestion> {
        let mut message = [0; 512];
        let (length, client) = self.socket.recv_from(&mut message).ok()?;
        Some(NameQuestion { message: message.get(..length)?.to_vec(), client })
    }

    /// Waits for the two questions of one look-up, for addresses of either kind.
    ///
    /// # Panics
    /// If they do not come.
    #[track_caller]
    pub fn take_both(&self) -> [NameQuestion; 2] {
        [(); 2].map(|()| wait_for("a question", || self.take()))
    }

    /// Answers with `address`, or that there is none of another kind.
    ///
    /// # Panics
    /// If `question` is none.
    #[track_caller]
    pub fn answer(&self, question: &NameQuestion, address: Ipv4Addr) {
        let is_wanted = question.is_for_ipv4();
        let (id, rest) = question.message.split_at(2);
        // A response, with recursion desired and available; one question, no or one answer.
        let head = [0x81, 0x80, 0, 1, 0, u8::from(is_wanted), 0, 0, 0, 0];
        let asked = &rest[head.len()..question.length() - 2];
        let mut answer = [id, &head, asked].concat();
        if is_wanted {
            // The name of the question, its type and class, for a minute.
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            answer.extend(address.octets());
        }
        self.socket.send_to(&answer, question.client).expect("a client");
    }
}

impl NameQuestion {
    /// The name that is asked for, without a last dot.
    pub fn name(&self) -> String {
        let mut labels = Vec::new();
        let mut rest = &self.message[12..];
        while let Some((length, after)) = rest.split_first().filter(|(length, _)| **length > 0) {
            let (label, after) = after.split_at(usize::from(*length));
            labels.push(String::from_utf8_lossy(label).into_owned());
            rest = after;
        }
        labels.join(".")
    }

    /// Whether it is for IPv4 addresses (type A).
    pub fn is_for_ipv4(&self) -> bool {
        self.message[self.length() - 4..self.length()] == [0, 1, 0, 1]
    }

    /// The bytes of the message up to the end of its question: a length byte before each label, an empty
    /// one at the end, type and class.
    fn length(&self) -> usize {
        12 + self.name().len() + 2 + 4
    }
}
