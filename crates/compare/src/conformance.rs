//! The behaviours of subjects: each one of a table, tried with each of them.
//!
//! A behaviour is a function of a scene, which has the relay under test and makes both ends of
//! its links. What it returns is a phrase that tells what was seen, as expected or not.
//!
//! Subjects are tried side by side, in acts. In the first ones all wait: for late replies, then for
//! links to be stuck, of all subjects at once and on links of their own. Then comes everything that
//! is short, and at last what moves gigabytes, which would disturb the others. Each subject that is
//! started here leads to a port of its own inside the target; relays that run already share one,
//! and take turns at opening links.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::model::{Behaviour, Passed, Verdict};
use crate::stage::{Birth, Stage, StageError};
use crate::subject::{Launch, Means, Route, Subject};
use crate::teller::{Found, Milestone, Teller};

mod bytes;
mod census;
mod difference;
mod extent;
mod failing;
mod flow;
mod half_close;
mod neighbours;
mod opening;
mod remains;
mod resets;
mod scene;
mod table;
mod threads;

use scene::{Entrance, Miss, Scene};
use table::Act;

pub use difference::{Difference, Known};
pub use extent::Extent;
pub use table::Case;

use threads::beside;

/// The table of behaviours.
pub fn cases() -> &'static [Case] {
    table::CASES
}

/// Tries `cases` with all `subjects`, and returns them with one verdict for each subject. If `tell` breaks it off, verdicts are missing, and that is returned, too. What is
/// started is ended, and nothing of it stays.
///
/// # Errors
/// When there are no ports inside the target. What a subject does or does not is a verdict.
pub fn run(
    stage: &Stage,
    launcher: &dyn Launch,
    subjects: &[Subject],
    cases: &[&'static Case],
    tell: Teller<'_>,
) -> Result<(Vec<Behaviour>, ControlFlow<()>), StageError> {
    let ports = stage.free_ports(Birth::Target, subjects.len())?;
    let mut entrances: HashMap<u16, Entrance> = HashMap::new();
    let mut started = Vec::new();
    for (subject, own_port) in subjects.iter().zip(ports) {
        let port = match subject.means {
            Means::Peer(_) => stage.port(),
            _ => own_port,
        };
        entrances.entry(port).or_default();
        let route = Route { host: None, port: Some(port) };
        started.push((subject, port, launcher.start(subject, stage, &route)));
    }

    let board = Board::new(cases.to_vec(), subjects, tell);
    let mut ready: Vec<(&Subject, Scene<'_>)> = Vec::new();
    for (subject, port, running) in &started {
        match (running, entrances.get(port)) {
            (Ok(running), Some(entrance)) => {
                let scene = Scene::new(stage, launcher, subject, running, *port, entrance);
                ready.push((subject, scene));
            }
            (Ok(_), None) => {}
            (Err(error), _) => cases.iter().for_each(|case| {
                board.note(subject, case, Err(Miss::NotTried(error.to_string())));
            }),
        }
    }
    for act in Act::ALL {
        let cases: Vec<_> = cases.iter().copied().filter(|case| case.act == act).collect();
        thread::scope(|threads| {
            for (subject, scene) in &ready {
                let (board, cases) = (&board, &cases);
                beside(threads, move || play(board, subject, scene, cases, act));
            }
        });
    }
    let flow = if board.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let verdicts = board.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((board.behaviours(&verdicts), flow))
}

/// Plays the cases of one act with one subject.
fn play(board: &Board<'_>, subject: &Subject, scene: &Scene<'_>, cases: &[&Case], act: Act) {
    let one = |case: &Case| {
        if !board.is_closed() {
            board.note(subject, case, (case.play)(scene));
        }
    };
    if act.is_waiting() {
        thread::scope(|threads| {
            for case in cases {
                beside(threads, || one(case));
            }
        });
    } else {
        cases.iter().for_each(|case| one(case));
    }
}

/// By subject and case.
type Verdicts = HashMap<(String, &'static str), Verdict>;

/// The board on which verdicts are noted down, and from which progress is told.
struct Board<'a> {
    cases: Vec<&'static Case>,
    subjects: &'a [Subject],
    verdicts: Mutex<Verdicts>,
    done: AtomicUsize,
    total: usize,
    tell: Teller<'a>,
    /// It has been broken off.
    closed: AtomicBool,
}

impl std::fmt::Debug for Board<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Board({:?} of {})", self.done, self.total)
    }
}

impl<'a> Board<'a> {
    fn new(cases: Vec<&'static Case>, subjects: &'a [Subject], tell: Teller<'a>) -> Self {
        let total = cases.len() * subjects.len();
        let (done, closed) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self { cases, subjects, verdicts: Mutex::default(), done, total, tell, closed }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn note(&self, subject: &Subject, case: &Case, seen: Result<String, Miss>) {
        let (result, seen) = match seen {
            Ok(seen) => (Passed::Yes, seen),
            Err(Miss::Fault(fault)) => (Passed::No, fault.to_string()),
            Err(Miss::NotTried(why)) => (Passed::NotTried, why),
        };
        let differs = case.known(subject).filter(|_| result == Passed::No);
        let known = differs.map(|known| known.difference().to_string());
        let verdict = Verdict { subject: subject.name.clone(), result, seen, known };
        let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        verdicts.insert((subject.name.clone(), case.name), verdict);
        let behaviours = self.behaviours(&verdicts);
        drop(verdicts);
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let what = format!("{}: {}", subject.name, case.name);
        let found = Found::Behaviours(&behaviours);
        let milestone = Milestone { done, total: self.total, what: &what, left: None, found };
        if (self.tell)(&milestone).is_break() {
            self.closed.store(true, Ordering::Relaxed);
        }
    }

    /// The behaviours of all cases, with the verdicts there are.
    fn behaviours(&self, verdicts: &Verdicts) -> Vec<Behaviour> {
        let behaviour = |case: &&Case| Behaviour {
            name: case.name.to_owned(),
            expected: case.expected.to_owned(),
            group: case.group.to_owned(),
            verdicts: self
                .subjects
                .iter()
                .filter_map(|subject| verdicts.get(&(subject.name.clone(), case.name)).cloned())
                .collect(),
        };
        self.cases.iter().map(behaviour).collect()
    }
}
