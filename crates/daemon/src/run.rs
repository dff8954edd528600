//! `nsplice run`: the daemon.
//!
//! It starts all or nothing: the configuration is read and checked, every target is found and
//! every address is listened on before the first link is served. From then on nothing that peers
//! or targets do makes it end.
//!
//! - SIGTERM, SIGINT and SIGQUIT drain: it stops listening at once and gives the links the drain
//!   time. A second SIGTERM or SIGINT ends what is left at once. Either way the exit code is 0.
//! - SIGUSR1 tells the counters and the links that are alive, in the log and whatever its level.
//! - Any other signal changes nothing; a configuration is read at start only, so neither does SIGHUP.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use nsplice_backend::Plan;
use nsplice_relay::Settings;
use slog::{info, warn, Logger};

use crate::bind::{bind, Asker, Bound};
use crate::config::{self, Config};
use crate::dump::Dump;
use crate::failure::Failure;
use crate::journal::Journal;
use crate::log::{Log, Style};
use crate::loops::{raise_descriptor_limit, Action, Loops};
use crate::request::RunRequest;
use crate::service::{divide, places, targets, Service};
use crate::signals::Signals;

/// Runs until drained or stopped.
pub(crate) fn run(request: &RunRequest) -> Result<(), Failure> {
    let mut config = config::load(&request.config)?;
    config.loops = request.loops.unwrap_or(config.loops);
    config.log_format = request.log_format.unwrap_or(config.log_format);
    config.log_level = request.log_level.unwrap_or(config.log_level);
    config.splice &= !request.no_splice;

    let signals = Signals::block_all_but(&[]).map_err(Failure::system("collect signals"))?;
    let log = Log::start(config.log_format, config.log_level, Style::Service)?;
    let result = serve(config, &signals, &log);
    log.finish();
    result
}

fn serve(config: Config, signals: &Signals, journal: &Log) -> Result<(), Failure> {
    let log = journal.logger();
    if let Err(error) = raise_descriptor_limit() {
        warn!(log, "the limit of open files stays as it is"; "error" => %error);
    }
    let loops = config.loops.0;
    let drain_time = config.drain_timeout;
    let settings = Settings { splice: config.splice, ..Settings::default() };
    let services = services(config)?;
    let listeners = listeners(&services);
    let targets = targets(&services);
    let works =
        divide(services, loops, || Box::new(Journal::new(log.clone(), Arc::clone(&targets))))?;
    let running = Loops::start(&settings, works, || tell_listeners(&listeners, log))?;
    let mut dump = Dump::new(journal.answers().clone(), targets);
    let mut draining = false;
    let result = running.supervise(signals, |signal, loops| {
        let action = reaction(signal, draining, drain_time);
        match action {
            Action::Ignore => {
                info!(log, "this signal changes nothing"; "signal" => signal.as_str())
            }
            Action::Drain(time) => {
                draining = true;
                let time = time.map(|time| humantime::format_duration(time).to_string());
                info!(log, "draining: no new links"; "signal" => signal.as_str(),
                    "drain_timeout" => time.unwrap_or_else(|| "none".to_owned()));
            }
            Action::Stop => info!(log, "stopping now"; "signal" => signal.as_str()),
            Action::Tell => dump.begin(&loops.handles(), log),
        }
        action
    });
    info!(log, "stopped");
    result
}

/// What a signal means.
fn reaction(signal: Signal, draining: bool, time: Option<Duration>) -> Action {
    match (signal, draining) {
        (Signal::SIGTERM | Signal::SIGINT, true) => Action::Stop,
        (Signal::SIGTERM | Signal::SIGINT | Signal::SIGQUIT, false) => Action::Drain(time),
        (Signal::SIGUSR1, _) => Action::Tell,
        _ => Action::Ignore,
    }
}

/// Finds every target, then listens on every address.
fn services(config: Config) -> Result<Vec<Service>, Failure> {
    let mut planned = Vec::with_capacity(config.forwards.len());
    for forward in config.forwards {
        let plan = Plan::prepare(&forward.destination, forward.backend, &forward.options)
            .map_err(|error| forward.failure(&config.path, error.into()))?;
        planned.push((forward, plan));
    }
    let mut services = Vec::with_capacity(planned.len());
    for (forward, plan) in planned {
        let mut bound = Vec::with_capacity(forward.listen.len());
        for address in &forward.listen {
            let listening = bind(*address, config.loops.0, Asker::Configuration)
                .map_err(|error| forward.failure(&config.path, error.into()))?;
            bound.push(listening);
        }
        services.push(Service {
            name: forward.name.as_str().into(),
            target: forward.destination.target.to_string(),
            plan: Rc::new(plan),
            limits: forward.limits,
            places: places(forward.max_links),
            bound,
        });
    }
    Ok(services)
}

/// What is listened on.
#[derive(Debug)]
struct Listening {
    forward: Arc<str>,
    address: SocketAddr,
    target: String,
    backend: &'static str,
}

fn listeners(services: &[Service]) -> Vec<Listening> {
    let of = |service: &Service, bound: &Bound| Listening {
        forward: Arc::clone(&service.name),
        address: bound.local,
        target: service.target.clone(),
        backend: service.plan.backend(),
    };
    let all = services.iter().flat_map(|each| each.bound.iter().map(move |bound| of(each, bound)));
    all.collect()
}

fn tell_listeners(listeners: &[Listening], log: &Logger) {
    for Listening { forward, address, target, backend } in listeners {
        info!(log, "listening"; "forward" => &**forward, "address" => %address,
            "target" => target, "backend" => backend);
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
