//! A pod or container by its name: wherever it runs now.
//!
//! It is held by what was found last, for as long as that lives, and nobody is asked meanwhile. When that
//! has ended, the next opening has the node's runtimes asked again, off the loop, so a restarted
//! container is followed. Each is one question, for all links of all forwards that lead there, and one
//! look at a time, whoever wants to know; what runtimes keep on disk is read by one directory for all of
//! them, which remembers what it has read.
//!
//! While nothing is found, runtimes are asked ever more seldom (`backoff.rs`), unless there is a sign that
//! something has changed on the node ([`nsplice_runtime::Signs`]).

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use nsplice_relay::OpenError;
use nsplice_runtime::{Directory, Found, Identity, Owner, Settings, Signs, Unfound, Wanted, Why};
use nsplice_sys::{lock, Asker, Offloaded, Pool, Question};

use crate::error::{BackendError, ErrorKind};
use crate::netns::home::Home;
use crate::options::Options;
use crate::shared::Shared;
use crate::target::backoff::{Advice, Backoff};
use crate::target::located::Located;

/// A pod or container that is wanted.
#[derive(Debug)]
pub(crate) struct Named {
    knowledge: Arc<Knowledge>,
    asker: Asker,
    /// Where it runs now.
    question: Question<Result<Located, BackendError>>,
}

/// A pod or container, and what is known of it.
#[derive(Debug)]
struct Knowledge {
    directory: Arc<Directory>,
    wanted: Wanted,
    last: Mutex<Last>,
    /// Whether its engine is listened to.
    is_followed: AtomicBool,
    /// Held by who looks.
    looking: Mutex<()>,
}

/// What was found last.
#[derive(Debug, Clone)]
enum Last {
    /// Nobody has looked yet.
    Nothing,
    /// It was there.
    There(Arc<Sight>),
    /// It was not.
    Missing(Arc<Miss>, Backoff),
}

/// What was found, and the way there.
#[derive(Debug)]
struct Sight {
    found: Found,
    located: Located,
}

/// Why nothing was found, and what could be seen then.
#[derive(Debug)]
struct Miss {
    problem: BackendError,
    signs: Signs,
}

/// The directories of nodes, by what describes them.
static DIRECTORIES: Shared<Settings, Directory> = Shared::new();

/// Pods and containers, by whose threads ask, where, and about what.
static NAMED: Shared<(Pool, Settings, Wanted), Named> = Shared::new();

impl Named {
    /// What is `wanted`, about which the runtimes are asked on behalf of `asker`. Nobody is asked yet.
    pub(crate) fn new(
        wanted: &Wanted,
        options: &Options,
        asker: &Asker,
    ) -> Result<Arc<Self>, BackendError> {
        let settings = options.settings();
        let directory = DIRECTORIES.of_fallible(settings.clone(), || options.directory())?;
        let key = (asker.pool().clone(), settings, wanted.clone());
        Ok(NAMED.of(key, || {
            let knowledge = Arc::new(Knowledge {
                directory,
                wanted: wanted.clone(),
                last: Mutex::new(Last::Nothing),
                is_followed: AtomicBool::new(false),
                looking: Mutex::new(()),
            });
            let asked = Arc::clone(&knowledge);
            let question = Question::new(asker, move || asked.look());
            Self { knowledge, asker: asker.clone(), question }
        }))
    }

    /// Listens, from the next look on, to the engine that knows it: it is wanted for long.
    pub(crate) fn follow(&self) {
        self.knowledge.is_followed.store(true, Ordering::Release);
    }

    /// On whose behalf the runtimes are asked about it.
    pub(crate) fn asker(&self) -> &Asker {
        &self.asker
    }

    /// Finds where it is, if that is not known. Blocks.
    pub(crate) fn find(&self) -> Result<Located, BackendError> {
        self.knowledge.look()
    }

    /// Where it is, if that need not be asked.
    pub(crate) fn known(&self) -> Option<Located> {
        let sight = self.knowledge.sight().filter(|sight| sight.found.is_alive())?;
        Some(sight.located.clone())
    }

    /// Returns whether it is known to be at `located` still, but for what entering a process tells.
    pub(crate) fn is_still_at(&self, located: &Located) -> bool {
        let Some(sight) = self.knowledge.sight() else { return false };
        let is_process = matches!(located, Located::Process(_));
        !sight.found.may_be_renamed() && (is_process || sight.found.is_there())
    }

    /// Its addresses, as they were told when it was found last.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        self.knowledge.sight().map_or_else(Vec::new, |sight| sight.found.addresses.clone())
    }

    /// Begins to ask where it is.
    pub(crate) fn ask(&self) -> Result<Offloaded<Result<Located, BackendError>>, OpenError> {
        self.question.ask().map_err(|error| {
            let what = format!("cannot ask where {} is", self.knowledge.wanted);
            OpenError::from_io(what, &error)
        })
    }

    /// Whose the files are that its names are resolved by, if anybody can be seen; looked for again unless
    /// it is a container that lives: one may end, or come, without its pod. Blocks.
    pub(crate) fn files(&self) -> Result<Option<Owner>, BackendError> {
        let knowledge = &self.knowledge;
        let _one_at_a_time = lock(&knowledge.looking);
        let known = knowledge.sight().filter(|sight| sight.found.files.are_settled());
        let sight = match known {
            Some(sight) => sight,
            None => {
                let sight = Arc::new(knowledge.see()?);
                knowledge.learn(Last::There(Arc::clone(&sight)));
                sight
            }
        };
        Ok(sight.found.files.owner().cloned())
    }

    /// The namespace it was in when it was found last, if that can be told still.
    pub(crate) fn identity(&self, home: &Home) -> Option<Identity> {
        self.knowledge.sight()?.located.identity(home)
    }
}

impl Knowledge {
    fn last(&self) -> Last {
        lock(&self.last).clone()
    }

    fn learn(&self, last: Last) {
        *lock(&self.last) = last;
    }

    fn sight(&self) -> Option<Arc<Sight>> {
        match self.last() {
            Last::There(sight) => Some(sight),
            Last::Nothing | Last::Missing(..) => None,
        }
    }

    /// Finds where it is, if that is not known. Blocks: whoever comes while somebody looks waits for what
    /// that one finds.
    fn look(&self) -> Result<Located, BackendError> {
        let _one_at_a_time = lock(&self.looking);
        let mut renamed = None;
        let before = match self.last() {
            Last::There(sight) if sight.found.is_alive() => return Ok(sight.located.clone()),
            Last::There(sight) => {
                let said = sight.found.said();
                renamed = sight.found.is_there().then_some((sight, said));
                None
            }
            Last::Nothing => None,
            Last::Missing(miss, mut backoff) => {
                while let Advice::Wait(time) = backoff.advice(Instant::now()) {
                    thread::sleep(time);
                }
                let is_due = backoff.advice(Instant::now()) == Advice::Look;
                if !is_due && self.directory.signs() == miss.signs {
                    backoff = backoff.glanced(Instant::now());
                    let problem = miss.problem.clone();
                    self.learn(Last::Missing(miss, backoff));
                    return Err(problem);
                }
                Some(backoff)
            }
        };
        // What changes while runtimes are asked is a sign.
        let signs = self.directory.signs();
        match self.see() {
            Ok(sight) => {
                let located = sight.located.clone();
                self.learn(Last::There(Arc::new(sight)));
                Ok(located)
            }
            Err(problem) => {
                if let Some((sight, said)) =
                    renamed.filter(|_| problem.kind() != ErrorKind::NoSuchTarget)
                {
                    // It may have another name; but who could tell does not answer.
                    sight.found.believe(said);
                    return Ok(sight.located.clone());
                }
                let now = Instant::now();
                let backoff =
                    before.map_or_else(|| Backoff::begin(now), |before| before.looked(now));
                let miss = Miss { problem: problem.clone(), signs };
                self.learn(Last::Missing(Arc::new(miss), backoff));
                Err(problem)
            }
        }
    }

    /// Asks the runtimes. Blocks.
    fn see(&self) -> Result<Sight, BackendError> {
        let mut found = self.directory.find(&self.wanted).map_err(refused)?;
        if self.is_followed.load(Ordering::Acquire) {
            self.directory.follow(&mut found);
        }
        Sight::of(found, &self.wanted)
    }
}

impl Sight {
    fn of(found: Found, wanted: &Wanted) -> Result<Self, BackendError> {
        let located = Located::of(&found.place, &found.addresses);
        // A trail was taken up by a path, which may be another one's by now.
        if matches!(located, Located::Path(_)) && !found.is_there() {
            return Err(BackendError::NoSuchTarget(format!("{wanted} has just ended")));
        }
        Ok(Self { found, located })
    }
}

fn refused(unfound: Unfound) -> BackendError {
    let told = unfound.to_string();
    match unfound.why {
        Why::NotLocal(_) => BackendError::Usage(told),
        _ if unfound.is_denied() => BackendError::Privilege(told),
        _ if unfound.is_missing() => BackendError::NoSuchTarget(told),
        _ => BackendError::Failed(told),
    }
}
