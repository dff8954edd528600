//! What is asked: a method, a message, and how long anybody waits.

use std::time::Duration;

use crate::hpack::Field;

/// A call of one message each way.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method: `/package.Service/Method`.
    pub path: &'a str,
    /// The message, encoded.
    pub message: &'a [u8],
    /// After how long nobody waits for the answer any more, which the server is told.
    pub timeout: Option<Duration>,
}

impl Request<'_> {
    /// The headers of a call. Over a Unix socket the authority is `localhost`, as kubelets say
    /// since 1.31; a path, as others do, is refused by servers that read it as a host.
    pub(super) fn headers(&self) -> Vec<Field> {
        let fixed = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", self.path),
            (":authority", "localhost"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("user-agent", concat!("nsplice/", env!("CARGO_PKG_VERSION"))),
        ];
        let timeout = self.timeout.map(|timeout| {
            // A number of at most eight digits, and `m` for ms.
            let milliseconds = timeout.as_millis().clamp(1, 99_999_999);
            Field::new("grpc-timeout", format!("{milliseconds}m"))
        });
        fixed.into_iter().map(|(name, value)| Field::new(name, value)).chain(timeout).collect()
    }
}
