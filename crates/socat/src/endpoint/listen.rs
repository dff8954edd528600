//! Listening with `fork`: one socket, any number of clients.
//!
//! A [`Post`] is opened once, like any endpoint, and so can be waited for together with signals while
//! a name is looked up or there are tries left. Its upstream is the listening socket itself. From then
//! on each client is shown to its [`Admission`].

use std::os::fd::BorrowedFd;
use std::sync::{Arc, OnceLock};

use nsplice_relay::{Attempt, EventSource, Need, Opener, Progress, SourceTurn, Wake};

use crate::fault::Fault;
use crate::journal::{Journal, Level};
use crate::language::{Address, Keyword, Opt, Spec};

use super::accept::{accept_timeout, tell_timeout};
use super::admission::{Admission, Recess};
use super::route::{routed, Patience, Route, Turn};
use super::setup::{Advance, Setup};
use super::socket_file::with_file;
use super::station::{Station, Stationed};
use super::Context;

/// A listener for many, and how its clients are to be treated.
#[derive(Debug)]
pub(crate) struct Post {
    /// Opens the listening socket: bound, listening and non-blocking. What is held for it removes
    /// its file.
    pub(crate) opener: Box<dyn Opener>,
    /// `max-children=`
    pub(crate) max_children: Option<u32>,
    /// Each client is to be shown to it.
    pub(crate) admission: Admission,
    /// `accept-timeout=`: ends listening when no client has come for too long. It is to be started
    /// when the socket listens.
    pub(crate) limit: Option<AcceptLimit>,
}

/// The exit status when listening was tried again and again in vain.
const IN_VAIN: u8 = 255;

/// Returns whether `keyword` waits for clients.
pub(crate) fn listens(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::TcpListen
            | Keyword::Tcp4Listen
            | Keyword::Tcp6Listen
            | Keyword::UnixListen
            | Keyword::AbstractListen
            | Keyword::VsockListen
            | Keyword::AcceptFd
    )
}

/// The exit status when `spec` could not be opened: listening in vain has one of its own.
pub(crate) fn failure_status(spec: &Spec) -> u8 {
    match spec {
        Spec::One(address) if listens(address.keyword) && !Patience::of(address).is_none() => {
            IN_VAIN
        }
        Spec::One(_) | Spec::Split { .. } => 1,
    }
}

/// The listener for many that `spec` is, if it is one.
pub(crate) fn post(spec: &Spec, context: &Context) -> Result<Option<Post>, Fault> {
    match spec {
        Spec::One(address) if listens(address.keyword) && address.has(Opt::Fork) => {
            Post::of(address, context).map(Some)
        }
        Spec::One(_) | Spec::Split { .. } => Ok(None),
    }
}

impl Post {
    fn of(address: &Address, context: &Context) -> Result<Self, Fault> {
        let notice = Arc::new(OnceLock::new());
        let recess = accept_timeout(address).map(Recess::new).transpose()?;
        let journal = context.journal.clone();
        let admission = Admission::of(address, context.flags.ip, &context.journal)?
            .of_many(Arc::clone(&notice), recess.clone());
        let station = Arc::new(Station::of(address, context)?);
        let route: Arc<dyn Route> = Arc::new(Opening { station, notice, journal: journal.clone() });
        let max_children = address.number(Opt::MaxChildren).filter(|most| *most > 0);
        Ok(Self {
            opener: routed("listen", route, address, &context.journal),
            max_children: max_children.map(|most| u32::try_from(most).unwrap_or(u32::MAX)),
            admission,
            limit: recess.map(|recess| AcceptLimit { recess, journal, then: || () }),
        })
    }
}

/// Ends listening when no client has come for too long.
#[derive(Debug)]
pub(crate) struct AcceptLimit {
    recess: Recess,
    journal: Journal,
    then: fn(),
}

impl AcceptLimit {
    /// The socket listens from now on. When listening has ended, `then` is called: from then on the
    /// loop heeds no signals any more.
    pub(crate) fn start(&mut self, then: fn()) {
        self.then = then;
        self.recess.start();
    }

    /// Looks whether listening has ended, and tells it.
    pub(super) fn is_over(&self) -> bool {
        let is_over = self.recess.is_over();
        if is_over {
            tell_timeout(&self.journal);
        }
        is_over
    }
}

impl EventSource for AcceptLimit {
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.recess.source())
    }

    fn wake(&mut self, _: Wake, turn: &mut SourceTurn<'_>) -> Need {
        if !self.is_over() {
            return Need::Wait;
        }
        // The links that are alive are carried to their ends.
        let then = self.then;
        turn.drain_then(move |_links| then());
        Need::Over
    }
}

/// What opening a post takes.
#[derive(Debug)]
struct Opening {
    station: Arc<Station>,
    notice: Arc<OnceLock<String>>,
    journal: Journal,
}

impl Route for Opening {
    fn begin(self: Arc<Self>, _turn: Turn) -> Box<dyn Attempt> {
        let setup = Setup::of(Arc::clone(&self.station));
        Box::new(Listening { opening: self, setup })
    }
}

#[derive(Debug)]
struct Listening {
    opening: Arc<Opening>,
    setup: Setup,
}

impl Attempt for Listening {
    fn advance(&mut self, _wake: Wake) -> Progress {
        match self.setup.advance() {
            Advance::Waiting => Progress::Waiting,
            Advance::Pending => Progress::Pending,
            Advance::Over(Err(error)) => Progress::Failed(error),
            Advance::Over(Ok(Stationed { socket, file, notice })) => {
                self.opening.journal.tell(Level::Notice, &notice);
                // A post is opened once.
                let _ = self.opening.notice.set(notice);
                Progress::Open(with_file(socket, file))
            }
        }
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        self.setup.source()
    }
}
