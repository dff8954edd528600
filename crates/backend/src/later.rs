//! A destination whose plan is made when the first link wants it.
//!
//! That link waits for it, off the loop, and so does whoever comes meanwhile: it is one question for
//! all. A plan that was made is kept; what was in its way is asked about again by the next link.

use std::sync::{Arc, OnceLock};

use nsplice_relay::OpenError;
use nsplice_sys::{Pool, Question};

use crate::choice::Choice;
use crate::error::BackendError;
use crate::expected::Asked;
use crate::options::Options;
use crate::settled::Settled;
use crate::target::destination::Destination;

/// A destination whose plan is made later.
#[derive(Debug)]
pub(crate) struct Later {
    destination: Destination,
    choice: Choice,
    question: Question<Result<Arc<Settled>, BackendError>>,
    found: Arc<OnceLock<Arc<Settled>>>,
}

impl Later {
    /// A destination of which nothing is known yet.
    pub(crate) fn new(
        destination: &Destination,
        choice: Choice,
        options: &Options,
        pool: &Pool,
    ) -> Self {
        let found = Arc::new(OnceLock::new());
        let (wanted, options, threads) = (destination.clone(), options.clone(), pool.clone());
        let known = Arc::clone(&found);
        let question = Question::new(&pool.asker(), move || {
            if let Some(settled) = known.get() {
                return Ok(Arc::clone(settled));
            }
            let settled = Arc::new(Settled::prepare(&wanted, choice, &options, &threads)?);
            Ok(Arc::clone(known.get_or_init(|| settled)))
        });
        Self { destination: destination.clone(), choice, question, found }
    }

    /// The backend as far as it is known.
    pub(crate) fn backend(&self) -> &'static str {
        self.found.get().map_or(self.choice.as_str(), |settled| settled.backend())
    }

    /// Tells a link what it is to do.
    pub(crate) fn ask(&self) -> Asked {
        if let Some(settled) = self.found.get() {
            return Asked::Found(Arc::clone(settled));
        }
        match self.question.ask() {
            Ok(look) => Asked::Looking(look),
            Err(error) => {
                let what = format!("cannot look up {}", self.destination.target);
                Asked::Refused(OpenError::from_io(what, &error))
            }
        }
    }
}
