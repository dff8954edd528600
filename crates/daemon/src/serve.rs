//! `nsplice serve`: the endpoint that kubectl port-forward talks to, for the pods of this node.
//!
//! Nothing is looked for at start: pods come and go. Each request is answered by what the runtimes say
//! then, and each connection finds its pod as the links of a forward do.

mod listing;
mod pods;

use std::net::SocketAddr;
use std::sync::Arc;

use nsplice_portforward::{Api, Pods, PortForward};
use nsplice_relay::{
    Clock, Counters, EndpointService, Labels, NewService, Places, SessionLimits, Settings,
};
use nsplice_sys::Pool;
use slog::{info, warn};

use crate::bind::{reserve, Asker, Bound};
use crate::drain;
use crate::failure::Failure;
use crate::journal::Journal;
use crate::log::{Log, Style};
use crate::loops::{raise_descriptor_limit, Loops, Work};
use crate::output::{Stdout, Waiting};
use crate::printer::Printer;
use crate::request::ServeRequest;
use crate::service::places;
use crate::signals::Signals;
use crate::values::DEFAULT_DRAIN;

use pods::{NodePods, SERVICE};

/// Clients at once: more than people and programs have on a node, and fewer than descriptors.
const SESSIONS: u32 = 1024;

/// Runs until drained or stopped.
pub(crate) fn run(request: &ServeRequest) -> Result<(), Failure> {
    let signals = Signals::block_all_but(&[]).map_err(Failure::system("collect signals"))?;
    let log = Log::start(request.log_format, request.log_level, Style::Service)?;
    let result = serve(request, &signals, &log);
    log.finish();
    result
}

fn serve(request: &ServeRequest, signals: &Signals, journal: &Log) -> Result<(), Failure> {
    let log = journal.logger();
    if let Err(error) = raise_descriptor_limit() {
        warn!(log, "cannot raise the open file limit"; "error" => %error);
    }
    let pool = Pool::start().map_err(Failure::system("start a thread"))?;
    let pods = NodePods::new(&request.opening, &pool)?;
    let bound = reserve(request.listen, request.loops.0, Asker::Serve)?.listen()?;
    let address = bound.local;
    let works = works(request, bound, Arc::new(pods), || Journal::new(log.clone()));
    let settings = Settings { splice: request.opening.splice, ..Settings::default() };
    let (printer, printing) =
        Printer::start(Waiting(Stdout), log.clone()).map_err(Failure::system("start a thread"))?;
    let running = Loops::start(&settings, works, || {
        info!(log, "listening"; "endpoint" => SERVICE, "address" => %address);
        lines(address, request.api).into_iter().for_each(|line| printer.line(line));
    })?;
    drop(printer);
    let result = drain::supervise(running, signals, Some(DEFAULT_DRAIN), journal);
    printing.finish();
    info!(log, "stopped");
    result
}

/// What whoever has started it is told.
fn lines(address: SocketAddr, api: bool) -> Vec<String> {
    let mut lines = vec![format!("Serving on http://{address}")];
    if api {
        lines.push(format!("Try: kubectl --server http://{address} port-forward pod/NAME PORT"));
    }
    lines
}

/// The endpoint for each loop.
fn works(
    request: &ServeRequest,
    bound: Bound,
    pods: Arc<dyn Pods>,
    journal: impl Fn() -> Journal,
) -> Vec<Work> {
    let labels = Arc::new(Labels::new(SERVICE, "pods"));
    let (links, sessions) = (places(request.max_links), Arc::new(Places::new(SESSIONS)));
    let counters: Arc<Counters> = Arc::default();
    let endpoint = PortForward {
        pods,
        api: if request.api { Api::On } else { Api::Off },
        limits: request.opening.limits.clone(),
        clock: Clock::default(),
    };
    let work = |listener| {
        let service = EndpointService {
            labels: Arc::clone(&labels),
            endpoint: Box::new(endpoint.clone()),
            admission: None,
            session: SessionLimits::default(),
            sessions: Arc::clone(&sessions),
            places: Arc::clone(&links),
            counters: Arc::clone(&counters),
        };
        let services = vec![(NewService::Endpoint(service), vec![listener])];
        Work { services, adopted: None, observer: Box::new(journal()) }
    };
    bound.listeners.into_iter().map(work).collect()
}
