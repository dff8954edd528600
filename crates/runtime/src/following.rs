//! The engines of a node that are listened to, for as long as somebody holds what they know.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use nsplice_sys::lock;

use crate::engine::{Engine, Follower, News};
use crate::root::Root;

/// The engines that are listened to, by the numbers of their sources.
#[derive(Debug, Default)]
pub(crate) struct Following(Mutex<Vec<(usize, Follower)>>);

/// How often an engine had said that names have changed.
#[derive(Debug)]
pub(crate) struct Heard {
    news: Arc<News>,
    names: AtomicU64,
}

impl Heard {
    fn of(follower: &Follower, names: u64) -> Self {
        Self { news: Arc::clone(follower.news()), names: AtomicU64::new(names) }
    }

    /// Whether they have changed since.
    pub(crate) fn is_old(&self) -> bool {
        self.now() != self.names.load(Ordering::Acquire)
    }

    /// How often it has said so by now.
    pub(crate) fn now(&self) -> u64 {
        self.news.names()
    }

    /// Takes what was said the first `names` times for no matter.
    pub(crate) fn pass_over(&self, names: u64) {
        self.names.store(names, Ordering::Release);
    }
}

impl Following {
    /// Listens to `engine`, the source `number`, below `root`. What is told is that nothing was heard yet:
    /// whatever has been by now counts as new.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub(crate) fn start(
        &self,
        number: usize,
        engine: &Engine,
        root: &Arc<Root>,
    ) -> io::Result<Heard> {
        let mut all = lock(&self.0);
        if let Some((_, follower)) = all.iter().find(|(each, _)| *each == number) {
            return Ok(Heard::of(follower, 0));
        }
        let follower = Follower::start(engine, root)?;
        let heard = Heard::of(&follower, 0);
        all.push((number, follower));
        Ok(heard)
    }

    /// What was heard so far, by the numbers of the sources.
    pub(crate) fn heard(&self) -> Vec<(usize, Heard)> {
        let heard = |(number, follower): &(usize, Follower)| {
            (*number, Heard::of(follower, follower.news().names()))
        };
        lock(&self.0).iter().map(heard).collect()
    }

    /// How many containers were started, for all that was heard.
    pub(crate) fn starts(&self) -> u64 {
        lock(&self.0).iter().map(|(_, follower)| follower.news().starts()).sum()
    }
}
