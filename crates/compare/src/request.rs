//! Requests: what is to be compared, and how thoroughly.

use std::collections::BTreeSet;

use crate::conformance::Extent;
use crate::cost::Choices;
use crate::stage::Scenery;
use crate::subject::{Subject, RESERVED};

/// A comparison that is wanted.
#[derive(Debug, Clone)]
pub struct Request {
    /// Between which namespaces.
    pub scenery: Scenery,
    /// The subjects. Names differ, and are none of `RESERVED`.
    pub subjects: Vec<Subject>,
    /// The extent of behaviours to try; `None` for nothing.
    pub extent: Option<Extent>,
    /// The costs to measure; `None` for nothing.
    pub choices: Option<Choices>,
}

/// An error in a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Nobody is to be compared.
    #[error("no subjects to compare: name some with --backends, --command or --peer")]
    NoSubject,
    /// Nothing is to be found out.
    #[error(
        "nothing to compare: name workloads with --workloads (conformance, open, requests, bulk, idle)"
    )]
    Nothing,
    /// Two subjects with one name.
    #[error("two subjects are called `{0}`: rename one of them")]
    Twice(String),
    /// A name of a yardstick.
    #[error("`{0}` is the name of a yardstick; give the subject another one")]
    Reserved(String),
}

impl Request {
    /// Checks that there is something to compare, and that names differ.
    ///
    /// # Errors
    /// Says what does not.
    pub fn check(&self) -> Result<(), RequestError> {
        if self.subjects.is_empty() {
            return Err(RequestError::NoSubject);
        }
        let costs = self.choices.as_ref().is_some_and(|choices| !choices.families.is_empty());
        if self.extent.is_none() && !costs {
            return Err(RequestError::Nothing);
        }
        let mut names = BTreeSet::new();
        for Subject { name, .. } in &self.subjects {
            if RESERVED.contains(&name.as_str()) {
                return Err(RequestError::Reserved(name.clone()));
            }
            if !names.insert(name) {
                return Err(RequestError::Twice(name.clone()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nsplice_backend::{Choice, Options};

    fn request(subjects: Vec<Subject>) -> Request {
        let scenery = Scenery {
            target: None,
            port: None,
            program: "nsplice".into(),
            options: Options::default(),
        };
        Request { scenery, subjects, extent: Some(Extent::Quick), choices: None }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let setns = || Subject::backend(Choice::Setns);
        assert_eq!(request(vec![setns()]).check(), Ok(()));
        assert_eq!(request(Vec::new()).check(), Err(RequestError::NoSubject));
        let twice = request(vec![setns(), setns()]);
        assert_eq!(twice.check(), Err(RequestError::Twice("setns".to_owned())));
        let floor = Subject { name: "floor".to_owned(), ..setns() };
        let reserved = request(vec![floor]).check();
        assert_eq!(reserved, Err(RequestError::Reserved("floor".to_owned())));
        let nothing = Request { extent: None, ..request(vec![setns()]) };
        assert_eq!(nothing.check(), Err(RequestError::Nothing));
    }
}
