//! One who is measured: how clients get to it, and how its costs are counted.

use std::path::PathBuf;

use crate::group;
use crate::load::dialer::Dialer;
use crate::load::failure::Failure;
use crate::load::meter::Meter;
use crate::model::SubjectKind;
use crate::stage::{Birth, Stage};
use crate::subject::{Running, DIRECT};

/// A subject that runs, ready to be measured.
#[derive(Debug)]
pub(crate) struct Contender<'a> {
    /// The name of the subject.
    pub name: String,
    /// Its kind.
    pub kind: SubjectKind,
    /// The dialer of its clients.
    pub dialer: Dialer<'a>,
    /// The meter of its CPU and memory.
    pub meter: Meter,
}

impl<'a> Contender<'a> {
    /// The yardstick: clients inside that connect to the origin themselves.
    pub(crate) fn direct(stage: &'a Stage) -> Self {
        let dialer = Dialer::with_birth(stage.origin(), |domain| {
            stage.connect_socket(Birth::Target, domain)
        });
        let (name, meter) = (DIRECT.to_owned(), Meter::of_nothing());
        Self { name, kind: SubjectKind::Direct, dialer, meter }
    }

    /// A relay that runs. Its clients are born on the side of `birth`; `groups` are the directories
    /// of the control group that it was put into, if it was.
    ///
    /// # Errors
    /// When its group does not count CPU time, or its process is gone.
    pub(crate) fn relay(
        stage: &'a Stage,
        name: &str,
        kind: SubjectKind,
        birth: Birth,
        running: &Running,
        groups: &[PathBuf],
    ) -> Result<Self, Failure> {
        let dialer = Dialer::with_birth(running.address(), move |domain| {
            stage.connect_socket(birth, domain)
        });
        let named: Vec<PathBuf> = running.cgroup().map(PathBuf::from).into_iter().collect();
        let groups = if groups.is_empty() { &named } else { groups };
        let meter = group::meter(groups, running.pid())?;
        Ok(Self { name: name.to_owned(), kind, dialer, meter })
    }
}
