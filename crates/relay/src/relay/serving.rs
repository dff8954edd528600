//! The services of a loop: begun, retired and forgotten.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::Interest;
use nix::errno::Errno;

use crate::forward::Forward;
use crate::link::arrival::Arrival;
use crate::link::conn::Conn;
use crate::link::downstream::Downstream;
use crate::link::Next;
use crate::net::interest::forget;
use crate::net::listen::Listener;
use crate::outcome::{Limit, Outcome};
use crate::table::{Cause, Key};

use super::acceptor::Acceptor;
use super::error::RelayError;
use super::fd_reserve::FdReserve;
use super::service::{NewService, Service, ServiceId, ServiceReport};
use super::Relay;

impl Relay {
    /// Adds a service, whose clients become links ([`Forward`]) or sessions
    /// ([`crate::EndpointService`]), and the sockets it listens on (made by [`crate::listen()`], or by
    /// others).
    ///
    /// # Errors
    /// When a listener cannot be registered, when the reserve of descriptors cannot be had, or when
    /// the loop drains. Nothing is left of the service then.
    pub fn add_service(
        &mut self,
        service: impl Into<NewService>,
        listeners: impl IntoIterator<Item = impl Into<Listener>>,
    ) -> Result<ServiceId, RelayError> {
        if self.drains {
            return Err(RelayError::Draining);
        }
        self.reserve.establish().map_err(RelayError::when("reserve descriptors"))?;
        let service = self.services.insert(|_| Service::new(service.into()));
        for listener in listeners {
            if let Err(error) = self.listen_for(service, listener.into()) {
                self.drop_acceptors(|acceptor| acceptor.service == service);
                self.services.remove(service);
                return Err(error);
            }
        }
        Ok(ServiceId(service))
    }

    /// Accepts the clients of `listener` for `service`.
    fn listen_for(&mut self, service: Key, listener: Listener) -> Result<(), RelayError> {
        let acceptor =
            Acceptor::new(listener, service).map_err(RelayError::when("use the listener"))?;
        acceptor.confine(self.budget.queues());
        let descriptor = acceptor.as_fd().as_raw_fd();
        let key = self.acceptors.insert(|_| acceptor);
        let token = Cause::Listener(key).token();
        self.poll
            .registry()
            .register(&mut SourceFd(&descriptor), token, Interest::READABLE)
            .map_err(RelayError::when("wait for the listener"))
    }

    /// Makes sure that this process may have `others` descriptors for what is still to be made, and
    /// one more for a client. Asked before the loop runs, because one that finds no descriptor then
    /// waits until there are some.
    ///
    /// # Errors
    /// When it may not.
    pub fn expect_room(&self, others: usize) -> Result<(), RelayError> {
        FdReserve::try_out(others + 1).map_err(RelayError::when("keep a descriptor for a client"))
    }

    /// Adds one link whose downstream is at hand, and a service that ends with it. The loop ends with
    /// it if it has no listeners.
    ///
    /// # Errors
    /// When the downstream cannot be used, or when the loop drains; an upstream that cannot be opened
    /// is an outcome.
    pub fn adopt(&mut self, downstream: Downstream, forward: Forward) -> Result<(), RelayError> {
        if self.drains {
            return Err(RelayError::Draining);
        }
        let unusable = |error: Errno| RelayError::System {
            what: "use the downstream",
            source: io::Error::from(error),
        };
        let conn = Conn::handed_over(downstream).map_err(unusable)?;
        let service = self.services.insert(|_| Service::new(forward.into()));
        self.now = self.clock.now();
        self.admit_to(service, Arrival::handed_over(conn));
        self.begin_to_drain(service, None);
        Ok(())
    }

    /// Serves the next clients of a service as `with` says.
    pub(super) fn replace(&mut self, id: ServiceId, with: NewService) -> Result<(), RelayError> {
        // What was made ready in advance is the old opener's.
        self.end_bursts(|burst| burst.service == id.0);
        let service = self.services.get_mut(id.0).filter(|service| service.admits());
        service.ok_or(RelayError::NoSuchService)?.replace(with);
        Ok(())
    }

    /// Closes the listeners of a service at once, and gives its links `time`. Answers how many there
    /// are.
    pub(super) fn retire(
        &mut self,
        id: ServiceId,
        time: Option<Duration>,
    ) -> Result<usize, RelayError> {
        let service = self.services.get(id.0).filter(|service| service.admits());
        service.ok_or(RelayError::NoSuchService)?;
        self.close_acceptors(|acceptor| acceptor.service == id.0);
        let links = self.services.get(id.0).map_or(0, Service::links);
        self.begin_to_drain(id.0, time);
        Ok(links)
    }

    /// All services as they are now.
    pub(super) fn reports(&self) -> Vec<ServiceReport> {
        self.services.keys().into_iter().filter_map(|key| self.report(key)).collect()
    }

    fn report(&self, key: Key) -> Option<ServiceReport> {
        let of_it = self.acceptors.iter().filter(|acceptor| acceptor.service == key);
        let addresses = of_it.filter_map(|acceptor| acceptor.local).collect();
        Some(self.services.get(key)?.report(ServiceId(key), addresses))
    }

    /// Has the loop's own sources drain, closes the listeners of all services at once, and gives the
    /// links `time`.
    pub(super) fn drain(&mut self, time: Option<Duration>) {
        self.drains = true;
        self.drain_sources(None);
        self.close_acceptors(|_| true);
        for service in self.services.keys() {
            self.begin_to_drain(service, time);
        }
    }

    /// Has a service without listeners end with its last link, or when `time` is over.
    fn begin_to_drain(&mut self, service: Key, time: Option<Duration>) {
        let until = time.map(|time| self.now + time);
        let Some(draining) = self.services.get_mut(service) else { return };
        draining.retire(until);
        self.drain_sources(Some(service));
        if !self.draining.contains(&service) {
            self.draining.push(service);
        }
        self.forget_if_over(service);
    }

    /// Ends all links by RST.
    pub(super) fn stop(&mut self) {
        self.drains = true;
        self.forget_owned();
        self.drop_acceptors(|_| true);
        for service in self.services.keys() {
            self.begin_to_drain(service, None);
        }
        self.end_links(Outcome::Stopped, |_| true);
        self.end_sessions(Outcome::Stopped, |_| true);
    }

    /// Ends the links of services whose time is over.
    pub(super) fn expire_services(&mut self) {
        for index in (0..self.draining.len()).rev() {
            let Some(key) = self.draining.get(index).copied() else { continue };
            let now = self.now;
            if self.services.get_mut(key).is_some_and(|service| service.is_due(now)) {
                let (outcome, is_meant) = (Outcome::Expired(Limit::Drain), |each| each == key);
                self.end_links(outcome, is_meant);
                self.end_sessions(outcome, is_meant);
            }
        }
    }

    /// A link of `service` has ended.
    pub(super) fn link_of_ended(&mut self, service: Key) {
        if let Some(service) = self.services.get_mut(service) {
            service.link_ended();
        }
        self.forget_if_over(service);
    }

    /// Takes a service out of the books when nothing is left of it.
    pub(super) fn forget_if_over(&mut self, key: Key) {
        if self.services.get_mut(key).is_some_and(Service::stops) {
            if let Some(report) = self.report(key) {
                self.observer.service_stopped(&report);
            }
            self.services.remove(key);
            self.draining.retain(|draining| *draining != key);
        }
    }

    /// Ends every link that is not ending already, if it is of a service that is meant.
    fn end_links(&mut self, outcome: Outcome, is_meant: impl Fn(Key) -> bool) {
        for key in self.links.keys() {
            if !self.links.get(key).is_some_and(|link| is_meant(link.service)) {
                continue;
            }
            self.with_link(key, |link, turn| {
                if link.is_closing() {
                    link.hurry(turn.now)
                } else {
                    Next::End(outcome)
                }
            });
        }
    }

    /// Closes listeners. Clients in their queues are reset.
    pub(super) fn drop_acceptors(&mut self, is_meant: impl Fn(&Acceptor) -> bool) {
        for key in self.acceptors.keys() {
            let Some(acceptor) = self.acceptors.get(key).filter(|each| is_meant(each)) else {
                continue;
            };
            let service = acceptor.service;
            // Others may hold the socket, too, and closing ours would then not end the waiting.
            forget(self.poll.registry(), acceptor.as_fd());
            self.acceptors.remove(key);
            self.end_bursts(|burst| burst.service == service);
        }
    }
}
