//! One HTTP GET over a Unix socket: as much HTTP as it takes to ask Docker one question.
//!
//! A connection per question, bounded in time as a whole and in size. [`parse`] looks at the bytes
//! received so far and is pure; the rest is one loop around it. Heads and chunk sizes are read by
//! httparse.

use std::path::Path;
use std::time::Duration;

use httparse::{parse_chunk_size, Header, Status, EMPTY_HEADER};

use crate::wire::{Wire, WireError};

/// An inspected container is some tens of kilobytes.
pub(crate) const MAX_RESPONSE: usize = 4 << 20;

/// The headers of an answer from Docker are a few hundred bytes.
const MAX_HEAD: usize = 16 << 10;

/// Docker sends about ten.
const MAX_HEADERS: usize = 64;

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// Its status code.
    pub(crate) status: u16,
    /// What follows its head.
    pub(crate) body: Vec<u8>,
}

/// A failure to get an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// The bytes do not come through, or not in time.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The answer is longer than an answer can be.
    #[error("the response is longer than {} bytes", MAX_RESPONSE)]
    TooLong,
    /// The connection ended in the middle of the answer.
    #[error("truncated response")]
    Cut,
    /// Its head is not one of HTTP.
    #[error("not an HTTP response: {0}")]
    Head(#[from] httparse::Error),
    /// This is not HTTP.
    #[error("not an HTTP response: {0}")]
    Malformed(&'static str),
}

/// Asks for `path` (of plain characters) at the Unix socket `socket`.
pub(crate) fn get(socket: &Path, path: &str, within: Duration) -> Result<Response, HttpError> {
    let mut wire = Wire::connect(socket, within)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: docker\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
    );
    wire.write(request.as_bytes())?;
    let mut received = Vec::new();
    let mut block = [0; 16 << 10];
    loop {
        let count = wire.read(&mut block)?;
        received.extend_from_slice(block.get(..count).unwrap_or_default());
        if let Some(response) = parse(&received, count == 0)? {
            return Ok(response);
        }
        if received.len() > MAX_RESPONSE {
            return Err(HttpError::TooLong);
        }
    }
}

/// Reads the answer out of what was received; `None` if there must be more. `ended` says that no
/// more will come.
fn parse(received: &[u8], ended: bool) -> Result<Option<Response>, HttpError> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let body = match head.parse(received)? {
        Status::Complete(length) => received.get(length..).unwrap_or_default(),
        Status::Partial if received.len() > MAX_HEAD => {
            return Err(HttpError::Malformed("its headers do not end"));
        }
        Status::Partial if ended => return Err(HttpError::Cut),
        Status::Partial => return Ok(None),
    };
    let status = head.code.unwrap_or_default();
    let (chunked, length) = framing(head.headers)?;
    let body = match (chunked, length) {
        (true, _) => dechunk(body)?,
        (false, Some(length)) => body.get(..length).map(<[u8]>::to_vec),
        (false, None) => ended.then(|| body.to_vec()),
    };
    match body {
        Some(body) => Ok(Some(Response { status, body })),
        None if ended => Err(HttpError::Cut),
        None => Ok(None),
    }
}

/// How the end of the body is found: whether it is chunked, and its length if that is told.
fn framing(headers: &[Header<'_>]) -> Result<(bool, Option<usize>), HttpError> {
    let (mut chunked, mut length) = (false, None);
    for Header { name, value } in headers {
        let value = std::str::from_utf8(value).unwrap_or_default().trim();
        if name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = value.eq_ignore_ascii_case("chunked");
        } else if name.eq_ignore_ascii_case("content-length") {
            let told =
                value.parse().map_err(|_| HttpError::Malformed("its length is no number"))?;
            if told > MAX_RESPONSE {
                return Err(HttpError::TooLong);
            }
            length = Some(told);
        }
    }
    Ok((chunked, length))
}

/// Joins the chunks; `None` if the last one is not there yet.
fn dechunk(mut rest: &[u8]) -> Result<Option<Vec<u8>>, HttpError> {
    let mut body = Vec::new();
    loop {
        let (line, size) = match parse_chunk_size(rest) {
            Ok(Status::Complete(found)) => found,
            Ok(Status::Partial) => return Ok(None),
            Err(_) => return Err(HttpError::Malformed("it has a chunk without a size")),
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size == 0 {
            return Ok(Some(body));
        }
        if size > MAX_RESPONSE {
            return Err(HttpError::TooLong);
        }
        let after = rest.get(line..).unwrap_or_default();
        let (Some(chunk), Some(closing)) = (after.get(..size), after.get(size..size + 2)) else {
            return Ok(None);
        };
        if closing != b"\r\n" {
            return Err(HttpError::Malformed("it has a chunk that does not end where it says"));
        }
        body.extend_from_slice(chunk);
        rest = after.get(size + 2..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(received: &str, ended: bool) -> Option<String> {
        let response = parse(received.as_bytes(), ended).unwrap()?;
        Some(String::from_utf8(response.body).unwrap())
    }

    #[test]
    fn every_framing_gives_the_body_and_only_when_it_is_whole() {
        let table = [
            "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
            "HTTP/1.1 200 OK\r\ncontent-length:11\r\nX: y:z\r\n\r\nhello world",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=1\r\n world\r\n0\r\n\r\n",
        ];
        for whole in table {
            assert_eq!(body(whole, false).as_deref(), Some("hello world"), "{whole}");
            let last_needed = whole.rfind("\r\n\r\n").filter(|at| *at > 100).unwrap_or(whole.len());
            for cut in 0..last_needed - 3 {
                assert_eq!(body(&whole[..cut], false), None, "{}", &whole[..cut]);
                let ended = parse(&whole.as_bytes()[..cut], true);
                assert!(matches!(ended, Err(HttpError::Cut)), "{}: {ended:?}", &whole[..cut]);
            }
        }
        let until_end = "HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\n\r\nno";
        assert_eq!(body(until_end, false), None);
        let response = parse(until_end.as_bytes(), true).unwrap().unwrap();
        assert_eq!(response, Response { status: 404, body: b"no".to_vec() });
    }

    #[test]
    fn what_is_not_http_is_refused() {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(MAX_HEAD));
        let table = [
            "220 ftp ready\r\n\r\n",
            "HTTP/1.1 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
            &long,
        ];
        for received in table {
            let refused = parse(received.as_bytes(), false);
            let is_malformed = matches!(refused, Err(HttpError::Malformed(_) | HttpError::Head(_)));
            assert!(is_malformed, "{received}: {refused:?}");
        }
        let huge = ["Content-Length: 99999999", "Transfer-Encoding: chunked\r\n\r\nfffffff"];
        for framing in huge {
            let received = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
            let refused = parse(received.as_bytes(), false);
            assert!(matches!(refused, Err(HttpError::TooLong)), "{refused:?}");
        }
    }
}
