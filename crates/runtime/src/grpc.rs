//! Unary calls of gRPC over a Unix socket, one after the other on one connection.
//!
//! The protocol is `nsplice-http2`'s, which bounds what an answer may be; here are the bytes and
//! the time.

use std::path::Path;
use std::time::Duration;

use nsplice_http2::{CallError, Client, ConnectionError, Limits, NotSent, Outcome, Request};

use crate::wire::{Wire, WireError};

/// A connection to a server of gRPC.
#[derive(Debug)]
pub struct Connection {
    wire: Wire,
    client: Client,
    block: Vec<u8>,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum GrpcError {
    /// The bytes do not come through, or not in time.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The connection is over.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The call came to nothing. Others may do better.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The call was not begun.
    #[error(transparent)]
    NotSent(#[from] NotSent),
}

impl Connection {
    /// Connects to the socket at `path`; `within` is for all calls together.
    ///
    /// # Errors
    /// When it cannot be connected to.
    pub fn open(path: &Path, within: Duration, limits: Limits) -> Result<Self, GrpcError> {
        let wire = Wire::connect(path, within)?;
        Ok(Self { wire, client: Client::new(limits), block: vec![0; BLOCK] })
    }

    /// Calls `method` (`/package.Service/Method`) and returns the message of the answer.
    ///
    /// # Errors
    /// When there is none, or not in time.
    pub fn call(&mut self, method: &str, message: &[u8]) -> Result<Vec<u8>, GrpcError> {
        let timeout = Some(self.wire.left()?);
        self.client.call(&Request { path: method, message, timeout })?;
        loop {
            match self.wire.write(self.client.output()) {
                // Who has hung up may have said why before.
                Ok(()) | Err(WireError::Io(_)) => self.client.output().clear(),
                Err(error) => return Err(error.into()),
            }
            let count = self.wire.read(&mut self.block)?;
            if count == 0 {
                return Err(self.client.closed().into());
            }
            if let Some(outcome) = self.take(count)? {
                return Ok(outcome?);
            }
        }
    }

    /// Takes what was read, also what follows the end of the call: settings, pings, a leave.
    fn take(&mut self, count: usize) -> Result<Option<Outcome>, ConnectionError> {
        let mut input = self.block.get(..count).unwrap_or_default();
        let mut ended = None;
        loop {
            match self.client.read(&mut input) {
                Ok(None) => return Ok(ended),
                Ok(outcome) => ended = outcome,
                Err(_) if ended.is_some() => return Ok(ended),
                Err(error) => return Err(error),
            }
        }
    }
}

/// What is read at once, in bytes.
const BLOCK: usize = 32 << 10;
