//! Running until signals have ended it: a drain first, and then a stop.

use std::time::Duration;

use nix::sys::signal::Signal;
use slog::info;

use crate::dump::Dump;
use crate::failure::Failure;
use crate::log::Log;
use crate::loops::{Action, Event, Loops};
use crate::signals::Signals;

/// Waits until the loops have ended. The links get `drain_time` when they are asked to end.
pub(crate) fn supervise(
    running: Loops,
    signals: &Signals,
    drain_time: Option<Duration>,
    journal: &Log,
) -> Result<(), Failure> {
    let log = journal.logger();
    let mut dump = Dump::new(journal.answers().clone());
    let mut draining = false;
    running.supervise(signals, None, |event, loops| {
        let signal = match event {
            Event::Signal(signal) => signal,
            Event::StillDraining => {
                info!(log, "still draining"; "links" => loops.links_left());
                return Action::Ignore;
            }
            Event::TargetEnded => return Action::Ignore,
        };
        let action = reaction(signal, draining, drain_time);
        match action {
            Action::Ignore => {
                info!(log, "ignoring signal"; "signal" => signal.as_str())
            }
            Action::Drain(time) => {
                draining = true;
                let time = time.map(|time| humantime::format_duration(time).to_string());
                info!(log, "draining: no new links"; "signal" => signal.as_str(),
                    "drain_timeout" => time.unwrap_or_else(|| "none".to_owned()),
                    "links" => loops.links_left());
            }
            Action::Stop => info!(log, "stopping now"; "signal" => signal.as_str(),
                "links" => loops.links_left()),
            Action::Tell => dump.begin(&loops.handles(), log),
        }
        action
    })
}

/// Decides what a signal means.
fn reaction(signal: Signal, draining: bool, time: Option<Duration>) -> Action {
    match (signal, draining) {
        (Signal::SIGTERM | Signal::SIGINT, true) => Action::Stop,
        (Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT, false) => Action::Drain(time),
        (Signal::SIGUSR1, _) => Action::Tell,
        _ => Action::Ignore,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_request_to_end_is_meant() {
        let time = Some(Duration::from_secs(30));
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            assert_eq!(reaction(signal, false, time), Action::Drain(time));
            assert_eq!(reaction(signal, true, time), Action::Stop);
        }
        assert_eq!(reaction(Signal::SIGQUIT, false, None), Action::Drain(None));
        assert_eq!(reaction(Signal::SIGQUIT, true, time), Action::Ignore);
        assert_eq!(reaction(Signal::SIGUSR1, true, time), Action::Tell);
        for signal in [Signal::SIGHUP, Signal::SIGUSR2, Signal::SIGALRM, Signal::SIGIO] {
            assert_eq!(reaction(signal, false, time), Action::Ignore, "{signal}");
        }
    }
}
