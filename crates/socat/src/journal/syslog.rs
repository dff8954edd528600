//! The system's log, spoken to as syslog(3) does it: a datagram to `/dev/log` per message.

use std::fmt;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::Local;
use nix::unistd::getpid;

use super::Level;

/// Where the system's log listens.
const SOCKET: &str = "/dev/log";

/// How long a logger that does not read may hold us up, once. Messages are lost then, bytes never.
const PATIENCE: Duration = Duration::from_millis(250);

/// The kind of program that a message is from (syslog(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facility(u8);

impl Facility {
    /// The one that socat takes if none is named.
    pub(crate) const DAEMON: Self = Self(3);

    /// The facility called `name`, in any case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut all = FACILITIES.iter();
        all.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, facility)| *facility)
    }
}

const FACILITIES: [(&str, Facility); 20] = [
    ("kern", Facility(0)),
    ("user", Facility(1)),
    ("mail", Facility(2)),
    ("daemon", Facility::DAEMON),
    ("auth", Facility(4)),
    ("syslog", Facility(5)),
    ("lpr", Facility(6)),
    ("news", Facility(7)),
    ("uucp", Facility(8)),
    ("cron", Facility(9)),
    ("authpriv", Facility(10)),
    ("ftp", Facility(11)),
    ("local0", Facility(16)),
    ("local1", Facility(17)),
    ("local2", Facility(18)),
    ("local3", Facility(19)),
    ("local4", Facility(20)),
    ("local5", Facility(21)),
    ("local6", Facility(22)),
    ("local7", Facility(23)),
];

/// The system's log.
#[derive(Debug)]
pub(super) struct Syslog {
    path: PathBuf,
    facility: Facility,
    /// Connected when it is first needed, and anew when the logger has been restarted.
    socket: Mutex<Option<UnixDatagram>>,
}

impl Syslog {
    pub(super) fn new(facility: Facility) -> Self {
        Self::at(PathBuf::from(SOCKET), facility)
    }

    pub(super) fn at(path: PathBuf, facility: Facility) -> Self {
        Self { path, facility, socket: Mutex::new(None) }
    }

    pub(super) fn tell(&self, level: Level, program: &str, message: &dyn fmt::Display) {
        let priority = u32::from(self.facility.0) * 8 + severity(level);
        let now = Local::now().format("%b %e %H:%M:%S");
        let pid = getpid();
        let text = format!("<{priority}>{now} {program}[{pid}]: {level} {message}\n");
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        match socket.as_ref().map(|socket| send(socket, &text)) {
            Some(Sent::Taken | Sent::Lost) => {}
            Some(Sent::Gone) | None => {
                *socket = self.connect();
                // Nobody is left who could be told that there is no logger.
                let _ = socket.as_ref().map(|socket| send(socket, &text));
            }
        }
    }

    fn connect(&self) -> Option<UnixDatagram> {
        let socket = UnixDatagram::unbound().ok()?;
        socket.connect(&self.path).ok()?;
        socket.set_write_timeout(Some(PATIENCE)).ok()?;
        Some(socket)
    }
}

/// What became of a message.
enum Sent {
    Taken,
    /// The logger does not read.
    Lost,
    /// There is no logger behind the socket any more.
    Gone,
}

fn send(socket: &UnixDatagram, text: &str) -> Sent {
    match socket.send(text.as_bytes()) {
        Ok(_) => Sent::Taken,
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            // One wait is enough: from now on, what is not taken at once is lost.
            let _ = socket.set_nonblocking(true);
            Sent::Lost
        }
        Err(_) => Sent::Gone,
    }
}

/// The number that syslog(3) has for `level`.
fn severity(level: Level) -> u32 {
    match level {
        Level::Error => 3,
        Level::Warning => 4,
        Level::Notice => 5,
        Level::Info => 6,
        Level::Debug => 7,
    }
}
