//! The endpoint that `kubectl port-forward` talks to, as sessions of the relay.
//!
//! A [`PortForward`] makes a session of each client. It begins with HTTP: a request to forward the
//! ports of a pod, under the path of the API server or of the kubelet, is upgraded to SPDY/3.1; then
//! each connection that the client forwards is a pair of streams, and one link of the relay. With
//! [`Api::On`] it also answers the few questions that kubectl asks first, read-only.
//!
//! Where pods are, and how their ports are opened, is known by whoever implements [`Pods`].
//!
//! What holds whatever happens:
//!
//! - A connection that fails ends alone. Both of its streams are ended, none is reset and nothing is
//!   written to the error stream, because kubectl ends the whole session for either. The one text that
//!   is written there says that the pod is gone.
//! - The client's end is passed on, and nothing is timed by it; the pod's end ends both streams at once.
//! - What a client sends and a pod does not read fills the queue of that one stream, which alone is reset.
//! - Everything that a client can make this keep is bounded, in size and in time.

#![forbid(unsafe_code)]

mod answer;
mod api;
mod carriage;
mod endpoint;
mod forwarding;
mod head;
mod pairs;
mod path;
mod pods;
mod request;
mod session;

pub use api::Api;
pub use endpoint::PortForward;
pub use pods::{Asked, NoPod, Phase, Pod, PodName, PodView, Pods, Way};
