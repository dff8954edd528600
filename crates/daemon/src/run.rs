//! `nsplice run`: the daemon.
//!
//! The configuration is read and checked, every target is looked for and every address is listened on
//! before the first link is served. What is wrong in the configuration, or with an address, keeps it
//! from starting, and all of it is told. A target that is missing does not: the links of its forward
//! are refused until it is there, or where it is to be waited for, its addresses are reserved and not
//! listened on. From then on nothing that peers or targets do makes it end.
//!
//! - SIGTERM, SIGINT and SIGQUIT drain: it stops listening at once and gives the links the drain
//!   time. A second SIGTERM or SIGINT ends what is left at once. Either way the exit code is 0.
//! - SIGUSR1 tells the counters and the links that are alive, in the log and whatever its level.
//! - Any other signal changes nothing; a configuration is read at start only, so neither does SIGHUP.

use std::sync::Arc;

use nsplice_backend::{ErrorKind, Expected, Plan};
use nsplice_relay::{Labels, Settings};
use nsplice_sys::Pool;
use slog::{info, warn, Logger};

use crate::bind::{reserve, Asker};
use crate::config::{self, Config, ForwardConfig};
use crate::drain;
use crate::failure::Failure;
use crate::journal::Journal;
use crate::log::{Log, Style};
use crate::lookout::Lookout;
use crate::loops::{raise_descriptor_limit, Loops};
use crate::missing::{Held, Looking, Missing};
use crate::request::RunRequest;
use crate::service::{divide, places, Listening, Service};
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
        warn!(log, "cannot raise the open file limit"; "error" => %error);
    }
    let loops = config.loops.0;
    let drain_time = config.drain_timeout;
    let settings = Settings { splice: config.splice, ..Settings::default() };
    // What its threads may do is what this one may, whatever the threads of loops are left with.
    let pool = Pool::start().map_err(Failure::system("start a thread"))?;
    let Some((services, missing)) = services(config, &pool, signals, log)? else {
        info!(log, "stopped");
        return Ok(());
    };
    let settings = Settings { stays: missing.iter().any(Missing::is_held), ..settings };
    let listening: Vec<Listening> = services.iter().flat_map(Service::listening).collect();
    let works = divide(services, loops, || Box::new(Journal::new(log.clone())))?;
    let announce = || listening.iter().for_each(|each| each.tell(log));
    let running = Loops::start(&settings, works, announce)?;
    let _looking = Looking::start(missing, running.handles(), log)
        .map_err(Failure::system("start a thread"))?;
    let result = drain::supervise(running, signals, drain_time, journal);
    info!(log, "stopped");
    result
}

/// What is served from the start, and what is looked for still.
type Begun = (Vec<Service>, Vec<Missing>);

/// Looks for every target, side by side, then listens on every address but those of forwards that wait for
/// their target. `None` if a signal asks for the end before.
fn services(
    config: Config,
    pool: &Pool,
    signals: &Signals,
    log: &Logger,
) -> Result<Option<Begun>, Failure> {
    let expect = |forward: &ForwardConfig| {
        Expected::new(&forward.destination, forward.backend, &forward.options, pool)
    };
    let expected: Vec<_> = config.forwards.iter().map(expect).collect();
    let Some(looks) = Lookout::new(signals).look(&expected)? else { return Ok(None) };
    let (mut planned, mut failures) = (Vec::with_capacity(expected.len()), Vec::new());
    for ((forward, expected), looked) in config.forwards.into_iter().zip(expected).zip(looks) {
        let (plan, problem) = match looked {
            Ok(settled) => (Plan::from(settled), None),
            Err(error) if error.kind() == ErrorKind::Usage => {
                failures.push(forward.failure(&config.path, error.into()));
                continue;
            }
            Err(problem) => (Plan::from(Arc::clone(&expected)), Some((expected, problem))),
        };
        planned.push((forward, plan, problem));
    }
    let (mut services, mut missing) = (Vec::with_capacity(planned.len()), Vec::new());
    for (forward, plan, problem) in planned {
        let mut fail = |error: Failure| failures.push(forward.failure(&config.path, error));
        let mut reserved = Vec::with_capacity(forward.listen.len());
        for address in &forward.listen {
            match reserve(*address, config.loops.0, Asker::Configuration) {
                Ok(one) => reserved.push(one),
                Err(error) => fail(error.into()),
            }
        }
        let mut service = Service {
            labels: Arc::new(Labels::new(
                forward.name.as_str(),
                forward.destination.target.to_string(),
            )),
            plan: Arc::new(plan),
            limits: forward.limits.clone(),
            places: places(forward.max_links),
            counters: Arc::default(),
            bound: Vec::new(),
        };
        let place = forward.place(&config.path);
        match problem {
            Some((expected, problem)) if forward.wait_for_target => {
                let held = Held::new(service, reserved);
                missing.push(Missing::held(expected, problem, place, held));
                continue;
            }
            Some((expected, problem)) => {
                missing.push(Missing::refused(expected, problem, place, &service.labels));
            }
            None => {}
        }
        for one in reserved {
            match one.listen() {
                Ok(bound) => service.bound.push(bound),
                Err(error) => fail(error.into()),
            }
        }
        services.push(service);
    }
    missing.iter().for_each(|each| each.tell(log));
    Failure::all(failures)?;
    Ok(Some((services, missing)))
}
