//! The messages of CRI, as far as somebody here wants what is in them. Fields are named and
//! numbered as in `pkg/apis/runtime/v1/api.proto` of k8s.io/cri-api.

use crate::protobuf::{map_entry, Field, Message, ProtobufError, Writer};

/// What a runtime says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Version<'a> {
    pub(super) runtime_name: &'a str,
    pub(super) runtime_version: &'a str,
}

/// A pod's sandbox. Its labels are those of the kubelet, which say the same as the metadata.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PodSandbox<'a> {
    pub(super) id: &'a str,
    pub(super) metadata: Metadata<'a>,
    pub(super) state: u64,
    pub(super) created_at: u64,
    pub(super) runtime_handler: &'a str,
}

/// A container.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Container<'a> {
    pub(super) id: &'a str,
    pub(super) pod_sandbox_id: &'a str,
    pub(super) name: &'a str,
    pub(super) state: u64,
    pub(super) created_at: u64,
    /// What the kubelet's labels say of its pod.
    pub(super) pod: Metadata<'a>,
}

/// The names of a pod.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Metadata<'a> {
    pub(super) name: &'a str,
    pub(super) uid: &'a str,
    pub(super) namespace: &'a str,
}

/// What only the status of a sandbox tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PodSandboxStatus<'a> {
    pub(super) ips: Vec<&'a str>,
    /// The `NamespaceMode` of its network; `None` where the runtime says nothing.
    pub(super) network: Option<u64>,
    /// The text of `info["info"]`, a JSON.
    pub(super) info: &'a str,
}

/// What only the status of a container tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ContainerStatus<'a> {
    /// The text of `info["info"]`, a JSON.
    pub(super) info: &'a str,
}

/// Which sandboxes, or containers, are wanted. An empty text means any.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Filter<'a> {
    pub(super) id: &'a str,
    /// The sandbox that a container is in.
    pub(super) pod_sandbox_id: &'a str,
    /// Only what is ready, or runs.
    pub(super) running: bool,
    pub(super) labels: &'a [(&'a str, &'a str)],
}

/// Values of `PodSandboxState`, `ContainerState` and `NamespaceMode`.
pub(super) mod value {
    pub(in crate::cri) const SANDBOX_READY: u64 = 0;
    pub(in crate::cri) const SANDBOX_NOTREADY: u64 = 1;
    pub(in crate::cri) const CONTAINER_CREATED: u64 = 0;
    pub(in crate::cri) const CONTAINER_RUNNING: u64 = 1;
    pub(in crate::cri) const CONTAINER_EXITED: u64 = 2;
    pub(in crate::cri) const NETWORK_POD: u64 = 0;
    pub(in crate::cri) const NETWORK_NODE: u64 = 2;
}

/// Labels that the kubelet gives sandboxes and containers.
pub(super) const POD_NAME: &str = "io.kubernetes.pod.name";
pub(super) const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
const POD_UID: &str = "io.kubernetes.pod.uid";

impl Filter<'_> {
    /// The `ListPodSandboxRequest` with this filter.
    pub(super) fn of_sandboxes(&self) -> Vec<u8> {
        let filter = Writer::new().text(1, self.id);
        let state = |filter: Writer| filter.message(2, state(value::SANDBOX_READY));
        let filter = if self.running { state(filter) } else { filter };
        Writer::new().message(1, self.labelled(filter, 3)).finish()
    }

    /// The `ListContainersRequest` with this filter.
    pub(super) fn of_containers(&self) -> Vec<u8> {
        let filter = Writer::new().text(1, self.id);
        let state = |filter: Writer| filter.message(2, state(value::CONTAINER_RUNNING));
        let filter = if self.running { state(filter) } else { filter };
        let filter = filter.text(3, self.pod_sandbox_id);
        Writer::new().message(1, self.labelled(filter, 4)).finish()
    }

    fn labelled(&self, filter: Writer, number: u32) -> Writer {
        self.labels.iter().fold(filter, |filter, (key, value)| filter.map_entry(number, key, value))
    }
}

fn state(value: u64) -> Writer {
    Writer::new().number(1, value)
}

/// The request for the status of a sandbox, or a container, with all that the runtime has to say.
pub(super) fn verbose(id: &str) -> Vec<u8> {
    Writer::new().text(1, id).number(2, true).finish()
}

impl<'a> Version<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, ProtobufError> {
        let mut version = Self::default();
        each(Message::new("VersionResponse", bytes), |field| {
            match field.number {
                2 => version.runtime_name = field.text("runtime_name")?,
                3 => version.runtime_version = field.text("runtime_version")?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(version)
    }
}

/// Gives the sandboxes in a `ListPodSandboxResponse` to `take`.
pub(super) fn each_sandbox<'a>(
    bytes: &'a [u8],
    mut take: impl FnMut(PodSandbox<'a>),
) -> Result<(), ProtobufError> {
    each_item("ListPodSandboxResponse", "items", "PodSandbox", bytes, |message| {
        take(PodSandbox::read(message)?);
        Ok(())
    })
}

/// Gives the containers in a `ListContainersResponse` to `take`.
pub(super) fn each_container<'a>(
    bytes: &'a [u8],
    mut take: impl FnMut(Container<'a>),
) -> Result<(), ProtobufError> {
    each_item("ListContainersResponse", "containers", "Container", bytes, |message| {
        take(Container::read(message)?);
        Ok(())
    })
}

/// Gives the messages in the field 1 of `bytes` to `take`.
fn each_item<'a>(
    message: &'static str,
    field: &'static str,
    kind: &'static str,
    bytes: &'a [u8],
    mut take: impl FnMut(Message<'a>) -> Result<(), ProtobufError>,
) -> Result<(), ProtobufError> {
    let mut count = 0;
    each(Message::new(message, bytes), |item| {
        if item.number == 1 {
            count += 1;
            if count > MOST_ITEMS {
                return Err(ProtobufError::TooMany { message, field, most: MOST_ITEMS });
            }
            take(item.message(field, kind)?)?;
        }
        Ok(())
    })
}

impl<'a> PodSandbox<'a> {
    fn read(message: Message<'a>) -> Result<Self, ProtobufError> {
        let mut sandbox = Self::default();
        each(message, |field| {
            match field.number {
                1 => sandbox.id = field.text("id")?,
                2 => {
                    let metadata = field.message("metadata", "PodSandboxMetadata")?;
                    sandbox.metadata = Metadata::read(metadata)?;
                }
                3 => sandbox.state = field.number("state")?,
                4 => sandbox.created_at = field.number("created_at")?,
                7 => sandbox.runtime_handler = field.text("runtime_handler")?,
                _ => {}
            }
            Ok(())
        })?;
        present("PodSandbox", "id", sandbox.id).map(|()| sandbox)
    }
}

impl<'a> Container<'a> {
    fn read(message: Message<'a>) -> Result<Self, ProtobufError> {
        let mut container = Self::default();
        each(message, |field| {
            match field.number {
                1 => container.id = field.text("id")?,
                2 => container.pod_sandbox_id = field.text("pod_sandbox_id")?,
                3 => each(field.message("metadata", "ContainerMetadata")?, |field| {
                    if field.number == 1 {
                        container.name = field.text("name")?;
                    }
                    Ok(())
                })?,
                6 => container.state = field.number("state")?,
                7 => container.created_at = field.number("created_at")?,
                8 => match map_entry(field, "labels")? {
                    (POD_NAME, name) => container.pod.name = name,
                    (POD_NAMESPACE, namespace) => container.pod.namespace = namespace,
                    (POD_UID, uid) => container.pod.uid = uid,
                    _ => {}
                },
                _ => {}
            }
            Ok(())
        })?;
        present("Container", "id", container.id).map(|()| container)
    }
}

impl<'a> Metadata<'a> {
    fn read(message: Message<'a>) -> Result<Self, ProtobufError> {
        let mut metadata = Self::default();
        each(message, |field| {
            match field.number {
                1 => metadata.name = field.text("name")?,
                2 => metadata.uid = field.text("uid")?,
                3 => metadata.namespace = field.text("namespace")?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(metadata)
    }
}

impl<'a> PodSandboxStatus<'a> {
    /// Reads a `PodSandboxStatusResponse`.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, ProtobufError> {
        let mut status = Self::default();
        each(Message::new("PodSandboxStatusResponse", bytes), |field| {
            match field.number {
                1 => status.read_status(field.message("status", "PodSandboxStatus")?)?,
                2 => take_info(field, &mut status.info)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(status)
    }

    fn read_status(&mut self, message: Message<'a>) -> Result<(), ProtobufError> {
        each(message, |field| {
            match field.number {
                5 => self.read_network(field.message("network", "PodSandboxNetworkStatus")?)?,
                6 => each(field.message("linux", "LinuxPodSandboxStatus")?, |field| {
                    if field.number == 1 {
                        self.read_namespaces(field.message("namespaces", "Namespace")?)?;
                    }
                    Ok(())
                })?,
                _ => {}
            }
            Ok(())
        })
    }

    fn read_network(&mut self, message: Message<'a>) -> Result<(), ProtobufError> {
        let mut ips = Vec::new();
        each(message, |field| {
            let ip = match field.number {
                1 => field.text("ip")?,
                2 => {
                    let mut ip = "";
                    each(field.message("additional_ips", "PodIP")?, |field| {
                        if field.number == 1 {
                            ip = field.text("ip")?;
                        }
                        Ok(())
                    })?;
                    ip
                }
                _ => return Ok(()),
            };
            if ips.len() == MOST_IPS {
                let (message, field) = ("PodSandboxNetworkStatus", "additional_ips");
                return Err(ProtobufError::TooMany { message, field, most: MOST_IPS });
            }
            ips.extend((!ip.is_empty()).then_some(ip));
            Ok(())
        })?;
        self.ips = ips;
        Ok(())
    }

    fn read_namespaces(&mut self, message: Message<'a>) -> Result<(), ProtobufError> {
        each(message, |field| {
            if field.number == 2 {
                // The network of its own is 0, which is left out.
                let mut mode = value::NETWORK_POD;
                each(field.message("options", "NamespaceOption")?, |field| {
                    if field.number == 1 {
                        mode = field.number("network")?;
                    }
                    Ok(())
                })?;
                self.network = Some(mode);
            }
            Ok(())
        })
    }
}

impl<'a> ContainerStatus<'a> {
    /// Reads a `ContainerStatusResponse`.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, ProtobufError> {
        let mut status = Self::default();
        each(Message::new("ContainerStatusResponse", bytes), |field| {
            if field.number == 2 {
                take_info(field, &mut status.info)?;
            }
            Ok(())
        })?;
        Ok(status)
    }
}

/// Keeps the entry `info` of the map `info`.
fn take_info<'a>(field: Field<'a>, info: &mut &'a str) -> Result<(), ProtobufError> {
    if let ("info", text) = map_entry(field, "info")? {
        *info = text;
    }
    Ok(())
}

fn each<'a>(
    mut message: Message<'a>,
    mut take: impl FnMut(Field<'a>) -> Result<(), ProtobufError>,
) -> Result<(), ProtobufError> {
    while let Some(field) = message.next()? {
        take(field)?;
    }
    Ok(())
}

fn present(message: &'static str, field: &'static str, value: &str) -> Result<(), ProtobufError> {
    if value.is_empty() {
        return Err(ProtobufError::Missing { message, field });
    }
    Ok(())
}

/// A node has some hundreds of pods, with some containers each, and keeps some that have ended.
const MOST_ITEMS: usize = 20_000;

/// A pod has one address of each family, and some more with several networks.
const MOST_IPS: usize = 64;
