//! `nsplice connect`: standard input and output to a port of a target, as
//! `nsenter -t PID -n socat - TCP4:localhost:PORT` does it, in one program.
//!
//! The one link runs on a loop of its own while the main thread waits for signals. A signal ends
//! the link by RST, so that the other side does not take the part for the whole; the exit code is
//! then 128 and the signal's number, as shells count it.

use std::sync::mpsc::{channel, Sender};

use nix::sys::signal::Signal;
use nsplice_backend::{Destination, Plan};
use nsplice_relay::{Forward, Labels, Observer, Outcome, Record, Settings, Side};
use nsplice_sys::Pool;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::journal::in_words;
use crate::loops::{Action, Event, Loops, Work};
use crate::request::ConnectRequest;
use crate::signals::Signals;
use crate::stdio;

/// The name of the one forward, which nobody sees.
const NAME: &str = "connect";

/// Runs until the link has ended.
pub(crate) fn run(request: ConnectRequest) -> Result<Exit, Failure> {
    let signals = Signals::block(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGCHLD])
        .map_err(Failure::system("collect signals"))?;
    let opening = request.opening;
    let destination =
        Destination { target: request.target, host: opening.host, port: request.port };
    let labels = Labels::new(NAME, destination.target.to_string());
    let plan = Plan::prepare(&destination, opening.backend, &opening.options, &Pool::on_demand())?;
    let forward = Forward { limits: opening.limits, ..Forward::new(labels, plan.opener()?) };
    let (ending, ended) = channel();
    let work = Work {
        services: Vec::new(),
        adopted: Some((stdio::take()?, forward)),
        observer: Box::new(Ending(ending)),
    };
    let settings = Settings { splice: opening.splice, ..Settings::default() };
    let mut interruption = None;
    Loops::start(&settings, vec![work], || {})?.supervise(
        &signals,
        None,
        |event, _| match event {
            Event::Signal(signal) => {
                interruption.get_or_insert(signal);
                Action::Stop
            }
            Event::TargetEnded | Event::StillDraining => Action::Ignore,
        },
    )?;
    match (ended.try_recv(), interruption) {
        (Ok(End { outcome: Outcome::Clean, .. }), _) => Ok(Exit::Done),
        (_, Some(signal)) => Ok(Exit::Interrupted(signal)),
        (Ok(End { outcome, words }), None) => {
            let exit = Exit::of_outcome(outcome);
            Err(Failure::Told { exit, sentence: words })
        }
        // The relay promises an end for each link.
        (Err(_), None) => Err(Failure::Defect),
    }
}

/// The end of the link.
#[derive(Debug)]
struct End {
    outcome: Outcome,
    words: String,
}

/// Hands the end of the link to the main thread.
#[derive(Debug)]
struct Ending(Sender<End>);

impl Observer for Ending {
    fn ended(&mut self, record: &Record<'_>) {
        let words = match record.outcome {
            Outcome::Reset(Side::Downstream) if record.detail.is_none() => {
                "standard input or output was closed before the connection ended".to_owned()
            }
            outcome => in_words(outcome, record.detail),
        };
        // The main thread waits for this loop before it stops listening.
        let _: Result<(), _> = self.0.send(End { outcome: record.outcome, words });
    }
}
