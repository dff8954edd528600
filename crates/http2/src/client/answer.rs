//! The answer to a call as it comes: headers, one message, last headers with the status; or headers
//! that are the last at once.

use crate::client::failure::{CallError, Outcome};
use crate::grpc::{Status, PREFIX};
use crate::hpack::Field;

#[derive(Debug)]
pub(super) struct Answer {
    most: usize,
    has_headers: bool,
    /// The message behind its prefix, as far as it has come.
    received: Vec<u8>,
}

impl Answer {
    pub(super) fn new(most: usize) -> Self {
        Self { most, has_headers: false, received: Vec::new() }
    }

    /// Takes a header list. `Some` when the answer has ended with it.
    pub(super) fn headers(&mut self, list: &[Field], is_last: bool) -> Option<Outcome> {
        match self.check(list, is_last) {
            Err(error) => Some(Err(error)),
            Ok(()) if is_last => Some(self.end(list)),
            Ok(()) => None,
        }
    }

    fn check(&mut self, list: &[Field], is_last: bool) -> Result<(), CallError> {
        if self.has_headers {
            return match list.iter().any(|field| field.name.starts_with(b":")) {
                _ if !is_last => Err(CallError::Malformed("headers in the middle of it")),
                true => Err(CallError::Malformed("its last headers have a pseudo-header")),
                false => Ok(()),
            };
        }
        let status = value(list, ":status").ok_or(CallError::Malformed("it has no HTTP status"))?;
        match status {
            b"200" => {}
            // Interim answers (RFC 9110, section 15.2).
            [b'1', _, _] if !is_last => return Ok(()),
            _ => return Err(CallError::NotGrpc(format!("HTTP status {}", status.escape_ascii()))),
        }
        let kind = value(list, "content-type").unwrap_or_default();
        if !kind.starts_with(b"application/grpc") {
            let kind = kind.escape_ascii();
            return Err(CallError::NotGrpc(format!("content type `{kind}`")));
        }
        self.has_headers = true;
        Ok(())
    }

    /// Takes bytes of the message.
    pub(super) fn data(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        if !self.has_headers {
            return Err(CallError::Malformed("its message comes before its headers"));
        }
        self.received.extend_from_slice(bytes);
        match self.length()? {
            Some(length) if self.received.len() > length + PREFIX => {
                Err(CallError::Malformed("it has more than one message"))
            }
            _ => Ok(()),
        }
    }

    /// The length of the message, once it is known and if it may be that long.
    fn length(&self) -> Result<Option<usize>, CallError> {
        let Some([flag, length @ ..]) = self.received.first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length);
        match (flag, usize::try_from(length)) {
            (1, _) => Err(CallError::Compressed),
            (0, Ok(fits)) if fits <= self.most => Ok(Some(fits)),
            (0, _) => Err(CallError::TooLong { length, most: self.most }),
            _ => Err(CallError::Malformed("its message has an unknown flag")),
        }
    }

    fn end(&mut self, list: &[Field]) -> Outcome {
        let code = value(list, "grpc-status");
        let code = code.ok_or(CallError::Malformed("its last headers have no grpc-status"))?;
        let status = Status::read(code, value(list, "grpc-message").unwrap_or_default());
        if status.code != Status::OK {
            return Err(CallError::Status(status));
        }
        match self.length()? {
            Some(length) if self.received.len() == length + PREFIX => {
                self.received.drain(..PREFIX);
                Ok(std::mem::take(&mut self.received))
            }
            None if self.received.is_empty() => Err(CallError::Malformed("it has no message")),
            _ => Err(CallError::Malformed("its message is cut off")),
        }
    }
}

/// The value of the first header with this name.
fn value<'a>(list: &'a [Field], name: &str) -> Option<&'a [u8]> {
    list.iter().find(|field| field.name == name.as_bytes()).map(|field| &field.value[..])
}
