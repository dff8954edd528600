//! A forward that is ready to be served, and its division among the loops.

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;

use nsplice_backend::Plan;
use nsplice_relay::{Counters, Forward, Labels, Limits, Observer, Places};

use crate::bind::Bound;
use crate::failure::Failure;
use crate::loops::Work;

/// A forward whose target is found and whose addresses are listened on.
#[derive(Debug)]
pub(crate) struct Service {
    /// Its name, and the target in the words of the operator.
    pub(crate) labels: Arc<Labels>,
    /// The plan by which upstreams are opened.
    pub(crate) plan: Rc<Plan>,
    /// Limits of each link.
    pub(crate) limits: Limits,
    /// Links at once, all loops together.
    pub(crate) places: Arc<Places>,
    /// Its books, all loops together.
    pub(crate) counters: Arc<Counters>,
    /// The listeners that clients come from.
    pub(crate) bound: Vec<Bound>,
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
        let mut served = Vec::with_capacity(services.len());
        for service in &mut services {
            let forward = Forward {
                labels: Arc::clone(&service.labels),
                opener: service.plan.opener()?,
                admission: None,
                limits: service.limits.clone(),
                places: Arc::clone(&service.places),
                counters: Arc::clone(&service.counters),
                policy: Arc::default(),
            };
            let listeners: Vec<TcpListener> =
                service.bound.iter_mut().filter_map(|bound| bound.listeners.pop()).collect();
            served.push((forward.into(), listeners));
        }
        works.push(Work { services: served, adopted: None, observer: observer() });
    }
    Ok(works)
}
