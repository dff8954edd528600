//! A pod or container by its name: wherever it runs now.
//!
//! It is held by what was found last, for as long as that lives. When that has ended, the next opening
//! asks the node's runtimes again, off the loop, so a restarted container is followed. Each is one
//! question, for all links of all forwards that lead there; and what runtimes keep on disk is read by one
//! directory for all of them, which remembers what it has read.

use std::sync::{Arc, Mutex};

use nsplice_relay::OpenError;
use nsplice_runtime::{Directory, Found, Identity, Owner, Settings, Unfound, Wanted, Why};
use nsplice_sys::{lock, Asker, Offloaded, Pool, Question};

use crate::error::BackendError;
use crate::netns::home::Home;
use crate::options::Options;
use crate::shared::Shared;
use crate::target::located::Located;

/// A pod or container that was found once.
#[derive(Debug)]
pub(crate) struct Named {
    last: Arc<Last>,
    /// Where it runs now.
    question: Question<Result<Located, BackendError>>,
}

/// A pod or container, and how it was found last.
#[derive(Debug)]
struct Last {
    directory: Arc<Directory>,
    wanted: Wanted,
    sight: Mutex<Arc<Sight>>,
}

/// What was found, and the way there.
#[derive(Debug)]
struct Sight {
    found: Found,
    located: Located,
}

/// The directories of nodes, by what describes them.
static DIRECTORIES: Shared<Settings, Directory> = Shared::new();

/// Pods and containers, by whose threads ask, where, and about what.
static NAMED: Shared<(Pool, Settings, Wanted), Named> = Shared::new();

impl Named {
    /// Finds what is `wanted`, about which the runtimes are asked on behalf of `asker` later on. Blocks.
    pub(crate) fn find(
        wanted: &Wanted,
        options: &Options,
        asker: &Asker,
    ) -> Result<Arc<Self>, BackendError> {
        let settings = options.settings();
        let opened = options.directory()?;
        let directory = DIRECTORIES.of(settings.clone(), || opened);
        let sight = Arc::new(Sight::of(&directory, wanted)?);
        let key = (asker.pool().clone(), settings, wanted.clone());
        let named = NAMED.of(key, || {
            let sight = Mutex::new(Arc::clone(&sight));
            let last = Arc::new(Last { directory, wanted: wanted.clone(), sight });
            let asked = Arc::clone(&last);
            Self { last, question: Question::new(asker, move || asked.find_again()) }
        });
        *lock(&named.last.sight) = sight;
        Ok(named)
    }

    /// Where it is, if that need not be asked.
    pub(crate) fn known(&self) -> Option<Located> {
        let sight = self.last.current();
        sight.found.is_alive().then(|| sight.located.clone())
    }

    /// Begins to ask where it is.
    pub(crate) fn ask(&self) -> Result<Offloaded<Result<Located, BackendError>>, OpenError> {
        self.question.ask().map_err(|error| {
            let what = format!("cannot ask where {} is", self.last.wanted);
            OpenError::from_io(what, &error)
        })
    }

    /// Whose the files are that its names are resolved by, if anybody can be seen; looked for again unless
    /// it is a container that lives: one may end, or come, without its pod. Blocks.
    pub(crate) fn files(&self) -> Result<Option<Owner>, BackendError> {
        let current = self.last.current();
        if current.found.files.are_settled() {
            return Ok(current.found.files.owner().cloned());
        }
        let sight = Arc::new(Sight::of(&self.last.directory, &self.last.wanted)?);
        *lock(&self.last.sight) = Arc::clone(&sight);
        Ok(sight.found.files.owner().cloned())
    }

    /// The namespace it was in when it was found last, if that can be told still.
    pub(crate) fn identity(&self, home: &Home) -> Option<Identity> {
        self.last.current().located.identity(home)
    }
}

impl Last {
    fn current(&self) -> Arc<Sight> {
        Arc::clone(&lock(&self.sight))
    }

    /// Asks the runtimes where it is now. Blocks.
    fn find_again(&self) -> Result<Located, BackendError> {
        // It may have been found anew since this was asked.
        let current = self.current();
        if current.found.is_alive() {
            return Ok(current.located.clone());
        }
        let found = Arc::new(Sight::of(&self.directory, &self.wanted)?);
        let located = found.located.clone();
        *lock(&self.sight) = found;
        Ok(located)
    }
}

impl Sight {
    fn of(directory: &Directory, wanted: &Wanted) -> Result<Self, BackendError> {
        let found = directory.find(wanted).map_err(refused)?;
        let located = Located::of(&found.place, &found.addresses);
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
