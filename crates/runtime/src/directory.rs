//! The directory of a node's containers: it asks the sources, in their order, and takes hold of what is
//! found.
//!
//! A pod is looked for until somebody knows it: no pod is in two runtimes. A container's name may be, so
//! everybody is asked about it. Who is not there has nothing to say; who is there and does not answer may
//! know what nobody else does, which is told apart from knowing that there is none.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;

use crate::cgroup::is_id;
use crate::cni;
use crate::decide::{decide, Choice, Decision};
use crate::engine::NotLocal;
use crate::following::Following;
use crate::found::{is_sandboxed, Files, Found, KnownBy, Labels, Owner, Place, Vigil};
use crate::hold::{hold, owner, Held, NotHeld};
use crate::identity::Identity;
use crate::merge::{merge, Merged};
use crate::nearest::nearest;
use crate::order::Sources;
use crate::process::Process;
use crate::root::{Proc, Root};
use crate::said::{list_at_once, Said};
use crate::sighting::{ClaimedPid, Kind, Network, Sighting, State};
use crate::signs::Signs;
use crate::source::{Source, SourceError};
use crate::unfound::{names_like, refused, unreachable, written, Answer, Unfound, Why};
use crate::wanted::Wanted;

/// Where things are looked for; the default is this node as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The root that all paths are below, where that of the node is mounted; `None` for our own.
    pub root: Option<PathBuf>,
    /// Docker's address, as in `DOCKER_HOST`: `unix:///PATH`. `None` takes the environment's
    /// `DOCKER_HOST`, and without that the usual places.
    pub docker_host: Option<String>,
}

/// Everybody on a node who may know where a container is.
#[derive(Debug)]
pub struct Directory {
    root: Arc<Root>,
    sources: Sources,
    following: Following,
}

/// All that is known of a node's containers.
#[derive(Debug)]
pub struct Listing {
    /// The containers and sandboxes; PIDs may be left out.
    pub seen: Vec<Sighting>,
    /// Who was asked, in order.
    pub answers: Vec<Answer>,
}

impl Directory {
    /// The directory of the node that `settings` describe.
    ///
    /// # Errors
    /// When its root cannot be opened.
    pub fn open(settings: &Settings) -> io::Result<Self> {
        let root = match &settings.root {
            Some(path) => Root::at(path)?,
            None => Root::own()?,
        };
        let environment = || std::env::var_os("DOCKER_HOST").filter(|host| !host.is_empty());
        let docker_host = settings.docker_host.as_ref().map(OsString::from).or_else(environment);
        Ok(Self::of(root, docker_host))
    }

    /// The directory of the node whose root is `root`; Docker is where `docker_host` says.
    pub fn of(root: Root, docker_host: Option<OsString>) -> Self {
        let sources = Sources::of(&root, docker_host);
        Self { root: Arc::new(root), sources, following: Following::default() }
    }

    /// The signs of life on the node now. A few stat(2); no runtime is asked.
    pub fn signs(&self) -> Signs {
        let states = self.sources.all.iter().filter_map(|source| match source {
            Source::State(state) => Some(state),
            _ => None,
        });
        Signs::of(&self.root, states, self.following.starts())
    }

    /// Listens to the engine that knows what was `found` from now on, if it is one: [`Found::is_alive`]
    /// tells then of another name, too.
    pub fn follow(&self, found: &mut Found) {
        let KnownBy::Silent(number) = found.known_by else { return };
        let Some(Source::Engine(engine)) = self.sources.all.get(number) else { return };
        // Without a thread it is as if nothing were said.
        if let Ok(heard) = self.following.start(number, engine, &self.root) {
            found.known_by = KnownBy::Heard(heard);
        }
    }

    /// Lists what everybody knows. Blocks for as long as they take.
    pub fn list(&self) -> Listing {
        self.list_those(|_| true)
    }

    fn list_those(&self, is_asked: impl Fn(&Source) -> bool) -> Listing {
        let (all, answers) = self.list_merged(is_asked);
        Listing { seen: all.into_iter().map(|merged| merged.sighting).collect(), answers }
    }

    /// The same, with where it is from.
    pub(crate) fn list_merged(
        &self,
        is_asked: impl Fn(&Source) -> bool,
    ) -> (Vec<Merged>, Vec<Answer>) {
        let asked = self.sources.all.iter().enumerate().filter(|(_, source)| is_asked(source));
        let mut answers = Vec::new();
        let mut said = Said::default();
        for (number, source, told) in list_at_once(&self.root, asked.collect()) {
            answers.push(self.answer(source, told.as_ref().map(Vec::len)));
            if let Ok(told) = told {
                said.add(number, source, told);
            }
        }
        (merge(said.all), answers)
    }

    /// Those who are asked, in order.
    pub(crate) fn sources(&self) -> &[Source] {
        &self.sources.all
    }

    /// The root that all is below.
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// Whether it is that of the node that this process sees itself.
    pub fn is_own(&self) -> bool {
        self.root.is_own()
    }

    /// The network namespace of the node: that of its first process; if we may not know, ours, provided
    /// that its processes are those that we see.
    pub fn network(&self) -> Option<Identity> {
        let proc = self.root.proc();
        let first = Identity::of_path(&proc.path().join("1/ns/net"));
        let ours = || Identity::of_path(Path::new("/proc/self/ns/net"));
        first.or_else(|error| if *proc == Proc::Own { ours() } else { Err(error) }).ok()
    }

    /// The same directory, whose runtimes have to answer `within` this time.
    #[must_use]
    pub fn patient(mut self, within: Duration) -> Self {
        self.sources.all.iter_mut().for_each(|source| source.wait_for(within));
        self
    }

    /// Why Docker is not asked.
    pub fn no_docker(&self) -> Option<&NotLocal> {
        self.sources.no_docker.as_ref()
    }

    /// Finds what is `wanted`. Blocks for as long as those who are asked take.
    ///
    /// # Errors
    /// When it is not there, not to be had, or not the only one.
    pub fn find(&self, wanted: &Wanted) -> Result<Found, Unfound> {
        // What is heard while somebody is asked may be newer than the answer.
        let heard = self.following.heard();
        let mut found = self.find_now(wanted)?;
        found.take_in(heard);
        Ok(found)
    }

    fn find_now(&self, wanted: &Wanted) -> Result<Found, Unfound> {
        let unfound = |why| Unfound { wanted: wanted.clone(), why };
        if let (Wanted::Docker(_), Some(error)) = (wanted, &self.sources.no_docker) {
            return Err(unfound(Why::NotLocal(error.clone())));
        }
        let mut said = Said::default();
        let mut failed = Vec::new();
        for (number, source) in self.sources.all.iter().enumerate() {
            let is_known = || decide(wanted, &merge(said.all.iter().cloned())) != Decision::None;
            if !source.is_for(wanted) || (source.is_last_resort() && is_known()) {
                continue;
            }
            match source.find(&self.root, wanted) {
                Ok(told) => said.add(number, source, told),
                Err(SourceError::Absent) if !source.is_named() => continue,
                Err(error) => {
                    failed.push(self.answer(source, Err(&error)));
                    continue;
                }
            }
            if is_settled_by_one(wanted) && !said.all.is_empty() {
                if let Ok(found) = self.settle(wanted, &said.all) {
                    return Ok(found);
                }
            }
        }
        match self.settle(wanted, &said.all) {
            Err(Why::NoSuch { .. }) if failed.is_empty() => Err(unfound(self.no_such(wanted))),
            Err(Why::NoSuch { .. }) => Err(unfound(Why::Unanswered { answers: failed })),
            answer => answer.map_err(unfound),
        }
    }

    /// Decides among all that was `said`, and takes hold of that; what turns out to be gone is not there.
    fn settle(&self, wanted: &Wanted, said: &[(usize, Sighting)]) -> Result<Found, Why> {
        let mut gone: HashSet<String> = HashSet::new();
        loop {
            let mut all = merge(said.iter().cloned());
            for merged in all.iter_mut().filter(|merged| gone.contains(&merged.sighting.id)) {
                merged.sighting.state = State::Stopped;
            }
            let choice = match decide(wanted, &all) {
                Decision::One(choice) => choice,
                Decision::Stopped(one) => return Err(Why::Stopped { id: one.sighting.id.clone() }),
                Decision::None => return Err(Why::NoSuch { nearest: None, answers: Vec::new() }),
                Decision::Several(many) => {
                    let mut candidates: Vec<String> =
                        many.iter().map(|one| written(wanted, &one.sighting)).collect();
                    candidates.sort_unstable();
                    return Err(Why::Ambiguous { candidates });
                }
            };
            match self.take(&choice) {
                Ok(found) => return Ok(found),
                Err(NotHeld::Gone) => {
                    gone.extend(choice.ways.iter().map(|way| way.sighting.id.clone()))
                }
                Err(NotHeld::Unknown) => {
                    return Err(unreachable(
                        false,
                        "it is known, but neither its process nor its network \
                        namespace is told",
                    ));
                }
                Err(NotHeld::Refused(errno, told)) => return Err(refused(errno, &told)),
            }
        }
    }

    /// Takes hold of what was chosen.
    pub(crate) fn take(&self, choice: &Choice<'_>) -> Result<Found, NotHeld> {
        let (held, way) = match self.hold_any(&choice.ways) {
            Ok((held, way)) => (Ok(held), Some(way)),
            Err(error) => (Err(error), None),
        };
        let everybody = || std::iter::once(choice.subject).chain(choice.ways.iter().copied());
        let sightings = || everybody().map(|merged| &merged.sighting);
        let mut labels = Labels::of(&choice.subject.sighting);
        for other in sightings().map(Labels::of) {
            labels.pod = labels.pod.or(other.pod);
            labels.namespace = labels.namespace.or(other.namespace);
            labels.uid = labels.uid.or(other.uid);
            labels.handler = labels.handler.or(other.handler);
        }
        let addresses = sightings().map(|one| &one.addresses).find(|all| !all.is_empty());
        let told = addresses.cloned();
        let addresses = told.unwrap_or_else(|| self.kept_addresses(sightings()));
        let is_sandboxed = labels.handler.as_deref().is_some_and(is_sandboxed);
        let special = if sightings().any(|one| one.network == Network::Host) && self.root.is_own() {
            Some(Place::Home)
        } else if is_sandboxed && !addresses.is_empty() {
            Some(Place::Addresses)
        } else {
            None
        };
        let held = match (held, &special) {
            (Err(NotHeld::Unknown), Some(_)) => {
                Held { place: Place::Home, vigil: Vigil::None, identity: None }
            }
            (Err(error), _) => return Err(error),
            (Ok(_), None) if is_sandboxed => {
                let handler = labels.handler.unwrap_or_default();
                return Err(NotHeld::Refused(
                    Errno::EOPNOTSUPP,
                    format!(
                    "the handler {handler} has a network of its own, and no address of it is told"
                ),
                ));
            }
            (Ok(held), _) => held,
        };
        let held_process = way.zip(held.vigil.process());
        let files =
            if is_sandboxed { Files::Unseen } else { self.files(&choice.ways, held_process) };
        Ok(Found {
            place: special.unwrap_or(held.place),
            addresses,
            files,
            labels,
            id: choice.subject.sighting.id.clone(),
            vigil: held.vigil,
            known_by: self.engine_among(&choice.subject.sources),
        })
    }

    /// The addresses that are kept of the sandbox of a container that `sightings` are of, which nobody
    /// could be asked about.
    fn kept_addresses<'a>(&self, sightings: impl Iterator<Item = &'a Sighting>) -> Vec<IpAddr> {
        let sandboxes = sightings.filter_map(|one| match &one.kind {
            Kind::Sandbox => Some(one.id.as_str()),
            Kind::Container { sandbox } => sandbox.as_deref(),
        });
        let mut ids: Vec<_> = sandboxes.collect();
        ids.sort_unstable();
        ids.dedup();
        let kept = ids.into_iter().map(|id| cni::addresses(&self.root, id));
        kept.into_iter().find(|addresses| !addresses.is_empty()).unwrap_or_default()
    }

    fn engine_among(&self, sources: &[usize]) -> KnownBy {
        let is_engine =
            |number: &&usize| matches!(self.sources.all.get(**number), Some(Source::Engine(_)));
        sources.iter().find(is_engine).map_or(KnownBy::Nobody, |number| KnownBy::Silent(*number))
    }

    /// Takes hold of the first of `ways` that can be, and says which it is.
    fn hold_any<'a>(&self, ways: &[&'a Merged]) -> Result<(Held, &'a Merged), NotHeld> {
        let mut worst = NotHeld::Unknown;
        for way in ways {
            match (hold(&self.root, &way.sighting, || self.pid_again(way)), &worst) {
                (Ok(held), _) => return Ok((held, way)),
                (Err(NotHeld::Unknown), _) | (Err(_), NotHeld::Refused(..)) => {}
                (Err(error), _) => worst = error,
            }
        }
        Err(worst)
    }

    /// The files of `ways`, of one of which the process is `held`.
    fn files(&self, ways: &[&Merged], held: Option<(&Merged, &Arc<Process>)>) -> Files {
        let owner = |way: &Merged| match held {
            Some((one, process)) if one == way => Some(Owner::Process(Arc::clone(process))),
            _ => owner(&self.root, &way.sighting, || self.pid_again(way)),
        };
        let (sandboxes, containers): (Vec<&Merged>, Vec<&Merged>) =
            ways.iter().copied().partition(|way| way.sighting.is_sandbox());
        let of_container = containers.into_iter().find_map(owner).map(Files::Container);
        let of_any =
            of_container.or_else(|| sandboxes.into_iter().find_map(owner).map(Files::Sandbox));
        of_any.unwrap_or(Files::Unseen)
    }

    /// The PID of `way` as its source gives it now.
    fn pid_again(&self, way: &Merged) -> Option<ClaimedPid> {
        let source = self.sources.all.get(way.pid_from?)?;
        source.again(&self.root, &way.sighting).ok()??.pid
    }

    /// That nothing is called so, with what is called nearly so.
    fn no_such(&self, wanted: &Wanted) -> Why {
        let Listing { seen, answers } = self.list_those(|source| source.is_for(wanted));
        let names: Vec<_> = seen.iter().flat_map(|one| names_like(wanted, one)).collect();
        let close = nearest(wanted.name(), names.iter().map(|(name, _)| name.as_str()));
        let written = close.and_then(|close| names.iter().find(|(name, _)| name == close));
        let nearest = written.map(|(_, written)| written.clone());
        Why::NoSuch { nearest, answers }
    }

    fn answer(&self, source: &Source, said: Result<usize, &SourceError>) -> Answer {
        let path = source.path(&self.root);
        let path = if source.is_named() { path.to_owned() } else { self.root.shown(path) };
        Answer {
            source: source.name(),
            path,
            said: said.map_err(|error| self.helped(source, error)),
        }
    }

    /// What `source` said, and what would help there.
    fn helped(&self, source: &Source, error: &SourceError) -> SourceError {
        match (source, error) {
            (Source::Engine(engine), SourceError::Absent) if engine.is_named() => {
                SourceError::Failed(format!("{error}; {}", engine.help()))
            }
            _ => error.clone(),
        }
    }
}

/// Whether the first one who knows what is `wanted` will do.
fn is_settled_by_one(wanted: &Wanted) -> bool {
    match wanted {
        Wanted::Pod { .. } | Wanted::Docker(_) => true,
        Wanted::Container(name) => is_id(name),
        Wanted::Bare(_) => false,
    }
}
