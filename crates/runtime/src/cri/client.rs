//! Questions to a CRI socket, and the answers as sightings. All of one look-up go over one
//! connection, within one time.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nsplice_http2::grpc::Status;
use nsplice_http2::{CallError, Limits};

use crate::cri::info::{self, Info};
use crate::cri::message::{
    each_container, each_sandbox, value, verbose, Container, ContainerStatus, Filter, Metadata,
    PodSandbox, PodSandboxStatus, Version,
};
use crate::decide::sandbox_of;
use crate::grpc::{Connection, GrpcError};
use crate::protobuf::ProtobufError;
use crate::shown::shown;
use crate::sighting::{ClaimedPid, Kind, Network, PodName, Runtime, Sighting, State};
use crate::source::SourceError;

/// A connection to a runtime that speaks CRI.
#[derive(Debug)]
pub(super) struct Client {
    connection: Connection,
    service: &'static str,
    runtime: Runtime,
}

impl Client {
    /// Connects to the socket at `path` and asks who is there; `within` is for that and all that
    /// follows.
    pub(super) fn connect(path: &Path, within: Duration) -> Result<Self, SourceError> {
        let connection = Connection::open(path, within, LIMITS).map_err(unreachable)?;
        let mut client = Self { connection, service: SERVICES[0], runtime: Runtime::Unknown };
        client.runtime = client.version()?;
        Ok(client)
    }

    /// Who is there, in the first version of CRI that it speaks.
    fn version(&mut self) -> Result<Runtime, SourceError> {
        for service in SERVICES {
            self.service = service;
            let Some(answer) = self.call_if(Status::UNIMPLEMENTED, "Version", &[])? else {
                continue;
            };
            let version = Version::read(&answer).map_err(|error| unexpected("Version", &error))?;
            return Ok(match version.runtime_name {
                "containerd" => Runtime::Containerd,
                "cri-o" => Runtime::Crio,
                "docker" => Runtime::Docker,
                _ => Runtime::Unknown,
            });
        }
        // A containerd that only Docker uses: its CRI is switched off.
        Err(SourceError::Absent)
    }

    /// The sandboxes that `filter` leaves; without what only their status tells.
    pub(super) fn sandboxes(&mut self, filter: &Filter<'_>) -> Result<Vec<Sighting>, SourceError> {
        let (method, runtime) = ("ListPodSandbox", self.runtime);
        let answer = self.call(method, &filter.of_sandboxes())?;
        let mut seen = Vec::new();
        each_sandbox(&answer, |sandbox| seen.push(of_sandbox(&sandbox, runtime)))
            .map_err(|error| unexpected(method, &error))?;
        Ok(seen)
    }

    /// The containers that `filter` leaves; without what only their status tells.
    pub(super) fn containers(&mut self, filter: &Filter<'_>) -> Result<Vec<Sighting>, SourceError> {
        let (method, runtime) = ("ListContainers", self.runtime);
        let answer = self.call(method, &filter.of_containers())?;
        let mut seen = Vec::new();
        each_container(&answer, |container| seen.push(of_container(&container, runtime)))
            .map_err(|error| unexpected(method, &error))?;
        Ok(seen)
    }

    /// Adds to `sighting` what only the status tells: its process, its network, its addresses.
    /// Whether it is still there.
    pub(super) fn complete(&mut self, sighting: &mut Sighting) -> Result<bool, SourceError> {
        if sighting.is_sandbox() {
            self.complete_sandbox(sighting)
        } else {
            self.complete_container(sighting)
        }
    }

    fn complete_sandbox(&mut self, sighting: &mut Sighting) -> Result<bool, SourceError> {
        let method = "PodSandboxStatus";
        let request = verbose(&sighting.id);
        let Some(answer) = self.call_if(Status::NOT_FOUND, method, &request)? else {
            return Ok(false);
        };
        let status = PodSandboxStatus::read(&answer).map_err(|error| unexpected(method, &error))?;
        let addresses: Result<Vec<IpAddr>, _> = status.ips.iter().map(|ip| ip.parse()).collect();
        sighting.addresses = addresses.map_err(|_| {
            let ips = status.ips.join("`, `");
            failed(method, &format!("unexpected addresses `{}`", shown(&ips)))
        })?;
        let network = match status.network {
            Some(value::NETWORK_NODE) => Network::Host,
            Some(value::NETWORK_POD) => Network::Own,
            _ => Network::Unknown,
        };
        add_info(method, sighting, status.info, network)?;
        Ok(true)
    }

    fn complete_container(&mut self, sighting: &mut Sighting) -> Result<bool, SourceError> {
        let method = "ContainerStatus";
        let request = verbose(&sighting.id);
        let Some(answer) = self.call_if(Status::NOT_FOUND, method, &request)? else {
            return Ok(false);
        };
        let status = ContainerStatus::read(&answer).map_err(|error| unexpected(method, &error))?;
        add_info(method, sighting, status.info, Network::Unknown)?;
        Ok(true)
    }

    fn call(&mut self, method: &str, message: &[u8]) -> Result<Vec<u8>, SourceError> {
        self.call_raw(method, message).map_err(|error| failed(method, &told(&error)))
    }

    /// The same; `None` where the answer is the status `code`.
    fn call_if(
        &mut self,
        code: u32,
        method: &str,
        message: &[u8],
    ) -> Result<Option<Vec<u8>>, SourceError> {
        match self.call_raw(method, message) {
            Ok(answer) => Ok(Some(answer)),
            Err(GrpcError::Call(CallError::Status(status))) if status.code == code => Ok(None),
            Err(error) => Err(failed(method, &told(&error))),
        }
    }

    fn call_raw(&mut self, method: &str, message: &[u8]) -> Result<Vec<u8>, GrpcError> {
        self.connection.call(&format!("/{}/{method}", self.service), message)
    }
}

/// Adds what the `info` of a status says; `network` is what the status itself says.
fn add_info(
    method: &str,
    sighting: &mut Sighting,
    text: &str,
    network: Network,
) -> Result<(), SourceError> {
    let info = Info::read(text).map_err(|why| {
        failed(method, &format!("unexpected info about {}: {}", shown(&sighting.id), shown(&why)))
    })?;
    sighting.pid = info.pid().map(|pid| ClaimedPid { pid, written: None });
    let (by_info, namespace) = match info.network() {
        info::Network::Node => (Network::Host, None),
        // The way through the sandbox's process, also where that has the node's network.
        info::Network::At(path) if path.starts_with("/proc") => {
            let sandbox = sandbox_of(sighting).filter(|id| *id != sighting.id);
            (sandbox.map_or(Network::Own, |id| Network::Of(id.to_owned())), None)
        }
        info::Network::At(path) => (Network::Own, Some(path)),
        info::Network::Own => (Network::Own, None),
        info::Network::Unknown => (Network::Unknown, None),
    };
    sighting.network = if network == Network::Unknown { by_info } else { network };
    sighting.namespace = namespace.filter(|_: &PathBuf| sighting.network == Network::Own);
    Ok(())
}

fn of_sandbox(sandbox: &PodSandbox<'_>, runtime: Runtime) -> Sighting {
    Sighting {
        pod: pod_name(sandbox.metadata),
        handler: not_empty(sandbox.runtime_handler),
        state: match sandbox.state {
            value::SANDBOX_READY => State::Running,
            value::SANDBOX_NOTREADY => State::Stopped,
            _ => State::Unknown,
        },
        created: created(sandbox.created_at),
        ..Sighting::of(sandbox.id, Kind::Sandbox, runtime)
    }
}

fn of_container(container: &Container<'_>, runtime: Runtime) -> Sighting {
    let kind = Kind::Container { sandbox: not_empty(container.pod_sandbox_id) };
    Sighting {
        names: not_empty(container.name).into_iter().collect(),
        pod: pod_name(container.pod),
        state: match container.state {
            value::CONTAINER_RUNNING => State::Running,
            value::CONTAINER_CREATED | value::CONTAINER_EXITED => State::Stopped,
            _ => State::Unknown,
        },
        created: created(container.created_at),
        ..Sighting::of(container.id, kind, runtime)
    }
}

fn pod_name(metadata: Metadata<'_>) -> Option<PodName> {
    let name = not_empty(metadata.name)?;
    let (namespace, uid) = (not_empty(metadata.namespace), not_empty(metadata.uid));
    Some(PodName { namespace, name: Some(name), uid })
}

fn not_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// When something was made, from nanoseconds since 1970; 0 says nothing.
fn created(nanoseconds: u64) -> Option<SystemTime> {
    let since = i64::try_from(nanoseconds).ok().filter(|since| *since > 0)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(since.unsigned_abs()))
}

fn unreachable(error: GrpcError) -> SourceError {
    match error {
        GrpcError::Wire(error) => {
            SourceError::unreachable(&error, "does the container runtime run?")
        }
        error => SourceError::Failed(told(&error)),
    }
}

fn unexpected(method: &str, error: &ProtobufError) -> SourceError {
    failed(method, &format!("unexpected response: {error}"))
}

fn failed(method: &str, told: &str) -> SourceError {
    SourceError::Failed(format!("{method}: {told}"))
}

/// An error in words that a terminal may show: parts of it are the server's.
fn told(error: &GrpcError) -> String {
    shown(&error.to_string()).into_owned()
}

/// The versions of CRI, which are the same in all that is asked here: that of Kubernetes since
/// 1.26, that of 1.20 to 1.25.
const SERVICES: [&str; 2] = ["runtime.v1.RuntimeService", "runtime.v1alpha2.RuntimeService"];

/// Answers are as long as a kubelet takes them.
const LIMITS: Limits = Limits {
    answer: 16 << 20,
    header_block: 64 << 10,
    header_frames: 16,
    header_list: 64 << 10,
    window: 1 << 20,
};
