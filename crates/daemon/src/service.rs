//! A forward that is ready to be served, and its division among the loops.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use nsplice_backend::Plan;
use nsplice_relay::{Counters, Forward, Labels, Limits, NewService, Observer, Places};
use slog::{info, Logger};

use crate::bind::Bound;
use crate::failure::Failure;
use crate::loops::Work;

/// A forward whose target is found and whose addresses are listened on.
#[derive(Debug)]
pub(crate) struct Service {
    /// Its name, and the target in the words of the operator.
    pub(crate) labels: Arc<Labels>,
    /// The plan by which upstreams are opened.
    pub(crate) plan: Arc<Plan>,
    /// Limits of each link.
    pub(crate) limits: Limits,
    /// Links at once, all loops together.
    pub(crate) places: Arc<Places>,
    /// Its books, all loops together.
    pub(crate) counters: Arc<Counters>,
    /// The listeners that clients come from.
    pub(crate) bound: Vec<Bound>,
}

impl Service {
    /// What one loop serves: an opener of its own, and a listener of every address.
    pub(crate) fn share(&mut self) -> Result<(NewService, Vec<TcpListener>), Failure> {
        let forward = Forward {
            labels: Arc::clone(&self.labels),
            opener: self.plan.opener()?,
            admission: None,
            limits: self.limits.clone(),
            places: Arc::clone(&self.places),
            counters: Arc::clone(&self.counters),
            policy: Arc::default(),
        };
        let listeners = self.bound.iter_mut().filter_map(|bound| bound.listeners.pop());
        Ok((forward.into(), listeners.collect()))
    }

    /// Where it listens, as it is logged.
    pub(crate) fn listening(&self) -> Vec<Listening> {
        let of = |bound: &Bound| Listening {
            labels: Arc::clone(&self.labels),
            address: bound.local,
            backend: self.plan.backend(),
        };
        self.bound.iter().map(of).collect()
    }
}

/// A listening address, as it is logged.
#[derive(Debug)]
pub(crate) struct Listening {
    labels: Arc<Labels>,
    address: SocketAddr,
    backend: &'static str,
}

impl Listening {
    /// Logs it.
    pub(crate) fn tell(&self, log: &Logger) {
        let Self { labels, address, backend } = self;
        info!(log, "listening"; "forward" => &*labels.service, "address" => %address,
            "target" => &*labels.target, "backend" => backend);
    }
}

/// As many places as `max_links` says; without it there are as many as there are descriptors.
pub(crate) fn places(max_links: Option<u32>) -> Arc<Places> {
    Arc::new(max_links.map_or_else(Places::unlimited, Places::new))
}

/// Gives each of `loops` loops a listener of every address, openers of its own and an observer.
pub(crate) fn divide(
    mut services: Vec<Service>,
    loops: usize,
    observer: impl Fn() -> Box<dyn Observer>,
) -> Result<Vec<Work>, Failure> {
    let mut works = Vec::with_capacity(loops);
    for _ in 0..loops {
        let services = services.iter_mut().map(Service::share).collect::<Result<_, _>>()?;
        works.push(Work { services, adopted: None, observer: observer() });
    }
    Ok(works)
}
