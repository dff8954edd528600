//! A destination for which everything is settled: the backend, and all that it needs.
//!
//! Permission is tried, not computed from capabilities: what counts depends on user namespaces, on
//! ptrace rules and on security modules. Entering and coming home costs a few microseconds.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use nsplice_relay::{OpenClass, OpenError, Opener};
use nsplice_runtime::Identity;
use nsplice_sys::{Asker, Pool};

use crate::choice::Choice;
use crate::connect::opener::Direct;
use crate::connect::route::Route;
use crate::error::BackendError;
use crate::external::child::keep_exit_statuses;
use crate::external::template::Placeholder;
use crate::external::tools;
use crate::external::{Carrier, External, Recipe};
use crate::netns::excursion::try_entering;
use crate::netns::home::Home;
use crate::options::Options;
use crate::target::destination::Destination;
use crate::target::host::Host;
use crate::target::located::{entry_failed, Located};
use crate::target::place::Place;
use crate::target::Target;

/// The way in which the upstreams of one destination that was there are opened.
#[derive(Debug)]
pub struct Settled {
    way: Way,
    identity: Option<Identity>,
}

#[derive(Debug)]
enum Way {
    Direct(Arc<Route>),
    External(Arc<Recipe>),
}

impl Settled {
    /// Looks `destination` up, checks permission and finds tools. Blocks for as long as the
    /// container runtimes take to answer, if the target is a pod or container.
    pub(crate) fn prepare(
        destination: &Destination,
        choice: Choice,
        options: &Options,
        pool: &Pool,
    ) -> Result<Self, BackendError> {
        let choice = settle(destination, choice, options)?;
        let home = Home::here().map_err(|error| {
            let what = "cannot open our own network namespace, /proc/thread-self/ns/net";
            BackendError::from(OpenError::from_io(what, &error))
        })?;
        let asker = pool.asker();
        let place = Place::find(&destination.target, options, &asker)?;
        let identity = match place {
            Place::Fixed(Located::Home) => None,
            _ => place.identity(&home),
        };
        let way = match choice {
            Choice::Dial => direct("dial", destination, place, home, &asker),
            Choice::Setns => {
                enter(destination, &place, &home)?;
                let mut route = Route::new("setns", destination.clone(), place, home, &asker);
                route.pod_ip = options.pod_ip;
                Way::Direct(Arc::new(route))
            }
            Choice::External => {
                let carrier = carrier(destination, options)?;
                has_what_it_names(destination, options, &place)?;
                external(destination, place, carrier, pool)
            }
            Choice::Auto => auto(destination, place, home, options, &asker)?,
        };
        Ok(Self { way, identity })
    }

    /// Returns what becomes readable when the target has ended and will never be there again.
    pub(crate) fn end(&self) -> io::Result<Option<OwnedFd>> {
        let place = match &self.way {
            Way::Direct(route) => &route.place,
            Way::External(recipe) => &recipe.place,
        };
        match place {
            Place::Fixed(Located::Process(process)) => {
                process.as_fd().try_clone_to_owned().map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Returns an opener for one loop.
    pub(crate) fn opener(&self) -> Box<dyn Opener> {
        match &self.way {
            Way::Direct(route) => Box::new(Direct::new(Arc::clone(route))),
            Way::External(recipe) => Box::new(External::new(Arc::clone(recipe))),
        }
    }

    /// The backend that was settled on: `setns`, `external` or `dial`.
    pub fn backend(&self) -> &'static str {
        match &self.way {
            Way::Direct(route) => route.backend,
            Way::External(_) => "external",
        }
    }

    /// The network namespace the target was in; `None` for one without, and where we may not know.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.identity
    }
}

/// Checks that the words fit together, and settles what follows from the words alone.
fn settle(
    destination: &Destination,
    choice: Choice,
    options: &Options,
) -> Result<Choice, BackendError> {
    let Destination { target, host, port } = destination;
    let usage = |told: String| Err(BackendError::Usage(told));
    if *port == 0 {
        return usage(format!("{target}: port 0 cannot be connected to; 1 to 65535 can"));
    }
    let plain = matches!(target, Target::Tcp(_));
    if plain && *host != Host::Localhost {
        return usage(format!("{target} is a host already; it has no other host, {host}, inside"));
    }
    if !plain && host.is_scoped() {
        return usage(format!(
            "{host} names an interface, which is another one inside {target}; leave the zone out"
        ));
    }
    if options.pod_ip {
        if !matches!(target, Target::Named(_)) {
            return usage(format!(
                "{target} has no address that a container runtime tells; those of pods and containers \
                 are tried, others can be named as the host inside"
            ));
        }
        if *host != Host::Localhost {
            return usage(format!(
                "the pod's own address is tried after localhost, not after {host}"
            ));
        }
        if options.command.is_some() || choice == Choice::External {
            return usage("the pod's own address is tried by the backend setns only".to_owned());
        }
        return Ok(if choice == Choice::Auto { Choice::Setns } else { choice });
    }
    if let Some(template) = &options.command {
        let names_pid = template.uses(Placeholder::Pid);
        if !matches!(choice, Choice::Auto | Choice::External) {
            return usage(format!("a command belongs to the backend external, not to {choice}"));
        }
        if plain && (names_pid || template.uses(Placeholder::Netns)) {
            return usage(format!("{target} has no namespace: {{pid}} and {{netns}} mean nothing"));
        }
        if names_pid && matches!(target, Target::Netns(_)) {
            return usage(format!("{target} is no process: {{pid}} means nothing, {{netns}} does"));
        }
        return Ok(Choice::External);
    }
    match (plain, choice) {
        (true, Choice::Auto) => Ok(Choice::Dial),
        (true, Choice::Setns) => usage(format!(
            "the backend setns does not fit {target}, which has no namespace; dial and external do"
        )),
        (false, Choice::Dial) => usage(format!(
            "the backend dial does not fit {target}, because it connects from our own namespace; \
             setns and external do, or write tcp/HOST as the target"
        )),
        (_, choice) => Ok(choice),
    }
}

/// Checks that a command that names a PID can be told one: a pod may have a namespace only.
fn has_what_it_names(
    destination: &Destination,
    options: &Options,
    place: &Place,
) -> Result<(), BackendError> {
    let names_pid = options.command.as_ref().is_some_and(|one| one.uses(Placeholder::Pid));
    match place.locate_now()? {
        Located::Process(_) => Ok(()),
        _ if !names_pid => Ok(()),
        _ => Err(BackendError::Usage(format!(
            "{} has no process of its own: {{pid}} means nothing",
            destination.target
        ))),
    }
}

fn direct(
    backend: &'static str,
    destination: &Destination,
    place: Place,
    home: Home,
    asker: &Asker,
) -> Way {
    Way::Direct(Arc::new(Route::new(backend, destination.clone(), place, home, asker)))
}

fn external(destination: &Destination, place: Place, carrier: Carrier, pool: &Pool) -> Way {
    let (destination, pool) = (destination.clone(), pool.clone());
    Way::External(Arc::new(Recipe { destination, place, carrier, pool }))
}

/// setns where permitted, else external where it works, else both reasons.
fn auto(
    destination: &Destination,
    place: Place,
    home: Home,
    options: &Options,
    asker: &Asker,
) -> Result<Way, BackendError> {
    let refused = match enter(destination, &place, &home) {
        Ok(()) => return Ok(direct("setns", destination, place, home, asker)),
        Err(error) if error.class == OpenClass::TargetGone => return Err(error.into()),
        Err(error) => error,
    };
    let both = |reason: String| {
        let detail =
            format!("{}; the backend external cannot be used either: {reason}", refused.detail);
        BackendError::from(OpenError::new(refused.class, detail))
    };
    let carrier = carrier(destination, options).map_err(|error| both(error.to_string()))?;
    let (destination, pool) = (destination.clone(), asker.pool().clone());
    let recipe = Recipe { destination, place, carrier, pool };
    let located = recipe.place.locate_now()?;
    recipe.try_tools(&located).map_err(|error| both(error.detail))?;
    Ok(Way::External(Arc::new(recipe)))
}

/// Tries whether the programs of the backend external are there, and may enter the target of
/// `destination`.
pub(crate) fn try_external(
    destination: &Destination,
    options: &Options,
) -> Result<(), BackendError> {
    let carrier = carrier(destination, options)?;
    let pool = Pool::on_demand();
    let place = Place::find(&destination.target, options, &pool.asker())?;
    let recipe = Recipe { destination: destination.clone(), place, carrier, pool };
    let located = recipe.place.locate_now()?;
    Ok(recipe.try_tools(&located)?)
}

/// Enters the target's namespace, once, and comes home.
fn enter(destination: &Destination, place: &Place, home: &Home) -> Result<(), OpenError> {
    let located = place.locate_now()?;
    try_entering(&located, home).map_err(|errno| entry_failed(&destination.target, &located, errno))
}

/// The programs for `destination`: socat is looked for first, as ever.
fn carrier(destination: &Destination, options: &Options) -> Result<Carrier, BackendError> {
    keep_exit_statuses();
    if let Some(template) = &options.command {
        let program = tools::program(template.program())?;
        return Ok(Carrier::Command { program, template: template.clone() });
    }
    let socat = tools::socat(options)?;
    let nsenter = match destination.target {
        Target::Tcp(_) => None,
        _ => Some(tools::nsenter(options)?),
    };
    Ok(Carrier::Tools { nsenter, socat })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::external::template::Template;

    fn settled(target: &str, host: &str, choice: Choice, command: &str) -> Result<Choice, String> {
        let destination =
            Destination { target: target.parse().unwrap(), host: host.parse().unwrap(), port: 80 };
        let command = (!command.is_empty()).then(|| Template::parse(command).unwrap());
        settle(&destination, choice, &Options { command, ..Options::default() })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_fits_together() {
        use Choice::{Auto, Dial, External, Setns};
        assert_eq!(settled("tcp/db", "localhost", Auto, ""), Ok(Dial));
        assert_eq!(settled("tcp/db", "localhost", External, ""), Ok(External));
        assert_eq!(settled("tcp/db", "localhost", Auto, "carry {address}"), Ok(External));
        assert_eq!(settled("pid/1", "localhost", Auto, "carry {pid} {netns}"), Ok(External));
        assert_eq!(settled("netns/b", "localhost", External, "carry {netns}"), Ok(External));
        for choice in [Auto, Setns, External] {
            assert_eq!(settled("pid/1", "::1", choice, ""), Ok(choice));
        }
    }

    #[test]
    fn what_does_not_fit_is_told_with_what_would() {
        use Choice::{Auto, Dial, Setns};
        let table = [
            (settled("pid/1", "localhost", Dial, ""), "setns and external"),
            (settled("pid/1", "10.0.0.1", Dial, ""), "setns and external"),
            (settled("tcp/db", "localhost", Setns, ""), "dial and external"),
            (settled("tcp/db", "10.0.0.1", Auto, ""), "a host already"),
            (settled("pid/1", "fe80::1%eth0", Auto, ""), "zone"),
            (settled("pid/1", "localhost", Setns, "carry"), "external"),
            (settled("netns/b", "localhost", Auto, "carry {pid}"), "{netns}"),
            (settled("tcp/db", "localhost", Auto, "carry {netns}"), "no namespace"),
        ];
        for (answer, words) in table {
            let told = answer.unwrap_err();
            assert!(told.contains(words), "{words}: {told}");
        }
    }
}
