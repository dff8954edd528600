//! The endpoint, which makes a session of each client.

use std::sync::Arc;

use nsplice_relay::{Client, Clock, Endpoint, Limits, Reason, Session};

use crate::api::Api;
use crate::pods::Pods;
use crate::session::HttpSession;

/// Forwards to ports of pods for each client that asks by HTTP.
#[derive(Debug, Clone)]
pub struct PortForward {
    /// The pods that there are.
    pub pods: Arc<dyn Pods>,
    /// Whether what kubectl asks before it forwards is answered, too.
    pub api: Api,
    /// The time limits of each forwarded connection.
    pub limits: Limits,
    /// The loop's clock.
    pub clock: Clock,
}

impl Endpoint for PortForward {
    fn accept(&mut self, _: &Client) -> Result<Box<dyn Session>, Reason> {
        let now = self.clock.now();
        Ok(Box::new(HttpSession::new(Arc::clone(&self.pods), self.api, self.limits.clone(), now)))
    }
}
