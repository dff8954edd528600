//! `nsplice run`: the daemon.
//!
//! The configuration is read and checked, every target is looked for and every address is listened on
//! before the first link is served. What is wrong in the configuration, or with an address, keeps it
//! from starting, and all of it is told. A target that is missing does not: the links of its forward
//! are refused until it is there. From then on nothing that peers or targets do makes it end.
//!
//! - SIGTERM, SIGINT and SIGQUIT drain: it stops listening at once and gives the links the drain
//!   time. A second SIGTERM or SIGINT ends what is left at once. Either way the exit code is 0.
//! - SIGUSR1 tells the counters and the links that are alive, in the log and whatever its level.
//! - Any other signal changes nothing; a configuration is read at start only, so neither does SIGHUP.

use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use nsplice_backend::{BackendError, Plan};
use nsplice_relay::{Labels, Settings};
use nsplice_sys::Pool;
use slog::{info, warn, Logger};

use crate::bind::{bind, Asker, Bound};
use crate::config::{self, Config, ForwardConfig};
use crate::drain;
use crate::failure::Failure;
use crate::journal::Journal;
use crate::log::{Log, Style};
use crate::loops::{raise_descriptor_limit, Loops};
use crate::missing::{Looking, Missing};
use crate::request::RunRequest;
use crate::service::{divide, places, Service};
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
    let (services, missing) = services(config, &pool, log)?;
    let _looking = Looking::start(missing, log).map_err(Failure::system("start a thread"))?;
    let listeners = listeners(&services);
    let works = divide(services, loops, || Box::new(Journal::new(log.clone())))?;
    let running = Loops::start(&settings, works, || tell_listeners(&listeners, log))?;
    let result = drain::supervise(running, signals, drain_time, journal);
    info!(log, "stopped");
    result
}

/// Looks for every target, then listens on every address.
fn services(
    config: Config,
    pool: &Pool,
    log: &Logger,
) -> Result<(Vec<Service>, Vec<Missing>), Failure> {
    let (mut missing, mut failures) = (Vec::new(), Vec::new());
    let mut planned = Vec::with_capacity(config.forwards.len());
    for forward in config.forwards {
        match plan(&forward, &config.path, &mut missing, pool) {
            Ok(plan) => planned.push((forward, plan)),
            Err(error) => failures.push(forward.failure(&config.path, error.into())),
        }
    }
    missing.iter().for_each(|each: &Missing| each.tell(log));
    let mut services = Vec::with_capacity(planned.len());
    for (forward, plan) in planned {
        let mut bound = Vec::with_capacity(forward.listen.len());
        for address in &forward.listen {
            match bind(*address, config.loops.0, Asker::Configuration) {
                Ok(listening) => bound.push(listening),
                Err(error) => failures.push(forward.failure(&config.path, error.into())),
            }
        }
        services.push(Service {
            labels: Arc::new(Labels::new(
                forward.name.as_str(),
                forward.destination.target.to_string(),
            )),
            plan: Rc::new(plan),
            limits: forward.limits,
            places: places(forward.max_links),
            counters: Arc::default(),
            bound,
        });
    }
    Failure::all(failures)?;
    Ok((services, missing))
}

/// Plans how the links of `forward` are opened. If its target cannot be reached yet, that is added
/// to `missing`.
fn plan(
    forward: &ForwardConfig,
    path: &Path,
    missing: &mut Vec<Missing>,
    pool: &Pool,
) -> Result<Plan, BackendError> {
    let ForwardConfig { destination, backend, options, .. } = forward;
    Plan::prepare(destination, *backend, options, pool).or_else(|error| {
        let problem = error.to_string();
        let (plan, expected) = Plan::expect(destination, *backend, options, error, pool)?;
        let (name, place) = (forward.name.as_str().into(), forward.place(path));
        missing.push(Missing { name, place, expected, problem });
        Ok(plan)
    })
}

/// A listening address, as it is logged.
#[derive(Debug)]
struct Listening {
    labels: Arc<Labels>,
    address: SocketAddr,
    backend: &'static str,
}

fn listeners(services: &[Service]) -> Vec<Listening> {
    let of = |service: &Service, bound: &Bound| Listening {
        labels: Arc::clone(&service.labels),
        address: bound.local,
        backend: service.plan.backend(),
    };
    let all = services.iter().flat_map(|each| each.bound.iter().map(move |bound| of(each, bound)));
    all.collect()
}

fn tell_listeners(listeners: &[Listening], log: &Logger) {
    for Listening { labels, address, backend } in listeners {
        info!(log, "listening"; "forward" => &*labels.service, "address" => %address,
            "target" => &*labels.target, "backend" => backend);
    }
}
