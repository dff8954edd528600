//! `nsplice forward`: ports of this machine to ports of a target, as kubectl port-forward does it.
//!
//! Everything that can be refused is refused before anything is printed: first the target, then
//! the addresses, then what it takes to serve them. If the target is to be waited for, its addresses are
//! reserved meanwhile, and refuse who connects. What is printed keeps kubectl's words, which scripts wait for. Each local port
//! is one forward, named LOCAL:REMOTE, so a failed link is told with its ports.
//!
//! SIGINT and SIGTERM end all links at once, by RST: as with kubectl, whoever presses Ctrl-C is
//! done, and a peer must not take a torn stream for a whole one. That is the end that was asked
//! for, so the exit code is 0. A process (`pid/N`) never comes back: when it has ended, listening ends
//! at once, the program with the last link that is left, and the exit code is that of a target that is
//! not there. A container or a path may come back, and is found again by the next link.
//!
//! SIGUSR1 tells the counters and the links on standard error. SIGHUP keeps
//! its own effect, so nohup works, and SIGQUIT too; the others change nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use nix::sys::signal::Signal;
use nsplice_backend::{BackendError, Destination, Expected, Plan, Settled};
use nsplice_relay::{Accepted, Labels, Observer, Record, Settings, Trouble};
use nsplice_sys::Pool;
use slog::{error, info, warn, Level, Logger};

use crate::bind::{reserve_port, Reserved};
use crate::dump::Dump;
use crate::failure::Failure;
use crate::journal::{in_words, is_daily_business, Journal};
use crate::log::{Log, Style};
use crate::lookout::{may_come, Lookout};
use crate::loops::{raise_descriptor_limit, Action, Event, Loops};
use crate::output::{Stdout, Waiting};
use crate::printer::Printer;
use crate::request::{ForwardRequest, Opening};
use crate::service::{divide, places, Service};
use crate::signals::Signals;

/// Runs until a signal ends it.
pub(crate) fn run(request: &ForwardRequest) -> Result<(), Failure> {
    let signals = Signals::block_all_but(&[Signal::SIGHUP, Signal::SIGQUIT])
        .map_err(Failure::system("collect signals"))?;
    let log = Log::start(request.log_format, request.log_level, Style::Command)?;
    let result = serve(request, &signals, &log);
    log.finish();
    result
}

fn serve(request: &ForwardRequest, signals: &Signals, journal: &Log) -> Result<(), Failure> {
    let log = journal.logger();
    if let Err(error) = raise_descriptor_limit() {
        warn!(log, "cannot raise the open file limit"; "error" => %error);
    }
    let pool = Pool::start().map_err(Failure::system("start a thread"))?;
    let Some((settled, reserved)) = found(request, &pool, signals, journal)? else { return Ok(()) };
    let plans = settled.into_iter().map(|settled| Arc::new(settled.into()));
    let plans = remote_ports(request).into_iter().zip(plans).collect();
    let Ready { services, lines } = ready(request, &plans, reserved)?;
    let end = match services.first() {
        Some(service) => service.plan.end().map_err(Failure::system("hold the target"))?,
        None => None,
    };
    let (printer, printing) =
        Printer::start(Waiting(Stdout), log.clone()).map_err(Failure::system("start a thread"))?;

    let works = divide(services, request.loops.0, || {
        Box::new(Teller {
            printer: (!request.quiet).then(|| printer.clone()),
            journal: Journal::new(log.clone()),
            log: log.clone(),
            target: request.target.to_string(),
        })
    })?;
    let settings = Settings { splice: request.opening.splice, ..Settings::default() };
    let mut dump = Dump::new(journal.answers().clone());
    let lines = if request.quiet { Vec::new() } else { lines };
    let announce = || lines.into_iter().for_each(|line| printer.line(line));
    let loops = Loops::start(&settings, works, announce)?;
    drop(printer);
    let mut gone = None;
    let result = loops.supervise(signals, end, |event, loops| {
        let signal = match event {
            Event::Signal(signal) => signal,
            Event::TargetEnded => {
                let told =
                    gone.insert(format!("{} is gone: its process has ended", request.target));
                if let links @ 1.. = loops.links_left() {
                    warn!(log, "{told}; refusing new connections, {links} still open");
                }
                return Action::Drain(None);
            }
            Event::StillDraining => return Action::Ignore,
        };
        let action = reaction(signal);
        match action {
            Action::Tell => dump.begin(&loops.handles(), log),
            Action::Ignore => info!(log, "ignoring signal {signal}"),
            Action::Drain(_) | Action::Stop => {}
        }
        action
    });
    printing.finish();
    result.and_then(|()| gone.map_or(Ok(()), |told| Err(BackendError::NoSuchTarget(told).into())))
}

/// Decides what a signal means.
fn reaction(signal: Signal) -> Action {
    match signal {
        Signal::SIGINT | Signal::SIGTERM => Action::Stop,
        Signal::SIGUSR1 => Action::Tell,
        _ => Action::Ignore,
    }
}

/// A destination for each of the [`remote_ports`], and the addresses for each pair.
type Found = (Vec<Arc<Settled>>, Vec<Vec<Reserved>>);

/// Looks for the target, reserves the addresses, and waits for a target that is missing if that is to be
/// waited for. `None` if a signal asks for the end before.
fn found(
    request: &ForwardRequest,
    pool: &Pool,
    signals: &Signals,
    journal: &Log,
) -> Result<Option<Found>, Failure> {
    let expected = expected(request, pool)?;
    let lookout = Lookout::new(signals);
    let Some(looks) = lookout.look(&expected)? else { return Ok(None) };
    let looked = match looks.into_iter().collect::<Result<Vec<_>, BackendError>>() {
        Err(problem) if !(request.wait_for_target && may_come(&problem)) => {
            return Err(problem.into());
        }
        looked => looked,
    };
    let reserved = reserved(request, journal.logger())?;
    let problem = match looked {
        Ok(settled) => return Ok(Some((settled, reserved))),
        Err(problem) => problem,
    };
    // Said whatever the level, for it is why nothing seems to happen.
    let say = |told: &str| {
        if !request.quiet {
            info!(journal.answers(), "{told}");
        }
    };
    let tell = |problem: &BackendError| say(&format!("waiting until it is there: {problem}"));
    tell(&problem);
    let Some(settled) = lookout.wait_for(&expected, problem, tell)? else { return Ok(None) };
    say(&format!("{} is there", request.target));
    Ok(Some((settled, reserved)))
}

/// The ports inside the target, each once.
fn remote_ports(request: &ForwardRequest) -> BTreeSet<u16> {
    request.ports.iter().map(|pair| pair.remote).collect()
}

/// What is looked for: a destination for each of the [`remote_ports`].
fn expected(request: &ForwardRequest, pool: &Pool) -> Result<Vec<Arc<Expected>>, Failure> {
    if let (true, Some(problem)) = (request.wait_for_target, request.target.never_comes()) {
        return Err(BackendError::Usage(problem).into());
    }
    let Opening { backend, options, .. } = &request.opening;
    let expect = |remote| Expected::new(&destination(request, remote), *backend, options, pool);
    Ok(remote_ports(request).into_iter().map(expect).collect())
}

/// Returns what a link to the port `remote` reaches.
fn destination(request: &ForwardRequest, remote: u16) -> Destination {
    let (target, host) = (request.target.clone(), request.opening.host.clone());
    Destination { target, host, port: remote }
}

/// The services, and the lines to print about them.
#[derive(Debug, Default)]
struct Ready {
    services: Vec<Service>,
    lines: Vec<String>,
}

/// Reserves all addresses, for each pair of ports.
fn reserved(request: &ForwardRequest, log: &Logger) -> Result<Vec<Vec<Reserved>>, Failure> {
    let mut all = Vec::with_capacity(request.ports.len());
    for pair in &request.ports {
        let port = reserve_port(&request.addresses, pair.local, request.loops.0)?;
        for missed in port.missed {
            warn!(log, "{missed}");
        }
        let destination = destination(request, pair.remote);
        if port.reserved.iter().any(|one| destination.leads_to(one.local)) {
            let told = format!(
                "{destination} is this forward's own listener; LOCAL:REMOTE listens on another port"
            );
            return Err(BackendError::Usage(told).into());
        }
        all.push(port.reserved);
    }
    Ok(all)
}

/// Listens on everything. A local port is one service on all addresses that have it; where no
/// number was free everywhere, addresses have numbers of their own.
fn ready(
    request: &ForwardRequest,
    plans: &HashMap<u16, Arc<Plan>>,
    reserved: Vec<Vec<Reserved>>,
) -> Result<Ready, Failure> {
    let mut ready = Ready::default();
    for (pair, reserved) in request.ports.iter().zip(reserved) {
        let Some(plan) = plans.get(&pair.remote) else { continue };
        for reserved in reserved {
            let bound = reserved.listen()?;
            ready.lines.push(format!("Forwarding from {} -> {}", bound.local, pair.remote));
            let name = format!("{}:{}", bound.local.port(), pair.remote);
            match ready.services.iter_mut().find(|service| *service.labels.service == *name) {
                Some(service) => service.bound.push(bound),
                None => ready.services.push(Service {
                    labels: Arc::new(Labels::new(name, request.target.to_string())),
                    plan: Arc::clone(plan),
                    limits: request.opening.limits.clone(),
                    places: places(request.max_links),
                    counters: Arc::default(),
                    bound: vec![bound],
                }),
            }
        }
    }
    Ok(ready)
}

/// Tells the person at the terminal in kubectl's words, and the journal in ours.
#[derive(Debug)]
struct Teller {
    /// `None` if it is only to say what goes wrong.
    printer: Option<Printer>,
    journal: Journal,
    log: Logger,
    target: String,
}

impl Observer for Teller {
    fn accepted(&mut self, link: &Accepted<'_>) {
        if let (Some(local), Some(printer)) = (link.local, &self.printer) {
            printer.line(format!("Handling connection for {}", local.port()));
        }
        self.journal.accepted(link);
    }

    fn ended(&mut self, record: &Record<'_>) {
        // What the client did, the person at the terminal knows.
        if is_daily_business(record.outcome) {
            self.journal.ended(record);
        } else if self.journal.allow(record.outcome.as_str(), Level::Error) {
            // kubectl says the same with "to pod UID" at its end.
            let Some((local, remote)) = record.link.labels.service.split_once(':') else { return };
            let (target, words) = (&self.target, in_words(record.outcome, record.detail));
            error!(
                self.log,
                "an error occurred forwarding {local} -> {remote}: \
                 error forwarding port {remote} to {target}: {words}"
            );
        }
    }

    fn trouble(&mut self, trouble: &Trouble<'_>) {
        self.journal.trouble(trouble);
    }
}
