//! The first state of a link: opening its upstream.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use mio::Registry;
use nix::errno::Errno;
use nsplice_sys::describe;

use crate::admission::Entry;
use crate::labels::LinkRef;
use crate::lane::end::End;
use crate::link::child::Watch;
use crate::link::conn::Conn;
use crate::link::half::Half;
use crate::net::interest::{register, Watched};
use crate::net::readiness::Readiness;
use crate::open::{Attempt, Child, OpenClass, OpenError, Progress, Upstream, Wake};
use crate::outcome::{Outcome, Side};
use crate::table::Port;
use crate::turn::Turn;

use super::{Chance, Link, LinkState, Next};

impl Link {
    /// The first turn: begins to wait for the downstream and to open the upstream.
    pub(crate) fn start(&mut self, turn: &mut Turn<'_>) -> Next {
        match self.watch_half(Side::Downstream, turn.registry) {
            Ok(()) => self.open_further(turn),
            // Not `Exhausted`: a second try takes this step for done.
            Err(error) => self.refuse(OpenError::new(
                OpenClass::Other,
                format!("cannot wait for the downstream: {}", describe(&error)),
            )),
        }
    }

    /// Begins anew with another attempt, the last one.
    pub(crate) fn start_again(&mut self, attempt: Box<dyn Attempt>, turn: &mut Turn<'_>) -> Next {
        self.state = LinkState::opening(attempt, Chance::Last);
        self.open_further(turn)
    }

    /// Registers a side. epoll refuses regular files and some devices (EPERM): those never block,
    /// so they count as ready for ever.
    fn watch_half(&mut self, side: Side, registry: &Registry) -> io::Result<()> {
        let key = self.key;
        let [source_port, sink_port] = match side {
            Side::Downstream => [Port::DownSource, Port::DownSink],
            Side::Upstream => [Port::UpSource, Port::UpSink],
        };
        let Half { conn, ready, .. } = &mut self.halves[side as usize];
        let is_unpollable = |error: &io::Error| error.raw_os_error() == Some(Errno::EPERM as i32);
        let is_pair = conn.is_pair();
        let source = conn.source().and_then(End::descriptor);
        if let Some(source) = source.filter(|source| source.kind.reads()) {
            match register(registry, source.fd, key.token(source_port), Watched::Reads) {
                Err(error) if is_unpollable(&error) => ready.set_readable(true),
                result => result?,
            }
        }
        let sink = conn.sink().and_then(End::descriptor);
        if let Some(sink) = sink.filter(|sink| is_pair && sink.kind.writes()) {
            match register(registry, sink.fd, key.token(sink_port), Watched::Both) {
                Err(error) if is_unpollable(&error) => ready.set_writable(true),
                result => result?,
            }
        }
        Ok(())
    }

    /// Drives the attempt, and begins to relay when the upstream is open.
    pub(super) fn open_further(&mut self, turn: &mut Turn<'_>) -> Next {
        if self.halves[Side::Downstream as usize].ready.error() {
            return Next::End(Outcome::Cancelled);
        }
        let LinkState::Opening { attempt, wake, registered, .. } = &mut self.state else {
            return Next::Wait;
        };
        // A turn that the downstream's events caused is no news for the attempt.
        let wake = std::mem::replace(wake, Wake::START);
        if *registered && wake == Wake::START {
            return Next::Wait;
        }
        let mut progress = attempt.advance(wake);
        if let Progress::Found(found) = progress {
            self.labels = Arc::new(self.labels.with(found));
            let Self { id, session, descriptors, .. } = *self;
            let link = LinkRef { id, labels: &self.labels, session, descriptors };
            if let Some(Entry::Refuse(reason)) = turn.admission.as_mut().map(|it| it.reaches(link))
            {
                turn.counters.refused(reason);
                self.terms.counters.refused(reason);
                let detail = format!("not admitted to what was found: {reason}");
                return self.refuse(OpenError::new(OpenClass::Forbidden, detail));
            }
            progress = attempt.advance(Wake::START);
        }
        let key = self.key;
        let result = match progress {
            // It has been told, and no second target is found.
            Progress::Pending | Progress::Found(_) => return Next::Wait,
            Progress::Waiting => match attempt.source() {
                Some(source) => {
                    *registered = true;
                    register(turn.registry, source, key.token(Port::UpSource), Watched::Both)
                        .map(|()| None)
                }
                None => Ok(None),
            },
            Progress::Failed(error) => return self.refuse(error),
            Progress::Open(upstream) => self.take(upstream, wake, turn.registry).map(Some),
        };
        match result {
            Ok(None) => Next::Wait,
            Ok(Some(())) => self.begin(turn),
            Err(error) => self.refuse(OpenError::from_io("cannot wait for the upstream", &error)),
        }
    }

    /// Ends the link whose upstream cannot be opened. If that is for want of descriptors, at whatever
    /// point of the opening, the reserve is there to try it once more.
    fn refuse(&mut self, error: OpenError) -> Next {
        let class = error.class;
        let has_chance = matches!(self.state, LinkState::Opening { chance: Chance::First, .. });
        if class == OpenClass::Exhausted && has_chance {
            return Next::OpenFromReserve;
        }
        self.explain(error);
        Next::End(Outcome::OpenFailed(class))
    }

    /// Takes an open upstream as this link's.
    fn take(&mut self, upstream: Upstream, wake: Wake, registry: &Registry) -> io::Result<()> {
        match upstream {
            Upstream::Stream(socket) => self.take_stream(socket, wake, registry),
            Upstream::Pair { source, sink } => {
                self.halves[Side::Upstream as usize].conn = Conn::pair(source, sink)?;
                self.watch_half(Side::Upstream, registry)
            }
            Upstream::Held { upstream, hold } => {
                self.holds.push(hold);
                self.take(*upstream, wake, registry)
            }
            Upstream::Piped { input, output, child } => {
                self.take_pipes(input, output, child, registry)
            }
        }
    }

    /// The stream may be what the attempt waited for, and then it is registered already; or the
    /// attempt waited for something else, or for nothing.
    fn take_stream(&mut self, socket: OwnedFd, wake: Wake, registry: &Registry) -> io::Result<()> {
        let token = self.key.token(Port::UpSource);
        let (ready, watched) = match register(registry, &socket, token, Watched::Reads) {
            Ok(()) => (Readiness::of_connected(), Watched::Reads),
            // The edge that told the attempt of the connection may have told of a server that
            // speaks first as well, and it will not be told again.
            Err(error) if error.raw_os_error() == Some(Errno::EEXIST as i32) => {
                (Readiness::of_wake(wake), Watched::Both)
            }
            Err(error) => return Err(error),
        };
        let conn = Conn::stream(socket);
        self.halves[Side::Upstream as usize] = Half { conn, ready, watched, ..Half::default() };
        Ok(())
    }

    fn take_pipes(
        &mut self,
        input: OwnedFd,
        output: OwnedFd,
        child: Box<dyn Child>,
        registry: &Registry,
    ) -> io::Result<()> {
        register(registry, &output, self.key.token(Port::UpSource), Watched::Both)?;
        register(registry, &input, self.key.token(Port::UpSink), Watched::Both)?;
        register(registry, child.exit_source(), self.key.token(Port::Exit), Watched::Reads)?;
        let token = self.key.token(Port::Diagnostics);
        register(registry, child.diagnostics(), token, Watched::Reads)?;
        let conn = Conn::pair(output, input)?;
        self.halves[Side::Upstream as usize] = Half { conn, ..Half::default() };
        self.watch = Some(Box::new(Watch::new(child)));
        Ok(())
    }

    /// Both sides are there.
    fn begin(&mut self, turn: &mut Turn<'_>) -> Next {
        self.state = LinkState::Relaying;
        self.open_time = Some(turn.clock.now().saturating_duration_since(self.accepted_at));
        self.active_at = turn.now;
        self.descriptors = self.numbers();
        self.opener = None;
        if let Some(stream) = self.halves[Side::Downstream as usize].conn.stream_of_session() {
            turn.sessions.opened(stream);
        }
        for from in [Side::Downstream, Side::Upstream] {
            if self.policy.lanes.carries(from) && self.serves(from) {
                self.start_lane(from, turn.splice);
            }
        }
        turn.observer.relaying(self.names());
        self.relay(turn)
    }
}
